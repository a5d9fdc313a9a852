"""The event times that a window keeps, one of which its pane has for its own.

The earliest time so far is enough while nothing is taken back. Where elements may be, a window keeps the
times of all of them, with how many are there: once something came for a time before the watermark had passed
the window, that time counts as long as something is left there. Two kinds of windows need no more than one
time all the same: those that discard, whose panes hold what takes back like anything else, and those that
merge, which have a slice for each time.
"""

import polars as pl

from tidegate.accumulation import DISCARDING
from tidegate.aggregates import Accumulator
from tidegate.aggregates.tally import NUMBER, Tally
from tidegate.engine.frames import evaluated
from tidegate.grouping import Grouping
from tidegate.panes import Timestamp
from tidegate.sources.source import EVENT_TIME

PANE_TIME = "__pane_time"
"""Of an element its event time, null if it was late, Int64. Of a window the one that counts, null if none
does; where elements may be taken back, a list of all that may."""

LIVE_TIMES = "__live_times"
"""The event times of a window's elements, with how many more were inserted than taken back."""

_TIME = "time"
_LIVE_TIMES = Tally({_TIME: pl.Int64()})


def keeps_time(grouping: Grouping) -> bool:
    """Whether panes have the event time of an element, so that windows keep it."""
    return grouping.windowing.timestamp is not Timestamp.END_OF_WINDOW


def pane_times(grouping: Grouping) -> tuple[Accumulator, ...]:
    """What windows keep of event times, from elements with the column `PANE_TIME`."""
    if not keeps_time(grouping):
        return ()
    times = pl.col(PANE_TIME)
    if grouping.sign is None or not _may_leave(grouping):
        counts = times.min() if _is_earliest(grouping) else times.max()
        return (Accumulator(PANE_TIME, pl.Int64(), counts, counts, pl.lit(None, dtype=pl.Int64)),)
    every = times.drop_nulls().unique().sort()
    together = times.explode(empty_as_null=False, keep_nulls=False).unique().sort()
    entry = {_TIME: pl.col(EVENT_TIME), NUMBER: grouping.sign}
    nothing = pl.lit([], dtype=pl.List(pl.Int64))
    return (
        Accumulator(PANE_TIME, pl.List(pl.Int64()), every.implode(), together.implode(), nothing),
        _LIVE_TIMES.accumulator(LIVE_TIMES, entry, pl.lit(True)),
    )


def pane_time(grouping: Grouping, end: pl.Expr) -> pl.Expr:
    """The own event time of the pane that a window with this end would give, Int64."""
    if not keeps_time(grouping):
        return end - 1
    times = pl.col(PANE_TIME)
    if _may_leave(grouping):
        times = times.list.min() if _is_earliest(grouping) else times.list.max()
    return times.fill_null(end - 1)


def without_times_taken_back(windows: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The windows without the times of which nothing is left."""
    if not keeps_time(grouping) or not _may_leave(grouping):
        return windows
    entry = pl.element().struct
    left = pl.col(LIVE_TIMES).list.eval(entry.field(_TIME).filter(entry.field(NUMBER) > 0))
    counted = pl.col(PANE_TIME).list.set_intersection(left).list.sort()
    return evaluated(windows.lazy().with_columns(counted.alias(PANE_TIME)))


def _may_leave(grouping: Grouping) -> bool:
    """Whether the time that counts may be taken back, so that another one does."""
    windowing = grouping.windowing
    return grouping.sign is not None and windowing.accumulation is not DISCARDING and not windowing.merges


def _is_earliest(grouping: Grouping) -> bool:
    return grouping.windowing.timestamp is Timestamp.EARLIEST
