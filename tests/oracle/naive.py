"""The rules of Tidegate's semantics, one element and one window at a time, in plain Python.

Written from the rules and not from the engine: no frames, no expressions, no state that is cut or stored.
Slow, and easy to check by reading. Windows, triggers, aggregates and the grouping have a file each beside
this one, which has the sources: event times, dead letters, the watermark.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from tests.oracle.naive_aggregates import Row
from tests.oracle.naive_grouping import Element, Grouping, Groups, Times, shown
from tests.oracle.naive_windows import MAX, MIN

DAY = 86_400_000_000

File = tuple[int, Sequence[Row]]
"""The number of the source that a file is of, and what it holds."""


@dataclass(frozen=True, kw_only=True)
class Program(Grouping):
    """What a pipeline does: its sources and its grouping.

    Attributes:
        delays: How far the watermark of each source stays behind the highest event time that came of it.
        ahead: How far ahead of processing time an event may lie.
    """

    delays: tuple[int, ...]
    ahead: int = DAY


@dataclass
class Source:
    """What one source says of the watermark.

    Attributes:
        delay: How far its watermark stays behind the highest event time.
        watermark: In effect.
        held: Watermarks that wait until all up to a place of the intake log is processed.
    """

    delay: int
    watermark: int = MIN
    held: list[tuple[int, int]] = field(default_factory=list)

    def epoch(self, times: Sequence[int], accepted: int, processed: int) -> None:
        """Takes in the event times of an epoch."""
        # A backlog does not make events late: what was accepted when the epoch was frozen comes first, of
        # whatever source.
        if times:
            self.held.append((accepted, max(MIN, max(times) - self.delay)))
        due = [watermark for until, watermark in self.held if until <= processed]
        self.held = [each for each in self.held if each[0] > processed]
        self.watermark = max([self.watermark, *due])


@dataclass
class Naive:
    """A pipeline at work, fed with files in intake order."""

    program: Program
    watermark: int = MIN
    now: int = 0
    panes: list[Row] = field(default_factory=list)
    epochs: int = 0

    def __post_init__(self) -> None:
        self.groups = Groups(self.program)
        self.sources = [Source(delay) for delay in self.program.delays]

    @property
    def counts(self) -> dict[str, int]:
        """How many records, elements, dropped ones and panes there were."""
        return self.groups.counts

    def run(
        self,
        arrivals: Sequence[Sequence[Sequence[Row]]],
        nows: Sequence[int],
        files: int,
        second: Collection[int] = (),
    ) -> None:
        """All epochs, each of at most so many files, until the source is finished.

        The first group of files arrives before the first epoch and one more after each epoch; if nothing
        waits, the next group arrives at once. An epoch without files comes when the clock makes one due. The
        files of these numbers are the second source's.
        """
        groups, moments = list(arrivals), list(nows)
        waiting: list[tuple[int, File]] = []
        accepted = processed = -1
        now = moments.pop(0) if moments else 0
        while True:
            for rows in groups.pop(0) if groups else ():
                accepted += 1
                waiting.append((accepted, (int(accepted in second), rows)))
            due = bool(waiting) or self.groups.due(self.watermark, now)
            if not due and groups:
                continue
            closes = not due and self.watermark < MAX
            if not due and not closes:
                return
            taken, waiting = waiting[:files], waiting[files:]
            processed = taken[-1][0] if taken else processed
            self.epoch([file for _, file in taken], now, accepted, processed, closes)
            now = moments.pop(0) if moments else now

    def epoch(
        self, files: Sequence[File], now: int, accepted: int = -1, processed: int = 0, closes: bool = False
    ) -> list[Row]:
        """One epoch.

        Args:
            files: What it takes.
            now: Processing time; it does not go back.
            accepted: The last place of the intake log when the epoch was frozen.
            processed: The last place that is processed when the epoch is.
            closes: Whether all sources are finished.

        Returns:
            The panes.
        """
        self.epochs += 1
        self.now = max(self.now, now)
        usable = [(of, row) for of, rows in files for row in rows if self._usable(row)]
        elements = [Element(row, row["at"]) for _, row in usable]
        records = sum(len(rows) for _, rows in files)
        for name, number in (
            ("records", records),
            ("elements", len(elements)),
            ("dead_letters", records - len(elements)),
        ):
            self.groups.count(name, number)
        before = self.watermark
        for number, source in enumerate(self.sources):
            source.epoch([row["at"] for of, row in usable if of == number], accepted, processed)
        self.watermark = MAX if closes else max(before, min(each.watermark for each in self.sources))
        fired = self.groups.epoch(elements, Times(before, self.watermark, self.now))
        panes = [{"epoch": self.epochs} | shown(pane, self.program, self.now) for pane in fired]
        self.panes += panes
        return panes

    def _usable(self, row: Row) -> bool:
        return row["at"] is not None and row["at"] <= self.now + self.program.ahead
