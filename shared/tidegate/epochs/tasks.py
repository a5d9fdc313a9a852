"""A task of an epoch, from its record to its claimed result and its published output.

A task reads only what its epoch's record names. It writes its data under names that no other attempt has,
then claims the task by creating its result; the first claim wins. Output appears under its final name only
after the claim, and from the bytes that the winner staged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.emission import Times
from tidegate.engine.input_slice import InputSlice
from tidegate.engine.map_task import MapOutput, map_epoch
from tidegate.engine.reduce_task import reduce_epoch
from tidegate.engine.regroup import regroup
from tidegate.engine.segments import Standing
from tidegate.engine.shuffle import fetch
from tidegate.epochs import paths
from tidegate.epochs.costs import HEAD_READ, UNMETERED, Meter
from tidegate.epochs.draft import Draft
from tidegate.epochs.layout import Split
from tidegate.epochs.manifest import (
    Manifest,
    build_manifest,
    frontier_after,
    read_manifest,
    segments_before,
    watermark_before,
    watermark_behind,
)
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.reduce_stage import reduce_stage
from tidegate.epochs.result import WHOLE, Task, TaskResult, holds_result, read_results, result_key
from tidegate.errors import ObjectNotFound, TidegateError
from tidegate.frontier import SOURCE
from tidegate.limits import ATTACHED_BYTES
from tidegate.outline import stage_name
from tidegate.plan import Plan
from tidegate.references import KeyRange, Segment
from tidegate.stores.ports import Objects
from tidegate.timestamps import MIN


@dataclass(frozen=True)
class TaskStores:
    """The stores that a task works on.

    Attributes:
        attached: Bytes that are stored in the results of a stage, all of them together, at most.
    """

    input: Objects
    state: Objects
    output: Objects
    attached: int = ATTACHED_BYTES


def run_task(
    plan: Plan, stores: TaskStores, task: Task, attempt: str, meter: Meter = UNMETERED
) -> TaskResult:
    """Runs a task, unless it has a result already; returns the result that counts.

    Args:
        plan: The pipeline's plan.
        stores: Where input, state and output lie.
        task: Which one.
        attempt: A name that no other attempt of the task has.
        meter: Says what this attempt has taken.

    Raises:
        IncompatiblePipeline: The epoch was frozen for another plan. Nothing was written.
        CorruptObject: A stored object is damaged.
    """
    key = result_key(plan.name, task)
    record = _record(plan, stores, task)
    try:
        return _publish(stores, key, _stored(key, task, stores.state.get(key)), {})
    except ObjectNotFound:
        draft = Draft(plan, stores.state, record, task, attempt, stores.attached // _beside(record, task))
        work = _Attempt(plan, stores, task, record, read_manifest(stores.state, record.previous), draft)
    stages = [stage.name for stage in plan.stages]
    if task.stage == WHOLE:
        result = work.epoch()
    elif task.stage == stages[0]:
        result = work.map()
    else:
        result = work.reduce(stages.index(task.stage))
    result = replace(result, costs=meter.spent())
    data = work.manifest(result) if task.stage == WHOLE else result.encode()
    if not stores.state.put_if_absent(key, data):
        # Somebody else's, or this very one after a write whose outcome was unknown: the stored one counts.
        result = _stored(key, task, stores.state.get(key))
    return _publish(stores, key, result, draft.staged)


def _stored(key: str, task: Task, data: bytes) -> TaskResult:
    """The task's result as it was found."""
    if not holds_result(key, data):
        Manifest.decode(key, data)
        # Of version 0.1.0, which wrote the manifest last, when all was published.
        return TaskResult(task.stage, task.number, "", {}, unchanged=True)
    return TaskResult.decode(key, data)


def _record(plan: Plan, stores: TaskStores, task: Task) -> EpochRecord:
    """The record of the task's epoch; also a task that was done is not for another plan to publish."""
    key = paths.record(plan.name, task.epoch)
    record = EpochRecord.decode(key, stores.state.get(key))
    plan.outline().check(record.fingerprint, record.meaning)
    return record


