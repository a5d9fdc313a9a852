"""Sums of floats out of which floats can be taken again without a trace.

A float is a whole number of units of a power of two. The units are added up in 128 bits, one sum for each
32 powers of two: so nothing is rounded, the order does not matter, and a float that is subtracted is as if it
had never been there. Infinities and NaN are counted apart. This is a superaccumulator (Neal, "Fast exact
summation using small and large superaccumulators", 2015, arXiv:1505.05571) that holds only what is used.
"""

import polars as pl

from tidegate.aggregates.tally import Tally

_POWERS = 32
"""Powers of two that share a sum: 53 bits of a float, shifted by up to 31, leave 43 bits for additions."""

_PLUS, _MINUS, _NAN = 100, 101, 102
"""Classes of what is no finite number."""

_BIAS = 1023
_FRACTION = 2**52

FLOAT_TOTAL = Tally({"power": pl.Int16()}, pl.Int128())
"""From 32 powers of two to the sum of the floats in units of the lowest."""


def float_entries(value: pl.Expr, sign: pl.Expr) -> dict[str, pl.Expr]:
    """The entries of floats (Float64) with their signs."""
    bits = value.reinterpret(dtype=pl.UInt64) % 2**63
    exponent, fraction = (bits // _FRACTION).cast(pl.Int64), (bits % _FRACTION).cast(pl.Int64)
    normal = exponent > 0
    # Numbers below the smallest normal one have the units of its power, and no leading bit.
    mantissa = fraction + pl.when(normal).then(_FRACTION).otherwise(0)
    power = pl.when(normal).then(exponent).otherwise(1)
    units = mantissa.cast(pl.Int128) * (pl.lit(2, dtype=pl.Int64) ** (power % _POWERS)).cast(pl.Int128)
    special = pl.when(value.is_nan()).then(_NAN).when(value > 0).then(_PLUS).otherwise(_MINUS)
    finite = value.is_finite()
    negative = (sign < 0) ^ (finite & (value < 0))
    number = pl.when(finite).then(units).otherwise(pl.lit(1, dtype=pl.Int128))
    return {
        "power": pl.when(finite).then(power // _POWERS).otherwise(special).cast(pl.Int16),
        "number": number * pl.when(negative).then(-1).otherwise(1).cast(pl.Int128),
    }


def float_total(column: str) -> pl.Expr:
    """The sum in an accumulator of `FLOAT_TOTAL`, rounded once for each 32 powers of two."""
    power, number = pl.col("power").cast(pl.Int64), pl.col("number")
    exponent = power * _POWERS - _BIAS - 52
    # In two steps, as the smallest of these powers of two is no float.
    half = exponent // 2
    finite = number.cast(pl.Float64) * _power_of_two(half) * _power_of_two(exponent - half)
    value = pl.when(power < _PLUS).then(finite).when(number <= 0).then(0.0)
    for kind, shown in ((_PLUS, "inf"), (_MINUS, "-inf"), (_NAN, "nan")):
        value = value.when(power == kind).then(pl.lit(float(shown)))
    return FLOAT_TOTAL.read(column, value.sum(), pl.Float64(), 0.0)


def _power_of_two(exponent: pl.Expr) -> pl.Expr:
    """Two to a whole number from -1022 to 1023, made of its bits: exact on every machine."""
    return (
        ((exponent.clip(-_BIAS + 1, _BIAS) + _BIAS) * _FRACTION).cast(pl.Int64).reinterpret(dtype=pl.Float64)
    )
