"""Key groups: a stable hash of the key, modulo a number that is fixed when a pipeline's state is born.

Stable means the same in every process, on every machine and in every version; neither Python's `hash` nor
Polars' own is. The key is written as one text of its parts, each with its length before it, and hashed
with 64-bit xxHash; `tests/engine/key_groups.json` pins the result.
"""

from collections.abc import Mapping
from functools import lru_cache

import polars as pl
import polars_hash as plh

from tidegate.engine.frames import PLANS
from tidegate.limits import KEY_GROUPS
from tidegate.references import KeyRange

GROUP = "__group"
"""The hidden column with an element's key group, UInt16."""


_JOINED = "__key"


def with_key_groups(frame: pl.LazyFrame, keys: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """The frame with the column `GROUP`, from its key columns (names and types)."""
    joined, group = _hashed(tuple(keys.items()))
    return frame.with_columns(joined).with_columns(group).drop(_JOINED)


@lru_cache(maxsize=PLANS)
def _hashed(keys: tuple[tuple[str, pl.DataType], ...]) -> tuple[pl.Expr, pl.Expr]:
    """The columns `_JOINED` and `GROUP`."""
    parts = [_text(name, dtype) for name, dtype in keys]
    joined = pl.concat_str(parts).alias(_JOINED) if parts else pl.lit("").alias(_JOINED)
    # polars-hash offers its functions on its own kind of column only, so the text becomes one first.
    hashed = plh.col(_JOINED).nchash.xxhash64(seed=0)
    return joined, (hashed % KEY_GROUPS).cast(pl.UInt16).alias(GROUP)


def within(rows: pl.DataFrame, wanted: KeyRange) -> pl.DataFrame:
    """The rows of a range of key groups."""
    groups = rows.get_column(GROUP)
    inside = (groups >= wanted.low) & (groups < wanted.high)
    return rows if inside.all() else rows.filter(inside)


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    """A part of a key as text that no other value of its type shares, with its length before it."""
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime | pl.Date):
        # Printing a moment is a library's choice; its number is not.
        text = column.to_physical().cast(pl.String)
    elif dtype.is_decimal():
        # The number of units of its last digit: 1.25 is 125.
        text = column.to_physical().cast(pl.String)
    elif dtype == pl.Boolean():
        text = column.cast(pl.Int8).cast(pl.String)
    else:
        text = column.cast(pl.String)
    measured = pl.concat_str(text.str.len_bytes().cast(pl.String), pl.lit(":"), text)
    return pl.when(column.is_null()).then(pl.lit("-")).otherwise(measured)
