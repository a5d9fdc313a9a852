"""A grouping at work: elements join windows, triggers are asked, panes come out, windows expire."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.naive_aggregates import AGGREGATES, Row
from tests.oracle.naive_triggers import Moment, Spec, Trigger, trigger
from tests.oracle.naive_windows import MAX, MIN, Window, assign, groups, hull, iso

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Element:
    """A row with its event time; its sign is -1 if it takes an earlier one back."""

    row: Row
    at: int
    sign: int = 1


@dataclass(frozen=True)
class Times:
    """The watermark before and after an epoch, its processing time, and the watermark behind.

    Attributes:
        behind: That of the grouping behind this one before the epoch; what lies before it gives no pane its
            event time.
    """

    before: int
    after: int
    now: int
    behind: int = MIN


@dataclass(frozen=True)
class Pane:
    """A pane.

    Attributes:
        timestamp: Its own event time.
        op: `insert`, or `retract` for one that repeats an earlier pane to take it back.
    """

    key: Key
    window: Window
    values: dict[str, Any]
    timing: str
    index: int
    is_last: bool
    timestamp: int
    op: str = "insert"


@dataclass
class Open:
    """A window of a key that had data and has not expired.

    Attributes:
        unfired: What came since the last pane.
        timely: Event times for which something came that was not late.
        asked: Whether its trigger was ready when the last epoch ended: it waits for elements then.
        closed: Whether its trigger is finished.
        panes: How many it had.
        retractable: The panes that its next one takes back: its last one, and those of windows that it
            grew from.
    """

    trigger: Trigger
    all: list[Element] = field(default_factory=list)
    unfired: list[Element] = field(default_factory=list)
    timely: list[int] = field(default_factory=list)
    touched: bool = False
    asked: bool = False
    closed: bool = False
    panes: int = 0
    retractable: list[Pane] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Key, windows, trigger, accumulation and aggregates.

    Attributes:
        windows: As `naive_windows.Spec` says.
        trigger: As `naive_triggers.Spec` says.
        lateness: How far the watermark may be past a window's end before elements are dropped.
        accumulation: `discarding`, `accumulating` or `accumulating_and_retracting`.
        timestamp: `end_of_window`, `earliest` or `latest`.
    """

    keys: tuple[str, ...]
    aggregates: tuple[str, ...]
    trigger: Spec
    windows: Spec
    lateness: int
    accumulation: str = "discarding"
    timestamp: str = "end_of_window"


