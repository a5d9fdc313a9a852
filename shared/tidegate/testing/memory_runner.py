"""The memory runner: a pipeline with the real coordinator and tasks, on stores in memory.

As `EmbeddedRunner` on folders, but files and the clock are given by whoever tests with it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from tidegate.epochs import intake
from tidegate.epochs.drive import drive
from tidegate.epochs.invoker import Invoker
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.tasks import TaskStores
from tidegate.outline import DEAD_LETTERS
from tidegate.plan import Plan
from tidegate.runtime.meter import Meter
from tidegate.stores.memory import ManualClock, MemoryObjects, MemoryTable
from tidegate.stores.ports import Objects
from tidegate.testing.sequential import SequentialInvoker, standing


class MemoryRunner:
    """Runs one pipeline.

    Args:
        plan: The pipeline's plan.
        now: Processing time at first, microseconds.
        limits: How its epochs are cut.
        invoker: Makes what runs the tasks; one after the other, if left out.
        state: Where the state lies; in memory, if left out.

    Attributes:
        clock: Processing time of the epochs that are frozen next.
        limits: How epochs are cut that are frozen next.
        manifests: Of all epochs so far.
    """

    def __init__(
        self,
        plan: Plan,
        now: int,
        limits: Limits | None = None,
        invoker: Callable[[Plan, TaskStores], Invoker] | None = None,
        state: Objects | None = None,
    ) -> None:
        self.clock = ManualClock(now)
        self.limits = limits or Limits()
        self.manifests: list[Manifest] = []
        self.state: Objects = state or MemoryObjects()
        self._plan = plan
        self._stores = TaskStores(MemoryObjects(), self.state, MemoryObjects())
        self._table = MemoryTable()
        self._invoker = (invoker or _sequential)(plan, self._stores)
        self._uploads = 0

    @property
    def totals(self) -> dict[str, int]:
        """The counters of all epochs."""
        return self.manifests[-1].totals if self.manifests else {}

    def upload(self, files: Mapping[str, bytes]) -> None:
        """Puts files into the input, all of them accepted at once, in this order.

        Args:
            files: Their contents by their keys, which lie below the source's prefix.
        """
        objects = []
        for key, data in files.items():
            self._stores.input.put(key, data)
            version = hashlib.md5(data, usedforsecurity=False).hexdigest()
            objects.append(intake.InputObject(key, version, len(data)))
        self._uploads += 1
        intake.accept(self._table, objects, self._uploads)

    def run(
        self,
        *,
        close: bool = False,
        ended: bool = False,
        committed: Callable[[Manifest], None] = lambda manifest: None,
    ) -> list[Manifest]:
        """Runs epochs until nothing waits and no alarm is due; returns what they leave.

        Args:
            close: Whether the source is finished.
            ended: Whether the bounded sources of a union are.
            committed: Is told each epoch's manifest, and may upload more or set the clock.
        """
        first = len(self.manifests)

        def keep(manifest: Manifest) -> None:
            self.manifests.append(manifest)
            committed(manifest)

        meter = Meter(standing, standing)
        state, table = meter.objects(self.state, "state"), meter.table(self._table)
        coordinator = Coordinator(self._plan.outline(), state, table, self.limits, self.clock, meter=meter)
        drive(coordinator, self._invoker, close=close, ended=ended, committed=keep)
        return self.manifests[first:]

    def outputs(self, manifest: Manifest) -> list[bytes]:
        """The files that an epoch wrote to the sink, in order."""
        sink = f"{self._plan.sink.prefix}/"
        return [self._stores.output.get(name) for name in manifest.outputs if name.startswith(sink)]

    def late(self, manifest: Manifest) -> list[dict[str, Any]]:
        """The late elements that an epoch wrote, in order."""
        folders = tuple(f"{each.prefix}/" for each in self._plan.late_sinks)
        names = [name for name in manifest.outputs if name.startswith(folders)]
        return [json.loads(line) for name in names for line in self._stores.output.get(name).splitlines()]

    def dead_letters(self) -> list[dict[str, Any]]:
        """All dead letters so far: `file`, `line`, `reason` and `text`."""
        return [
            json.loads(line)
            for each in self._stores.output.list(DEAD_LETTERS)
            for line in self._stores.output.get(each.key).splitlines()
        ]


def _sequential(plan: Plan, stores: TaskStores) -> Invoker:
    attempts: Iterator[str] = (f"attempt-{number}" for number in count())
    return SequentialInvoker(plan, stores, attempts)
