"""Runs: neighbouring slices merged ahead, so that a window is merged from a few runs and not from all slices.

Slices lie in cells of a grid. A run of level `k` holds the slices of `2^k` cells of a key, beginning at a
multiple of `2^k`: two runs of a level make one of the next. A window of `n` cells is made of at most
`2 log2 n` runs, none of which reaches beyond it (the segment tree of Bentley, "Algorithms for Klee's
rectangle problems", 1977; FlatFAT, Tangwongsan et al., VLDB 2015, keeps one for sliding windows). So merging
has to be associative and nothing else, and what is merged with what follows from the grid alone.
"""

from collections.abc import Mapping

import polars as pl

from tidegate.engine.frames import evaluated
from tidegate.engine.merging import KEY
from tidegate.limits import SLICES_AT_ONCE

CELL = "__cell"
"""A slice's place on the grid, Int64."""

FIRST, AFTER = "__first", "__after"
"""A window's first cell and the first one after it, Int64."""

LOW, HIGH = "__low", "__high"
"""The number of the first slice in a window, and of the first one after it."""

_WINDOW = "__window"
_RUN = "__run"
_BATCH = "__batch"


def merged_runs(spans: pl.DataFrame, slices: pl.DataFrame, merges: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """What is merged from the slices in each window.

    Args:
        spans: `FIRST`, `AFTER`, `LOW` and `HIGH` of each window.
        slices: `KEY`, `CELL` and the columns to merge, ordered by key and cell.
        merges: From rows of a group to one, for each column.

    Returns:
        One row for each window, in their order.
    """
    size = (spans.get_column(HIGH) - spans.get_column(LOW)).cast(pl.Int64)
    if size.sum() > 2 * slices.height:
        parts, runs = _parts(spans, slices, merges)
    else:
        # Windows hardly overlap: to merge ahead would be more work than it saves.
        all_slices = spans.with_row_index(_WINDOW).select(_WINDOW, pl.int_ranges(LOW, HIGH).alias(_RUN))
        parts, runs = all_slices.explode(_RUN), slices.select(list(merges))
    batches = (size.cum_sum() // SLICES_AT_ONCE).gather(parts.get_column(_WINDOW)).alias(_BATCH)
    found = []
    for each in parts.with_columns(batches).partition_by(_BATCH, maintain_order=True):
        copies = runs[each.get_column(_RUN)].with_columns(each.get_column(_WINDOW))
        found.append(_merged(copies, _WINDOW, merges))
    return pl.concat(found)


def _merged(rows: pl.DataFrame, by: str, merges: Mapping[str, pl.Expr], *kept: str) -> pl.DataFrame:
    """Rows with the same number, which follow each other, as one."""
    same = [pl.col(name).first() for name in kept]
    return evaluated(
        rows.lazy()
        .with_columns(pl.col(by).set_sorted())
        .group_by(by, maintain_order=True)
        .agg(*same, *(merge.alias(name) for name, merge in merges.items()))
        .drop(by)
    )


def _parts(
    spans: pl.DataFrame, slices: pl.DataFrame, merges: Mapping[str, pl.Expr]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The numbers of the runs that each window is made of, in order of time, and the runs."""
    first, after, low, high = spans.select(FIRST, AFTER, LOW, HIGH).get_columns()
    runs, levels, before = slices.select(KEY, CELL, *merges), [], 0
    lefts: list[pl.DataFrame] = []
    rights: list[pl.DataFrame] = []
    while (low < high).any():
        # A window takes the run at its edge where the one of twice the length would reach beyond it.
        cells = runs.get_column(CELL)
        outer = (first % 2 != 0) & (_at(cells, low) == first)
        left = (low < high) & (outer | (high - low == 1))
        lefts.append(_taken(left, low + before))
        low += left.cast(low.dtype)
        right = (low < high) & (after % 2 != 0) & (_at(cells, high - 1) == after - 1)
        high -= right.cast(high.dtype)
        rights.append(_taken(right, high + before))
        levels.append(runs.select(list(merges)))
        before += runs.height
        # What is left of a window begins and ends where runs of the next level do.
        first, after = (first + 1) // 2, after // 2
        halves = runs.with_columns(pl.col(CELL) // 2)
        begins = pl.col(KEY).ne_missing(pl.col(KEY).shift()) | (pl.col(CELL) != pl.col(CELL).shift())
        numbers = halves.select((begins.cum_sum() - 1).cast(pl.Int64)).to_series()
        inside = low < high
        low, high = (
            _where(inside, _at(numbers, low)).fill_null(0),
            _where(inside, _at(numbers, high - 1) + 1).fill_null(0),
        )
        if inside.any():
            runs = _merged(halves.with_columns(numbers.alias(_RUN)), _RUN, merges, KEY, CELL)
    parts = pl.concat([*lefts, *reversed(rights)]).sort(_WINDOW, maintain_order=True)
    return parts, pl.concat(levels)


def _taken(condition: pl.Series, runs: pl.Series) -> pl.DataFrame:
    """The windows for which the condition is true, each with its run."""
    windows = condition.arg_true()
    return pl.DataFrame([windows.alias(_WINDOW), runs.gather(windows).alias(_RUN)])


def _at(values: pl.Series, places: pl.Series) -> pl.Series:
    return values.gather(places.clip(0, values.len() - 1))


def _where(condition: pl.Series, values: pl.Series) -> pl.Series:
    """The values where the condition is true, and null elsewhere."""
    return values.set(~condition, None)
