"""Panes: what the windows that fire emit, and what is kept of it to be taken back.

A pane that takes back (op `retract`) repeats an earlier one exactly: window, index, timing and values. It
comes in the epoch in which the window fires again, before the panes that are inserted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from tidegate.engine.columns import (
    INDEX,
    PANES,
    is_empty,
    pane_schema,
    retracts,
    window_bounds,
)
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.frames import PLANS, evaluated
from tidegate.engine.pane_times import pane_time
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

_OF_FIRING = (
    pl.col(INDEX).alias(PANE_INDEX),
    pl.col(LAST).alias(IS_LAST),
    pl.lit(Op.INSERT.value).alias(OP),
)

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
    windows = fired.sort(order, nulls_last=False) if fired.height > 1 else fired
    dead = DeadLetters()
    # A value may not fit into its column, as a sum beyond 64 bits: that pane is rejected, and no other.
    if not retracts(grouping) or not fired.height:
        outcome = row_by_row(windows, lambda part: _inserts(part, grouping, times))
        dead.add_rejected_panes(outcome.rejected)
        return Emission(outcome.frame, outcome.frame.clear(), windows, dead)
    windows = windows.with_row_index(_ROW)
    gone = is_empty(grouping)
    present = windows if grouping.sign is None else windows.filter(~gone)
    outcome = row_by_row(present, lambda part: _inserts(part, grouping, times, _ROW))
    dead.add_rejected_panes(outcome.rejected)
    inserts = outcome.frame[[name for name in outcome.frame.columns if name != _ROW]]
    pane = inserts[list(pane_schema(grouping))].to_struct(_NEW)
    if inserts.height == windows.height:
        windows = windows.hstack([pane])
    else:
        numbered = pl.DataFrame([outcome.frame.get_column(_ROW), pane])
        windows = windows.join(numbered, on=_ROW, how="left", maintain_order="left")
    is_new = pl.col(_NEW).is_not_null()
    retractions = _retractions(windows.lazy().filter(is_new | gone), grouping, times, inserts.columns)
    panes = pl.when(is_new).then(pl.concat_list(_NEW)).when(~gone).then(pl.col(PANES)).alias(PANES)
    after = evaluated(windows.lazy().with_columns(panes).select(fired.columns))
    return Emission(inserts, retractions, after, dead)


def _inserts(windows: pl.DataFrame, grouping: Grouping, times: Times, *carried: str) -> pl.DataFrame:
    panes = windows.lazy().select(
        *carried,
        *grouping.keys,
        *_values(grouping),
        timing(pl.col(END), times.before, times.after).alias(TIMING),
        *_OF_FIRING,
        _emitted_at(times),
        pane_time(grouping, pl.col(END)).alias(EVENT_TIME),
    )
    return evaluated(panes)


@lru_cache(maxsize=PLANS)
def _values(grouping: Grouping) -> tuple[pl.Expr, ...]:
    """The window as people see it, and its aggregates' results."""
    return (
        *window_bounds(),
        *(each.result.cast(each.dtype).alias(each.name) for each in grouping.aggregates),
    )


def _retractions(
    windows: pl.LazyFrame, grouping: Grouping, times: Times, columns: Sequence[str]
) -> pl.DataFrame:
    return evaluated(
        windows.filter(pl.col(PANES).list.len() > 0)
        .select(*grouping.keys, PANES)
        .explode(PANES)
        .unnest(PANES)
        .with_columns(pl.lit(Op.RETRACT.value).alias(OP), _emitted_at(times))
        .select(columns)
    )


def _emitted_at(times: Times) -> pl.Expr:
    return pl.lit(times.now, dtype=pl.Int64).cast(MOMENT).alias(EMITTED_AT)
