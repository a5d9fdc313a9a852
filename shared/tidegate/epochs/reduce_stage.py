"""A reduce stage of an epoch, as the stage before it leaves it: its watermark, and which tasks have work.

A range of key groups for which the stage before has nothing, and in which nothing is due, keeps its state as
it is: its task is neither scheduled nor looked for. Which ranges these are follows from the record, from the
manifest before and from the results of the stage before, so that whoever needs to know finds it by itself:
the coordinator that schedules the tasks, those tasks, and the commit.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tidegate.epochs.manifest import Manifest, frontier_after, kept_segments, watermark_behind
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import WHOLE, Task, TaskResult, tasks_of
from tidegate.frontier import WatermarkRule
from tidegate.outline import stage_name
from tidegate.references import KeyRange

Read = Callable[[Sequence[Task]], list[TaskResult]]
"""Finds the results of tasks, each of which has one."""


@dataclass(frozen=True)
class ReduceStage:
    """A reduce stage of an epoch whose stage before is done.

    Attributes:
        number: From 1.
        before: The results of the stage before.
        passed: The stage's watermark at the epoch's end.
        tasks: Those that have something to do.
    """

    number: int
    before: tuple[TaskResult, ...]
    passed: int
    tasks: tuple[Task, ...]


def reduce_stage(
    number: int,
    record: EpochRecord,
    rules: Mapping[str, WatermarkRule],
    previous: Manifest | None,
    read: Read,
) -> ReduceStage:
    """A reduce stage of an epoch.

    Args:
        number: Its number, from 1 to the record's shuffles.
        record: Of the epoch.
        rules: How the watermark of each source follows from what inputs say, by the source's prefix.
        previous: The manifest before the epoch, None before the first.
        read: Finds the results of the stages before it.

    Raises:
        ObjectNotFound: A task of a stage before it has no result yet.
    """
    (stage,) = islice(_stages(record, rules, previous, read), number - 1, number)
    return stage


def results_of(
    record: EpochRecord, rules: Mapping[str, WatermarkRule], previous: Manifest | None, read: Read
) -> list[TaskResult]:
    """The results of all tasks of an epoch that had something to do, stage by stage.

    Raises:
        ObjectNotFound: One of them has no result yet.
    """
    if record.layout.small:
        return read(tasks_of(record.epoch, WHOLE, 1))
    results: list[TaskResult] = []
    last = map_tasks(record)
    for stage in _stages(record, rules, previous, read):
        results += stage.before
        last = stage.tasks
    return results + read(last)


def map_tasks(record: EpochRecord) -> tuple[Task, ...]:
    """The map tasks of an epoch."""
    return tuple(tasks_of(record.epoch, stage_name(0), len(record.layout.slices)))


def _stages(
    record: EpochRecord, rules: Mapping[str, WatermarkRule], previous: Manifest | None, read: Read
) -> Iterator[ReduceStage]:
    """All reduce stages, one behind the other."""
    tasks, passed = map_tasks(record), 0
    for number in range(1, record.layout.shuffles + 1):
        before = read(tasks)
        if number == 1:
            passed = frontier_after(record, rules, [each.stated for each in before]).watermark
        else:
            kept = kept_segments(record, previous, number - 1, before)
            passed = watermark_behind(previous, number, passed, kept)
        tasks = _concerned(number, record, previous, before, passed)
        yield ReduceStage(number, tuple(before), passed, tasks)


def _concerned(
    number: int, record: EpochRecord, previous: Manifest | None, before: Sequence[TaskResult], passed: int
) -> tuple[Task, ...]:
    """The tasks of a stage for which the stage before has something, or in whose range something is due."""
    ranges = record.layout.ranges
    found = {piece.task for result in before for piece in result.pieces}
    lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
    for segment in previous.segments if previous else ():
        if segment.stage != number:
            continue
        first, behind = bisect_right(highs, segment.range.low), bisect_left(lows, segment.range.high)
        for task in range(first, behind):
            part = segment.within(KeyRange(*ranges[task]))
            if part and part.is_due(passed, record.now):
                found.add(task)
    return tuple(Task(record.epoch, stage_name(number), task) for task in sorted(found))
