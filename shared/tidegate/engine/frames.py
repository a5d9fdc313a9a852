"""How the engine evaluates frames.

An epoch may have a handful of rows or millions. With few, what counts is the number of queries: each takes 50
microseconds or more, as long as thousands of rows. So steps that follow each other are one query, and what a
Series answers at once (whether a mask is true everywhere) decides whether a query is needed at all.
"""

from functools import lru_cache
from typing import Final

import polars as pl

PLANS: Final = 128
"""Groupings whose columns and expressions are kept: to build them takes as long as to evaluate a few rows."""

_AS_WRITTEN: Final = pl.QueryOptFlags.none(simplify_expression=True)
"""To look for a better order of steps takes longer than a small frame's steps, and here it finds none."""


def evaluated(query: pl.LazyFrame) -> pl.DataFrame:
    """What a query gives, its steps taken as they are written.

    In memory, where rows keep their order, so that sums of floats are the same each time.
    """
    return query.collect(engine="in-memory", optimizations=_AS_WRITTEN)


def constant(name: str, value: int | bool | None, dtype: pl.DataType, height: int) -> pl.Series:
    """A column of one value, without a query."""
    return _single(name, value, dtype).new_from_index(0, height)


@lru_cache(maxsize=PLANS, typed=True)
def _single(name: str, value: int | bool | None, dtype: pl.DataType) -> pl.Series:
    return pl.Series(name, [value], dtype=dtype)


def is_at(height: int, rows: pl.Series) -> pl.Series:
    """Whether each of so many rows is one of these, by their numbers."""
    return constant("", False, pl.Boolean(), height).scatter(rows, True)


def parted(frame: pl.DataFrame, mask: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows where a mask without nulls is true, and the others."""
    if mask.all():
        return frame, frame.clear()
    if not mask.any():
        return frame.clear(), frame
    return frame.filter(mask), frame.filter(~mask)
