"""Whether any value is true, or all are."""

import polars as pl

from tidegate.aggregates.aggregate import Accumulator, Aggregate, BoundAggregate, Input, Operand, expression


def any(column: Input) -> Aggregate:
    """Whether a value is true; false if there are none."""
    return Aggregate("any", expression(column), _build_any)


def all(column: Input) -> Aggregate:
    """Whether no value is false; true if there are none."""
    return Aggregate("all", expression(column), _build_all)


def _build_any(operand: Operand) -> BoundAggregate:
    _boolean(operand)
    column, value = operand.column("any"), operand.value
    if operand.sign is None:
        found = Accumulator(column, pl.Boolean(), value.any(), pl.col(column).any(), pl.lit(False))
        return BoundAggregate(operand.name, pl.Boolean(), (found,), pl.col(column))
    number = _number(operand.column("true"), value, operand.sign)
    return BoundAggregate(operand.name, pl.Boolean(), (number,), pl.col(number.name) > 0)


def _build_all(operand: Operand) -> BoundAggregate:
    _boolean(operand)
    column, value = operand.column("all"), operand.value
    if operand.sign is None:
        found = Accumulator(column, pl.Boolean(), value.all(), pl.col(column).all(), pl.lit(True))
        return BoundAggregate(operand.name, pl.Boolean(), (found,), pl.col(column))
    number = _number(operand.column("false"), ~value, operand.sign)
    return BoundAggregate(operand.name, pl.Boolean(), (number,), pl.col(number.name) <= 0)


def _number(column: str, value: pl.Expr, sign: pl.Expr) -> Accumulator:
    """How many of these are true, less those that were retracted."""
    number = pl.when(value).then(sign.cast(pl.Int64)).sum()
    return Accumulator(column, pl.Int64(), number, pl.col(column).sum(), pl.lit(0, dtype=pl.Int64))


def _boolean(operand: Operand) -> None:
    if operand.dtype != pl.Boolean():
        raise operand.refusal(
            f"a {operand.dtype} is neither true nor false",
            f"Give {operand.verb} a condition, such as pl.col('score') > 0.",
        )
