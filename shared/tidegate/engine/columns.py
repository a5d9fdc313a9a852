"""The hidden columns of the frames that an epoch works on, beside those of `windows` and `key_groups`."""

from collections.abc import Iterable, Iterator
from functools import cache

import polars as pl

from tidegate.accumulation import ACCUMULATING_AND_RETRACTING
from tidegate.aggregates import Accumulator
from tidegate.engine.pane_times import pane_times
from tidegate.grouping import Grouping
from tidegate.panes import (
    EVENT_TIME,
    IS_LAST,
    MOMENT,
    PANE_SCHEMA,
    TIMING,
    WINDOW_END,
    WINDOW_START,
)
from tidegate.panes import INDEX as PANE_INDEX
from tidegate.timestamps import MAX, MIN
from tidegate.windows import END, START

ADDED = "__added"
"""Elements that the epoch added; not stored."""

PENDING = "__pending"
"""Elements since the last pane, Int64."""

INDEX = "__index"
"""The index of the next pane, Int64."""

CLOSED = "__closed"
"""Whether the trigger has finished, so that the window takes no more elements."""

TRIGGER = "__trigger"
"""Where the names of the trigger's state columns begin."""

PANES = "__panes"
"""The panes that the next one takes back: a window's last one, and those of windows that merged into it."""

WINDOWS = "__windows"
"""For how many sliding windows an element came too late, Int64; not stored."""

SLICE = "__slice"
"""Whether a row of state is a slice, of which windows are made, and not a window."""

GONE = "__gone"
"""Whether a row of a layer says that its window is no longer there."""

LIVE = "__live"
"""Elements of a window that were inserted and not taken back, Int64; where elements can be taken back."""


def accumulators(grouping: Grouping) -> Iterator[Accumulator]:
    """The accumulators of all aggregates, and the number of live elements where some are taken back."""
    for value in grouping.aggregates:
        yield from value.accumulators
    if grouping.sign is not None:
        number = grouping.sign.cast(pl.Int64).sum()
        yield Accumulator(LIVE, pl.Int64(), number, pl.col(LIVE).sum(), pl.lit(0, dtype=pl.Int64))


def identities(columns: Iterable[Accumulator]) -> dict[str, pl.Expr]:
    """What accumulators of no element hold, by name."""
    return {each.name: each.identity.cast(each.dtype) for each in columns}


def is_empty(grouping: Grouping) -> pl.Expr:
    """Whether all elements of a window were taken back, so that nothing is left to say of it but that."""
    if grouping.sign is None or not retracts(grouping):
        return pl.lit(False)
    return pl.col(LIVE) == 0


def retracts(grouping: Grouping) -> bool:
    """Whether panes are taken back."""
    return grouping.windowing.accumulation is ACCUMULATING_AND_RETRACTING


def content(grouping: Grouping) -> Iterator[Accumulator]:
    """All that windows hold of their elements."""
    yield from accumulators(grouping)
    yield from pane_times(grouping)


@cache
def window_bounds() -> tuple[pl.Expr, pl.Expr]:
    """A window's start and end as people see them."""
    # The global window has neither start nor end to show, and the first windows begin before all time.
    bounded = (pl.col(START) != MIN) | (pl.col(END) != MAX)
    start = pl.col(START).clip(lower_bound=MIN)
    return (
        pl.when(bounded).then(start).cast(MOMENT).alias(WINDOW_START),
        pl.when(bounded).then(pl.col(END)).cast(MOMENT).alias(WINDOW_END),
    )


def pane_schema(grouping: Grouping) -> dict[str, pl.DataType]:
    """What a retraction repeats of a pane, beside its key."""
    values = {each.name: each.dtype for each in grouping.aggregates}
    own = {name: PANE_SCHEMA[name] for name in (TIMING, PANE_INDEX, IS_LAST)}
    return {
        WINDOW_START: PANE_SCHEMA[WINDOW_START],
        WINDOW_END: PANE_SCHEMA[WINDOW_END],
        **values,
        **own,
        EVENT_TIME: pl.Int64(),
    }
