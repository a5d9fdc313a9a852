"""Sliding windows: elements are combined once, in slices, and windows are made of slices when they fire.

The state of sliding windows has two kinds of rows. A *slice* holds accumulators. A *window* holds what its
trigger, its index and its count of elements need, and no content, except where it discards and had a pane:
then it holds what came since. So the work for an element does not grow with the windows that it lies in.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from tidegate.accumulation import DISCARDING
from tidegate.aggregates import Accumulator
from tidegate.engine.columns import (
    ADDED,
    INDEX,
    SLICE,
    WINDOWS,
    accumulators,
    identities,
)
from tidegate.engine.frames import evaluated, is_at, parted
from tidegate.engine.key_groups import GROUP
from tidegate.engine.merging import KEY, by_key, place, with_key_numbers
from tidegate.engine.pairs import matches, pairs
from tidegate.engine.pane_times import PANE_TIME, keeps_time, pane_times
from tidegate.engine.runs import AFTER, CELL, FIRST, HIGH, LOW, merged_runs
from tidegate.engine.state import (
    combine,
    fresh_windows,
    join_rows,
    partial_schema,
    places,
    slice_rows,
    state_schema,
    without_added,
)
from tidegate.grouping import Grouping
from tidegate.timestamps import MAX
from tidegate.windows import END, START, SlidingWindows

_MARK = "__mark"
_COUNT = "__count"


def open_slices(partials: pl.DataFrame, grouping: Grouping, watermark: int) -> tuple[pl.DataFrame, int]:
    """The slices that still have an open window.

    Args:
        partials: One row for each key and slice.
        grouping: The grouping.
        watermark: The watermark before the epoch.

    Returns:
        The slices, and how many times an element was dropped for a window that had expired.
    """
    _, expired, count = _expired(grouping, watermark)
    counted = partials.select(expired.alias(_MARK), count.alias(_COUNT))
    mark = counted.get_column(_MARK)
    kept, _ = parted(partials, mark < counted.get_column(_COUNT))
    return kept, int((partials.get_column(ADDED) * mark).sum())


def late_elements(elements: pl.DataFrame, grouping: Grouping, watermark: int) -> pl.DataFrame:
    """The elements that came too late for windows, with the number of these and where they lie.

    An element's windows expire one after the other, so those that had are a row of them: `START` becomes the
    start of the first one, `END` the end of the last one.

    Args:
        elements: With the start of their slice.
        grouping: The grouping.
        watermark: The watermark before the epoch.
    """
    window_fn = _window_fn(grouping)
    first, expired, _ = _expired(grouping, watermark)
    last = pl.col(START) + (pl.col(WINDOWS) - 1) * window_fn.period
    return evaluated(
        elements.lazy()
        .with_columns(first.alias(START), expired.alias(WINDOWS))
        .filter(pl.col(WINDOWS) > 0)
        .with_columns(window_fn.end(last).alias(END))
    )


def _expired(grouping: Grouping, watermark: int) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Of slices the start of the first window, how many windows had expired, and how many there are."""
    window_fn = _window_fn(grouping)
    count = window_fn.count(pl.col(START))
    first = window_fn.last(pl.col(START)) - (count - 1) * window_fn.period
    if watermark == MAX:
        return first, count, count
    # Windows that begin before this moment had expired.
    moment = watermark - grouping.windowing.allowed_lateness - window_fn.length
    return first, (-((first - moment) // window_fn.period)).clip(0, count), count


def join_epoch(
    state: pl.DataFrame, partials: Sequence[pl.DataFrame], grouping: Grouping, watermark: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Windows and slices after the epoch's elements joined them; windows with the column `ADDED`."""
    names = list(partial_schema(grouping))
    held, windows = parted(without_added(state), state.get_column(SLICE))
    held = held[names]
    fresh = [frame for frame in partials if frame.height]
    if not fresh:
        return windows, held
    added = combine(fresh, grouping)
    numbered = evaluated(by_key(with_key_numbers(added.lazy(), grouping)))
    touched = _touched_windows(numbered, grouping, watermark)
    delta = _delta(touched, numbered, windows, grouping, watermark)
    rows = fresh_windows(delta, grouping)
    return join_rows(windows, [rows], grouping), _joined_slices(held, added, grouping)


def with_content(fired: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Windows that fire, with accumulators: merged from their slices, or what came since their last pane."""
    kept = fired.clear()
    if grouping.windowing.accumulation is DISCARDING:
        kept, fired = parted(fired, fired.get_column(INDEX) > 0)
    if not fired.height:
        return kept
    keys = list(grouping.keys)
    windows = evaluated(by_key(with_key_numbers(fired.lazy(), grouping)))
    if keys:
        numbers = windows.lazy().select(*keys, KEY).unique(subset=KEY, maintain_order=True)
        inside = slices.lazy().join(numbers, on=keys, how="inner", nulls_equal=True, maintain_order="left")
    else:
        inside = with_key_numbers(slices.lazy(), grouping)
    content = _content(windows, evaluated(by_key(inside)), grouping)
    return pl.concat([kept, content[fired.columns]])


def with_slices(
    windows: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping, watermark: int
) -> pl.DataFrame:
    """The state to store: windows, and the slices that one of them can still need."""
    window_fn = _window_fn(grouping)
    last_end = window_fn.end(window_fn.last(pl.col(START)))
    needed = slices.lazy().filter(grouping.windowing.expiry(last_end) >= watermark)
    return pl.concat([windows[list(state_schema(grouping))], slice_rows(evaluated(needed), grouping)])


def _window_fn(grouping: Grouping) -> SlidingWindows:
    window_fn = grouping.windowing.window_fn
    if not isinstance(window_fn, SlidingWindows):
        raise TypeError(f"{window_fn.describe()} have no slices")
    return window_fn


def _joined_slices(held: pl.DataFrame, added: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    found = pairs(held, added, places(grouping)[1:])
    old, untouched = parted(held, is_at(held.height, found.first))
    new, others = parted(added, is_at(added.height, found.second))
    return pl.concat([untouched, combine([old, new], grouping) if old.height else old, others])


def _touched_windows(slices: pl.DataFrame, grouping: Grouping, watermark: int) -> pl.DataFrame:
    """The key and start of each open window that one of the slices is part of, once, ordered as they are.

    The windows of two slices of a key that follow each other are mostly the same: each slice adds those that
    begin after the last one of the slice before it.
    """
    window_fn = _window_fn(grouping)
    first, last, period = "__first", "__latest", window_fn.period
    latest, count = window_fn.last(pl.col(START)), window_fn.count(pl.col(START))
    same_key = pl.col(KEY) == pl.col(KEY).shift()
    before = pl.when(same_key).then(pl.col(last).shift())
    return evaluated(
        slices.lazy()
        .select(GROUP, *grouping.keys, KEY, latest.alias(last), (latest - (count - 1) * period).alias(first))
        .with_columns(pl.max_horizontal(first, before + period).alias(first))
        .filter(pl.col(first) <= pl.col(last))
        .with_columns(pl.int_ranges(first, pl.col(last) + 1, period).alias(START))
        .select(GROUP, *grouping.keys, KEY, START)
        .explode(START)
        .filter(grouping.windowing.expiry(window_fn.end(pl.col(START))) >= watermark)
    )


def _delta(
    touched: pl.DataFrame, added: pl.DataFrame, windows: pl.DataFrame, grouping: Grouping, watermark: int
) -> pl.DataFrame:
    """What the epoch adds to each window: the number of elements, and content where windows hold it."""
    number = Accumulator(ADDED, pl.Int64(), pl.len(), pl.col(ADDED).sum(), pl.lit(0))
    light = (number, *pane_times(grouping))
    rolled = _merged(touched, added, light, grouping).lazy()
    if keeps_time(grouping):
        # Which of a slice's windows an element is late for is asked of each.
        timely, none = _window_fn(grouping).end(pl.col(START)) > watermark, identities(light)[PANE_TIME]
        rolled = rolled.with_columns(pl.when(timely).then(PANE_TIME).otherwise(none).alias(PANE_TIME))
    delta = evaluated(rolled.with_columns(**identities(accumulators(grouping))))
    if grouping.windowing.accumulation is not DISCARDING:
        return delta
    fired, _ = parted(windows, windows.get_column(INDEX) > 0)
    had_pane = matches(delta, fired, places(grouping)[1:])
    again, first = parted(delta, had_pane)
    return pl.concat([_content(again, added, grouping)[delta.columns], first])


def _content(windows: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The windows with accumulators merged from their slices; both are ordered by key and start."""
    return _merged(windows, slices, tuple(accumulators(grouping)), grouping) if windows.height else windows


def _merged(
    windows: pl.DataFrame, slices: pl.DataFrame, columns: Sequence[Accumulator], grouping: Grouping
) -> pl.DataFrame:
    """The windows with these columns merged from their slices; both are ordered by key and start."""
    merges = {each.name: each.merge for each in columns}
    bare = windows[[name for name in windows.columns if name not in merges]]
    if all(_is_exact(each.dtype) for each in columns):
        return _rolled(bare, slices, merges, identities(columns), grouping)
    return _from_runs(bare, slices, merges, grouping)


def _is_exact(dtype: pl.DataType) -> bool:
    """Whether Polars' rolling kernels, which take out again what leaves a window, are exact on this type."""
    return (
        dtype.is_integer()
        or dtype.is_decimal()
        or dtype.is_temporal()
        or dtype in (pl.Boolean(), pl.String())
    )


def _rolled(
    windows: pl.DataFrame,
    slices: pl.DataFrame,
    merges: Mapping[str, pl.Expr],
    nothing: Mapping[str, pl.Expr],
    grouping: Grouping,
) -> pl.DataFrame:
    """The windows with what `merges` makes of the slices in each; both are ordered by key and start.

    A window is a row of its own among the slices, at its start and before them, that holds nothing.
    """
    length = _window_fn(grouping).length
    marks = windows.lazy().select(KEY, START, **nothing).with_columns(pl.lit(True).alias(_MARK))
    parts = slices.lazy().select(KEY, START, *merges, pl.lit(False).alias(_MARK))
    rows = evaluated(by_key(pl.concat([marks.select(KEY, START, *merges, _MARK), parts])))
    rolled = rows.rolling(START, period=f"{length}i", offset="0i", closed="left", group_by=KEY)
    found = rolled.agg(merge.alias(name) for name, merge in merges.items())
    return pl.concat([windows, found.filter(rows.get_column(_MARK))[list(merges)]], how="horizontal")


def _from_runs(
    windows: pl.DataFrame, slices: pl.DataFrame, merges: Mapping[str, pl.Expr], grouping: Grouping
) -> pl.DataFrame:
    """The same as `_rolled` for merges of any kind."""
    window_fn = _window_fn(grouping)
    first, low = window_fn.cell(pl.col(START)), _slices_before(windows, slices, pl.col(START))
    high = _slices_before(windows, slices, pl.col(START) + window_fn.length)
    spans = windows.select(
        first.alias(FIRST), (first + window_fn.cells).alias(AFTER), low.alias(LOW), high.alias(HIGH)
    )
    found = merged_runs(spans, slices.with_columns(window_fn.cell(pl.col(START)).alias(CELL)), merges)
    return pl.concat([windows, found], how="horizontal")


def _slices_before(windows: pl.DataFrame, slices: pl.DataFrame, moment: pl.Expr) -> pl.Series:
    """For each window, how many slices come before a moment of its key, in the order of keys and starts."""
    places = slices.select(place(pl.col(START))).to_series()
    return places.search_sorted(windows.select(place(moment)).to_series(), side="left").cast(pl.Int64)
