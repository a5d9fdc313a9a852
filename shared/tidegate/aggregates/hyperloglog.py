"""Numbers of distinct values, within a known error and in bounded state.

The sketch is HyperLogLog (Flajolet, Fusy, Gandouet and Meunier, 2007): a stable 64-bit hash of a value names
one of 2^p registers and a rank, the place of the first 1 in its other bits, and each register keeps the
highest rank that it met. It is read with Ertl's improved estimator ("New cardinality estimation algorithms
for HyperLogLog sketches", 2017, arXiv:1702.01284, algorithm 6), which needs no table of corrections.
Registers that met nothing are not stored. Over rows that may be retracted every rank that a register met is
counted, so that a value that is taken out takes its rank with it.
"""

from math import log

import polars as pl
import polars_hash as plh

from tidegate.aggregates.aggregate import Aggregate, BoundAggregate, Input, Operand, canonical, expression
from tidegate.aggregates.tally import NUMBER, ROW, Entries, Tally, present
from tidegate.errors import PipelineError

LEAST_PRECISION, MOST_PRECISION = 4, 16

_KEYS: dict[str, pl.DataType] = {"register": pl.UInt16()}
_RANKED: dict[str, pl.DataType] = {"register": pl.UInt16(), "rank": pl.UInt8()}


def approx_count_distinct(column: Input, precision: int = 12) -> Aggregate:
    """The number of different values, within a known error; 0 if there are none.

    The standard error is 1.04 / sqrt(2^precision), which is 1.6 % by default: two thirds of the answers are
    nearer than that, and 997 of 1,000 nearer than three times as much. The state has at most 2^precision
    entries, and few for few values. Equal rows give equal state, on every machine and in any order.

    Args:
        column: Texts, bytes, numbers, Booleans or times. NaN is one value, and the two zeros are one.
        precision: From 4 to 16.

    Raises:
        PipelineError: `precision` is something else.
    """
    known = isinstance(precision, int) and not isinstance(precision, bool)
    if not known or not LEAST_PRECISION <= precision <= MOST_PRECISION:
        raise PipelineError(
            f"approx_count_distinct(precision={precision!r})",
            f"it is no whole number from {LEAST_PRECISION} to {MOST_PRECISION}",
            "Give 12 for an error of 1.6 %, or 14 for 0.8 %.",
        )
    return Aggregate(
        "approx_count_distinct",
        expression(column),
        lambda operand: _build(operand, precision),
        f", precision={precision}",
    )


def _build(operand: Operand, precision: int) -> BoundAggregate:
    column, value = operand.column("registers"), operand.value
    hashed = _hashed(operand)
    rest = 2 ** (64 - precision)
    entry = {"register": hashed // rest}
    rank = (hashed % rest).bitwise_leading_zeros() - precision + 1
    if operand.sign is None:
        tally = Tally(_KEYS, pl.UInt8(), highest=True)
        entry |= {NUMBER: rank}
    else:
        tally = Tally(_RANKED)
        entry |= {"rank": rank, NUMBER: operand.sign}
    accumulator = tally.accumulator(column, entry, value.is_not_null())
    estimate = _estimate(pl.len(), pl.col(NUMBER), precision)
    prepare = None if operand.sign is None else _highest
    result = tally.read(column, estimate, pl.Int64(), 0, prepare)
    return BoundAggregate(operand.name, pl.Int64(), (accumulator,), result)


def _highest(entries: Entries) -> Entries:
    """The highest rank of each register, as its number."""
    ranks = present(entries).group_by(ROW, "register", maintain_order=True)
    return ranks.agg(pl.col("rank").max().alias(NUMBER))


def _estimate(used: pl.Expr, ranks: pl.Expr, precision: int) -> pl.Expr:
    """The number of distinct values from the ranks of the registers in use."""
    registers: int = 2**precision
    # Register ranks beyond what 64 bits can show would take 2^48 values: they are not corrected for.
    harmonic = (pl.lit(0.5) ** ranks.cast(pl.Float64)).sum()
    empty = (1 - used / registers).map_batches(_sigma, pl.Float64, is_elementwise=True)
    scale: float = registers * registers / (2 * log(2))
    return (pl.lit(scale) / (harmonic + empty * registers)).round()


def _sigma(share: pl.Series) -> pl.Series:
    """Ertl's sum x + Σ x^(2^k)·2^(k-1), for shares of registers that met nothing."""
    total, power, weight = share, share, 1.0
    # With one register in use, of 65,536 at most, the power has vanished after so many squarings.
    for _ in range(MOST_PRECISION + 10):
        power = power * power
        total = total + power * weight
        weight *= 2
    return total


def _hashed(operand: Operand) -> pl.Expr:
    """A stable hash of the values, UInt64; the text that is hashed is no printer's choice."""
    value, dtype = canonical(operand.value, operand.dtype), operand.dtype
    if dtype in (pl.String(), pl.Binary()):
        text = value
    elif isinstance(dtype, pl.Enum):
        text = value.cast(pl.String)
    elif dtype.is_float():
        text = value.cast(pl.Float64).reinterpret(dtype=pl.UInt64).cast(pl.String)
    elif dtype.is_integer():
        text = value.cast(pl.String)
    elif dtype.is_decimal() or dtype.is_temporal():
        text = value.to_physical().cast(pl.String)
    elif dtype == pl.Boolean():
        text = value.cast(pl.Int8).cast(pl.String)
    else:
        raise operand.refusal(
            f"a {dtype} has no hash",
            "Give texts, bytes, numbers, Booleans or times, for instance with a cast.",
        )
    return text.map_batches(_xxhash, pl.UInt64, is_elementwise=True)


def _xxhash(texts: pl.Series) -> pl.Series:
    return texts.to_frame("x").select(plh.col("x").nchash.xxhash64(seed=0)).to_series()
