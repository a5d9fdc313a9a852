"""Sums, counts and means."""

import polars as pl

from tidegate.aggregates.aggregate import (
    Accumulator,
    Aggregate,
    BoundAggregate,
    Input,
    Operand,
    expression,
)
from tidegate.aggregates.float_total import FLOAT_TOTAL, float_entries, float_total

_DECIMAL_DIGITS = 28
"""Digits that a decimal may have to be added up: 38 are kept, so ten thousand million of them fit."""


def sum(column: Input) -> Aggregate:
    """The sum of the values; 0 if there are none.

    Integers give Int64 (UInt64 if unsigned), Booleans count the true ones, floats give Float64. Integers
    are added up in 128 bits; a pane whose sum does not fit into 64 is a dead letter. Sums of floats may
    differ in their last bits with the order of arrival, as any floating-point addition does.
    """
    return Aggregate("sum", expression(column), _build_sum)


def count(column: Input | None = None) -> Aggregate:
    """The number of elements, or of those whose column is not null."""
    if column is None:
        return Aggregate("count", None, _build_number)
    return Aggregate("count", expression(column), _build_count)


def mean(column: Input) -> Aggregate:
    """The arithmetic mean of the values as Float64; null if there are none."""
    return Aggregate("mean", expression(column), _build_mean)


def summable(operand: Operand) -> pl.DataType:
    """The type of a sum of these values.

    Raises:
        PipelineError: They cannot be added up, or the sum could overflow.
    """
    dtype, verb = operand.dtype, operand.verb
    if dtype in (pl.Int128(), pl.UInt128()):
        raise operand.refusal(
            f"a {dtype} may overflow when it is added up",
            f"Give {verb} a number of at most 64 bits, or a pl.Decimal or pl.Float64.",
        )
    if dtype.is_unsigned_integer():
        return pl.UInt64()
    if dtype.is_integer() or dtype == pl.Boolean():
        return pl.Int64()
    if dtype.is_float():
        return pl.Float64()
    if isinstance(dtype, pl.Decimal):
        if dtype.precision > _DECIMAL_DIGITS:
            raise operand.refusal(
                f"a {dtype} may overflow when it is added up",
                f"Give {verb} at most {_DECIMAL_DIGITS} digits, as pl.col(...).cast(pl.Decimal(28, 2)) does.",
            )
        return pl.Decimal(38, dtype.scale)
    raise operand.refusal(
        f"a {dtype} cannot be added up",
        f"Give {verb} a number, for instance with pl.col(...).cast(pl.Float64).",
    )


def count_accumulator(operand: Operand) -> Accumulator:
    """The number of values, as the accumulator `count`."""
    column = operand.column("count")
    present = operand.value.is_not_null().cast(pl.Int64)
    number = present if operand.sign is None else present * operand.sign.cast(pl.Int64)
    return Accumulator(column, pl.Int64(), number.sum(), pl.col(column).sum(), pl.lit(0, dtype=pl.Int64))


def _total(operand: Operand, dtype: pl.DataType) -> tuple[Accumulator, pl.Expr]:
    """A sum's accumulator, and the sum from it."""
    column, sign = operand.column("sum"), operand.sign
    if sign is not None and dtype.is_float():
        value = operand.value.cast(pl.Float64)
        return FLOAT_TOTAL.accumulator(column, float_entries(value, sign), value.is_not_null()), float_total(
            column
        )
    # Whole numbers are added up in 128 bits, which they cannot overflow.
    kept = pl.Int128() if dtype.is_integer() else dtype
    value = operand.value.cast(kept)
    if sign is not None:
        value = (
            value * sign.cast(kept) if dtype.is_integer() else pl.when(sign < 0).then(-value).otherwise(value)
        )
    accumulator = Accumulator(column, kept, value.sum(), pl.col(column).sum(), pl.lit(0).cast(kept))
    return accumulator, pl.col(column)


def _build_sum(operand: Operand) -> BoundAggregate:
    dtype = summable(operand)
    accumulator, total = _total(operand, dtype)
    return BoundAggregate(operand.name, dtype, (accumulator,), total)


def _build_count(operand: Operand) -> BoundAggregate:
    number = count_accumulator(operand)
    return BoundAggregate(operand.name, pl.Int64(), (number,), pl.col(number.name))


def _build_number(operand: Operand) -> BoundAggregate:
    column = operand.column("count")
    elements = pl.len().cast(pl.Int64) if operand.sign is None else operand.sign.cast(pl.Int64).sum()
    number = Accumulator(column, pl.Int64(), elements, pl.col(column).sum(), pl.lit(0, dtype=pl.Int64))
    return BoundAggregate(operand.name, pl.Int64(), (number,), pl.col(column))


def _build_mean(operand: Operand) -> BoundAggregate:
    accumulator, total = _total(operand, summable(operand))
    number = count_accumulator(operand)
    quotient = total.cast(pl.Float64) / pl.col(number.name)
    result = pl.when(pl.col(number.name) > 0).then(quotient)
    return BoundAggregate(operand.name, pl.Float64(), (accumulator, number), result)