def _beside(record: EpochRecord, task: Task) -> int:
    """How many tasks the task's stage has."""
    if task.stage == WHOLE:
        return 1
    return len(record.layout.slices if task.stage == stage_name(0) else record.layout.ranges)


def _publish(stores: TaskStores, key: str, result: TaskResult, own: Mapping[str, bytes]) -> TaskResult:
    """Puts the winner's outputs under their final names, if they are not there yet.

    Args:
        stores: Where they are staged, and where they go.
        key: The result's.
        result: The winner's.
        own: The objects that this attempt staged, by their keys, whether or not it is the winner.
    """
    at_hand = {**own, key: result.attached}
    for output in result.outputs:
        staged = output.staged
        if staged.key in at_hand:
            data = at_hand[staged.key][staged.offset : staged.offset + staged.size]
        else:
            (data,) = stores.state.get_ranges(staged.key, [(staged.offset, staged.size)])
            staged.verify(data)
        if not stores.output.put_if_absent(output.name, data) and stores.output.get(output.name) != data:
            raise TidegateError(
                f"{output.name} exists already and holds something else: the output folder was written by "
                "another pipeline, or from other state. Give each pipeline a sink of its own and new state a "
                "new output folder, and remove this pipeline's state: its epoch keeps the names it began with"
            )
    return result


@dataclass
class _Reduced:
    """What a reduce stage did for a range: rows for the sink, or partials for the next stage.

    Attributes:
        late: What was late for the next stage, as its late sink has it.
    """

    segments: tuple[Segment, ...]
    rows: pl.DataFrame | None
    partials: pl.DataFrame | None
    late: bytes
    counters: dict[str, int]
    dead: DeadLetters


