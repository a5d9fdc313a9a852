"""Sliding windows: elements are combined once, in slices, and windows are made of slices when they fire.

The state of sliding windows has two kinds of rows. A *slice* holds accumulators. A *window* holds what its
trigger, its index and its count of elements need, and no content, except where it discards and had a pane:
then it holds what came since. So the work for an element does not grow with the windows that it lies in.
"""

from collections.abc import Sequence

import polars as pl

from tidegate.accumulation import DISCARDING
from tidegate.engine.columns import ADDED, INDEX, PANE_TIME, SLICE, accumulators, keeps_time, pane_time
from tidegate.engine.frames import ENGINE
from tidegate.engine.key_groups import GROUP
from tidegate.engine.merging import KEY, with_key_numbers
from tidegate.engine.state import fresh_windows, join_rows, merged_content, partial_schema, state_schema
from tidegate.grouping import Grouping
from tidegate.limits import SLICES_AT_ONCE
from tidegate.timestamps import MAX
from tidegate.windows import START, SlidingWindows

_MARK = "__mark"
_WINDOW = "__window"


def open_slices(partials: pl.DataFrame, grouping: Grouping, watermark: int) -> tuple[pl.DataFrame, int]:
    """The slices that still have an open window.

    Args:
        partials: One row for each key and slice.
        grouping: The grouping.
        watermark: The watermark before the epoch.

    Returns:
        The slices, and how many times an element was dropped for a window that had expired.
    """
    window_fn = _window_fn(grouping)
    last, count = window_fn.last(pl.col(START)), window_fn.count(pl.col(START))
    if watermark == MAX:
        expired = count
    else:
        first = last - (count - 1) * window_fn.period
        # Windows that begin before this moment had expired.
        moment = watermark - grouping.windowing.allowed_lateness - window_fn.length
        expired = (-((first - moment) // window_fn.period)).clip(0, count)
    counted = partials.with_columns(expired.alias(_MARK), count.alias(_WINDOW))
    dropped = counted.select((pl.col(ADDED) * pl.col(_MARK)).sum()).item()
    kept = counted.filter(pl.col(_MARK) < pl.col(_WINDOW)).drop(_MARK, _WINDOW)
    return kept, int(dropped)


def join_epoch(
    state: pl.DataFrame, partials: Sequence[pl.DataFrame], grouping: Grouping, watermark: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Windows and slices after the epoch's elements joined them; windows with the column `ADDED`."""
    held = state.filter(SLICE)
    windows = state.filter(~pl.col(SLICE)).with_columns(pl.lit(0, dtype=pl.Int64).alias(ADDED))
    fresh = [frame for frame in partials if frame.height]
    if not fresh:
        return windows, held
    columns = list(partial_schema(grouping))
    added = _combined(pl.concat(fresh), grouping)
    touched = _touched_windows(added, grouping, watermark)
    delta = _delta(touched, added, windows, grouping, watermark)
    rows = fresh_windows(delta.select(columns), grouping).with_columns(pl.lit(False).alias(SLICE))
    slices = held.with_columns(pl.lit(0, dtype=pl.Int64).alias(ADDED)).select(columns)
    together = _combined(pl.concat([slices, added]), grouping)
    return join_rows(windows, rows, grouping), together


def with_content(fired: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Windows that fire, with accumulators: merged from their slices, or what came since their last pane."""
    if grouping.windowing.accumulation is not DISCARDING:
        return _merged(fired, slices, grouping)
    had_pane = pl.col(INDEX) > 0
    first = _merged(fired.filter(~had_pane), slices, grouping)
    return pl.concat([fired.filter(had_pane), first])


def with_slices(
    windows: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping, watermark: int
) -> pl.DataFrame:
    """The state to store: windows, and the slices that one of them can still need."""
    window_fn, schema = _window_fn(grouping), state_schema(grouping)
    last_end = window_fn.end(window_fn.last(pl.col(START)))
    needed = slices.filter(grouping.windowing.expiry(last_end) >= watermark)
    empty = {name: pl.lit(None, dtype=schema[name]) for name in schema if name not in slices.columns}
    rows = needed.with_columns(**(empty | {SLICE: pl.lit(True)})).select(list(schema))
    return pl.concat([windows.select(list(schema)), rows])


def _window_fn(grouping: Grouping) -> SlidingWindows:
    window_fn = grouping.windowing.window_fn
    if not isinstance(window_fn, SlidingWindows):
        raise TypeError(f"{window_fn.describe()} have no slices")
    return window_fn


def _combined(slices: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    return (
        slices.lazy()
        .group_by(GROUP, *grouping.keys, START, maintain_order=True)
        .agg(*merged_content(grouping), pl.col(ADDED).sum())
        .select(list(partial_schema(grouping)))
        .collect(engine=ENGINE)
    )


def _touched_windows(slices: pl.DataFrame, grouping: Grouping, watermark: int) -> pl.DataFrame:
    """The key and start of each open window that one of the slices is part of, once.

    The windows of two slices of a key that follow each other are mostly the same: each slice adds those that
    begin after the last one of the slice before it.
    """
    window_fn = _window_fn(grouping)
    first, last, period = "__first", "__latest", window_fn.period
    count = window_fn.count(pl.col(START))
    before = pl.col(last).shift().over(KEY)
    return (
        with_key_numbers(slices.select(GROUP, *grouping.keys, START), grouping)
        .lazy()
        .sort(KEY, START)
        .with_columns(window_fn.last(pl.col(START)).alias(last), count.alias(_WINDOW))
        .with_columns((pl.col(last) - (pl.col(_WINDOW) - 1) * period).alias(first))
        .with_columns(pl.max_horizontal(first, before + period).alias(first))
        .filter(pl.col(first) <= pl.col(last))
        .with_columns(pl.int_ranges(first, pl.col(last) + 1, period).alias(START))
        .select(GROUP, *grouping.keys, START)
        .explode(START)
        .filter(grouping.windowing.expiry(window_fn.end(pl.col(START))) >= watermark)
        .collect(engine=ENGINE)
    )


def _delta(
    touched: pl.DataFrame, added: pl.DataFrame, windows: pl.DataFrame, grouping: Grouping, watermark: int
) -> pl.DataFrame:
    """What the epoch adds to each window: the number of elements, and content where windows hold it."""
    light = {ADDED: pl.col(ADDED).sum()}
    if keeps_time(grouping):
        light[PANE_TIME] = pane_time(grouping, pl.col(PANE_TIME))
    empty = {each.name: each.identity.cast(each.dtype) for each in accumulators(grouping)}
    numbers = added.select(GROUP, *grouping.keys, START, *light)
    delta = _rolled(touched, numbers, list(light.values()), grouping)
    if keeps_time(grouping):
        timely = _window_fn(grouping).end(pl.col(START)) > watermark
        delta = delta.with_columns(pl.when(timely).then(PANE_TIME).alias(PANE_TIME))
    if grouping.windowing.accumulation is not DISCARDING:
        return delta.with_columns(**empty)
    places = [*grouping.keys, START]
    fired = windows.filter(pl.col(INDEX) > 0).select(places)
    had_pane = delta.join(fired, on=places, how="semi", nulls_equal=True, maintain_order="left")
    others = delta.join(fired, on=places, how="anti", nulls_equal=True, maintain_order="left")
    columns = list(partial_schema(grouping))
    content = _merged(had_pane.with_columns(**empty), added, grouping)
    return pl.concat([content.select(columns), others.with_columns(**empty).select(columns)])


def _values(slices: pl.DataFrame, grouping: Grouping) -> list[str]:
    return [name for name in slices.columns if name not in (GROUP, *grouping.keys, START)]


def _merged(windows: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The windows with accumulators merged from their slices."""
    merges = [each.merge.alias(each.name) for each in accumulators(grouping)]
    names = [each.name for each in accumulators(grouping)]
    content = slices.select(GROUP, *grouping.keys, START, *names)
    bare = windows.drop(names)
    if not windows.height:
        return windows
    if all(_is_exact(slices.schema[name]) for name in names):
        identities = {each.name: each.identity.cast(each.dtype) for each in accumulators(grouping)}
        return _rolled(bare, content, merges, grouping, identities).select(windows.columns)
    return _expanded(bare, content, merges, grouping).select(windows.columns)


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
    merges: Sequence[pl.Expr],
    grouping: Grouping,
    identities: dict[str, pl.Expr] | None = None,
) -> pl.DataFrame:
    """The windows with what `merges` makes of the slices in each.

    A window is a row of its own among the slices, at its start and before them, with nothing in it.
    """
    window_fn = _window_fn(grouping)
    values = _values(slices, grouping)
    nothing = identities or {name: pl.lit(None, dtype=slices.schema[name]) for name in values}
    numbered, inside = _numbered(windows, slices, grouping)
    ordered = numbered.sort(KEY, START)
    marks = ordered.select(KEY, START).with_columns(**nothing, **{_MARK: pl.lit(0, dtype=pl.UInt8)})
    parts = inside.select(KEY, START, *values).with_columns(pl.lit(1, dtype=pl.UInt8).alias(_MARK))
    rows = pl.concat([marks, parts.select(marks.columns)]).sort(KEY, START, _MARK)
    rolled = rows.rolling(START, period=f"{window_fn.length}i", offset="0i", closed="left", group_by=KEY).agg(
        *merges
    )
    found = rolled.filter(rows.get_column(_MARK) == 0).drop(KEY, START)
    return pl.concat([ordered.drop(KEY), found], how="horizontal")


def _expanded(
    windows: pl.DataFrame, slices: pl.DataFrame, merges: Sequence[pl.Expr], grouping: Grouping
) -> pl.DataFrame:
    """The same as `_rolled` for merges of any kind: slices are copied to the windows they are part of."""
    window_fn = _window_fn(grouping)
    numbered, inside = _numbered(windows, slices, grouping)
    ordered = numbered.sort(KEY, START).with_row_index(_WINDOW)
    parts = inside.sort(KEY, START).with_row_index(_MARK)
    # How many slices of its key begin before a window, and before its end: from its first to its last one.
    low = _position(ordered, parts, pl.col(START))
    high = _position(ordered, parts, pl.col(START) + window_fn.length)
    sizes = (high - low).cast(pl.Int64)
    batch = (sizes.cum_sum() // SLICES_AT_ONCE).alias("__batch")
    spans = pl.DataFrame([ordered.get_column(_WINDOW), low.alias("__low"), high.alias("__high"), batch])
    names = _values(slices, grouping)
    found = []
    for each in spans.partition_by("__batch", maintain_order=True):
        index = each.select(_WINDOW, pl.int_ranges("__low", "__high").alias(_MARK)).explode(_MARK)
        copies = parts.select(names)[index.get_column(_MARK)].with_columns(index.get_column(_WINDOW))
        found.append(copies.group_by(_WINDOW, maintain_order=True).agg(*merges))
    return pl.concat([ordered.drop(KEY, _WINDOW), pl.concat(found).drop(_WINDOW)], how="horizontal")


def _numbered(
    windows: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Windows and slices with a number for each key of the windows; slices of other keys are left out."""
    numbered = with_key_numbers(windows, grouping)
    keys = list(grouping.keys)
    if not keys:
        return numbered, with_key_numbers(slices, grouping)
    numbers = numbered.select(*keys, KEY).unique(subset=KEY, maintain_order=True)
    return numbered, slices.join(numbers, on=keys, how="inner", nulls_equal=True, maintain_order="left")


def _position(windows: pl.DataFrame, slices: pl.DataFrame, moment: pl.Expr) -> pl.Series:
    """For each window, how many slices lie before a moment of its key, in the order of keys and starts."""
    at, before = "__at", "__before"
    counted = slices.select(KEY, pl.col(START).alias(at), pl.col(_MARK).cast(pl.Int64) + 1)
    firsts = slices.group_by(KEY, maintain_order=True).agg(pl.col(_MARK).min().cast(pl.Int64).alias(before))
    asked = windows.select(_WINDOW, KEY, moment.alias(at)).sort(KEY, at)
    found = asked.join_asof(
        counted, on=at, by=KEY, strategy="backward", allow_exact_matches=False, check_sortedness=False
    )
    whole = found.join(firsts, on=KEY, how="left", maintain_order="left")
    return whole.select(pl.col(_MARK).fill_null(pl.col(before))).to_series()
