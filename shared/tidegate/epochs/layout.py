"""The layout of an epoch: how many inputs it takes, and how its work is cut into tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tidegate.epochs.intake import Accepted
from tidegate.limits import (
    KEY_GROUPS,
    MAP_TASK_BYTES,
    MAX_BYTES_PER_EPOCH,
    MAX_FILES_PER_EPOCH,
    MAX_TASKS,
    SMALL_EPOCH_BYTES,
)


@dataclass(frozen=True)
class Limits:
    """How large an epoch may be and how far it fans out; all of them from a deployment's settings.

    Attributes:
        bytes: Input bytes of one epoch at most; one object always fits.
        files: Input objects of one epoch at most.
        tasks: Tasks of one stage at most.
        small: An epoch of at most this many input bytes runs whole in one function call.
        task_bytes: Input bytes that a map task is given, unless `tasks` makes it more.
    """

    bytes: int = MAX_BYTES_PER_EPOCH
    files: int = MAX_FILES_PER_EPOCH
    tasks: int = MAX_TASKS
    small: int = SMALL_EPOCH_BYTES
    task_bytes: int = MAP_TASK_BYTES


@dataclass(frozen=True)
class Layout:
    """How an epoch's work is cut into tasks.

    Attributes:
        small: Whether one task does all of it.
        slices: For each map task the numbers of its inputs.
        ranges: For each reduce task its key groups, from the first up to but without the second; all of
            them together are all key groups. Empty if the plan does not group.
        shuffles: How many reduce stages there are, one behind the other, each cut into these ranges.
    """

    small: bool
    slices: tuple[tuple[int, ...], ...]
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


def lay_out(inputs: Sequence[Accepted], limits: Limits, *, shuffles: int) -> Layout:
    """How the work on these inputs is cut; a function of their sizes and the limits alone."""
    total = sum(each.object.size for each in inputs)
    numbers = range(len(inputs))
    if total <= limits.small or limits.tasks == 1:
        whole = ((0, KEY_GROUPS),) if shuffles else ()
        return Layout(small=True, slices=(tuple(numbers),), ranges=whole, shuffles=shuffles)
    tasks = max(1, min(limits.tasks, len(inputs), -(-total // limits.task_bytes)))
    slices: list[list[int]] = [[] for _ in range(tasks)]
    before = 0
    for number in numbers:
        # Each input goes to the task in whose share of the bytes it begins: contiguous and balanced. An
        # empty file at the end begins behind the last share.
        slices[min(before * tasks // total, tasks - 1)].append(number)
        before += inputs[number].object.size
    kept = tuple(tuple(each) for each in slices if each)
    cuts = [KEY_GROUPS * number // len(kept) for number in range(len(kept) + 1)]
    ranges = tuple(pairwise(cuts)) if shuffles else ()
    return Layout(small=False, slices=kept, ranges=ranges, shuffles=shuffles)
