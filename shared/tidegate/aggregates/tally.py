"""A tally: for each key and window a small table of entries with a number each, in one column of state.

Where an aggregate cannot be told from a few numbers, its accumulator is a tally: the values with how often
each was there, the registers of a sketch with their ranks. Merging puts the tables below each other and adds
up the numbers of equal entries; so a tally of values takes a retraction even before what it retracts, and
what was taken out leaves no trace. All tallies of a column are merged at once, as one frame of entries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tidegate.aggregates.aggregate import Accumulator
from tidegate.aggregates.groups import apart

NUMBER = "number"
"""The field of an entry that holds its number."""

ROW = "row"
"""The column of an entries' frame that tells which tally an entry is of."""

_ENTRIES = "entries"
_VALUE = "value of the tally"

Entries = pl.DataFrame
"""The entries of all tallies: `ROW`, the keys, `NUMBER`; sorted by row and keys."""


@dataclass(frozen=True, eq=False)
class Tally:
    """How entries are stored and merged.

    In state it is a `List(Struct)` of the entries, sorted by their keys, each of them once.

    Attributes:
        keys: What tells entries apart, with types.
        number: The type of an entry's number.
        highest: Equal entries keep the highest number instead of the sum; a sum of 0 removes its entry.
        last: Only so many entries are kept, those with the greatest keys; None for all.
    """

    keys: Mapping[str, pl.DataType]
    number: pl.DataType = field(default_factory=pl.Int64)
    highest: bool = False
    last: int | None = None

    @property
    def fields(self) -> dict[str, pl.DataType]:
        """What an entry consists of."""
        return {**self.keys, NUMBER: self.number}

    @property
    def dtype(self) -> pl.DataType:
        """The type of the accumulator."""
        return pl.List(pl.Struct(self.fields))

    def accumulator(self, column: str, entry: Mapping[str, pl.Expr], present: pl.Expr) -> Accumulator:
        """The accumulator with this name.

        Args:
            column: Its name.
            entry: From an element to the fields of its entry.
            present: Which elements have an entry.
        """
        fields = [entry[name].cast(dtype).alias(name) for name, dtype in self.fields.items()]
        # Imploded, the entries of all groups reach the function in one column, in one call.
        found, kept = pl.struct(fields).filter(present).implode(), pl.col(column).implode()
        return Accumulator(
            column,
            self.dtype,
            found.map_batches(self._of, self.dtype, is_elementwise=True),
            kept.map_batches(self._merged, self.dtype, is_elementwise=True),
            pl.lit([], dtype=self.dtype),
        )

    def read(
        self,
        column: str,
        value: pl.Expr,
        dtype: pl.DataType,
        nothing: Any = None,
        prepare: Callable[[Entries], Entries] | None = None,
    ) -> pl.Expr:
        """A value computed from each tally.

        Args:
            column: The accumulator.
            value: From the entries of a tally, in their order, to its value.
            dtype: The value's type.
            nothing: The value of a tally without entries.
            prepare: What is done with the entries of all tallies before; it may leave some out.
        """

        def values(tallies: pl.Series) -> pl.Series:
            entries = _entries(tallies)
            if prepare is not None:
                entries = prepare(entries)
            found = entries.group_by(ROW, maintain_order=True).agg(value.cast(dtype).alias(_VALUE))
            return _in_rows(found, tallies.len(), pl.lit(nothing, dtype=dtype))

        return pl.col(column).map_batches(values, dtype, is_elementwise=True)

    def _of(self, lists: pl.Series) -> pl.Series:
        """Lists of entries, in any order and repeated, as tallies."""
        return self._compact(_entries(lists), lists.len())

    def _merged(self, groups: pl.Series) -> pl.Series:
        """Lists of tallies as one tally each; a tally that is alone is left as it is."""
        return apart(groups, lambda alone: alone, self._merge)

    def _merge(self, groups: pl.Series) -> pl.Series:
        # The outer list goes, and the row of each entry is kept beside it.
        rows = pl.DataFrame({ROW: pl.int_range(groups.len(), eager=True), _ENTRIES: groups})
        flat = rows.explode(_ENTRIES, empty_as_null=False).explode(_ENTRIES, empty_as_null=False)
        return self._compact(flat.unnest(_ENTRIES), groups.len())

    def _compact(self, entries: Entries, rows: int) -> pl.Series:
        """Entries in any order and repeated, as that many tallies."""
        joined = pl.col(NUMBER).max() if self.highest else pl.col(NUMBER).sum()
        single = entries.group_by(ROW, *self.keys).agg(joined)
        if not self.highest:
            single = single.filter(pl.col(NUMBER) != 0)
        ordered = single.sort(ROW, *self.keys)
        tallies = ordered.group_by(ROW, maintain_order=True).agg(pl.struct(*self.fields).alias(_VALUE))
        result = _in_rows(tallies, rows, pl.lit([], dtype=self.dtype))
        return result if self.last is None else result.list.tail(self.last)


def as_often(entries: Entries, at_most: int | None = None) -> Entries:
    """Each entry as many times as its number says, up to a limit."""
    number = pl.col(NUMBER).clip(0, at_most)
    index = entries.select(
        pl.int_range(pl.len(), dtype=pl.Int64).repeat_by(number).explode(empty_as_null=False)
    )
    return entries[index.to_series()]


def present(entries: Entries) -> Entries:
    """The entries that are there: a retraction may be waiting for what it retracts."""
    return entries.filter(pl.col(NUMBER) > 0)


def _entries(lists: pl.Series) -> Entries:
    frame = pl.DataFrame({ROW: pl.int_range(lists.len(), eager=True), _ENTRIES: lists})
    return frame.explode(_ENTRIES, empty_as_null=False).unnest(_ENTRIES)


def _in_rows(found: pl.DataFrame, rows: int, nothing: pl.Expr) -> pl.Series:
    """A value for each row, which is `nothing` where none was found."""
    value = found.get_column(_VALUE)
    if found.height == rows:
        return value
    every = pl.DataFrame({ROW: pl.int_range(rows, eager=True)})
    there = found.with_columns(found=pl.lit(True))
    return (
        every.join(there, on=ROW, how="left", maintain_order="left")
        .select(pl.when(pl.col("found")).then(pl.col(_VALUE)).otherwise(nothing))
        .to_series()
    )
