"""Numbers that look random and are a function of a seed, of the row and of what they are for.

Each row has its own, so that a file can be made without those before it, and all of them vectorised: the
mixing step of SplitMix64 (Steele, Lea and Flood: Fast splittable pseudorandom number generators, OOPSLA
2014), in Polars' wrapping arithmetic of 64 bits.
"""

from zlib import crc32

import polars as pl

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = 2**64


class Chance:
    """A family of random columns over rows that are numbered.

    Args:
        seed: Which family.
        row: The rows' numbers, from 0 on.

    Example:
        >>> chance = Chance(1, pl.int_range(0, 3, dtype=pl.UInt64))
        >>> pl.select(chance.below(10, "digit")).to_series().to_list()
        [4, 9, 2]
    """

    def __init__(self, seed: int, row: pl.Expr) -> None:
        self._seed = seed
        self._row = row.cast(pl.UInt64)

    def bits(self, name: str) -> pl.Expr:
        """64 random bits a row, UInt64: others for each name."""
        offset = (self._seed * _GOLDEN + crc32(name.encode()) * _FIRST) % _ALL
        mixed = self._row * _unsigned(_GOLDEN) + _unsigned(offset)
        for shift, factor in ((30, _FIRST), (27, _SECOND)):
            mixed = (mixed ^ (mixed // 2**shift)) * _unsigned(factor)
        return mixed ^ (mixed // 2**31)

    def below(self, limit: int | pl.Expr, name: str) -> pl.Expr:
        """A whole number from 0 to below a limit, Int64."""
        # From the upper half of the bits, so that the remainder favours no number by more than one in 2**31.
        return (self.bits(name) // 2**31).cast(pl.Int64) % limit

    def unit(self, name: str) -> pl.Expr:
        """A number from 0 to below 1, Float64."""
        return (self.bits(name) // 2**11).cast(pl.Float64) / 2**53


def _unsigned(number: int) -> pl.Expr:
    return pl.lit(number, dtype=pl.UInt64)
