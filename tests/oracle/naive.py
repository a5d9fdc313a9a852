"""The rules of Tidegate's semantics, one element and one window at a time, in plain Python.

Written from the rules and not from the engine: no frames, no expressions, no state that is cut or stored.
Slow, and easy to check by reading. Windows, triggers, aggregates and the grouping have a file each beside
this one, which has the source: event times, dead letters, the watermark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.oracle.naive_aggregates import Row
from tests.oracle.naive_grouping import Element, Grouping, Groups, Times, shown
from tests.oracle.naive_windows import MAX, MIN

DAY = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Program(Grouping):
    """What a pipeline does: its source and its grouping.

    Attributes:
        delay: How far the watermark stays behind the highest event time.
        ahead: How far ahead of processing time an event may lie.
    """

    delay: int
    ahead: int = DAY


@dataclass
class Naive:
    """A pipeline at work, fed with files in intake order."""

    program: Program
    watermark: int = MIN
    now: int = 0
    held: list[tuple[int, int]] = field(default_factory=list)
    panes: list[Row] = field(default_factory=list)
    epochs: int = 0

    def __post_init__(self) -> None:
        self.groups = Groups(self.program)

    @property
    def counts(self) -> dict[str, int]:
        """How many records, elements, dropped ones and panes there were."""
        return self.groups.counts

    def run(self, arrivals: Sequence[Sequence[Sequence[Row]]], nows: Sequence[int], files: int) -> None:
        """All epochs, each of at most so many files, until the source is finished.

        The first group of files arrives before the first epoch and one more after each epoch; if nothing
        waits, the next group arrives at once. An epoch without files comes when the clock makes one due.
        """
        groups, moments = list(arrivals), list(nows)
        waiting: list[tuple[int, Sequence[Row]]] = []
        accepted = processed = -1
        now = moments.pop(0) if moments else 0
        while True:
            for rows in groups.pop(0) if groups else ():
                accepted += 1
                waiting.append((accepted, rows))
            due = bool(waiting) or self.groups.due(self.watermark, now)
            if not due and groups:
                continue
            closes = not due and self.watermark < MAX
            if not due and not closes:
                return
            taken, waiting = waiting[:files], waiting[files:]
            processed = taken[-1][0] if taken else processed
            self.epoch([row for _, rows in taken for row in rows], now, accepted, processed, closes)
            now = moments.pop(0) if moments else now

    def epoch(
        self, rows: Sequence[Row], now: int, accepted: int = -1, processed: int = 0, closes: bool = False
    ) -> list[Row]:
        """One epoch.

        Args:
            rows: What its files hold.
            now: Processing time; it does not go back.
            accepted: The last place of the intake log when the epoch was frozen.
            processed: The last place that is processed when the epoch is.
            closes: Whether the source is finished.

        Returns:
            The panes.
        """
        self.epochs += 1
        self.now = max(self.now, now)
        elements = [Element(row, row["at"]) for row in rows if self._usable(row)]
        for name, number in (
            ("records", len(rows)),
            ("elements", len(elements)),
            ("dead_letters", len(rows) - len(elements)),
        ):
            self.groups.count(name, number)
        before = self.watermark
        # A backlog does not make events late: what was accepted when the epoch was frozen comes first.
        if elements:
            highest = max(element.at for element in elements)
            self.held.append((accepted, max(MIN, highest - self.program.delay)))
        due = [watermark for until, watermark in self.held if until <= processed]
        self.held = [each for each in self.held if each[0] > processed]
        self.watermark = MAX if closes else max([before, *due])
        fired = self.groups.epoch(elements, Times(before, self.watermark, self.now))
        panes = [{"epoch": self.epochs} | shown(pane, self.program, self.now) for pane in fired]
        self.panes += panes
        return panes

    def _usable(self, row: Row) -> bool:
        return row["at"] is not None and row["at"] <= self.now + self.program.ahead
