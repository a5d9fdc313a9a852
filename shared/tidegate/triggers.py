"""When in processing time: triggers say when the content of a window is emitted as a pane.

Triggers are columns. A trigger compiles to expressions over a few state columns of its own, evaluated
once per epoch for all touched and due windows, on what the whole epoch added; no loop visits a window.
The meaning is that of the Dataflow Model (VLDB 2015, section 2.3) and of Beam's trigger state machines:
each trigger tells when it is ready, what its state becomes if the window fires and if it does not, and
whether it is finished afterwards.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN

Columns = dict[str, pl.Expr]


class Finish(Enum):
    """When a trigger may come to its end, after which its window is closed to further elements."""

    NEVER = "never"
    AT_END_OF_WINDOW = "at the end of the window"
    ANY_TIME = "at any time"


@dataclass(frozen=True)
class StateColumn:
    """A state column of a trigger.

    Attributes:
        initial: The value in which a trigger begins: Boolean, or Int64.
        merge: The value of a window from the values of the rows that become it, as an aggregation of the
            column: the window's stored row, the rows of sessions that merge into it, and the epoch's
            elements, which have null here. Null (or the initial value) if all of them are null.
    """

    initial: int | bool
    merge: Callable[[pl.Expr], pl.Expr]

    @property
    def value(self) -> pl.Expr:
        """The initial value as a literal of the column's type."""
        dtype = pl.Boolean() if isinstance(self.initial, bool) else pl.Int64()
        return pl.lit(self.initial, dtype=dtype)


State = dict[str, StateColumn]


@dataclass(frozen=True)
class Moment:
    """What a trigger may look at, beside its own state columns.

    Attributes:
        added: Elements that the epoch added to the window (Int64).
        end: The window's end (Int64 microseconds).
        before: The watermark before the epoch (microseconds).
        watermark: The watermark at the epoch's end (microseconds).
        now: The epoch's processing time (microseconds).
        pending: Elements since the window's last pane, with those of this epoch (Int64).
    """

    added: pl.Expr
    end: pl.Expr
    before: int
    watermark: int
    now: int
    pending: pl.Expr


@dataclass(frozen=True)
class Step:
    """One evaluation of a trigger, as expressions.

    A trigger fires if it is ready and its window is asked, which is when elements touched it, when the
    watermark passed its end in this epoch, or when its alarm is due. Nearly always that gives a pane.

    Attributes:
        layers: Columns that the other expressions look at, and later layers at those before them: to be
            added to the frame one layer after the other, and dropped in the end.
        ready: Whether it would fire (Boolean).
        shows: Whether that firing asks for a pane (Boolean); never true where `ready` is not.
        finished: Whether it is finished once it has fired (Boolean; says nothing where it does not fire).
        after: The trigger's state columns after the epoch, from whether it fires and from whether it
            begins anew whatever it does (both Boolean).
    """

    layers: tuple[Columns, ...]
    ready: pl.Expr
    shows: pl.Expr
    finished: pl.Expr
    after: Callable[[pl.Expr, pl.Expr], Columns]


class Trigger(Protocol):
    """The shape that every trigger has, so that all of them nest.

    Once it is ready it stays so until it fires, unless its window's end moves, as that of a session does.
    """

    @property
    def finish(self) -> Finish:
        """When it may come to its end."""
        ...

    @property
    def needs_watermark(self) -> bool:
        """Whether it never fires unless the watermark passes the window's end."""
        ...

    def state(self, path: str) -> State:
        """The state columns below this path."""
        ...

    def step(self, path: str, moment: Moment) -> Step:
        """One evaluation, for a trigger whose state columns lie below this path."""
        ...

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """The earliest processing time at which it is ready though nothing more comes (Int64 microseconds).

        From its stored state, the window's end and the watermark. `MIN` if it is ready already, `MAX` if
        time alone never makes it so.
        """
        ...

    def describe(self) -> str:
        """One line that changes whenever the trigger does; part of the plan's fingerprint."""
        ...


