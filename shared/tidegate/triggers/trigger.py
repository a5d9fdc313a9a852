"""A trigger: the shape that all of them have, and what an evaluation takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final, Protocol

import polars as pl

from tidegate.timestamps import MAX, MIN

Columns = dict[str, pl.Expr]


class Earliest(IntEnum):
    """When something can happen at the earliest, in ascending order."""

    ANY_TIME = 0
    AT_END_OF_WINDOW = 1
    """Not before the watermark passes the window's end."""
    NEVER = 2


@dataclass(frozen=True)
class Outlook:
    """What can become of a trigger, by which unsafe ones are known before anything runs.

    Attributes:
        fires: When it can fire for the first time.
        finishes: When it can finish, after which its window is closed to further elements.
        waits: What it may come to wait for before it fires again, at the most, while the watermark is
            before the window's end: a trigger that fires once and then only at the end waits for that end.
        once: Whether it is finished with its first firing.
    """

    fires: Earliest
    finishes: Earliest
    waits: Earliest
    once: bool


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
        return pl.lit(self.initial) if isinstance(self.initial, bool) else instant(self.initial)


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
        shows: Whether that firing asks for a pane (Boolean); never true where `ready` is not. It does if
            elements wait for one, and if it is the on-time firing of a trigger that always wants its pane.
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
    def outlook(self) -> Outlook:
        """When it can fire and finish."""
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
    return pl.when(due > MIN).then(due).otherwise(instant(MAX))


@lru_cache(maxsize=1_024)
def instant(moment: int) -> pl.Expr:
    """Microseconds as a literal (Int64)."""
    return pl.lit(moment, dtype=pl.Int64)


def evolve(state: State, quiet: Mapping[str, pl.Expr], anew: pl.Expr) -> Columns:
    """State columns as given, or the initial ones where the trigger begins anew."""
    return {name: pl.when(anew).then(state[name].value).otherwise(value) for name, value in quiet.items()}


ONCE: Final = Outlook(Earliest.ANY_TIME, Earliest.ANY_TIME, Earliest.ANY_TIME, once=True)
"""That of a trigger that fires once, before or after the end, and is finished."""
