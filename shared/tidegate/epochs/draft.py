"""The draft of a task's result: what one attempt stores before it claims its task.

What is small is attached to the result itself, so that a small task writes one object, and one that loses the
claim has written nothing. The rest is stored at once, under names that no other attempt has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.layers import LayerRows, encode_layers
from tidegate.engine.shuffle import cut
from tidegate.epochs import paths
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Published, Task, TaskResult, result_key
from tidegate.plan import Plan
from tidegate.references import KeyRange, Layer, ObjectRef, Piece
from tidegate.sinks.late import KIND
from tidegate.stores.ports import Objects


@dataclass
class Draft:
    """What one attempt of a task has for its result so far.

    Attributes:
        plan: The pipeline's plan.
        state: The store of state.
        record: Of the task's epoch.
        task: Which one.
        attempt: The attempt's name, which no other has.
        room: Bytes that may be attached to the result.
        staged: The outputs that are to be published and have objects of their own, by their keys.
    """

    plan: Plan
    state: Objects
    record: EpochRecord
    task: Task
    attempt: str
    room: int
    staged: dict[str, bytes] = field(default_factory=dict)
    _attached: bytearray = field(default_factory=bytearray)

    @property
    def ranges(self) -> list[KeyRange]:
        """The key groups of each reduce task of the epoch."""
        return [KeyRange(low, high) for low, high in self.record.layout.ranges]

    def shuffled(self, partials: pl.DataFrame | None) -> tuple[str, tuple[Piece, ...]]:
        """What the task combined for the next stage: the key of the object with it, and its pieces."""
        if partials is None:
            return "", ()
        data, pieces = cut(partials, self.ranges)
        if not pieces:
            return "", ()
        key, offset = self._put("shuffle.arrow", data)
        return key, tuple(replace(each, offset=offset + each.offset) for each in pieces)

    def layers(self, number: int, frames: Sequence[LayerRows]) -> list[Layer]:
        """Layers of a stage's state, all of them in one object."""
        data, layers = encode_layers(frames, self.record.fingerprint)
        key, offset = self._put("state.layers" if number == 1 else f"state-{number}.layers", data)
        return [replace(each, key=key, offset=offset + each.offset) for each in layers]

    def outputs(
        self, rows: pl.DataFrame | None, dead: DeadLetters, late: Mapping[int, bytes]
    ) -> tuple[Published, ...]:
        """What the task publishes.

        Args:
            rows: For the sink.
            dead: Dead letters.
            late: What was late for the grouping behind a stage, by the number of the stage.
        """
        outputs: list[Published] = []

        def stage(what: str, data: bytes, name: str) -> None:
            key, offset = self._put(what, data)
            if key != self.key:
                self.staged[key] = data
            outputs.append(Published(name, replace(ObjectRef.of(key, data), offset=offset)))

        epoch, number = self.record.epoch, self.task.number
        if rows is not None and rows.height:
            sink = self.plan.sink
            name = paths.output(sink.prefix, epoch, number, sink.kind)
            stage(f"output.{sink.kind}", sink.encode(rows), name)
        for behind, lines in late.items():
            combine = self.plan.stages[behind].combine
            if lines and combine and combine.late:
                stage(f"late-{behind}.{KIND}", lines, paths.output(combine.late.prefix, epoch, number, KIND))
        if len(dead):
            name = paths.dead_letters(self.plan.name, epoch, self.task.stage, number)
            stage("dead-letters.json", dead.encode(), name)
        return tuple(outputs)

    def result(self, **fields: object) -> TaskResult:
        """A result of the task, with what is attached so far."""
        return TaskResult(
            pipeline=self.plan.name,
            epoch=self.task.epoch,
            stage=self.task.stage,
            task=self.task.number,
            attempt=self.attempt,
            attached=bytes(self._attached),
            **fields,  # type: ignore[arg-type]
        )

    @property
    def key(self) -> str:
        """The result's key."""
        return result_key(self.plan.name, self.task)

    def _put(self, what: str, data: bytes) -> tuple[str, int]:
        """Attaches what there is room for, and stores the rest in an object of its own.

        Returns:
            The object's key, and where the data begins in it.
        """
        offset = len(self._attached)
        if offset + len(data) <= self.room:
            self._attached += data
            return self.key, offset
        task = self.task
        key = paths.data(self.plan.name, task.epoch, task.stage, task.number, self.attempt, what)
        self.state.put(key, data)
        return key, 0
