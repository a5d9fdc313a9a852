"""Pairs of rows of two frames that are equal in some columns; a null is equal to a null."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from tidegate.engine.frames import constant, evaluated, is_at

_ROW = "__row"


class Pairs(NamedTuple):
    """The numbers of the rows of each pair, UInt32: in the first frame, and in the second one."""

    first: pl.Series
    second: pl.Series


def pairs(first: pl.DataFrame, second: pl.DataFrame, on: Sequence[str]) -> Pairs:
    """The pairs of rows that are equal in these columns, of which there is at least one."""
    if not first.height or not second.height:
        nothing = pl.Series(dtype=pl.UInt32())
        return Pairs(nothing, nothing)
    numbered = [
        frame.lazy().select(*on, pl.int_range(pl.len(), dtype=pl.UInt32).alias(name))
        for name, frame in zip(Pairs._fields, (first, second), strict=True)
    ]
    joined = numbered[0].join(numbered[1], on=on, how="inner", nulls_equal=True)
    return Pairs(*evaluated(joined.select(Pairs._fields)))


def matches(first: pl.DataFrame, second: pl.DataFrame, on: Sequence[str]) -> pl.Series:
    """Which rows of the first frame have one in the second that is equal in these columns; without any, all.

    Pairs are not made: of rows that repeat in both frames there would be as many as their product.
    """
    if not on or not first.height or not second.height:
        return constant("", bool(not on and second.height), pl.Boolean(), first.height)
    rows = first.lazy().select(*on, pl.int_range(pl.len(), dtype=pl.UInt32).alias(_ROW))
    found = rows.join(second.lazy().select(on), on=on, how="semi", nulls_equal=True)
    return is_at(first.height, evaluated(found.select(_ROW)).to_series())
