"""Values in the order of event time."""

import polars as pl

from tidegate.aggregates.aggregate import (
    Accumulator,
    Aggregate,
    BoundAggregate,
    Input,
    Operand,
    canonical,
    expression,
)
from tidegate.aggregates.tally import as_often
from tidegate.aggregates.values import ValueTally
from tidegate.sources.source import EVENT_TIME


def first(column: Input) -> Aggregate:
    """The value with the earliest event time; null if there are none.

    Of several at the same moment it is the smallest, so that the order of arrival does not matter.
    """
    return Aggregate("first", expression(column), _build_first)


def last(column: Input) -> Aggregate:
    """The value with the latest event time; null if there are none.

    Of several at the same moment it is the largest, NaN being larger than every number.
    """
    return Aggregate("last", expression(column), _build_last)


def collect(column: Input) -> Aggregate:
    """All values as a list, in the order of event time, then of the values; empty if there are none.

    The state and the pane grow with the number of values.

    Example:
        >>> scores.group_by("team").agg(points=tg.collect("score"))  # doctest: +SKIP
    """
    return Aggregate("collect", expression(column), _build_collect)


def _build_first(operand: Operand) -> BoundAggregate:
    return _at_end(operand, earliest=True)


def _build_last(operand: Operand) -> BoundAggregate:
    return _at_end(operand, earliest=False)


def _at_end(operand: Operand, *, earliest: bool) -> BoundAggregate:
    operand.comparable()
    if operand.sign is not None:
        kept = ValueTally(operand, in_time=True)
        end = pl.col("value").first() if earliest else pl.col("value").last()
        return BoundAggregate(operand.name, operand.dtype, (kept.accumulator,), kept.read(end, operand.dtype))
    time, value = operand.column("time"), operand.column("value")

    def moment(times: pl.Expr) -> pl.Expr:
        return times.min() if earliest else times.max()

    def best(values: pl.Expr) -> pl.Expr:
        if earliest:
            return values.min()
        return values.nan_max() if operand.dtype.is_float() else values.max()

    given = canonical(operand.value, operand.dtype)
    # Nulls are no values: neither do they set the moment, nor are they the value there.
    moments = pl.col(EVENT_TIME).filter(operand.value.is_not_null())
    accumulators = (
        Accumulator(time, pl.Int64(), moment(moments), moment(pl.col(time)), pl.lit(None, dtype=pl.Int64)),
        Accumulator(
            value,
            operand.dtype,
            best(given.filter(pl.col(EVENT_TIME) == moment(moments))),
            best(pl.col(value).filter(pl.col(time) == moment(pl.col(time)))),
            pl.lit(None, dtype=operand.dtype),
        ),
    )
    return BoundAggregate(operand.name, operand.dtype, accumulators, pl.col(value))


def _build_collect(operand: Operand) -> BoundAggregate:
    kept = ValueTally(operand, in_time=True)
    dtype = pl.List(operand.dtype)
    result = kept.read(pl.col("value").implode(), dtype, [], as_often)
    return BoundAggregate(operand.name, dtype, (kept.accumulator,), result)
