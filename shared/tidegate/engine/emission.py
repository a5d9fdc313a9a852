"""Panes: what the windows that fire emit, and what is kept of it to be taken back.

A pane that takes back (op `retract`) repeats an earlier one exactly: window, index, timing and values. It
comes in the epoch in which the window fires again, before the panes that are inserted.
"""

from dataclasses import dataclass

import polars as pl

from tidegate.engine.columns import (
    INDEX,
    PANE_TIME,
    PANES,
    is_empty,
    keeps_time,
    pane_schema,
    retracts,
    window_bounds,
)
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.frames import ENGINE
from tidegate.expressions import row_by_row
from tidegate.grouping import Grouping
from tidegate.panes import (
    EMITTED_AT,
    EVENT_TIME,
    IS_LAST,
    MOMENT,
    OP,
    TIMING,
    Op,
    timing,
)
from tidegate.panes import INDEX as PANE_INDEX
from tidegate.windows import END, START

LAST = "__last"
"""Whether a pane is its window's last one, for the trigger finished or the window expired."""

_ROW = "__row"
_NEW = "__new"


@dataclass(frozen=True)
class Times:
    """The moments that an epoch is frozen with, in microseconds.

    Attributes:
        before: The watermark before the epoch.
        after: The watermark at the epoch's end.
        now: Processing time.
        behind: The watermark before the epoch of the stage behind this one; None if there is none.
    """

    before: int
    after: int
    now: int
    behind: int | None = None


@dataclass(frozen=True)
class Emission:
    """What windows emit.

    Attributes:
        inserts: The panes, ordered by window and key.
        retractions: Those that are taken back before.
        windows: The windows with what their next pane takes back, in the panes' order.
        dead: Panes with a value that does not fit into its column. They take nothing back.
    """

    inserts: pl.DataFrame
    retractions: pl.DataFrame
    windows: pl.DataFrame
    dead: DeadLetters


def emit(fired: pl.DataFrame, grouping: Grouping, times: Times) -> Emission:
    """The panes of the windows that fire."""
    order = [START, *((END,) if grouping.windowing.stores_end else ()), *grouping.keys]
    windows = fired.sort(order, nulls_last=False).with_row_index(_ROW)
    # A value may not fit into its column, as a sum beyond 64 bits: that pane is rejected, and no other.
    gone = is_empty(grouping)
    outcome = row_by_row(windows.filter(~gone), lambda part: _inserts(part, grouping, times))
    dead = DeadLetters()
    dead.add_rejected_panes(outcome.rejected)
    inserts = outcome.frame.drop(_ROW)
    if not retracts(grouping):
        return Emission(inserts, inserts.clear(), windows.drop(_ROW), dead)
    kept = outcome.frame.select(_ROW, pl.struct(list(pane_schema(grouping))).alias(_NEW))
    windows = windows.join(kept, on=_ROW, how="left", maintain_order="left")
    is_new = pl.col(_NEW).is_not_null()
    retractions = _retractions(windows.filter(is_new | gone), grouping, times).select(inserts.columns)
    panes = pl.when(is_new).then(pl.concat_list(_NEW)).when(~gone).then(pl.col(PANES)).alias(PANES)
    return Emission(inserts, retractions, windows.with_columns(panes).drop(_ROW, _NEW), dead)


def _inserts(windows: pl.DataFrame, grouping: Grouping, times: Times) -> pl.DataFrame:
    event_time = pl.col(END) - 1
    if keeps_time(grouping):
        event_time = pl.col(PANE_TIME).fill_null(event_time)
    panes = windows.lazy().select(
        _ROW,
        *grouping.keys,
        *window_bounds(),
        *(each.result.cast(each.dtype).alias(each.name) for each in grouping.aggregates),
        timing(pl.col(END), times.before, times.after).alias(TIMING),
        pl.col(INDEX).alias(PANE_INDEX),
        pl.col(LAST).alias(IS_LAST),
        pl.lit(Op.INSERT.value).alias(OP),
        _emitted_at(times),
        event_time.alias(EVENT_TIME),
    )
    return panes.collect(engine=ENGINE)


def _retractions(windows: pl.DataFrame, grouping: Grouping, times: Times) -> pl.DataFrame:
    return (
        windows.lazy()
        .filter(pl.col(PANES).list.len() > 0)
        .select(*grouping.keys, PANES)
        .explode(PANES)
        .unnest(PANES)
        .with_columns(pl.lit(Op.RETRACT.value).alias(OP), _emitted_at(times))
        .collect(engine=ENGINE)
    )


def _emitted_at(times: Times) -> pl.Expr:
    return pl.lit(times.now, dtype=pl.Int64).cast(MOMENT).alias(EMITTED_AT)
