"""The values of an element kept one and all, for what cannot be told from less."""

from collections.abc import Callable
from typing import Any

import polars as pl

from tidegate.aggregates.aggregate import Accumulator, Operand, canonical
from tidegate.aggregates.tally import NUMBER, Entries, Tally, present
from tidegate.sources.source import EVENT_TIME


class ValueTally:
    """A tally of values, with the number of times that each is there.

    Args:
        operand: Whose values.
        in_time: Values of different event times are told apart, and sorted by time first.
    """

    def __init__(self, operand: Operand, *, in_time: bool = False) -> None:
        if operand.dtype in (pl.Null(), pl.Object()):
            raise operand.refusal(
                f"a {operand.dtype} has no values", f"Give {operand.verb} a column of values."
            )
        times: dict[str, pl.DataType] = {"time": pl.Int64()} if in_time else {}
        self._tally = Tally({**times, "value": operand.dtype})
        self._column = operand.column("values")
        value = operand.value
        entry = {
            "time": pl.col(EVENT_TIME),
            "value": canonical(value, operand.dtype),
            NUMBER: pl.lit(1) if operand.sign is None else operand.sign,
        }
        self.accumulator: Accumulator = self._tally.accumulator(self._column, entry, value.is_not_null())

    def read(
        self,
        value: pl.Expr,
        dtype: pl.DataType,
        nothing: Any = None,
        prepare: Callable[[Entries], Entries] = present,
    ) -> pl.Expr:
        """A value computed from the columns `value`, `number` and perhaps `time`, sorted."""
        return self._tally.read(self._column, value, dtype, nothing, prepare)
