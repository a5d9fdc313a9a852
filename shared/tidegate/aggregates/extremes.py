"""The smallest and the largest value."""

from collections.abc import Callable

import polars as pl

from tidegate.aggregates.aggregate import (
    Accumulator,
    Aggregate,
    BoundAggregate,
    Build,
    Input,
    Operand,
    expression,
)
from tidegate.aggregates.values import ValueTally


def min(column: Input) -> Aggregate:
    """The smallest value; null if there are none. NaN is smaller than nothing."""
    return Aggregate("min", expression(column), _extreme(pl.Expr.min))


def max(column: Input) -> Aggregate:
    """The largest value; null if there are none. NaN is larger than nothing."""
    return Aggregate("max", expression(column), _extreme(pl.Expr.max))


def _extreme(choose: Callable[[pl.Expr], pl.Expr]) -> Build:
    def build(operand: Operand) -> BoundAggregate:
        dtype, value = operand.dtype, operand.value
        operand.comparable()
        if operand.sign is None:
            column = operand.column(operand.verb)
            best = Accumulator(
                column, dtype, choose(value), choose(pl.col(column)), pl.lit(None, dtype=dtype)
            )
            return BoundAggregate(operand.name, dtype, (best,), pl.col(column))
        kept = ValueTally(operand)
        return BoundAggregate(
            operand.name, dtype, (kept.accumulator,), kept.read(choose(pl.col("value")), dtype)
        )

    return build
