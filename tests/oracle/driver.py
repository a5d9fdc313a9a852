"""Drives a pipeline through the real protocol, on stores in memory, with a clock that the test sets."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

from tidegate.epochs import intake
from tidegate.epochs.machine import Coordinator, drive
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import Limits
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.pipeline import Pipeline
from tidegate.plan import Plan, compile_plan
from tidegate.stores.memory import ManualClock, MemoryObjects, MemoryTable

Row = dict[str, Any]

ONE_CALL = Limits()
"""Small epochs: one task does all."""


@dataclass
class _Sequentially:
    """Runs the tasks one after the other, each as often as there are attempts."""

    plan: Plan
    stores: TaskStores
    attempts: Sequence[str]

    def run(self, tasks: Sequence[Task]) -> None:
        for attempt in self.attempts:
            for task in tasks:
                run_task(self.plan, self.stores, task, attempt)


def many_tasks(tasks: int, files: int = 1_000) -> Limits:
    """Epochs of so many files, with a map task for every file up to a number, and as many reduce tasks."""
    return Limits(files=files, small=0, tasks=tasks, task_bytes=1)


class World:
    """A pipeline with its stores.

    Args:
        pipeline: The pipeline.
        limits: How its epochs are cut.
        now: Processing time at first.
        attempts: Names of the attempts of each task; all of them are run.

    Attributes:
        now: Processing time of the epochs that are frozen next, microseconds.
        manifests: Of the epochs that this world saw committed.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        limits: Limits = ONE_CALL,
        now: int = 0,
        attempts: Sequence[str] = ("only",),
    ) -> None:
        self._attempts = attempts
        self.clock = ManualClock(now)
        self.limits = limits
        self.manifests: list[Manifest] = []
        self._plan = compile_plan(pipeline)
        self._stores = TaskStores(MemoryObjects(), MemoryObjects(), MemoryObjects())
        self._table = MemoryTable()
        self._files = 0
        self._uploads = 0

    @property
    def state(self) -> MemoryObjects:
        """The store of state."""
        return self._stores.state  # type: ignore[return-value]

    @property
    def totals(self) -> dict[str, int]:
        """The counters of all epochs."""
        return self.manifests[-1].totals if self.manifests else {}

    @property
    def watermark(self) -> int:
        """The watermark in effect after the last epoch."""
        return self.manifests[-1].frontier.watermark

    def upload(self, *files: Sequence[Row]) -> None:
        """Puts files of NDJSON into the input, all of them accepted at once."""
        self.upload_bytes(*("".join(json.dumps(row) + "\n" for row in rows).encode() for rows in files))

    def upload_bytes(self, *files: bytes) -> None:
        """Puts files of these bytes into the input, all of them accepted at once."""
        objects = []
        for data in files:
            key = f"{self._plan.source.prefix}/{self._files:06d}.json"
            self._files += 1
            self._stores.input.put(key, data)
            version = md5(data, usedforsecurity=False).hexdigest()
            objects.append(intake.InputObject(key, version, len(data)))
        self._uploads += 1
        intake.accept(self._table, objects, self._uploads)

    def run(
        self,
        arrivals: Iterable[Sequence[Sequence[Row]]] = (),
        *,
        nows: Iterable[int] = (),
        close: bool = False,
    ) -> list[Row]:
        """Runs epochs until nothing waits; returns the rows that they wrote.

        Args:
            arrivals: Files that arrive: the first ones now, the next ones after one epoch, and so on.
            nows: Processing time of one epoch after the other, as long as there is one.
            close: Whether the source is finished at the end.
        """
        first = len(self.manifests)
        groups, moments = iter(arrivals), iter(nows)

        def tick() -> None:
            self.clock.moment = next(moments, self.clock.moment)

        def committed(manifest: Manifest) -> None:
            self.manifests.append(manifest)
            tick()
            self.upload(*next(groups, ()))

        tick()
        invoker = _Sequentially(self._plan, self._stores, self._attempts)
        for group in groups:
            self.upload(*group)
            drive(self._coordinator(), invoker, committed=committed)
        drive(self._coordinator(), invoker, close=close, committed=committed)
        return [row for manifest in self.manifests[first:] for row in self.rows(manifest)]

    def rows(self, manifest: Manifest) -> list[Row]:
        """The rows that an epoch wrote to the sink, each with its epoch."""
        sink = f"{self._plan.sink.prefix}/"
        return [
            {"epoch": manifest.epoch} | json.loads(line)
            for name in manifest.outputs
            if name.startswith(sink)
            for line in self._stores.output.get(name).splitlines()
        ]

    def dead_letters(self) -> list[Row]:
        """All dead letters so far."""
        return [
            json.loads(line)
            for each in self._stores.output.list("dead-letters")
            for line in self._stores.output.get(each.key).splitlines()
        ]

    def _coordinator(self) -> Coordinator:
        outline = self._plan.outline()
        return Coordinator(outline, self._stores.state, self._table, self.limits, self.clock)
