"""Quantiles within a known relative error and in bounded state.

The sketch is a log-linear histogram, as HdrHistogram's and Circllhist's ("Circllhist: a log-linear histogram
data structure for IT infrastructure monitoring", 2020, arXiv:2001.06561): each power of two is cut into 2^b
buckets of the same width, and a bucket's number is the float's exponent with the first b bits of its
fraction. So it promises what DDSketch promises (VLDB 2019), and no logarithm rounds differently on another
machine; buckets are counted, so that a value can be taken out again.
"""

from math import ceil, log2

import polars as pl

from tidegate.aggregates.aggregate import Aggregate, BoundAggregate, Input, Operand, expression
from tidegate.aggregates.quantiles import check_quantile, ranked
from tidegate.aggregates.tally import NUMBER, Tally
from tidegate.aggregates.totals import summable
from tidegate.errors import PipelineError

_BUCKETS = Tally({"value": pl.Int32()})

_FRACTION_BITS = 52
_SMALLEST = 2.0**-1022
"""The smallest normal float; what is nearer to zero counts as zero."""

_NAN = 2**31 - 1
"""NaN's bucket, above all others."""

LEAST_ERROR = 1e-5


def approx_quantile(column: Input, q: float, relative_error: float = 0.01) -> Aggregate:
    """The value below which the part `q` of the values lies, within a relative error; null if there are none.

    The answer is within `relative_error` of the value whose rank from below is `floor(q * (n - 1))`, what
    `quantile` gives with `interpolation="lower"`: of 200 ms at most 2 ms away by default. Numbers nearer to
    zero than 2.3e-308 count as zero. The state has an entry for each bucket in use: by default 64 for each
    doubling, so at most 1,280 for values from 1 to a million. Of equal rows comes equal state, in any order.

    Args:
        column: Numbers. NaN counts as larger than every number.
        q: From 0, the smallest value, to 1, the largest; 0.5 is the median.
        relative_error: From 0.00001 to 0.5.

    Raises:
        PipelineError: `q` or `relative_error` is something else.
    """
    check_quantile("approx_quantile", q)
    if isinstance(relative_error, bool) or not isinstance(relative_error, int | float):
        fits = False
    else:
        fits = LEAST_ERROR <= relative_error <= 0.5
    if not fits:
        raise PipelineError(
            f"approx_quantile(relative_error={relative_error!r})",
            f"it is no number from {LEAST_ERROR:f} to 0.5",
            "Give 0.01 for one per cent.",
        )
    bits = max(0, ceil(log2(1 / relative_error)) - 1)
    return Aggregate(
        "approx_quantile",
        expression(column),
        lambda operand: _build(operand, q, bits),
        f", q={q}, bits={bits}",
    )


def _build(operand: Operand, q: float, bits: int) -> BoundAggregate:
    summable(operand)
    column = operand.column("buckets")
    value = operand.value.cast(pl.Float64)
    entry = {
        "value": _bucket(value, bits),
        NUMBER: pl.lit(1) if operand.sign is None else operand.sign,
    }
    accumulator = _BUCKETS.accumulator(column, entry, value.is_not_null())
    bucket = _BUCKETS.read(
        column, pl.col("low").first(), pl.Int32(), prepare=lambda entries: ranked(entries, q)
    )
    return BoundAggregate(operand.name, pl.Float64(), (accumulator,), _middle(bucket, bits))


def _bucket(value: pl.Expr, bits: int) -> pl.Expr:
    """A float's bucket: 0 for zero, those of negative numbers mirrored; they sort as the floats do."""
    magnitude = value.abs().reinterpret(dtype=pl.UInt64) // 2 ** (_FRACTION_BITS - bits)
    bucket = pl.when(value.abs() < _SMALLEST).then(0).otherwise(magnitude.cast(pl.Int64))
    return pl.when(value.is_nan()).then(_NAN).when(value < 0).then(-bucket).otherwise(bucket)


def _middle(bucket: pl.Expr, bits: int) -> pl.Expr:
    """The float in the middle of a bucket."""
    width = 2 ** (_FRACTION_BITS - bits)
    low = bucket.abs().cast(pl.Int64) * width
    infinite = bucket.abs() == 2047 * 2**bits
    # In the bits of a float the middle of a bucket is half a width up, whatever its exponent.
    middle = (low + pl.when(infinite).then(0).otherwise(width // 2)).reinterpret(dtype=pl.Float64)
    return (
        pl.when(bucket == _NAN)
        .then(pl.lit(float("nan")))
        .when(bucket == 0)
        .then(0.0)
        .when(bucket < 0)
        .then(-middle)
        .otherwise(middle)
    )
