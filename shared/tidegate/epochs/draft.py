"""The draft of a task's result: what one attempt stores before it claims its task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.layers import LayerRows, encode_layers
from tidegate.engine.shuffle import cut
from tidegate.epochs import paths
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Published, Task, TaskResult
from tidegate.plan import Plan
from tidegate.references import KeyRange, Layer, ObjectRef, Piece
from tidegate.sinks.late import KIND
from tidegate.stores.ports import Objects


@dataclass
class Draft:
    """What one attempt of a task has stored so far, under names that no other attempt has.

    Attributes:
        plan: The pipeline's plan.
        state: The store of state.
        record: Of the task's epoch.
        task: Which one.
        attempt: The attempt's name.
        staged: The outputs that are to be published, by their keys.
    """

    plan: Plan
    state: Objects
    record: EpochRecord
    task: Task
    attempt: str
    staged: dict[str, bytes] = field(default_factory=dict)

    @property
    def ranges(self) -> list[KeyRange]:
        """The key groups of each reduce task of the epoch."""
        return [KeyRange(low, high) for low, high in self.record.layout.ranges]

    def shuffled(self, partials: pl.DataFrame | None) -> tuple[str, tuple[Piece, ...]]:
        """Stores what the task combined for the next stage: the object's key and its pieces."""
        if partials is None:
            return "", ()
        data, cuts = cut(partials, self.ranges)
        return (self._put("shuffle.arrow", data).key, tuple(cuts)) if cuts else ("", ())

    def layers(self, number: int, frames: Sequence[LayerRows]) -> list[Layer]:
        """Stores layers of a stage's state, all of them in one object."""
        what = "state.layers" if number == 1 else f"state-{number}.layers"
        key = self._key(what)
        data, layers = encode_layers(key, frames, self.record.fingerprint)
        self.state.put(key, data)
        return layers

    def outputs(
        self, rows: pl.DataFrame | None, dead: DeadLetters, late: Mapping[int, bytes]
    ) -> tuple[Published, ...]:
        """Stores what the task publishes.

        Args:
            rows: For the sink.
            dead: Dead letters.
            late: What was late for the grouping behind a stage, by the number of the stage.
        """
        outputs = []
        if rows is not None and rows.height:
            sink = self.plan.sink
            staged = self._put(f"output.{sink.kind}", sink.encode(rows), keep=True)
            name = paths.output(sink.prefix, self.record.epoch, self.task.number, sink.kind)
            outputs.append(Published(name, staged))
        for number, lines in late.items():
            combine = self.plan.stages[number].combine
            if lines and combine and combine.late:
                staged = self._put(f"late-{number}.{KIND}", lines, keep=True)
                name = paths.output(combine.late.prefix, self.record.epoch, self.task.number, KIND)
                outputs.append(Published(name, staged))
        if len(dead):
            staged = self._put("dead-letters.json", dead.encode(), keep=True)
            name = paths.dead_letters(self.plan.name, self.record.epoch, self.task.stage, self.task.number)
            outputs.append(Published(name, staged))
        return tuple(outputs)

    def result(self, **fields: object) -> TaskResult:
        """A result of the task."""
        return TaskResult(
            pipeline=self.plan.name,
            epoch=self.task.epoch,
            stage=self.task.stage,
            task=self.task.number,
            attempt=self.attempt,
            **fields,  # type: ignore[arg-type]
        )

    def _put(self, what: str, data: bytes, *, keep: bool = False) -> ObjectRef:
        key = self._key(what)
        self.state.put(key, data)
        if keep:
            self.staged[key] = data
        return ObjectRef.of(key, data)

    def _key(self, what: str) -> str:
        task = self.task
        return paths.data(self.plan.name, task.epoch, task.stage, task.number, self.attempt, what)
