"""What the state is due for: when an epoch must look at it although no element touches it."""

from dataclasses import dataclass

import polars as pl

from tidegate.engine.buckets import bucket
from tidegate.engine.columns import CLOSED, PENDING, SLICE, TRIGGER
from tidegate.engine.emission import Times
from tidegate.engine.frames import evaluated
from tidegate.engine.pane_times import pane_time
from tidegate.grouping import Grouping
from tidegate.timestamps import MAX
from tidegate.triggers import alarm
from tidegate.windows import END, START

_BUCKET = "__bucket"


@dataclass(frozen=True)
class Outlook:
    """What some rows of state are due for.

    Attributes:
        due: The lowest watermark at which a window has something to do; `MAX` if none has.
        alarm: The lowest processing time at which one has; `MAX` if none has.
        hold: The earliest event time of a pane that a window owes for elements that came in time; `MAX` if
            none does.
        span: The first start and the last end of the windows.
        windows: How many there are.
    """

    due: int
    alarm: int
    hold: int
    span: tuple[int, int]
    windows: int


def outlooks(state: pl.DataFrame, grouping: Grouping, times: Times) -> dict[int, Outlook]:
    """The outlook of each bucket of a state after an epoch; buckets without rows are not there.

    Args:
        state: In its own columns.
        grouping: The grouping.
        times: The epoch's moments.
    """
    windowing = grouping.windowing
    end = windowing.end(START, END)
    is_window = ~pl.col(SLICE) if grouping.keeps_slices else pl.lit(True)
    # A window that has come to its end waits for its expiry, and all of them have something to do then.
    due = pl.when(end > times.after).then(end).otherwise(windowing.expiry(end) + 1)
    rings = alarm(windowing.trigger, TRIGGER, end, times.after)
    if not state.height:
        return {}
    found = evaluated(
        state.lazy()
        .select(
            bucket(grouping).alias(_BUCKET),
            pl.when(is_window).then(due).alias("due"),
            pl.when(is_window & ~pl.col(CLOSED)).then(rings).alias("alarm"),
            _owed(is_window, end, grouping, times).alias("hold"),
            pl.col(START).alias("low"),
            end.alias("high"),
            is_window.alias("windows"),
        )
        .group_by(_BUCKET)
        .agg(pl.col("due", "alarm", "hold", "low").min(), pl.col("high").max(), pl.col("windows").sum())
        .sort(_BUCKET)
    )
    return {number: _outlook(row) for number, *row in found.iter_rows()}


def _outlook(row: list[int | None]) -> Outlook:
    due, alarm, hold, first, last, windows = (MAX if each is None else each for each in row)
    return Outlook(due, alarm, hold, (first, last), windows)


def _owed(is_window: pl.Expr, end: pl.Expr, grouping: Grouping, times: Times) -> pl.Expr:
    """The event time of the pane that a window owes to the stage behind, null if it owes none.

    One that would be late there in any case holds nothing back.
    """
    if times.behind is None:
        return pl.lit(None, dtype=pl.Int64)
    event_time = pane_time(grouping, end)
    owed = is_window & ~pl.col(CLOSED) & (pl.col(PENDING) > 0) & (event_time >= times.behind)
    return pl.when(owed).then(event_time)
