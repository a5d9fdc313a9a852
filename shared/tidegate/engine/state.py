"""State: what is kept between epochs, one row for each key and window that is still open.

A state data set is carried from epoch to epoch as immutable segments, each valid for a range of key
groups (the state streams of D-Streams, SOSP 2013, section 3.3). It is cut by key group and not by task, so
any number of tasks works on the same state. This module knows the columns and joins state with what an
epoch adds.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import polars as pl

from tidegate.engine.columns import (
    ADDED,
    CLOSED,
    INDEX,
    PANES,
    PENDING,
    SLICE,
    TRIGGER,
    content,
    pane_schema,
    retracts,
)
from tidegate.engine.frames import PLANS, constant, evaluated, is_at, parted
from tidegate.engine.key_groups import GROUP
from tidegate.engine.merging import STAYS, with_merged_windows, without_closed
from tidegate.engine.pairs import matches, pairs
from tidegate.grouping import Grouping
from tidegate.triggers import StateColumn
from tidegate.windows import END, START

_PAIR = "__pair"


@lru_cache(maxsize=PLANS)
def trigger_state(grouping: Grouping) -> Mapping[str, StateColumn]:
    """The trigger's state columns."""
    return grouping.windowing.trigger.state(TRIGGER)


@lru_cache(maxsize=PLANS)
def state_schema(grouping: Grouping) -> Mapping[str, pl.DataType]:
    """The columns of a state segment."""
    triggers: dict[str, pl.DataType] = {
        name: pl.Boolean() if isinstance(each.initial, bool) else pl.Int64()
        for name, each in trigger_state(grouping).items()
    }
    own: dict[str, pl.DataType] = {PENDING: pl.Int64(), INDEX: pl.Int64(), CLOSED: pl.Boolean()}
    schema = _content_schema(grouping) | own | triggers
    if retracts(grouping):
        schema[PANES] = pl.List(pl.Struct(pane_schema(grouping)))
    if grouping.keeps_slices:
        schema[SLICE] = pl.Boolean()
    return schema


@lru_cache(maxsize=PLANS)
def partial_schema(grouping: Grouping) -> Mapping[str, pl.DataType]:
    """The columns of what a map task shuffles: key group, key, window, accumulators and element count."""
    return _content_schema(grouping) | {ADDED: pl.Int64()}


def _content_schema(grouping: Grouping) -> dict[str, pl.DataType]:
    schema: dict[str, pl.DataType] = {GROUP: pl.UInt16(), **grouping.keys, START: pl.Int64()}
    if grouping.windowing.stores_end:
        schema[END] = pl.Int64()
    return schema | {each.name: each.dtype for each in content(grouping)}


def places(grouping: Grouping) -> list[str]:
    """The columns that say which key and which window a row belongs to."""
    return [GROUP, *grouping.keys, START, *((END,) if grouping.windowing.stores_end else ())]


def combine(frames: Sequence[pl.DataFrame], grouping: Grouping) -> pl.DataFrame:
    """Frames of partials as one, with one row for each key and window; those that merge ahead are merged."""
    if len(frames) < 2:
        return frames[0] if frames else pl.DataFrame(schema=partial_schema(grouping))
    together = pl.concat(frames)
    if grouping.merges_ahead:
        together = with_merged_windows(together, grouping)
    return evaluated(
        _by_group(together.lazy())
        .group_by(*places(grouping), maintain_order=True)
        .agg(*merged_content(grouping), pl.col(ADDED).sum())
        .select(list(partial_schema(grouping)))
    )


def _by_group(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows ordered by key group, those of a group in their order.

    Rows with the same key then lie close to each other, so that the table they are grouped with stays in the
    processor's cache: that saves more than twice what it takes (a radix join's reason for its partitions).
    """
    return rows.sort(GROUP, maintain_order=True)


@lru_cache(maxsize=PLANS)
def merged_content(grouping: Grouping) -> tuple[pl.Expr, ...]:
    """How what rows hold becomes what one row holds."""
    return tuple(each.merge.alias(each.name) for each in content(grouping))


def join_epoch(state: pl.DataFrame, partials: Sequence[pl.DataFrame], grouping: Grouping) -> pl.DataFrame:
    """State after the epoch's elements joined it, with the column `ADDED`.

    Windows that the epoch does not touch come first, as they are. Elements for closed windows are counted as
    added to those, which is where their number is looked for.
    """
    old = without_added(state)
    partials = [frame for frame in partials if frame.height]
    if not partials:
        return old
    if grouping.windowing.merges:
        return _join_merging(old, combine(partials, grouping), grouping)
    return join_rows(old, [fresh_windows(frame, grouping) for frame in partials], grouping)


def without_added(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with the column `ADDED`, to which the epoch has added nothing yet."""
    return frame.hstack([constant(ADDED, 0, pl.Int64(), frame.height)])


