"""Numbers of distinct values, exact."""

import polars as pl

from tidegate.aggregates.aggregate import Aggregate, BoundAggregate, Input, Operand, expression
from tidegate.aggregates.values import ValueTally


def count_distinct(column: Input) -> Aggregate:
    """The number of different values; 0 if there are none.

    Exact: every different value is kept, so the state grows with them; `approx_count_distinct` is bounded.
    NaN is one value, and the two zeros of floats are one.
    """
    return Aggregate("count_distinct", expression(column), _build)


def _build(operand: Operand) -> BoundAggregate:
    kept = ValueTally(operand)
    return BoundAggregate(operand.name, pl.Int64(), (kept.accumulator,), kept.read(pl.len(), pl.Int64(), 0))
