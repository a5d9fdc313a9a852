"""The values or rows of the highest rank."""

import polars as pl

from tidegate.aggregates.aggregate import (
    EMISSION,
    Aggregate,
    BoundAggregate,
    Input,
    Operand,
    Schema,
    canonical,
    expression,
)
from tidegate.aggregates.tally import NUMBER, Entries, Tally, as_often
from tidegate.errors import PipelineError
from tidegate.expressions import HIDDEN


def top(n: int, by: Input, column: Input | None = None) -> Aggregate:
    """The values, or whole rows, with the `n` largest `by`, the largest first, as a list.

    Rows whose `by` is null or NaN have no rank and are left out. Of rows with the same `by` the one with the
    larger value comes first, fields compared one after the other, so that the order of arrival does not
    matter. The state is bounded by `n`, unless rows may be retracted.

    Args:
        n: How many at most, from 1 on.
        by: What the rank is taken from.
        column: What is given of each row; all of its columns as a struct if left out.

    Raises:
        PipelineError: `n` is no whole number from 1 on.

    Example:
        >>> scores.group_by("team").agg(best=tg.top(3, by="score", column="player"))  # doctest: +SKIP
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise PipelineError(f"top(n={n!r})", "it is no whole number from 1 on", "Say how many rows to give.")

    def given(schema: Schema) -> pl.Expr:
        value = row_of(schema) if column is None else expression(column)
        return pl.struct(expression(by).alias("by"), value.alias("value"))

    return Aggregate("top", given, lambda operand: _build(operand, n), f", n={n}")


def row_of(schema: Schema) -> pl.Expr:
    """A whole row as a struct, without what a pane says of its emission."""
    return pl.struct(name for name in schema if not name.startswith(HIDDEN) and name not in EMISSION)


def _build(operand: Operand, n: int) -> BoundAggregate:
    by, value = operand.fields.values()
    operand.comparable(by)
    column = operand.column("top")
    # Ranks below the last one that counts may become needed again if what is above is retracted.
    tally = Tally({"by": by, "value": value}, last=n if operand.sign is None else None)
    rank = canonical(operand.value.struct.field("by"), by)
    ranked = rank.is_not_null() & (rank.is_not_nan() if by.is_float() else True)
    entry = {
        "by": rank,
        "value": canonical(operand.value.struct.field("value"), value),
        NUMBER: pl.lit(1) if operand.sign is None else operand.sign,
    }

    def repeated(entries: Entries) -> Entries:
        return as_often(entries, n)

    result = tally.read(column, pl.col("value").tail(n).reverse().implode(), pl.List(value), [], repeated)
    return BoundAggregate(operand.name, pl.List(value), (tally.accumulator(column, entry, ranked),), result)