def fresh_windows(partials: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Rows of partials in the columns of joined state.

    A trigger sees the epoch's elements when it is evaluated: their rows hold null in its columns.
    """
    return partials.select(_fresh_columns(grouping))


@lru_cache(maxsize=PLANS)
def _fresh_columns(grouping: Grouping) -> tuple[pl.Expr, ...]:
    shuffled, own = (
        partial_schema(grouping),
        {
            PENDING: pl.col(ADDED),
            INDEX: pl.lit(0, dtype=pl.Int64),
            CLOSED: pl.lit(False),
            SLICE: pl.lit(False),
        },
    )
    columns = [
        (own.get(name, pl.col(name) if name in shuffled else pl.lit(None, dtype=dtype))).alias(name)
        for name, dtype in state_schema(grouping).items()
    ]
    return (*columns, pl.col(ADDED))


def slice_rows(slices: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Slices, in the columns of partials, as rows of state."""
    schema = state_schema(grouping)
    empty = {name: pl.lit(None, dtype=schema[name]) for name in schema if name not in slices.columns}
    return slices.select(pl.all(), **(empty | {SLICE: pl.lit(True)})).select(list(schema))


def join_rows(old: pl.DataFrame, fresh: Sequence[pl.DataFrame], grouping: Grouping) -> pl.DataFrame:
    """Old and fresh rows as one row for each key and window; old ones that stay as they are come first.

    Args:
        old: One row for each key and window.
        fresh: Frames with one row for each key and window.
        grouping: The grouping.
    """
    rows = pl.concat(fresh)
    found = pairs(old, rows, places(grouping)[1:])
    touched, untouched = parted(old, is_at(old.height, found.first))
    known, others = parted(rows, is_at(rows.height, found.second))
    joined = [untouched]
    if len(fresh) > 1:
        joined += [
            _joined(_by_group(each.lazy()), places(grouping), grouping)
            for each in (pl.concat([touched, known]), others)
            if each.height
        ]
        return pl.concat(joined)
    if len(found.first):
        # Both rows of a pair have its number: to group by it is quicker than by keys and windows.
        numbers = pl.int_range(len(found.first), dtype=pl.UInt32, eager=True).alias(_PAIR)
        together = pl.concat([old[found.first].hstack([numbers]), rows[found.second].hstack([numbers])])
        joined.append(_joined(together.lazy(), [_PAIR], grouping))
    if others.height:
        joined.append(_started(others, grouping))
    return pl.concat(joined)


def _started(fresh: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Fresh rows of windows that are new: what `_joined` makes of them."""
    triggers = [pl.col(name).fill_null(each.value) for name, each in trigger_state(grouping).items()]
    return fresh.with_columns(triggers)


def _joined(rows: pl.LazyFrame, by: Sequence[str], grouping: Grouping) -> pl.DataFrame:
    """Rows of state and of the epoch as one row for each key and window, which these columns tell apart."""
    return evaluated(
        rows.group_by(by, maintain_order=True)
        .agg(_merging(grouping, tuple(by)))
        .select(*state_schema(grouping), ADDED)
    )


@lru_cache(maxsize=PLANS)
def _merging(grouping: Grouping, by: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    same = [pl.col(name).first() for name in places(grouping) if name not in by]
    triggers = [
        each.merge(pl.col(name)).fill_null(each.value).alias(name)
        for name, each in trigger_state(grouping).items()
    ]
    # Fresh rows, and those of windows that grew, hold the index 0: the highest is that of the window itself.
    columns = [pl.col(PENDING).sum(), pl.col(INDEX).max(), pl.col(CLOSED).max(), *triggers]
    if retracts(grouping):
        panes = pl.col(PANES)
        several = grouping.windowing.merges
        columns.append(
            panes.explode(empty_as_null=False, keep_nulls=False) if several else panes.drop_nulls().first()
        )
    if SLICE in state_schema(grouping):
        columns.append(pl.col(SLICE).first())
    return (*same, *merged_content(grouping), *columns, pl.col(ADDED).sum())


def _join_merging(old: pl.DataFrame, fresh: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The join where windows merge: first those of the epoch, then they with the open ones of the state.

    A closed window takes no more elements: what would merge with it is dropped, and leaves open ones apart.
    """
    met = matches(old, fresh, list(grouping.keys))
    touched, untouched = parted(old, met)
    closed, kept = parted(touched, touched.get_column(CLOSED))
    closed, fresh = without_elements_of_closed(closed, fresh, grouping)
    rows = with_merged_windows(pl.concat([kept, fresh_windows(fresh, grouping)]), grouping)
    return pl.concat([untouched, closed, join_moved(rows, grouping)])


def without_elements_of_closed(
    closed: pl.DataFrame, fresh: pl.DataFrame, grouping: Grouping
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Closed windows with the number of elements that are dropped for them, and the epoch's other windows."""
    if not closed.height:
        return closed, fresh
    fresh, dropped = without_closed(fresh, closed, grouping)
    first = pl.int_range(pl.len()) == 0
    lost = pl.lit(dropped.get_column(ADDED).sum(), dtype=pl.Int64)
    return closed.with_columns(pl.when(first).then(lost).otherwise(0).alias(ADDED)), fresh


def join_moved(rows: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Rows with the windows that theirs became and the column `STAYS`, as one row for each key and window."""
    # A window that grew has none of its own panes yet.
    indexed = rows.lazy().with_columns(pl.when(STAYS).then(INDEX).otherwise(0).alias(INDEX))
    return _joined(indexed, places(grouping), grouping)
