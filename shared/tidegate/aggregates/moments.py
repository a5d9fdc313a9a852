"""Variance and standard deviation."""

from dataclasses import replace

import polars as pl

from tidegate.aggregates.aggregate import (
    Accumulator,
    Aggregate,
    BoundAggregate,
    Input,
    Operand,
    expression,
)
from tidegate.aggregates.tally import NUMBER
from tidegate.aggregates.totals import count_accumulator, summable
from tidegate.aggregates.values import ValueTally
from tidegate.errors import PipelineError


def var(column: Input, ddof: int = 1) -> Aggregate:
    """The variance of the values as Float64; null if there are not more than `ddof` of them.

    It is kept as number, mean and sum of squared differences from the mean, and merged as Chan, Golub and
    LeVeque do ("Updating formulae and a pairwise algorithm for computing sample variances", 1979), so that
    nothing cancels out. Over rows that may be retracted the values are kept instead.

    Args:
        column: Numbers.
        ddof: The divisor is the number of values less this: 1 for a sample, 0 for a whole population.

    Raises:
        PipelineError: `ddof` is no whole number from 0 on.
    """
    return _moments("var", column, ddof)


def std(column: Input, ddof: int = 1) -> Aggregate:
    """The standard deviation of the values: the root of `var`."""
    return _moments("std", column, ddof)


def _moments(verb: str, column: Input, ddof: int) -> Aggregate:
    if not isinstance(ddof, int) or isinstance(ddof, bool) or ddof < 0:
        raise PipelineError(f"{verb}(ddof={ddof!r})", "it is no whole number from 0 on", "Give 0 or 1.")

    def build(operand: Operand) -> BoundAggregate:
        summable(operand)
        variance, accumulators = _counted(operand, ddof) if operand.sign is None else _kept(operand, ddof)
        result = variance if verb == "var" else variance.sqrt()
        return BoundAggregate(operand.name, pl.Float64(), accumulators, result)

    return Aggregate(verb, expression(column), build, f", ddof={ddof}")


def _counted(operand: Operand, ddof: int) -> tuple[pl.Expr, tuple[Accumulator, ...]]:
    value = operand.value.cast(pl.Float64)
    number = count_accumulator(operand)
    n, mean, squares = (
        pl.col(name) for name in (number.name, operand.column("mean"), operand.column("squares"))
    )
    # Means are told apart from that of the largest part, so that little cancels out, and a part that is
    # merged with none keeps its own to the last bit.
    origin = mean.get(n.arg_max())
    weighted = (n * (mean - origin)).sum()
    between = (n * (mean - origin).pow(2)).sum() - weighted.pow(2) / n.sum()
    nothing, zero = pl.lit(None, dtype=pl.Float64), pl.lit(0.0)
    average = value.mean()
    finite = pl.when(average.is_finite()).then(average).when(average.is_not_null()).then(float("nan"))
    accumulators = (
        number,
        Accumulator(operand.column("mean"), pl.Float64(), finite, origin + weighted / n.sum(), nothing),
        Accumulator(
            operand.column("squares"),
            pl.Float64(),
            (value.var(ddof=0) * value.count()).fill_null(zero),
            squares.sum() + pl.when(n.sum() > 0).then(between).otherwise(zero),
            zero,
        ),
    )
    return pl.when(n > ddof).then(squares / (n - ddof)), accumulators


def _kept(operand: Operand, ddof: int) -> tuple[pl.Expr, tuple[Accumulator, ...]]:
    numbers = replace(operand, value=operand.value.cast(pl.Float64), dtype=pl.Float64())
    kept = ValueTally(numbers)
    value, n = pl.col("value"), pl.col(NUMBER)
    origin = value.first()
    mean = origin + (n * (value - origin)).sum() / n.sum()
    squares = (n * (value - mean).pow(2)).sum()
    variance = pl.when(n.sum() > ddof).then(squares / (n.sum() - ddof))
    return kept.read(variance, pl.Float64()), (kept.accumulator,)
