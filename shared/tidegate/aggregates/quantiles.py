"""Quantiles, exact."""

from typing import Literal, get_args

import polars as pl

from tidegate.aggregates.aggregate import Aggregate, BoundAggregate, Input, Operand, expression
from tidegate.aggregates.tally import NUMBER, ROW, Entries, present
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
        result = kept.read(_between(interpolation), pl.Float64(), prepare=lambda entries: ranked(entries, q))
        return BoundAggregate(operand.name, pl.Float64(), (kept.accumulator,), result)

    return Aggregate("quantile", expression(column), build, f", q={q}, {interpolation}")


def check_quantile(verb: str, q: float) -> None:
    """Refuses a quantile that is no number from 0 to 1.

    Raises:
        PipelineError: It is none.
    """
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:
        raise PipelineError(f"{verb}(q={q!r})", "it is no number from 0 to 1", "Give 0.5 for the median.")


def ranked(entries: Entries, q: float) -> Entries:
    """For each tally the values at the quantile's place among its entries, as one row.

    Returns:
        `ROW`, `place` (from 0, with a fraction), and the values `low` below and `high` above it.
    """
    there = present(entries)
    reached = there.get_column(NUMBER).cum_sum()
    tallies = (
        there.with_columns(before=reached - there.get_column(NUMBER))
        .group_by(ROW, maintain_order=True)
        .agg(pl.col("before").first(), place=(pl.col(NUMBER).sum() - 1) * q)
    )

    def at(place: pl.Expr) -> pl.Series:
        # Numbers rise through all tallies, so that one search finds the entries of all of them.
        wanted = tallies.select(pl.col("before") + place.cast(pl.Int64)).to_series()
        return there.get_column("value").gather(reached.search_sorted(wanted, side="right"))

    place = pl.col("place")
    return tallies.select(ROW, "place").with_columns(low=at(place.floor()), high=at(place.ceil()))


def _between(interpolation: Interpolation) -> pl.Expr:
    place = pl.col("place").first()
    low, high = (pl.col(name).first().cast(pl.Float64) for name in ("low", "high"))
    between = {
        "linear": low + (high - low) * (place - place.floor()),
        "midpoint": low + (high - low) / 2,
        "lower": low,
        "higher": high,
        "nearest": pl.when(place - place.floor() < 0.5).then(low).otherwise(high),
    }[interpolation]
    # Equal values are given as they are: infinity less infinity is no number.
    return pl.when(low == high).then(low).otherwise(between)