@dataclass
class Groups:
    """The windows of a grouping, over epochs."""

    grouping: Grouping
    counts: dict[str, int] = field(default_factory=dict)
    open: dict[Key, dict[Window, Open]] = field(default_factory=lambda: defaultdict(dict))

    def epoch(self, elements: Sequence[Element], times: Times) -> list[Pane]:
        """One epoch; returns its panes."""
        self._join(elements, times)
        self._forget_times()
        panes = []
        for key, windows in self.open.items():
            for window, state in list(windows.items()):
                panes += self._evaluate(key, window, state, times)
                if self._expired(window, times.after):
                    del windows[window]
        return panes

    def due(self, watermark: int, now: int) -> bool:
        """Whether processing time alone has made a trigger ready since the last epoch."""
        return any(
            not state.closed and not state.asked and state.trigger.ready(Moment(window[1], watermark, now))
            for windows in self.open.values()
            for window, state in windows.items()
        )

    def passed(self, before: int, after: int) -> bool:
        """Whether a watermark that goes on so far ends a window, or has one forgotten."""
        return any(
            before < window[1] <= after or self._expired(window, after)
            for windows in self.open.values()
            for window in windows
        )

    def owed(self, behind: int) -> int:
        """The earliest event time of a pane that is owed, and not late behind anyway; `MAX` if none is."""
        times = [
            self._timestamp(window, state)
            for windows in self.open.values()
            for window, state in windows.items()
            if state.unfired and not state.closed
        ]
        return min((each for each in times if each >= behind), default=MAX)

    def _join(self, elements: Sequence[Element], times: Times) -> None:
        """The elements join their windows."""
        for key, arrived in self._arrivals(elements, times).items():
            merged = self._merge(key, [window for window, _ in arrived], times)
            for window, element in arrived:
                state = self.open[key].setdefault(merged[window], Open(trigger(self.grouping.trigger)))
                self._add(state, window, element, times)

    def _arrivals(self, elements: Sequence[Element], times: Times) -> dict[Key, list[tuple[Window, Element]]]:
        """Elements that are not too late, with their windows; that is asked before windows merge."""
        arrivals: dict[Key, list[tuple[Window, Element]]] = defaultdict(list)
        for element in elements:
            key = tuple(element.row[name] for name in self.grouping.keys)
            for window in assign(self.grouping.windows, element.at):
                if self._expired(window, times.before):
                    self.count("dropped_late")
                else:
                    arrivals[key].append((window, element))
        return arrivals

    def _merge(self, key: Key, arriving: list[Window], times: Times) -> dict[Window, Window]:
        """Sessions that overlap become one, which knows all that they knew; says where each one went.

        A closed session takes no more elements: those that would merge with it belong to it, as it is.
        """
        if self.grouping.windows[0] != "sessions":
            return {window: window for window in arriving}
        windows, merged = self.open[key], {}
        closed = [window for window, state in windows.items() if state.closed]
        for group in groups([*closed, *arriving]):
            for window in closed:
                if window in group:
                    merged |= dict.fromkeys(group, window)
        for group in groups([*(windows.keys() - closed), *(set(arriving) - merged.keys())]):
            # What belongs to a closed session stays there, also if an open one has the same bounds.
            merged = dict.fromkeys(group, hull(group)) | merged
            self._become(key, hull(group), [each for each in group if each in windows], times)
        return merged

    def _become(self, key: Key, window: Window, merging: list[Window], times: Times) -> None:
        """One window in the place of several, with all that they knew; its panes count from 0."""
        windows = self.open[key]
        if merging in ([], [window]):
            return
        states = [windows.pop(each) for each in merging]
        windows[window] = whole = Open(trigger(self.grouping.trigger))
        whole.trigger.absorb([each.trigger for each in states], Moment(window[1], times.before, times.now))
        for state in states:
            whole.all += state.all
            whole.unfired += state.unfired
            whole.timely += state.timely
            whole.retractable += state.retractable

    def _add(self, state: Open, window: Window, element: Element, times: Times) -> None:
        if state.closed:
            self.count("dropped_closed")
            return
        state.touched = True
        state.all.append(element)
        state.unfired.append(element)
        if window[1] > times.before and element.at >= times.behind:
            state.timely.append(element.at)
        state.trigger.element(times.now)

    def _forget_times(self) -> None:
        """Times of which nothing is left count no longer, where panes hold all that is left."""
        if self.grouping.accumulation == "discarding":
            return
        for windows in self.open.values():
            for state in windows.values():
                left: dict[int, int] = defaultdict(int)
                for each in state.all:
                    left[each.at] += each.sign
                state.timely = [each for each in state.timely if left[each] > 0]

    def _evaluate(self, key: Key, window: Window, state: Open, times: Times) -> Iterator[Pane]:
        """Asks the trigger, if the window was touched or something is due; gives the panes."""
        touched, state.touched = state.touched, False
        if state.closed:
            return
        moment = Moment(window[1], times.after, times.now)
        on_time = times.before < window[1] <= times.after
        ready = state.trigger.ready(moment) and (touched or on_time or not state.asked)
        wanted = ready and (bool(state.unfired) or (on_time and state.trigger.insists(moment)))
        state.closed = ready and state.trigger.fire(moment)
        state.asked = not state.closed and state.trigger.ready(moment)
        expired = self._expired(window, times.after)
        # What waits in a window that expires comes in a closing pane: nothing is lost silently.
        if wanted or (expired and state.unfired):
            timing = "on_time" if on_time else "early" if times.after < window[1] else "late"
            yield from self._fire(key, window, state, timing, state.closed or expired)

    def _fire(self, key: Key, window: Window, state: Open, timing: str, last: bool) -> Iterator[Pane]:
        content = state.unfired if self.grouping.accumulation == "discarding" else state.all
        live, taken_back = parted(content)
        if self.grouping.accumulation == "accumulating_and_retracting":
            for each in state.retractable:
                yield Pane(**{**vars(each), "op": "retract"})
            if not live:
                # All was taken back: so is the window.
                state.unfired, state.retractable = [], []
                return
        results = {name: AGGREGATES[name](live) for name in self.grouping.aggregates}
        for name in self.grouping.aggregates if taken_back else ():
            # Only a pane that discards can be without what it takes back.
            results[name] -= AGGREGATES[name](taken_back)
        pane = Pane(key, window, results, timing, state.panes, last, self._timestamp(window, state))
        yield pane
        self.count(f"panes_{timing}")
        state.panes += 1
        state.unfired = []
        state.retractable = [pane]
        if self.grouping.accumulation == "discarding":
            state.timely = []

    def _timestamp(self, window: Window, state: Open) -> int:
        if self.grouping.timestamp == "end_of_window" or not state.timely:
            return window[1] - 1
        return min(state.timely) if self.grouping.timestamp == "earliest" else max(state.timely)

    def _expired(self, window: Window, watermark: int) -> bool:
        return watermark == MAX or watermark > window[1] + self.grouping.lateness

    def count(self, name: str, number: int = 1) -> None:
        """Counts so many more."""
        if number:
            self.counts[name] = self.counts.get(name, 0) + number


def parted(elements: Sequence[Element]) -> tuple[list[Row], list[Row]]:
    """The rows that were inserted and not taken back, and those that were taken back without being here."""
    live, taken_back = [each.row for each in elements if each.sign > 0], []
    for each in elements:
        if each.sign < 0:
            if each.row in live:
                live.remove(each.row)
            else:
                taken_back.append(each.row)
    return live, taken_back


def shown(pane: Pane, grouping: Grouping, now: int) -> Row:
    """A pane as the row that a sink writes, with its own event time."""
    start, end = pane.window
    bounds = (None, None) if pane.window == (MIN, MAX) else (iso(start), iso(end))
    return (
        dict(zip(grouping.keys, pane.key, strict=True))
        | {"window_start": bounds[0], "window_end": bounds[1]}
        | pane.values
        | {"pane_timing": pane.timing, "pane_index": pane.index, "pane_is_last": pane.is_last}
        | {"op": pane.op, "emitted_at": iso(now), "event_time": iso(pane.timestamp)}
    )
