"""The layout of an epoch: how many inputs it takes, and how its work is cut into tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate

from tidegate.epochs.intake import Accepted, waiting
from tidegate.limits import (
    INPUT_OBJECT_BYTES,
    KEY_GROUPS,
    MAX_BYTES_PER_EPOCH,
    MAX_FILES_PER_EPOCH,
    MAX_TASKS,
    OPEN_BYTES,
    ROW_BYTES,
    SMALL_EPOCH_BYTES,
    SMALL_EPOCH_FILES,
    SMALL_STATE_BYTES,
    SPLIT_BYTES,
    TASK_BYTES,
)
from tidegate.outline import Outline
from tidegate.references import Segment
from tidegate.stores.ports import Table


@dataclass(frozen=True)
class Limits:
    """How large an epoch may be and how far it fans out; all of them from a deployment's settings.

    Attributes:
        bytes: Input bytes of one epoch at most; one object always fits.
        files: Input objects of one epoch at most.
        tasks: Tasks of one stage at most; an epoch has no more inputs than `SMALL_EPOCH_FILES` for each.
        small: An epoch of at most this many input bytes runs whole in one function call, unless the state or
            the number of its inputs is large.
        task_bytes: Bytes that a task is given, unless `tasks` makes it more: of input if it is a map task, of
            state and what is to be expected of the map tasks if it is a reduce task.
        split_bytes: Bytes that each part of a file has at least that is cut up for several map tasks.
    """

    bytes: int = MAX_BYTES_PER_EPOCH
    files: int = MAX_FILES_PER_EPOCH
    tasks: int = MAX_TASKS
    small: int = SMALL_EPOCH_BYTES
    task_bytes: int = TASK_BYTES
    split_bytes: int = SPLIT_BYTES

    @property
    def inputs(self) -> int:
        """Input objects of one epoch at most, with so few for each task that it reads them in time."""
        return min(self.files, self.tasks * SMALL_EPOCH_FILES)


@dataclass(frozen=True)
class Split:
    """What a map task reads of an input: all of it, or the lines that begin in a range of its bytes.

    Attributes:
        input: The number of the input.
        start: The first byte of the range.
        end: The byte behind it; None for the input's end.
    """

    input: int
    start: int = 0
    end: int | None = None


@dataclass(frozen=True)
class Layout:
    """How an epoch's work is cut into tasks.

    Attributes:
        small: Whether one task does all of it.
        slices: For each map task what it reads; all of them together are all inputs, in their order.
        ranges: For each reduce task its key groups, from the first up to but without the second; all of
            them together are all key groups. Empty if the plan does not group.
        shuffles: How many reduce stages there are, one behind the other, each cut into these ranges.
    """

    small: bool
    slices: tuple[tuple[Split, ...], ...]
    ranges: tuple[tuple[int, int], ...]
    shuffles: int

    @property
    def looked_at(self) -> int:
        """How many reduce stages the state machine on AWS looks at before it calls their tasks.

        The look says which of them have work, and costs a call of the plan function and three transitions: as
        much as two or three tasks that find nothing to do, and time that they do not cost. So the first stage
        is called unseen if it has no more; the others are asked for anyway.
        """
        return self.shuffles - (len(self.ranges) <= _CALLED_UNSEEN) if self.shuffles else 0


def take(objects: Sequence[Accepted], limits: Limits) -> tuple[Accepted, ...]:
    """As many of these waiting objects as fit into one epoch, in intake order, and at least one."""
    taken: list[Accepted] = []
    size = 0
    for each in objects[: limits.inputs]:
        size += each.object.size
        if taken and size > limits.bytes:
            break
        taken.append(each)
    return tuple(taken)


def take_waiting(table: Table, limits: Limits) -> tuple[Accepted, ...]:
    """What the next epoch takes; however many objects wait, not many more are looked at than are taken."""
    looked_at = 0
    while True:
        looked_at = min(max(_LOOKED_AT, 4 * looked_at), limits.inputs)
        taken = take(waiting(table, looked_at), limits)
        if len(taken) < looked_at or looked_at == limits.inputs:
            return taken


def lay_out(
    inputs: Sequence[Accepted], limits: Limits, outline: Outline, segments: Sequence[Segment] = ()
) -> Layout:
    """How the work of an epoch is cut.

    Args:
        inputs: What it reads; only names and sizes matter.
        limits: How far it fans out.
        outline: Of the pipeline's plan.
        segments: The state before it.
    """
    shuffles = outline.shuffles
    total = sum(each.object.size for each in inputs)
    state = sum(map(_size, segments))
    little = total <= limits.small and len(inputs) <= SMALL_EPOCH_FILES and state <= SMALL_STATE_BYTES
    if little or limits.tasks == 1:
        whole = ((0, KEY_GROUPS),) if shuffles else ()
        everything = tuple(Split(number) for number in range(len(inputs)))
        return Layout(small=True, slices=(everything,), ranges=whole, shuffles=shuffles)
    slices = _slices(inputs, limits, outline)
    ranges = _ranges(total, segments, limits) if shuffles else ()
    return Layout(small=False, slices=slices, ranges=ranges, shuffles=shuffles)


def _slices(inputs: Sequence[Accepted], limits: Limits, outline: Outline) -> tuple[tuple[Split, ...], ...]:
    """What each map task reads: about as many bytes each, in the order of the inputs.

    The bytes of all inputs, one behind the other, are cut into equal shares. What begins in a task's share is
    the task's; a file that may be split is cut where a share ends, unless a part of it would be too small.
    As in Spark (`spark.sql.files.openCostInBytes`) a file counts as if it had `OPEN_BYTES` at least.
    """
    parts = [_most_parts(each, limits, outline) for each in inputs]
    sizes = [each.object.size for each in inputs]
    costs = [max(size, OPEN_BYTES) for size in sizes]
    total = sum(costs)
    tasks = min(limits.tasks, sum(parts), -(-total // limits.task_bytes))
    slices: list[list[Split]] = [[] for _ in range(tasks)]
    before = 0
    for number, (size, cost, most) in enumerate(zip(sizes, costs, parts, strict=True)):
        task, start = before * tasks // total, 0
        for following in range(task + 1, tasks if most > 1 else 0):
            cut = (-(-total * following // tasks) - before) * size // cost
            if cut > size - limits.split_bytes:
                break
            if cut - start >= limits.split_bytes:
                slices[task].append(Split(number, start, cut))
                task, start = following, cut
        slices[task].append(Split(number, start))
        before += cost
    return tuple(tuple(each) for each in slices if each)


def _most_parts(each: Accepted, limits: Limits, outline: Outline) -> int:
    """Into how many parts an input may be cut."""
    size = each.object.size
    # What is too large to be read is one dead letter, and found by one task.
    if size > INPUT_OBJECT_BYTES or not outline.may_split(each.object.key):
        return 1
    return max(1, size // limits.split_bytes)


def _ranges(total: int, segments: Sequence[Segment], limits: Limits) -> tuple[tuple[int, int], ...]:
    """The key groups of each reduce task: the heaviest range is halved while it has more than one is given.

    So ranges lie inside of each other or apart, however many there are: what one epoch cuts the next one cuts
    in the same place, and no segment ends up in ever smaller parts. What the map tasks come to is not known
    yet; it is taken for a part of their input, spread evenly.
    """
    # What each key group has more than the one before it, then what it has, then what all up to it have.
    more = [0.0] * (KEY_GROUPS + 1)
    more[0] = max(total / _COMBINED, 1) / KEY_GROUPS
    for each in segments:
        density = _size(each) / (each.range.high - each.range.low)
        more[each.range.low] += density
        more[each.range.high] -= density
    up_to = [0.0, *accumulate(accumulate(more[:-1]))]
    heaviest = [(-up_to[-1], 0, KEY_GROUPS)]
    single: list[tuple[float, int, int]] = []
    while heaviest and len(heaviest) + len(single) < limits.tasks and -heaviest[0][0] > limits.task_bytes:
        weight, low, high = heappop(heaviest)
        if high - low == 1:
            single.append((weight, low, high))
            continue
        middle = (low + high) // 2
        for first, behind in ((low, middle), (middle, high)):
            heappush(heaviest, (up_to[first] - up_to[behind], first, behind))
    return tuple(sorted((low, high) for _, low, high in (*heaviest, *single)))


def _size(segment: Segment) -> int:
    """About how many bytes of the layers that it names are a segment's, and not that of other key groups."""
    rows = max(1, sum(each.rows for each in segment.layers))
    stored = sum(each.length for each in segment.layers)
    return max(1, segment.windows) * max(stored, rows * ROW_BYTES) // rows


_LOOKED_AT = 100
"""Waiting rows that planning an epoch looks at first; more of them while all fit into it."""

_CALLED_UNSEEN = 3
"""Reduce tasks behind the map stage that are called without a look at which of them have work."""

_COMBINED = 2
"""Bytes of input that are taken for one that reaches the reduce tasks; far more are where keys repeat."""
