"""Panes that are grouped again: how they become elements, and sessions that are taken apart again.

After docs/semantics.md, "Panes that are grouped again".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.oracle.naive_aggregates import Row
from tests.oracle.naive_grouping import Element, Grouping, Groups, Key, Open, Pane, Times, parted
from tests.oracle.naive_triggers import Moment, trigger
from tests.oracle.naive_windows import Window, groups, hull


@dataclass(frozen=True, kw_only=True)
class Regrouping(Grouping):
    """A grouping of panes, with the columns that they have there.

    Attributes:
        value: The aggregate of the first grouping that is `v`; `f` follows from it.
        above: Panes with this `v` or less are left out, and those without one; None if all stay.
        splits: Whether `n` says how large `v` is, so that a pane may have another key than the one before.
    """

    value: str
    above: int | None = None
    splits: bool = False


def regrouped(panes: Sequence[Pane], first: Grouping, again: Regrouping) -> list[Element]:
    """The elements that panes are for the next grouping."""
    found = []
    for pane in panes:
        row = _row(pane, first, again)
        if again.above is None or (row["v"] is not None and row["v"] > again.above):
            found.append(Element(row, pane.timestamp, 1 if pane.op == "insert" else -1))
    return found


def _row(pane: Pane, first: Grouping, again: Regrouping) -> Row:
    named = dict(zip(first.keys, pane.key, strict=True))
    v = pane.values[again.value]
    n = None if v is None else int(v > 2)
    return {
        "k": named.get("k", "all"),
        "n": n if again.splits else named.get("n", 0),
        "v": v,
        "f": None if v is None else (v * 3 + 1) / 4,
        "s": pane.values.get("last_name", named.get("k", "all")),
        "at": pane.timestamp,
    }


@dataclass
class Own:
    """An own window: that of elements of one moment, before it merges.

    Attributes:
        elements: What came for it, with what takes it back.
        timely: Whether something came before the watermark had passed it.
    """

    elements: list[Element] = field(default_factory=list)
    timely: bool = False

    @property
    def lives(self) -> bool:
        """Whether more was inserted than taken back."""
        return sum(each.sign for each in self.elements) > 0


@dataclass
class Session(Open):
    """A session of a key.

    Attributes:
        own: The own windows that it is merged from, each of which lives.
        is_parted: Whether it is a session no longer, and waits for its panes to be taken back.
    """

    own: dict[Window, Own] = field(default_factory=dict)
    is_parted: bool = False


@dataclass
class Sessions(Groups):
    """Sessions of elements that may be taken back: they are what the own windows merge to that live."""

    def epoch(self, elements: Sequence[Element], times: Times) -> list[Pane]:
        """One epoch; a parted session that fired has nothing left to say."""
        panes = super().epoch(elements, times)
        for windows in self.open.values():
            for window, state in list(windows.items()):
                if _session(state).is_parted and not state.unfired:
                    del windows[window]
        return panes

    def _join(self, elements: Sequence[Element], times: Times) -> None:
        for key, arrived in self._arrivals(elements, times).items():
            arriving: dict[Window, list[Element]] = {}
            for window, element in arrived:
                arriving.setdefault(window, []).append(element)
            _OfKey(self, key, self._outside_closed(key, arriving), times).join()

    def _outside_closed(self, key: Key, arriving: dict[Window, list[Element]]) -> dict[Window, list[Element]]:
        """What belongs to no closed session; the rest is dropped, whatever it could merge with besides."""
        windows = self.open[key]
        closed = [window for window, state in windows.items() if state.closed]
        known = {own for state in windows.values() if not state.closed for own in _session(state).own}
        dropped: set[Window] = set()
        for group in groups([*closed, *(arriving.keys() - known)]):
            if set(group) & set(closed):
                dropped |= set(group) & (arriving.keys() - known)
        self.count("dropped_closed", sum(len(arriving[own]) for own in dropped))
        return {own: elements for own, elements in arriving.items() if own not in dropped}


@dataclass
class _OfKey:
    """What an epoch brings to the sessions of a key.

    Attributes:
        arriving: Its elements by own window.
    """

    sessions: Sessions
    key: Key
    arriving: dict[Window, list[Element]]
    times: Times

    def __post_init__(self) -> None:
        self.windows = self.sessions.open[self.key]
        self.were = {window: state for window, state in self.windows.items() if not state.closed}
        self.home = {own: window for window, state in self.were.items() for own in _session(state).own}
        self.parted: set[Window] = set()

    def join(self) -> None:
        """The own windows that live form the sessions; those that do so no longer are parted."""
        live = {own: each for own, each in self._own().items() if each.lives}
        formed = {hull(group): group for group in groups(list(live))}
        for window in self.were:
            lost = [own for own, home in self.home.items() if home == window and own not in live]
            if lost and window not in formed:
                self._part(window, lost)
            elif lost:
                for own in lost:
                    self._count(self.windows[window], self.arriving[own])
        for window, group in formed.items():
            state = self._whole(window, group)
            state.own = {own: live[own] for own in group}
            state.is_parted = False
            state.all = [element for each in state.own.values() for element in each.elements]
            state.timely = [own[0] for own, each in state.own.items() if each.timely]
            for own in group:
                self._count(state, self._new(own, live[own]))

    def _own(self) -> dict[Window, Own]:
        """All own windows of open sessions and of the epoch, with what came for them."""
        found = {own: each for state in self.were.values() for own, each in _session(state).own.items()}
        for own, elements in self.arriving.items():
            each = found.setdefault(own, Own())
            each.elements += elements
            each.timely |= own[1] > self.times.before and own[0] >= self.times.behind
        return found

    def _new(self, own: Window, each: Own) -> Sequence[Element]:
        """What counts as an element of this epoch for the session that an own window is now in."""
        if self.home.get(own) not in self.parted:
            return self.arriving.get(own, ())
        return [Element(row, own[0]) for row in parted(each.elements)[0]]

    def _part(self, window: Window, lost: Sequence[Window]) -> None:
        """A session that is none any more waits for its trigger, if there is something to take back."""
        state = _session(self.windows[window])
        self.parted.add(window)
        state.is_parted = True
        state.own, state.all, state.timely = {}, [], []
        for own in lost:
            self._count(state, self.arriving[own])
        retracts = self.sessions.grouping.accumulation == "accumulating_and_retracting"
        if not (state.retractable if retracts else state.panes):
            del self.windows[window]

    def _whole(self, window: Window, group: Sequence[Window]) -> Session:
        """The session of these bounds, with all that those knew that are in it now."""
        merging = {self.home[own] for own in group if own in self.home} - self.parted
        if window in self.windows:
            # It is there, or was parted and has panes to take back.
            merging.add(window)
        if merging == {window}:
            return _session(self.windows[window])
        states = {each: self.windows.pop(each) for each in sorted(merging)}
        whole = Session(trigger(self.sessions.grouping.trigger))
        if states:
            moment = Moment(window[1], self.times.before, self.times.now)
            whole.trigger.absorb([each.trigger for each in states.values()], moment)
        for each in states.values():
            whole.unfired += each.unfired
            whole.retractable += each.retractable
        whole.panes = states[window].panes if window in states else 0
        self.windows[window] = whole
        return whole

    def _count(self, state: Open, elements: Sequence[Element]) -> None:
        """The elements count for a session's trigger, and wait for its pane."""
        for each in elements:
            state.touched = True
            state.unfired.append(each)
            state.trigger.element(self.times.now)


def _session(state: Open) -> Session:
    if not isinstance(state, Session):
        raise TypeError("sessions that may be taken apart have a state of their own")
    return state
