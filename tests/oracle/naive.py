"""The rules of Tidegate's semantics, one element and one window at a time, in plain Python.

Written from the rules and not from the engine: no frames, no expressions, no state that is cut or stored.
Slow, and easy to check by reading. Windows, triggers, aggregates and the grouping have a file each beside
this one, which has the sources: event times, dead letters, the watermark.
"""

from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from tests.oracle.naive_aggregates import Row
from tests.oracle.naive_grouping import Element, Grouping, Groups, Pane, Times, shown
from tests.oracle.naive_regrouping import Regrouping, Sessions, regrouped
from tests.oracle.naive_watermarks import DAY, SOURCE, Mark, Policy, Source, least
from tests.oracle.naive_windows import MAX, MIN

__all__ = ["DAY", "File", "Mark", "Naive", "Policy", "Program"]

File = tuple[int, Sequence[Row] | Mark]
"""The number of the source that a file is of, and what it holds."""


@dataclass(frozen=True, kw_only=True)
class Program(Grouping):
    """What a pipeline does: its sources and its grouping.

    Attributes:
        policies: Where the watermark of each source comes from.
        again: How its panes are grouped again, if they are.
    """

    policies: tuple[Policy, ...]
    again: Regrouping | None = None


@dataclass
class Naive:
    """A pipeline at work, fed with files in intake order.

    Attributes:
        watermark: That of the elements.
        behind: That of the panes which are grouped again; after each epoch in `watermarks`.
    """

    program: Program
    watermark: int = MIN
    behind: int = MIN
    watermarks: list[int] = field(default_factory=list)
    now: int = 0
    panes: list[Row] = field(default_factory=list)
    epochs: int = 0

    def __post_init__(self) -> None:
        self.groups = Groups(self.program)
        self.regroups = _regroups(self.program)
        policies = self.program.policies
        self.sources = [Source(each, is_one_of_many=len(policies) > 1) for each in policies]

    @property
    def counts(self) -> dict[str, int]:
        """How many records, elements, dropped ones and panes there were."""
        if self.regroups is None:
            return self.groups.counts
        # Panes on their way are not counted, only what comes out.
        counts = {name: n for name, n in self.groups.counts.items() if not name.startswith("panes_")}
        for name, n in self.regroups.counts.items():
            counts[name] = counts.get(name, 0) + n
        return counts

    def run(
        self,
        arrivals: Sequence[Sequence[Sequence[Row] | Mark]],
        nows: Sequence[int],
        files: int,
        second: Collection[int] = (),
        bounded: int | None = None,
    ) -> None:
        """All epochs, each of at most so many files, until the sources are finished.

        The first group of files arrives before the first epoch and one more after each epoch; if nothing
        waits, the next group arrives at once. An epoch without files comes when the clock makes one due.

        Args:
            arrivals: Groups of files.
            nows: Processing time of one epoch after the other.
            files: How many an epoch takes.
            second: The numbers of the files that are the second source's.
            bounded: Behind how many groups the bounded sources of a union are finished; None if they are with
                all others.
        """
        groups, later = list(arrivals[:bounded]), list(arrivals[bounded:]) if bounded is not None else []
        moments, ending = list(nows), bounded is not None
        waiting: list[tuple[int, File]] = []
        accepted = processed = -1
        now = moments.pop(0) if moments else 0
        while True:
            for each in groups.pop(0) if groups else ():
                accepted += 1
                of = each.source if isinstance(each, Mark) else int(accepted in second)
                waiting.append((accepted, (of, each)))
            due = bool(waiting) or self._due(now)
            if not due and groups:
                continue
            ends: list[int] = []
            if not due and ending:
                ends, ending, groups = self._bounded(), False, later
                if not ends:
                    continue
            closes = not due and not ends and self.watermark < MAX
            if not due and not ends and not closes:
                return
            taken, waiting = waiting[:files], waiting[files:]
            processed = taken[-1][0] if taken else processed
            self.epoch([file for _, file in taken], now, accepted, processed, closes, ends)
            now = moments.pop(0) if moments else now

    def epoch(
        self,
        files: Sequence[File],
        now: int,
        accepted: int = -1,
        processed: int = 0,
        closes: bool = False,
        ends: Collection[int] = (),
    ) -> list[Row]:
        """One epoch.

        Args:
            files: What it takes.
            now: Processing time; it does not go back.
            accepted: The last place of the intake log when the epoch was frozen.
            processed: The last place that is processed when the epoch is.
            closes: Whether all sources are finished.
            ends: The numbers of the sources that are finished with it.

        Returns:
            The panes.
        """
        self.epochs += 1
        self.now = max(self.now, now)
        saying: list[dict[str, int]] = [{} for _ in self.sources]
        elements = []
        for of, content in files:
            said = self._mark(content) if isinstance(content, Mark) else self._rows(of, content, elements)
            saying[of] |= {name: max(moment, saying[of].get(name, MIN)) for name, moment in said.items()}
        self.groups.count("elements", len(elements))
        before = self.watermark
        for source, said in zip(self.sources, saying, strict=True):
            source.epoch(said, self.now, accepted, processed)
        for number in range(len(self.sources)) if closes else ends:
            self.sources[number].watermark = MAX
        self.watermark = max(before, self._least())
        fired = self.groups.epoch(elements, Times(before, self.watermark, self.now, self.behind))
        last: Grouping = self.program
        if self.regroups is not None and self.program.again is not None:
            fired, last = self._again(self.regroups, self.program.again, fired), self.program.again
        panes = [{"epoch": self.epochs} | shown(pane, last, self.now) for pane in fired]
        self.panes += panes
        return panes

    def _again(self, regroups: Groups, again: Regrouping, panes: Sequence[Pane]) -> list[Pane]:
        """The panes of the second grouping, whose watermark waits for panes that the first one owes."""
        before = self.behind
        self.behind = max(before, min(self.watermark, self.groups.owed(before)))
        self.watermarks.append(self.behind)
        elements = regrouped(panes, self.program, again)
        return regroups.epoch(elements, Times(before, self.behind, self.now))

    def _rows(self, of: int, rows: Sequence[Row], elements: list[Element]) -> dict[str, int]:
        """Adds the elements of a file; gives what they say of the watermark."""
        policy = self.program.policies[of]
        # Where event times do not move the watermark, none lies too far ahead.
        latest = self.now + policy.ahead if policy.kind == "delay" else MAX - 1
        usable = [row for row in rows if row["at"] is not None and row["at"] <= latest]
        self._read(len(rows), len(usable))
        elements += [Element(row, row["at"]) for row in usable]
        if not usable or policy.kind != "delay":
            return {}
        return {SOURCE: max(MIN, max(row["at"] for row in usable) - policy.delay)}

    def _mark(self, mark: Mark) -> dict[str, int]:
        """What a mark says; what is none is a record, and a dead letter."""
        policy = self.program.policies[mark.source]
        known = not policy.producers or mark.producer in policy.producers
        if mark.moment is None or not known or self.now + policy.ahead < mark.moment < MAX:
            self._read(1, 0)
            return {}
        self.groups.count("marks", 1)
        return {mark.producer: mark.moment}

    def _read(self, records: int, usable: int) -> None:
        self.groups.count("records", records)
        self.groups.count("dead_letters", records - usable)

    def _least(self) -> int:
        return least(
            [each.watermark for each in self.sources if not each.holds_nobody_back],
            [each.watermark for each in self.sources],
        )

    def _bounded(self) -> list[int]:
        """The bounded sources of a union that are not finished."""
        return [
            number
            for number, each in enumerate(self.sources)
            if len(self.sources) > 1 and each.policy.kind == "perfect" and each.watermark < MAX
        ]

    def _due(self, now: int) -> bool:
        """Whether processing time alone makes an epoch due, though no file waits.

        By a trigger; or because somebody becomes idle; or because the watermark, which follows the clock of
        those that are idle, would pass the end of a window, or its expiry.
        """
        if self.groups.due(self.watermark, now):
            return True
        if self.regroups is not None and self.regroups.due(self.behind, now):
            return True
        if self.watermark == MAX or all(each.policy.timeout is None for each in self.sources):
            return False
        if any(each.falls_silent(now) for each in self.sources):
            return True
        later = Naive(self.program, self.watermark)
        later.sources = deepcopy(self.sources)
        for source in later.sources:
            source.epoch({}, now, -1, -1)
        passing = later._least()
        # The panes that are owed may hold the watermark back even so: then the epoch is one too many.
        behind = self.regroups is not None and self.regroups.passed(self.watermark, passing)
        return behind or self.groups.passed(self.watermark, passing)


def _regroups(program: Program) -> Groups | None:
    again = program.again
    if again is None:
        return None
    signed = program.accumulation == "accumulating_and_retracting"
    return Sessions(again) if signed and again.windows[0] == "sessions" else Groups(again)
