"""Accumulators that Python functions make and merge, as a column of state.

An accumulator is stored as the Polars type that it is declared with, beside the text of the first thing that
went wrong: a function that raises for one key and window must not stop the others.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import polars as pl

from tidegate.aggregates.aggregate import Accumulator
from tidegate.aggregates.groups import apart
from tidegate.function_steps import build_rows, told
from tidegate.limits import DEAD_LETTER_REASON

VALUE = "value"
ERROR = "error"


class FunctionState:
    """How accumulators of one type are made of values and of each other.

    Args:
        label: How messages name the aggregate.
        name: How they name the function.
        dtype: The type of the accumulators.
        made: From values, at least one, to an accumulator.
        merged: From accumulators, at least two, to one.
        values_are_accumulators: A value alone is its own accumulator, and takes no call.
    """

    def __init__(
        self,
        label: str,
        name: str,
        dtype: pl.DataType,
        made: Callable[[list[Any]], Any],
        merged: Callable[[list[Any]], Any],
        *,
        values_are_accumulators: bool = False,
    ) -> None:
        self._label = label
        self._name = name
        self._value = dtype
        self._made = made
        self._merged = merged
        self._alike = values_are_accumulators
        self.dtype = pl.Struct({VALUE: dtype, ERROR: pl.String()})

    def accumulator(self, column: str, values: pl.Expr) -> Accumulator:
        """The accumulator with this name.

        Args:
            column: Its name.
            values: The values of a group, as a list.
        """
        nothing = pl.struct(
            pl.lit(None, dtype=self._value).alias(VALUE), pl.lit(None, dtype=pl.String()).alias(ERROR)
        )
        return Accumulator(
            column,
            self.dtype,
            values.map_batches(self._of_values, self.dtype, is_elementwise=True),
            pl.col(column).implode().map_batches(self._of_states, self.dtype, is_elementwise=True),
            nothing,
        )

    def read(self, column: str, dtype: pl.DataType, function: Callable[[Any], Any] | None) -> pl.Expr:
        """The value of each accumulator, or what a function makes of it; None is no accumulator.

        It raises where something went wrong.
        """

        def values(states: pl.Series) -> pl.Series:
            errors = states.struct.field(ERROR).drop_nulls()
            if errors.len():
                raise failed(errors[0])
            found = states.struct.field(VALUE)
            return found if function is None else self._read(found.to_list(), dtype, function)

        return pl.col(column).map_batches(values, dtype, is_elementwise=True)

    def results(self, lists: pl.Series) -> pl.Series:
        """What is made of each list of values; it raises where something goes wrong."""
        return self._read(_python_lists(lists), self._value, self._made)

    def of(self, values: list[Any]) -> Any:
        """What is made of some values."""
        return self._made(values)

    def _read(self, given: Iterable[Any], dtype: pl.DataType, function: Callable[[Any], Any]) -> pl.Series:
        outputs = []
        for each in given:
            output, error = call(self._label, self._name, function, each)
            if error is not None:
                raise failed(error)
            outputs.append((output,))
        frame, misfits = build_rows(outputs, {VALUE: dtype})
        for reason in misfits.values():
            raise failed(self._misfit(reason))
        return frame.get_column(VALUE)

    def _of_values(self, lists: pl.Series) -> pl.Series:
        """The state of each list of values."""
        if not self._alike:
            return self._states(self._outcome(self._made, values) for values in _python_lists(lists))

        def single(alone: pl.Series) -> pl.Series:
            nothing = pl.lit(None, dtype=pl.String())
            return alone.to_frame(VALUE).select(pl.struct(VALUE, nothing.alias(ERROR))).to_series()

        def several(others: pl.Series) -> pl.Series:
            return self._states(self._outcome(self._made, values) for values in _python_lists(others))

        return apart(lists, single, several)

    def _of_states(self, groups: pl.Series) -> pl.Series:
        """One state of each group."""
        return apart(groups, lambda alone: alone, self._merge_states)

    def _merge_states(self, groups: pl.Series) -> pl.Series:
        flat = groups.explode(empty_as_null=False)
        lengths = groups.list.len().to_list()
        values = _cut(flat.struct.field(VALUE).to_list(), lengths)
        errors = _cut(flat.struct.field(ERROR).to_list(), lengths)
        return self._states(map(self._joined, values, errors))

    def _joined(self, values: list[Any], errors: list[str | None]) -> tuple[Any, str | None]:
        told_errors = [each for each in errors if each is not None]
        if told_errors:
            return None, min(told_errors)
        there = [each for each in values if each is not None]
        return (there[0], None) if len(there) == 1 else self._outcome(self._merged, there)

    def _outcome(self, work: Callable[[list[Any]], Any], values: list[Any]) -> tuple[Any, str | None]:
        return call(self._label, self._name, work, values) if values else (None, None)

    def _states(self, outcomes: Iterable[tuple[Any, str | None]]) -> pl.Series:
        found = list(outcomes)
        frame, misfits = build_rows([(value,) for value, _ in found], {VALUE: self._value})
        errors = [error for _, error in found]
        for row, reason in misfits.items():
            errors[row] = self._misfit(reason)
        texts = pl.Series(ERROR, errors, dtype=pl.String())
        return frame.with_columns(texts).to_struct("state")

    def _misfit(self, reason: str) -> str:
        return f"{self._label}: {self._name} returned what does not fit: {reason}"[:DEAD_LETTER_REASON]


def _python_lists(lists: pl.Series) -> Iterator[list[Any]]:
    """The lists as Python's; a column of items is converted three times as fast as one of lists."""
    return _cut(lists.explode(empty_as_null=False).to_list(), lists.list.len().to_list())


def _cut(items: list[Any], lengths: Iterable[int]) -> Iterator[list[Any]]:
    start = 0
    for length in lengths:
        yield items[start : start + length]
        start += length


def call(label: str, name: str, function: Callable[[Any], Any], given: Any) -> tuple[Any, str | None]:
    """What a function returns, or what it raised, as text."""
    try:
        return function(given), None
    except (MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:  # user code may raise anything, and must not stop the stream
        return None, f"{label}: {name} raised {told(error)}"[:DEAD_LETTER_REASON]


def failed(reason: str) -> ValueError:
    """The error of an expression that cannot give a row's value."""
    return ValueError(reason)
