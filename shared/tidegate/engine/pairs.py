"""Pairs of rows of two frames that are equal in some columns; a null is equal to a null."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl


class Pairs(NamedTuple):
    """The numbers of the rows of each pair, UInt32: in the first frame, and in the second one."""

    first: pl.Series
    second: pl.Series


def pairs(first: pl.DataFrame, second: pl.DataFrame, on: Sequence[str]) -> Pairs:
    """The pairs of rows that are equal in these columns, of which there is at least one."""
    numbered = [
        frame.select(*on, pl.int_range(pl.len(), dtype=pl.UInt32).alias(name))
        for name, frame in zip(Pairs._fields, (first, second), strict=True)
    ]
    return Pairs(*numbered[0].join(numbered[1], on=on, how="inner", nulls_equal=True).select(Pairs._fields))


def matches(first: pl.DataFrame, second: pl.DataFrame, on: Sequence[str]) -> tuple[pl.Series, pl.Series]:
    """Which rows of each frame have one in the other that is equal in these columns; without any, all."""
    if not on:
        return _all(first, bool(second.height)), _all(second, bool(first.height))
    found = pairs(first, second, on)
    return marked(first, found.first), marked(second, found.second)


def marked(frame: pl.DataFrame, rows: pl.Series) -> pl.Series:
    """Whether each row of a frame is one of those with these numbers."""
    return _all(frame, False).scatter(rows, True)


def _all(frame: pl.DataFrame, value: bool) -> pl.Series:
    return pl.repeat(value, frame.height, eager=True, dtype=pl.Boolean())