def alarm(trigger: Trigger, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
    """The processing time at which a window asks to be evaluated again (Int64 microseconds).

    `MAX` if there is none. A trigger that is ready already was asked before, so it is no alarm: it waits
    for elements, and nothing is pending.

    Args:
        trigger: The trigger.
        path: Where its state columns lie.
        end: The window's end (Int64 microseconds).
        watermark: The watermark with which the state was stored.
    """
    due = trigger.due(path, end, watermark)
    return pl.when(due > MIN).then(due).otherwise(_at(MAX))


def _at(moment: int) -> pl.Expr:
    return pl.lit(moment, dtype=pl.Int64)


def _check_part(step: str, part: object) -> None:
    if not hasattr(part, "step") or isinstance(part, type):
        raise PipelineError(step, f"{part!r} is not a trigger", "Give a trigger, such as AfterCount(5).")


def _evolve(state: State, quiet: Mapping[str, pl.Expr], anew: pl.Expr) -> Columns:
    return {name: pl.when(anew).then(state[name].value).otherwise(value) for name, value in quiet.items()}


def _named(path: str, step: Step) -> Step:
    """The step of a part, with what its parent looks at more than once as columns of their own."""
    names = {each: f"{path}.{each}" for each in ("ready", "shows", "finished")}
    layer = {names["ready"]: step.ready, names["shows"]: step.shows, names["finished"]: step.finished}
    columns = {each: pl.col(name) for each, name in names.items()}
    return Step((*step.layers, layer), columns["ready"], columns["shows"], columns["finished"], step.after)


def _together(steps: Iterable[Step]) -> tuple[Columns, ...]:
    """The layers of several steps, the first ones with the first ones."""
    found: list[Columns] = []
    for step in steps:
        for depth, layer in enumerate(step.layers):
            if depth == len(found):
                found.append({})
            found[depth] |= layer
    return tuple(found)


@dataclass(frozen=True)
class AfterCount:
    """Fires once, when at least `count` elements have come.

    An epoch's elements count together: `AfterCount(2)` on three new elements gives one pane of three.
    When sessions merge, their counts add up.

    Raises:
        PipelineError: The count is no whole number, or below 1.
    """

    count: int
    finish: Finish = field(default=Finish.ANY_TIME, init=False, repr=False)
    needs_watermark: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        label, mend = f"AfterCount({self.count!r})", "Give the number of elements, 1 or more."
        if not isinstance(self.count, int) or isinstance(self.count, bool):
            raise PipelineError(label, "the count is not a whole number", mend)
        if self.count < 1:
            raise PipelineError(label, "the count is below 1", mend)

    def state(self, path: str) -> State:
        """`elements`: how many have come."""
        return {f"{path}.elements": StateColumn(0, pl.Expr.sum)}

    def step(self, path: str, moment: Moment) -> Step:
        """Ready once the elements reach the count; finished when fired."""
        elements = pl.col(f"{path}.elements") + moment.added
        ready = elements >= self.count

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            return _evolve(self.state(path), {f"{path}.elements": elements}, fires | anew)

        return Step((), ready, ready, pl.lit(True), after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """Never by time alone, unless enough elements have come."""
        return pl.when(pl.col(f"{path}.elements") >= self.count).then(_at(MIN)).otherwise(_at(MAX))

    def describe(self) -> str:
        """The class with its count."""
        return f"AfterCount({self.count})"


@dataclass(frozen=True)
class Repeatedly:
    """Fires whenever its trigger does, which begins anew each time that it finishes.

    Raises:
        PipelineError: What it shall repeat is no trigger.
    """

    trigger: Trigger
    finish: Finish = field(default=Finish.NEVER, init=False, repr=False)

    def __post_init__(self) -> None:
        _check_part("Repeatedly", self.trigger)

    @property
    def needs_watermark(self) -> bool:
        """As its trigger."""
        return self.trigger.needs_watermark

    def state(self, path: str) -> State:
        """That of its trigger."""
        return self.trigger.state(path)

    def step(self, path: str, moment: Moment) -> Step:
        """Its trigger's step, with the state set back where the trigger finished."""
        inner = self.trigger.step(path, moment)

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            return inner.after(fires, anew | (fires & inner.finished))

        return replace(inner, finished=pl.lit(False), after=after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """As its trigger."""
        return self.trigger.due(path, end, watermark)

    def describe(self) -> str:
        """The class around its trigger."""
        return f"Repeatedly({self.trigger.describe()})"


@dataclass(frozen=True)
class AfterWatermark:
    """Fires when the watermark passes the window's end; before and after it as its two parts say.

    Both parts repeat by themselves. The late part counts only elements that came after the on-time
    firing. The on-time pane comes even if nothing changed since the last early pane. Without a late part
    the trigger finishes with the on-time pane.

    When sessions merge, the on-time firing counts as done only if it was in all of them, and only as long
    as the watermark is past the merged window's end: a session that grew beyond the watermark is early
    again, and gets an on-time pane when the watermark passes its new end.

    Args:
        early: When to emit while the watermark is before the window's end; never, if None.
        late: When to emit for elements that come after the on-time pane; never, if None.

    Raises:
        PipelineError: One of them is no trigger.

    Example:
        >>> AfterWatermark(early=AfterCount(100), late=AfterCount(1)).describe()
        'AfterWatermark(early=AfterCount(100), late=AfterCount(1))'
    """

    early: Trigger | None = None
    late: Trigger | None = None

    def __post_init__(self) -> None:
        for name, part in (("early", self.early), ("late", self.late)):
            if part is not None:
                _check_part(f"AfterWatermark({name}=...)", part)

    @property
    def finish(self) -> Finish:
        """With the on-time pane, unless there is a late part."""
        return Finish.AT_END_OF_WINDOW if self.late is None else Finish.NEVER

    @property
    def needs_watermark(self) -> bool:
        """Unless an early part fires without it."""
        return self.early is None or self.early.needs_watermark

    def state(self, path: str) -> State:
        """`passed`: whether the on-time firing is done; and the state of both parts."""
        columns = {f"{path}.passed": StateColumn(False, pl.Expr.min)}
        for name, part in self._parts().items():
            columns |= part.state(f"{path}.{name}")
        return columns

    def step(self, path: str, moment: Moment) -> Step:
        """The early part before the end, one firing at it, the late part after that firing."""
        # The watermark before the epoch: it may pass the new end of a session in the epoch that moves it.
        passed, passes = pl.col(f"{path}.over"), pl.col(f"{path}.passes")
        over = pl.col(f"{path}.passed") & (moment.end <= moment.before)
        first = {f"{path}.over": over, f"{path}.passes": ~over & (moment.end <= moment.watermark)}
        steps = {
            name: _named(f"{path}.{name}", part.step(f"{path}.{name}", moment))
            for name, part in self._parts().items()
        }
        ready = shows = passes
        if "early" in steps:
            ready, shows = ready | (~passed & steps["early"].ready), shows | (~passed & steps["early"].shows)
        if "late" in steps:
            ready, shows = ready | (passed & steps["late"].ready), shows | (passed & steps["late"].shows)

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            columns = {f"{path}.passed": ~anew & (passed | (fires & passes))}
            if "early" in steps:
                early = steps["early"]
                columns |= early.after(fires & early.ready, anew | passed | (fires & passes))
            if "late" in steps:
                late = steps["late"]
                columns |= late.after(fires & late.ready, anew | ~passed)
            return columns

        finished = pl.lit(False) if self.late else passes
        layers = _together([Step((first,), ready, shows, finished, after), *steps.values()])
        return Step(layers, ready, shows, finished, after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """That of the part whose turn it is."""
        parts = {name: part.due(f"{path}.{name}", end, watermark) for name, part in self._parts().items()}
        return (
            pl.when(end > watermark)
            .then(parts.get("early", _at(MAX)))
            .when(pl.col(f"{path}.passed"))
            .then(parts.get("late", _at(MAX)))
            .otherwise(_at(MIN))
        )

    def describe(self) -> str:
        """The class with its parts."""
        parts = (("early", self.early), ("late", self.late))
        inside = ", ".join(f"{name}={part.describe()}" for name, part in parts if part is not None)
        return f"AfterWatermark({inside})"

    def _parts(self) -> dict[str, Repeatedly]:
        parts = (("early", self.early), ("late", self.late))
        return {name: Repeatedly(part) for name, part in parts if part is not None}


DEFAULT_TRIGGER: Trigger = AfterWatermark(late=AfterCount(1))
"""One pane when the watermark passes, one more for each epoch that brings late elements."""
