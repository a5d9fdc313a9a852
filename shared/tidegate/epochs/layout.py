"""The layout of an epoch: how many inputs it takes, and how its work is cut into tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tidegate.epochs.intake import Accepted
from tidegate.limits import (
    INPUT_OBJECT_BYTES,
    KEY_GROUPS,
    MAP_TASK_BYTES,
    MAX_BYTES_PER_EPOCH,
    MAX_FILES_PER_EPOCH,
    MAX_TASKS,
    SMALL_EPOCH_BYTES,
    SPLIT_BYTES,
)
from tidegate.outline import Outline


@dataclass(frozen=True)
class Limits:
    """How large an epoch may be and how far it fans out; all of them from a deployment's settings.

    Attributes:
        bytes: Input bytes of one epoch at most; one object always fits.
        files: Input objects of one epoch at most.
        tasks: Tasks of one stage at most.
        small: An epoch of at most this many input bytes runs whole in one function call.
        task_bytes: Input bytes that a map task is given, unless `tasks` makes it more.
        split_bytes: Bytes that each part of a file has at least that is cut up for several map tasks.
    """

    bytes: int = MAX_BYTES_PER_EPOCH
    files: int = MAX_FILES_PER_EPOCH
    tasks: int = MAX_TASKS
    small: int = SMALL_EPOCH_BYTES
    task_bytes: int = MAP_TASK_BYTES
    split_bytes: int = SPLIT_BYTES


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


def take(waiting: Sequence[Accepted], limits: Limits) -> tuple[Accepted, ...]:
    """As many of the waiting objects as fit into one epoch, in intake order, and at least one."""
    taken: list[Accepted] = []
    size = 0
    for each in waiting[: limits.files]:
        size += each.object.size
        if taken and size > limits.bytes:
            break
        taken.append(each)
    return tuple(taken)


def lay_out(inputs: Sequence[Accepted], limits: Limits, outline: Outline) -> Layout:
    """How the work on these inputs is cut; a function of their names and sizes, limits and plan alone."""
    shuffles = outline.shuffles
    total = sum(each.object.size for each in inputs)
    if total <= limits.small or limits.tasks == 1:
        whole = ((0, KEY_GROUPS),) if shuffles else ()
        slices = (tuple(Split(number) for number in range(len(inputs))),)
        return Layout(small=True, slices=slices, ranges=whole, shuffles=shuffles)
    kept = _slices(inputs, limits, outline)
    cuts = [KEY_GROUPS * number // len(kept) for number in range(len(kept) + 1)]
    ranges = tuple(pairwise(cuts)) if shuffles else ()
    return Layout(small=False, slices=kept, ranges=ranges, shuffles=shuffles)


def _slices(inputs: Sequence[Accepted], limits: Limits, outline: Outline) -> tuple[tuple[Split, ...], ...]:
    """What each map task reads: about as many bytes each, in the order of the inputs.

    The bytes of all inputs, one behind the other, are cut into equal shares. What begins in a task's share is
    the task's; a file that may be split is cut where a share ends, unless a part of it would be too small.
    """
    sizes = [each.object.size for each in inputs]
    total = sum(sizes)
    parts = [_most_parts(each, limits, outline) for each in inputs]
    tasks = max(1, min(limits.tasks, sum(parts), -(-total // limits.task_bytes)))
    slices: list[list[Split]] = [[] for _ in range(tasks)]
    before = 0
    for number, (size, most) in enumerate(zip(sizes, parts, strict=True)):
        # An empty file at the end begins behind the last share.
        task = min(before * tasks // total, tasks - 1)
        start = 0
        for following in range(task + 1, tasks if most > 1 else 0):
            cut = -(-total * following // tasks) - before
            if cut > size - limits.split_bytes:
                break
            if cut - start >= limits.split_bytes:
                slices[task].append(Split(number, start, cut))
                task, start = following, cut
        slices[task].append(Split(number, start))
        before += size
    return tuple(tuple(each) for each in slices if each)


def _most_parts(each: Accepted, limits: Limits, outline: Outline) -> int:
    """Into how many parts an input may be cut."""
    size = each.object.size
    # What is too large to be read is one dead letter, and found by one task.
    if size > INPUT_OBJECT_BYTES or not outline.may_split(each.object.key):
        return 1
    return max(1, size // limits.split_bytes)
