"""The rules of Tidegate's semantics, one element and one window at a time, in plain Python.

Written from the rules and not from the engine: no frames, no expressions, no state that is cut or stored.
Slow, and easy to check by reading.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

MIN = -62_135_596_800_000_000
MAX = 253_402_300_799_999_999
DAY = 86_400_000_000

Row = dict[str, Any]
Key = tuple[Any, ...]
Window = tuple[int, int]
Spec = tuple[Any, ...]
"""A trigger: `("count", n)`, `("repeat", trigger)`, `("watermark", early or None, late or None)`."""


# Triggers: an object for each window, which sees one element after the other.


class Count:
    """Fires once, when so many elements came."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0

    def element(self) -> None:
        self.seen += 1

    def ready(self, end: int, watermark: int) -> bool:
        return self.seen >= self.number

    def fire(self, end: int, watermark: int) -> bool:
        """The window fires; returns whether the trigger is finished."""
        return self.ready(end, watermark)


class Repeat:
    """Begins anew each time that its trigger is finished."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.inner = trigger(spec)

    def element(self) -> None:
        self.inner.element()

    def ready(self, end: int, watermark: int) -> bool:
        return self.inner.ready(end, watermark)

    def fire(self, end: int, watermark: int) -> bool:
        if self.inner.fire(end, watermark):
            self.inner = trigger(self.spec)
        return False


class Watermark:
    """Its early part until the watermark passes the window, one firing then, its late part after it."""

    def __init__(self, early: Spec | None, late: Spec | None) -> None:
        self.early = Repeat(early) if early else None
        self.late = Repeat(late) if late else None
        self.passed = False

    def element(self) -> None:
        part = self.late if self.passed else self.early
        if part:
            part.element()

    def ready(self, end: int, watermark: int) -> bool:
        if not self.passed:
            return watermark >= end or bool(self.early and self.early.ready(end, watermark))
        return bool(self.late and self.late.ready(end, watermark))

    def fire(self, end: int, watermark: int) -> bool:
        if not self.passed and watermark >= end:
            self.passed = True
            return self.late is None
        part = self.late if self.passed else self.early
        if part and part.ready(end, watermark):
            part.fire(end, watermark)
        return False


def trigger(spec: Spec) -> Count | Repeat | Watermark:
    """A trigger in its first state."""
    kind, *parts = spec
    if kind == "count":
        return Count(*parts)
    return Repeat(*parts) if kind == "repeat" else Watermark(*parts)


# Aggregates: of a list of elements.


def values(elements: Sequence[Row], column: str) -> list[Any]:
    """The values of a column that are not null."""
    return [row[column] for row in elements if row[column] is not None]


AGGREGATES: dict[str, Callable[[Sequence[Row]], Any]] = {
    "number": len,
    "present": lambda rows: len(values(rows, "v")),
    "total": lambda rows: sum(values(rows, "v")),
    "weight": lambda rows: sum(values(rows, "f")),
    "least": lambda rows: min(values(rows, "v"), default=None),
    "most": lambda rows: max(values(rows, "v"), default=None),
    "last_name": lambda rows: max(values(rows, "s"), default=None),
    "average": lambda rows: sum(values(rows, "v")) / len(values(rows, "v")) if values(rows, "v") else None,
    "double": lambda rows: sum(2 * value for value in values(rows, "v")),
    "ones": len,
}


@dataclass
class Open:
    """A window of a key that had data and has not expired."""

    trigger: Count | Repeat | Watermark
    all: list[Row] = field(default_factory=list)
    unfired: list[Row] = field(default_factory=list)
    touched: bool = False
    closed: bool = False
    panes: int = 0


@dataclass(frozen=True)
class Program:
    """What a pipeline does.

    Attributes:
        size: Of fixed windows, microseconds; 0 for the global window.
        delay: How far the watermark stays behind the highest event time.
        ahead: How far ahead of processing time an event may lie.
    """

    keys: tuple[str, ...]
    aggregates: tuple[str, ...]
    trigger: Spec
    accumulating: bool
    size: int
    offset: int
    lateness: int
    delay: int
    ahead: int = DAY


@dataclass
class Naive:
    """A pipeline at work, fed with files in intake order."""

    program: Program
    watermark: int = MIN
    now: int = 0
    windows: dict[tuple[Key, Window], Open] = field(default_factory=dict)
    held: list[tuple[int, int]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    panes: list[Row] = field(default_factory=list)
    epochs: int = 0

    def run(self, arrivals: Sequence[Sequence[Sequence[Row]]], nows: Sequence[int], files: int) -> None:
        """All epochs, each of at most so many files, until the source is finished.

        The first group of files arrives before the first epoch and one more after each epoch; if nothing
        waits, the next group arrives at once.
        """
        groups, moments = list(arrivals), list(nows)
        waiting: list[tuple[int, Sequence[Row]]] = []
        accepted = 0
        while waiting or groups:
            for rows in groups.pop(0) if groups else ():
                waiting.append((accepted, rows))
                accepted += 1
            if not waiting:
                continue
            taken, waiting = waiting[:files], waiting[files:]
            self._epoch([row for _, rows in taken for row in rows], moments, accepted - 1, taken[-1][0])
        if self.watermark < MAX:
            self._epoch([], moments, -1, accepted - 1, closes=True)

    def _epoch(
        self, rows: Sequence[Row], moments: list[int], accepted: int, processed: int, closes: bool = False
    ) -> None:
        self.epochs += 1
        self.now = max(self.now, moments.pop(0) if moments else 0)
        times = [row["at"] for row in rows if self._usable(row)]
        for row in rows:
            self._join(row)
        before = self.watermark
        # A backlog does not make events late: what was accepted when the epoch was frozen comes first.
        if times:
            self.held.append((accepted, max(MIN, max(times) - self.program.delay)))
        due = [watermark for until, watermark in self.held if until <= processed]
        self.held = [each for each in self.held if each[0] > processed]
        self.watermark = MAX if closes else max([before, *due])
        for (key, window), state in list(self.windows.items()):
            self._evaluate(key, window, state, before)
            if self._expired(window):
                del self.windows[key, window]

    def _usable(self, row: Row) -> bool:
        return row["at"] is not None and row["at"] <= self.now + self.program.ahead

    def _join(self, row: Row) -> None:
        self._count("records")
        if not self._usable(row):
            self._count("dead_letters")
            return
        self._count("elements")
        window = self._window(row["at"])
        if self._expired(window):
            self._count("dropped_late")
            return
        key = tuple(row[name] for name in self.program.keys)
        state = self.windows.setdefault((key, window), Open(trigger(self.program.trigger)))
        if state.closed:
            self._count("dropped_closed")
            return
        state.touched = True
        state.all.append(row)
        state.unfired.append(row)
        state.trigger.element()

    def _window(self, moment: int) -> Window:
        if not self.program.size:
            return MIN, MAX
        start = moment - (moment - self.program.offset) % self.program.size
        return start, start + self.program.size

    def _expired(self, window: Window) -> bool:
        return self.watermark == MAX or self.watermark > window[1] + self.program.lateness

    def _evaluate(self, key: Key, window: Window, state: Open, before: int) -> None:
        end = window[1]
        on_time = before < end <= self.watermark
        touched, state.touched = state.touched, False
        if state.closed:
            return
        ready = (touched or on_time) and state.trigger.ready(end, self.watermark)
        closing = self._expired(window) and bool(state.unfired)
        if not ready and not closing:
            return
        finished = ready and state.trigger.fire(end, self.watermark)
        timing = "on_time" if on_time else "early" if self.watermark < end else "late"
        content = state.all if self.program.accumulating else state.unfired
        bounds = (iso(end - self.program.size), iso(end)) if self.program.size else (None, None)
        self.panes.append(
            {"epoch": self.epochs}
            | dict(zip(self.program.keys, key, strict=True))
            | {"window_start": bounds[0], "window_end": bounds[1]}
            | {name: AGGREGATES[name](content) for name in self.program.aggregates}
            | {"pane_timing": timing, "pane_index": state.panes}
            | {"pane_is_last": finished or self._expired(window), "op": "insert"}
            | {"emitted_at": iso(self.now)}
        )
        self._count(f"panes_{timing}")
        state.panes += 1
        state.unfired = []
        state.closed = finished

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def iso(moment: int) -> str:
    """ISO 8601 in UTC, with no, three or six digits of a second."""
    exact = (
        "seconds" if moment % 1_000_000 == 0 else "milliseconds" if moment % 1_000 == 0 else "microseconds"
    )
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).isoformat(timespec=exact)
    return text.replace("+00:00", "Z")