@dataclass
class _Attempt:
    """One attempt of one task."""

    plan: Plan
    stores: TaskStores
    task: Task
    record: EpochRecord
    previous: Manifest | None
    draft: Draft

    def map(self) -> TaskResult:
        """Reads and combines one slice of the input; shuffles, or writes the sink's rows."""
        splits = self.record.layout.slices[self.task.number]
        mapped = self._read(splits)
        shuffle, pieces = self.draft.shuffled(mapped.partials)
        return self.draft.result(
            counters=mapped.counters,
            shuffle=shuffle,
            pieces=pieces,
            outputs=self.draft.outputs(mapped.rows, mapped.dead, {0: mapped.late}),
            unread=tuple(splits[number].input for number in mapped.unread),
            **self._stated(mapped),
        )

    def reduce(self, number: int) -> TaskResult:
        """Joins what the stage before combined for one range with its state, and fires its panes.

        Args:
            number: The stage's, from 1.
        """
        wanted = self.draft.ranges[self.task.number]
        stage = reduce_stage(number, self.record, self.plan.rules, self.previous, self._results)
        if self.task not in stage.tasks:
            return self.draft.result(counters={}, unchanged=True)
        sources = [
            (each.shuffle, piece)
            for each in stage.before
            for piece in each.pieces
            if piece.task == self.task.number
        ]
        at_hand = {self._key_of(each): each.attached for each in stage.before}
        times = self._times(number, stage.passed)
        done = self._reduced(number, wanted, fetch(self.stores.state, sources, at_hand), times)
        shuffle, pieces = self.draft.shuffled(done.partials)
        return self.draft.result(
            counters=done.counters,
            segments=done.segments,
            shuffle=shuffle,
            pieces=pieces,
            outputs=self.draft.outputs(done.rows, done.dead, {number: done.late}),
        )

    def epoch(self) -> TaskResult:
        """Does all stages of a small epoch in one go, with nothing stored between them."""
        mapped = self._read([Split(number) for number in range(len(self.record.inputs))])
        counters, dead, rows = mapped.counters, mapped.dead, mapped.rows
        late = {0: mapped.late}
        segments: tuple[Segment, ...] = ()
        partials = mapped.partials
        passed = frontier_after(self.record, self.plan.rules, [mapped.stated]).watermark
        changed = False
        for number in range(1, len(self.plan.stages)):
            (wanted,) = self.draft.ranges
            times = self._times(number, passed)
            left = segments_before(self.previous, number, wanted)
            is_due = any(each.is_due(times.after, times.now) for each in left)
            if is_due or (partials is not None and partials.height):
                changed = True
                done = self._reduced(number, wanted, [] if partials is None else [partials], times)
                counters = _add(counters, done.counters)
                dead.entries += done.dead.entries
                late[number] = done.late
                left, partials, rows = done.segments, done.partials, done.rows
            else:
                partials = rows = None
            segments += left
            if number + 1 < len(self.plan.stages):
                passed = watermark_behind(self.previous, number + 1, passed, left)
        return self.draft.result(
            counters=counters,
            segments=segments if changed else (),
            unchanged=not changed,
            outputs=self.draft.outputs(rows, dead, late),
            **self._stated(mapped),
        )

    def manifest(self, result: TaskResult) -> bytes:
        """The manifest of a small epoch, with the result of its task."""
        data = result.encode()
        results = [replace(result, size=len(data))]
        manifest = build_manifest(self.record, self.plan.rules, self.previous, results)
        return manifest.with_costs(self.record, results, HEAD_READ, self.previous).encode(data)

    def _reduced(
        self, number: int, wanted: KeyRange, partials: list[pl.DataFrame], times: Times
    ) -> "_Reduced":
        """One reduce stage of one range: its panes go to the sink, or are combined for the next stage."""
        stage = self.plan.stages[number]
        if stage.reduce is None:
            raise TidegateError(f"epoch {self.record.epoch} has reduce tasks, and its plan no reduce stage")
        standing = Standing(segments_before(self.previous, number, wanted), stage.reduce, partials, times)
        state = standing.read(self.stores.state)
        reduced = reduce_epoch(stage, stage.reduce, state, partials, times)
        segments = standing.after(reduced, wanted, number, lambda frames: self.draft.layers(number, frames))
        if stage.combine is None:
            return _Reduced(segments, reduced.rows, None, b"", reduced.counters, reduced.dead)
        before = watermark_before(self.previous, number + 1)
        again = regroup(reduced.rows, stage.combine, before, self._before(number + 2))
        dead = reduced.dead
        dead.entries += again.dead.entries
        # What the pipeline gives is counted, and not the panes on their way.
        counters = {name: n for name, n in reduced.counters.items() if not name.startswith("panes_")}
        return _Reduced(segments, None, again.partials, again.late, _add(counters, again.counters), dead)

    def _read(self, splits: Sequence[Split]) -> MapOutput:
        inputs = [(self.record.inputs[each.input].object, each) for each in splits]
        slices = [
            InputSlice(each.key, each.version, each.size, split.start, split.end) for each, split in inputs
        ]
        return map_epoch(
            self.plan,
            self.stores.input,
            slices,
            self.record.frontier.watermark,
            max(self.record.now, self.record.clock),
            self._before(2),
        )

    def _stated(self, mapped: MapOutput) -> dict[str, Any]:
        """What the inputs say of the watermark, for the task's result."""
        marks = {producer: moment for producer, moment in mapped.stated.items() if producer != SOURCE}
        return {"watermark": mapped.stated.get(SOURCE), "marks": marks}

    def _before(self, number: int) -> int:
        """The watermark of a later reduce stage before the epoch; `MIN` if there is no such stage."""
        return watermark_before(self.previous, number) if number < len(self.plan.stages) else MIN

    def _times(self, number: int, passed: int) -> Times:
        before = self.record.frontier.watermark if number == 1 else watermark_before(self.previous, number)
        behind = None if number + 1 == len(self.plan.stages) else self._before(number + 1)
        return Times(before, passed, self.record.now, behind)

    def _results(self, tasks: Sequence[Task]) -> list[TaskResult]:
        """The results of tasks of a stage before."""
        return read_results(self.stores.state, [result_key(self.plan.name, each) for each in tasks])

    def _key_of(self, result: TaskResult) -> str:
        return result_key(self.plan.name, Task(self.task.epoch, result.stage, result.task))


def _add(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}
