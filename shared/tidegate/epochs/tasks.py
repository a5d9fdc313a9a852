"""A task of an epoch, from its record to its claimed result and its published output.

A task reads only what its epoch's record names. It writes its data under names that no other attempt has,
then claims the task by creating its result; the first claim wins. Output appears under its final name only
after the claim, and from the bytes that the winner staged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tidegate.engine.codec import encode_state
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.map_task import InputSlice, MapOutput, map_epoch
from tidegate.engine.reduce_task import ReduceOutput, Times, reduce_epoch
from tidegate.engine.shuffle import cut, fetch
from tidegate.engine.state import read_segments
from tidegate.epochs import paths
from tidegate.epochs.manifest import Manifest, frontier_after, read_manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Published, Task, TaskResult, result_key, tasks_of
from tidegate.errors import ObjectNotFound, TidegateError
from tidegate.plan import Plan
from tidegate.references import KeyRange, ObjectRef, Piece, Segment
from tidegate.stores.ports import Objects


@dataclass(frozen=True)
class TaskStores:
    """The stores that a task works on."""

    input: Objects
    state: Objects
    output: Objects


def run_task(plan: Plan, stores: TaskStores, task: Task, attempt: str) -> TaskResult:
    """Runs a task, unless it has a result already; returns the result that counts.

    Args:
        plan: The pipeline's plan.
        stores: Where input, state and output lie.
        task: Which one.
        attempt: A name that no other attempt of the task has.

    Raises:
        IncompatiblePipeline: The epoch was frozen for another plan. Nothing was written.
        CorruptObject: A stored object is damaged.
    """
    key = result_key(plan.name, task)
    record = _record(plan, stores, task)
    try:
        return _publish(stores, TaskResult.decode(key, stores.state.get(key)), {})
    except ObjectNotFound:
        work = _Attempt(plan, stores, task, attempt, record, read_manifest(stores.state, record.previous))
    if task.stage == "map":
        result = work.map()
    elif task.stage == "reduce":
        result = work.reduce()
    else:
        result = work.epoch()
    if not stores.state.put_if_absent(key, result.encode()):
        # Somebody else's, or this very one after a write whose outcome was unknown: the stored one counts.
        result = TaskResult.decode(key, stores.state.get(key))
    return _publish(stores, result, work.staged if result.attempt == attempt else {})


def _record(plan: Plan, stores: TaskStores, task: Task) -> EpochRecord:
    """The record of the task's epoch; also a task that was done is not for another plan to publish."""
    key = paths.record(plan.name, task.epoch)
    record = EpochRecord.decode(key, stores.state.get(key))
    plan.outline().check(record.fingerprint, record.meaning)
    return record


def _publish(stores: TaskStores, result: TaskResult, at_hand: dict[str, bytes]) -> TaskResult:
    """Puts the winner's outputs under their final names, if they are not there yet."""
    for output in result.outputs:
        data = at_hand.get(output.staged.key)
        if data is None:
            data = output.staged.verify(stores.state.get(output.staged.key))
        if not stores.output.put_if_absent(output.name, data) and stores.output.get(output.name) != data:
            raise TidegateError(
                f"{output.name} exists already and holds something else: the output folder was written by "
                "another pipeline, or from other state. Give each pipeline a sink of its own and new state a "
                "new output folder, and remove this pipeline's state: its epoch keeps the names it began with"
            )
    return result


