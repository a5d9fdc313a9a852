"""Windows that merge: which rows of a key become one.

The order in which windows merge changes nothing, so the windows of a map task merge before the shuffle,
those of an epoch before they meet the state.
"""

import polars as pl

from tidegate.engine.frames import evaluated
from tidegate.grouping import Grouping
from tidegate.windows import END, START, PlacedWindows

KEY = "__key"
"""A number for each key of a frame, UInt32."""

STAYS = "__stays"
"""Whether a window did not change when it merged."""


def with_key_numbers(frame: pl.LazyFrame, grouping: Grouping) -> pl.LazyFrame:
    """The frame with the column `KEY`, so that rows are ordered by one number and not by texts."""
    keys = list(grouping.keys)
    if not keys:
        return frame.with_columns(pl.lit(0, dtype=pl.UInt32).alias(KEY))
    numbers = frame.select(keys).unique(maintain_order=True).with_row_index(KEY)
    return frame.join(numbers, on=keys, how="left", nulls_equal=True, maintain_order="left")


def by_key(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The frame ordered by key and start; what is ordered in parts is ordered in no time."""
    return frame.sort(place(pl.col(START)), maintain_order=True)


def place(moment: pl.Expr) -> pl.Expr:
    """A moment of a key as one number, Int128: they are ordered by key, and then by moment."""
    return pl.col(KEY).cast(pl.Int128) * 2**64 + moment


def with_merged_windows(frame: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The rows with the windows that theirs become and the column `STAYS`, ordered by key and start."""
    window_fn = grouping.windowing.window_fn
    if not isinstance(window_fn, PlacedWindows):
        raise TypeError(f"{window_fn.describe()} do not merge")
    ordered = evaluated(by_key(with_key_numbers(frame.lazy(), grouping)))
    windows = pl.DataFrame([ordered.get_column(KEY).alias("key"), *ordered[[START, END]].get_columns()])
    merged = window_fn.merged(windows)
    stays = (merged.get_column(START) == windows.get_column(START)) & (
        merged.get_column(END) == windows.get_column(END)
    )
    columns = {each.name: each for each in (*ordered.get_columns(), *merged, stays.alias(STAYS))}
    return pl.DataFrame([each for name, each in columns.items() if name != KEY])


def without_closed(
    fresh: pl.DataFrame, closed: pl.DataFrame, grouping: Grouping
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The windows of an epoch that would merge with no closed one, and those that would."""
    hits, number = "__hits", "__number"
    places = [*grouping.keys, START, END]
    fresh = fresh.with_row_index(number)
    both = pl.concat(
        [
            fresh.select(*places, number),
            closed.select(*places, pl.lit(None, dtype=pl.UInt32).alias(number)),
        ]
    )
    numbered = evaluated(
        with_merged_windows(both, grouping)
        .lazy()
        .with_columns(pl.col(number).is_null().any().over(*places).alias(hits))
        .filter(pl.col(number).is_not_null())
        .select(number, hits)
    )
    judged = fresh.join(numbered, on=number, how="left", maintain_order="left").drop(number)
    apart = judged.filter(~pl.col(hits)).drop(hits)
    return apart, judged.filter(pl.col(hits)).drop(hits)
