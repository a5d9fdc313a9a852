"""The meter: what a piece of work takes, in requests, bytes and time. It is the runtime's; epochs are told.

A meter wraps the ports at the rim, so that each request is counted where it leaves.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from tidegate.epochs.costs import Counts
from tidegate.stores.metered import MeteredObjects, MeteredTable
from tidegate.stores.ports import Objects, Table

if TYPE_CHECKING:
    # The control functions use a meter, and start without Polars.
    from tidegate.epochs.tasks import TaskStores

Time = Callable[[], int]
"""Nanoseconds since some moment."""


class Meter:
    """Counts what is spent since it was made, or begun anew.

    Args:
        cpu: CPU time; of this process, all of its threads, if left out.
        wall: The time on the wall; the machine's if left out.
        memory: What the machine is billed for, MB; 0 if nobody knows.
    """

    def __init__(
        self, cpu: Time = time.process_time_ns, wall: Time = time.monotonic_ns, memory: int = 0
    ) -> None:
        self._cpu = cpu
        self._wall = wall
        self._memory = memory
        self._counts: Counter[str] = Counter()
        self._lock = Lock()
        self.begin()

    def begin(self) -> None:
        """See `tidegate.epochs.costs.Meter.begin`."""
        with self._lock:
            self._counts.clear()
        self._began = self._cpu(), self._wall()

    def spent(self) -> Counts:
        """See `tidegate.epochs.costs.Meter.spent`."""
        cpu, wall = self._cpu() - self._began[0], self._wall() - self._began[1]
        with self._lock:
            counts = dict(self._counts)
        times = {"cpu": cpu // 1_000, "wall": wall // 1_000, "memory": wall // 1_000_000 * self._memory}
        return {name: number for name, number in {**counts, **times}.items() if number}

    def objects(self, objects: Objects, name: str) -> MeteredObjects:
        """A store of objects whose requests this meter counts."""
        return MeteredObjects(objects, name, self._count)

    def table(self, table: Table) -> MeteredTable:
        """A table whose requests this meter counts."""
        return MeteredTable(table, self._count)

    def stores(self, stores: "TaskStores") -> "TaskStores":
        """A task's stores, whose requests this meter counts."""
        return replace(
            stores,
            input=self.objects(stores.input, "input"),
            state=self.objects(stores.state, "state"),
            output=self.objects(stores.output, "output"),
        )

    def _count(self, name: str, number: int) -> None:
        # Parts of an object may be read by several threads.
        with self._lock:
            self._counts[name] += number


class SharedProcessor:
    """The CPU time of a process among the tasks that its threads work on at the same time.

    Polars works for all of them in one pool of threads, so nobody knows for whom: what the process takes
    while several are at work is theirs in equal parts. All parts together are what it took.

    Args:
        cpu: CPU time of the process.
    """

    def __init__(self, cpu: Time = time.process_time_ns) -> None:
        self._cpu = cpu
        self._parts: dict[object, float] = {}
        self._last = 0
        self._lock = Lock()

    @contextmanager
    def part(self) -> Iterator[Time]:
        """The CPU time of one who is at work until the block ends."""
        me = object()
        with self._lock:
            self._divide()
            self._parts[me] = 0.0

        def mine() -> int:
            with self._lock:
                self._divide()
                return int(self._parts[me])

        try:
            yield mine
        finally:
            with self._lock:
                self._divide()
                del self._parts[me]

    def _divide(self) -> None:
        now = self._cpu()
        for each in self._parts:
            self._parts[each] += (now - self._last) / len(self._parts)
        self._last = now