@dataclass
class _Attempt:
    """One attempt of one task."""

    plan: Plan
    stores: TaskStores
    task: Task
    name: str
    record: EpochRecord
    previous: Manifest | None
    staged: dict[str, bytes] = field(default_factory=dict)

    def map(self) -> TaskResult:
        """Reads and combines one slice of the input; shuffles, or writes the sink's rows."""
        mapped = self._read(self.record.layout.slices[self.task.number])
        outputs = self._outputs(mapped.rows, mapped.dead)
        shuffle = ""
        pieces: tuple[Piece, ...] = ()
        if mapped.partials is not None:
            data, cuts = cut(mapped.partials, self._ranges())
            if cuts:
                shuffle, pieces = self._put("shuffle.arrow", data).key, tuple(cuts)
        return self._result(
            counters=mapped.counters,
            shuffle=shuffle,
            pieces=pieces,
            outputs=outputs,
            **self._stated(mapped),
        )

    def reduce(self) -> TaskResult:
        """Joins what the map tasks combined for one range with its state, and fires its panes."""
        wanted = self._ranges()[self.task.number]
        maps = [
            self._result_of(task)
            for task in tasks_of(self.record.epoch, "map", len(self.record.layout.slices))
        ]
        sources = [
            (each.shuffle, piece) for each in maps for piece in each.pieces if piece.task == self.task.number
        ]
        times = self._times([each.stated for each in maps])
        if not sources and not self._is_due(wanted, times):
            return self._result(counters={}, unchanged=True)
        partials = fetch(self.stores.state, sources)
        return self._reduced(wanted, partials, times, {}, DeadLetters(), {})

    def epoch(self) -> TaskResult:
        """Does a small epoch's map and reduce in one go, with nothing stored between them."""
        mapped = self._read(range(len(self.record.inputs)))
        stated = self._stated(mapped)
        if mapped.partials is None:
            outputs = self._outputs(mapped.rows, mapped.dead)
            return self._result(counters=mapped.counters, outputs=outputs, unchanged=True, **stated)
        (wanted,) = self._ranges()
        times = self._times([self._result(counters={}, **stated).stated])
        if not mapped.partials.height and not self._is_due(wanted, times):
            outputs = self._outputs(None, mapped.dead)
            return self._result(counters=mapped.counters, outputs=outputs, unchanged=True, **stated)
        return self._reduced(wanted, [mapped.partials], times, mapped.counters, mapped.dead, stated)

    def _reduced(
        self,
        wanted: KeyRange,
        partials: list[pl.DataFrame],
        times: Times,
        counters: dict[str, int],
        dead: DeadLetters,
        stated: dict[str, Any],
    ) -> TaskResult:
        stage, grouping = self.plan.reduce, self.plan.grouping
        if stage is None or grouping is None:
            raise TidegateError(
                f"epoch {self.record.epoch} has reduce tasks, and its plan has no reduce stage"
            )
        segments = self.previous.segments if self.previous else ()
        state = read_segments(self.stores.state, segments, wanted, grouping)
        reduced = reduce_epoch(stage, grouping, state, partials, times)
        dead.entries += reduced.dead.entries
        return self._result(
            counters=_add(counters, reduced.counters),
            segments=self._segments(wanted, reduced),
            outputs=self._outputs(reduced.rows, dead),
            **stated,
        )

    def _read(self, numbers: "range | tuple[int, ...]") -> MapOutput:
        inputs = [self.record.inputs[number].object for number in numbers]
        slices = [InputSlice(each.key, each.version) for each in inputs]
        return map_epoch(
            self.plan,
            self.stores.input,
            slices,
            self.record.frontier.watermark,
            max(self.record.now, self.record.clock),
        )

    def _stated(self, mapped: MapOutput) -> dict[str, Any]:
        """What the inputs say of the watermark, for the task's result."""
        highest, policy = mapped.highest, self.plan.source.watermark
        return {
            "watermark": None if highest is None else policy.watermark(highest),
            "marks": mapped.marks,
        }

    def _times(self, stated: Sequence[Mapping[str, int]]) -> Times:
        after = frontier_after(self.record, self.plan.source.rule(), stated).watermark
        return Times(self.record.frontier.watermark, after, self.record.now)

    def _ranges(self) -> list[KeyRange]:
        return [KeyRange(low, high) for low, high in self.record.layout.ranges]

    def _is_due(self, wanted: KeyRange, times: Times) -> bool:
        segments = self.previous.segments if self.previous else ()
        return any(
            each.range.intersect(wanted) and (each.due <= times.after or each.alarm <= times.now)
            for each in segments
        )

    def _segments(self, wanted: KeyRange, reduced: ReduceOutput) -> tuple[Segment, ...]:
        if not reduced.state.height:
            return ()
        ref = self._put("state.parquet", encode_state(reduced.state, self.record.fingerprint))
        return (Segment(ref, wanted, reduced.state.height, reduced.due, reduced.alarm),)

    def _outputs(self, rows: pl.DataFrame | None, dead: DeadLetters) -> tuple[Published, ...]:
        outputs = []
        if rows is not None and rows.height:
            sink = self.plan.sink
            staged = self._put(f"output.{sink.kind}", sink.encode(rows), keep=True)
            name = paths.output(sink.prefix, self.record.epoch, self.task.number, sink.kind)
            outputs.append(Published(name, staged))
        if len(dead):
            staged = self._put("dead-letters.json", dead.encode(), keep=True)
            name = paths.dead_letters(self.plan.name, self.record.epoch, self.task.stage, self.task.number)
            outputs.append(Published(name, staged))
        return tuple(outputs)

    def _put(self, what: str, data: bytes, *, keep: bool = False) -> ObjectRef:
        task = self.task
        key = paths.data(self.plan.name, task.epoch, task.stage, task.number, self.name, what)
        self.stores.state.put(key, data)
        if keep:
            self.staged[key] = data
        return ObjectRef.of(key, data)

    def _result_of(self, task: Task) -> TaskResult:
        key = result_key(self.plan.name, task)
        return TaskResult.decode(key, self.stores.state.get(key))

    def _result(self, **fields: object) -> TaskResult:
        return TaskResult(
            pipeline=self.plan.name,
            epoch=self.task.epoch,
            stage=self.task.stage,
            task=self.task.number,
            attempt=self.name,
            **fields,  # type: ignore[arg-type]
        )


def _add(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}
