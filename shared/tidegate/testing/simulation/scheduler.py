"""Whose turn it is: processes as greenlets under a clock of their own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

from tidegate.testing.faults import Crash

SECOND = 1_000_000

FOREVER = 10**15
"""Longer than any run, microseconds."""


class Livelock(Exception):
    """The run does not end."""


@dataclass(eq=False)
class Process:
    """One function at work, or one of the services around it.

    Attributes:
        name: Unique in a run.
        alive: Until it returned, raised, or was killed.
        result: What it returned.
        error: What it raised; `Crash` if it was killed.
        due: It gets no turn before this moment, microseconds,
        until: unless this holds earlier.
        skew: How far its clock is off, microseconds.
        may_fail: Whether faults happen to it; not to the services that the functions run on.
    """

    name: str
    due: int = 0
    until: Callable[[], bool] | None = None
    skew: int = 0
    may_fail: bool = False
    alive: bool = True
    result: Any = None
    error: BaseException | None = None
    run: greenlet = field(init=False, repr=False)


class Scheduler:
    """Gives turns, at random, to the processes that are due.

    Args:
        chance: Decides whose turn it is and how long a turn takes.
        start: The clock's first moment, microseconds since 1970.
        most: Turns after which a run counts as a livelock.
    """

    def __init__(self, chance: Random, start: int, most: int) -> None:
        self.moment = start
        self.turns = 0
        self._chance = chance
        self._most = most
        self._processes: list[Process] = []
        self._home = getcurrent()

    @property
    def current(self) -> Process:
        """Whose turn it is."""
        process: Process = getcurrent().process
        return process

    @property
    def processes(self) -> int:
        """How many processes have not ended."""
        return len(self._processes)

    def spawn(
        self,
        name: str,
        work: Callable[[], Any],
        *,
        after: int = 0,
        skew: int = 0,
        may_fail: bool = False,
    ) -> Process:
        """Starts a process.

        Args:
            name: Its name.
            work: What it does.
            after: How long from now it begins, microseconds.
            skew: How far its clock is off, microseconds.
            may_fail: Whether faults happen to it.
        """
        process = Process(name, due=self.moment + after, skew=skew, may_fail=may_fail)

        def body() -> None:
            try:
                if process.alive:
                    process.result = work()
            except (Crash, Exception) as error:
                process.error = error
            process.alive = False

        process.run = greenlet(body, parent=self._home)
        process.run.process = process
        self._processes.append(process)
        return process

    def sleep(self, duration: int = 0) -> None:
        """Gives up the turn; the process gets none for so long, microseconds."""
        process = self.current
        process.due = self.moment + duration
        self._home.switch()
        process.until = None
        if not process.alive:
            raise Crash

    def wait(self, until: Callable[[], bool], at_most: int = FOREVER) -> bool:
        """Sleeps until something holds, or for so long, microseconds; returns whether it holds."""
        if not until():
            self.current.until = until
            self.sleep(at_most)
        return until()

    def kill(self, process: Process) -> None:
        """Ends a process where it stands."""
        if process.alive:
            process.alive = False
            process.error = Crash()
            process.due = 0
            if process is self.current:
                raise Crash

    def run(self) -> None:
        """Gives turns until no process is left.

        Raises:
            Livelock: There were too many of them.
        """
        while self._processes:
            due = [e for e in self._processes if e.due <= self.moment or (e.until and e.until())]
            if not due:
                self.moment = min(each.due for each in self._processes)
                continue
            process = due[self._chance.randrange(len(due))]
            self.moment += self._chance.randrange(20_000)
            self.turns += 1
            if self.turns > self._most:
                raise Livelock(
                    f"{self.turns} turns, and these still run: {[e.name for e in self._processes]}"
                )
            process.run.switch()
            if process.run.dead:
                self._processes.remove(process)
