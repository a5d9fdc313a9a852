"""Drives a pipeline through the real protocol, on stores in memory, with a clock that the test sets."""

import json
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.naive_watermarks import Mark
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.pipeline import Pipeline
from tidegate.plan import Plan, compile_plan
from tidegate.stores.memory import ManualClock
from tidegate.stores.ports import Objects
from tidegate.testing.memory_runner import MemoryRunner

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
        second: The numbers of the files that are the second source's, as they are uploaded.
        state: Where the state lies; in memory, if left out.

    Attributes:
        outline: Of the pipeline's plan.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        limits: Limits = ONE_CALL,
        now: int = 0,
        attempts: Sequence[str] = ("only",),
        second: Collection[int] = (),
        state: Objects | None = None,
    ) -> None:
        plan = compile_plan(pipeline)
        self._runner = MemoryRunner(
            plan, now, limits, lambda plan, stores: _Sequentially(plan, stores, attempts), state
        )
        self.outline = plan.outline()
        self._second = second
        self._files = 0

    @property
    def clock(self) -> ManualClock:
        """Processing time of the epochs that are frozen next, microseconds."""
        return self._runner.clock

    @property
    def limits(self) -> Limits:
        """How the epochs are cut that are frozen next."""
        return self._runner.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._runner.limits = limits

    @property
    def manifests(self) -> list[Manifest]:
        """Of the epochs that this world saw committed."""
        return self._runner.manifests

    @property
    def state(self) -> Objects:
        """The store of state."""
        return self._runner.state

    @property
    def totals(self) -> dict[str, int]:
        """The counters of all epochs."""
        return self._runner.totals

    @property
    def watermark(self) -> int:
        """The watermark in effect after the last epoch."""
        return self.manifests[-1].frontier.watermark

    @property
    def alarm(self) -> int:
        """The processing time at which an epoch is due without files."""
        return self.manifests[-1].alarm

    def upload(self, *files: Sequence[Row] | Mark, source: int | None = None) -> None:
        """Puts files of NDJSON and marks into the input, all of them accepted at once.

        Args:
            files: Their rows, or what they state.
            source: The number of the source that they are of, if not that of each file's own number.
        """
        encoded = []
        for each in files:
            rows = [{"watermark": each.moment}] if isinstance(each, Mark) else each
            encoded.append("".join(json.dumps(row) + "\n" for row in rows).encode())
        marks = [each if isinstance(each, Mark) else None for each in files]
        self._upload(encoded, marks, source)

    def upload_bytes(self, *files: bytes, source: int | None = None) -> None:
        """Puts files of these bytes into the input; the rest is as for `upload`."""
        self._upload(files, [None] * len(files), source)

    def _upload(self, files: Sequence[bytes], marks: Sequence[Mark | None], source: int | None) -> None:
        sources, named = self.outline.sources, {}
        for number, (data, mark) in enumerate(zip(files, marks, strict=True), self._files):
            of = number in self._second if source is None else source
            name = f"{number:06d}/{mark.producer}.watermark" if mark else f"{number:06d}.json"
            named[f"{sources[mark.source if mark else of].prefix}/{name}"] = data
        self._files += len(files)
        self._runner.upload(named)

    def upload_files(self, files: dict[str, bytes]) -> None:
        """Puts files of these names into the source's folder, all of them accepted at once."""
        (source,) = self.outline.sources
        self._runner.upload({f"{source.prefix}/{name}": data for name, data in files.items()})

    def run(
        self,
        arrivals: Sequence[Sequence[Sequence[Row] | Mark]] = (),
        *,
        nows: Iterable[int] = (),
        close: bool = False,
        bounded: int | None = None,
    ) -> list[Row]:
        """Runs epochs until nothing waits; returns the rows that they wrote.

        Args:
            arrivals: Files that arrive: the first ones now, the next ones after one epoch, and so on.
            nows: Processing time of one epoch after the other, as long as there is one.
            close: Whether the source is finished at the end.
            bounded: Behind how many groups the bounded sources of a union are finished; None if they are not,
                or with all others.
        """
        first = len(self.manifests)
        moments = iter(nows)
        groups = deque(arrivals[:bounded])

        def tick() -> None:
            self.clock.moment = next(moments, self.clock.moment)

        def committed(manifest: Manifest) -> None:
            tick()
            self.upload(*(groups.popleft() if groups else ()))

        def arrive() -> None:
            while groups:
                self.upload(*groups.popleft())
                self._runner.run(committed=committed)

        tick()
        arrive()
        if bounded is not None:
            groups.extend(arrivals[bounded:])
            self._runner.run(ended=True, committed=committed)
            arrive()
        self._runner.run(close=close, committed=committed)
        return [row for manifest in self.manifests[first:] for row in self.rows(manifest)]

    def rows(self, manifest: Manifest) -> list[Row]:
        """The rows that an epoch wrote to the sink, each with its epoch."""
        return [
            {"epoch": manifest.epoch} | json.loads(line)
            for data in self._runner.outputs(manifest)
            for line in data.splitlines()
        ]

    def dead_letters(self) -> list[Row]:
        """All dead letters so far."""
        return self._runner.dead_letters()
