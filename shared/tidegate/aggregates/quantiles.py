"""Quantiles, exact."""

from typing import Literal, get_args

import polars as pl

from tidegate.aggregates.aggregate import Aggregate, BoundAggregate, Input, Operand, expression
from tidegate.aggregates.tally import NUMBER
from tidegate.aggregates.totals import summable
from tidegate.aggregates.values import ValueTally
from tidegate.errors import PipelineError

Interpolation = Literal["linear", "lower", "higher", "midpoint", "nearest"]
"""What stands for a quantile that lies between two values."""


def quantile(column: Input, q: float, interpolation: Interpolation = "linear") -> Aggregate:
    """The value below which the part `q` of the values lies, as Float64; null if there are none.

    Exact: every different value is kept, so the state grows with them; `approx_quantile` is bounded. NaN
    counts as larger than every number.

    Args:
        column: Numbers.
        q: From 0, the smallest value, to 1, the largest; 0.5 is the median.
        interpolation: What is given between two values, as in Polars' `quantile`.

    Raises:
        PipelineError: `q` or `interpolation` is something else.

    Example:
        >>> requests.group_by("path").agg(p99=tg.quantile("milliseconds", 0.99))  # doctest: +SKIP
    """
    check_quantile("quantile", q)
    if interpolation not in get_args(Interpolation):
        raise PipelineError(
            f"quantile(interpolation={interpolation!r})",
            "it is unknown",
            f"Give one of {', '.join(get_args(Interpolation))}.",
        )

    def build(operand: Operand) -> BoundAggregate:
        summable(operand)
        kept = ValueTally(operand)
        result = kept.read(_quantile(q, interpolation), pl.Float64())
        return BoundAggregate(operand.name, pl.Float64(), (kept.accumulator,), result)

    return Aggregate("quantile", expression(column), build, f", q={q}, {interpolation}")


def check_quantile(verb: str, q: float) -> None:
    """Refuses a quantile that is no number from 0 to 1.

    Raises:
        PipelineError: It is none.
    """
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:
        raise PipelineError(f"{verb}(q={q!r})", "it is no number from 0 to 1", "Give 0.5 for the median.")


def at(rank: pl.Expr, value: str) -> pl.Expr:
    """The value at this rank, from 0, of a tally whose entries are sorted."""
    return pl.col(value).filter(pl.col(NUMBER).cum_sum() > rank).first()


def _quantile(q: float, interpolation: Interpolation) -> pl.Expr:
    place = (pl.col(NUMBER).sum() - 1) * q
    low, high = at(place.floor(), "value").cast(pl.Float64), at(place.ceil(), "value").cast(pl.Float64)
    # Equal values are given as they are: infinity less infinity is no number.
    between = {
        "linear": low + (high - low) * (place - place.floor()),
        "midpoint": low + (high - low) / 2,
        "lower": low,
        "higher": high,
        "nearest": at((place + 0.5).floor(), "value").cast(pl.Float64),
    }[interpolation]
    return pl.when(low == high).then(low).otherwise(between)
