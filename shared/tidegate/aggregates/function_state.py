"""Accumulators that Python functions make and merge, as a column of state.

An accumulator is stored as the Polars type that it is declared with, beside the text of the first thing that
went wrong: a function that raises for one key and window must not stop the others.
"""

from collections.abc import Callable, Iterable
from typing import Any

import polars as pl

from tidegate.aggregates.aggregate import Accumulator
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
    """

    def __init__(
        self,
        label: str,
        name: str,
        dtype: pl.DataType,
        made: Callable[[list[Any]], Any],
        merged: Callable[[list[Any]], Any],
    ) -> None:
        self._label = label
        self._name = name
        self._value = dtype
        self._made = made
        self._merged = merged
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
        return self._read(lists.to_list(), self._value, self._made)

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
        return self._states(self._outcome(self._made, values) for values in lists.to_list())

    def _of_states(self, groups: pl.Series) -> pl.Series:
        """One state of each group; one that is alone is left as it is, without a call."""
        alone = groups.list.len() == 1
        kept = groups.filter(alone).explode(empty_as_null=False)
        if kept.len() == groups.len():
            return kept
        merged = self._states(self._joined(states) for states in groups.filter(~alone).to_list())
        order = pl.concat([alone.arg_true(), (~alone).arg_true()])
        return pl.concat([kept, merged]).gather(order.arg_sort())

    def _joined(self, states: list[dict[str, Any]]) -> tuple[Any, str | None]:
        errors = [each[ERROR] for each in states if each[ERROR] is not None]
        if errors:
            return None, min(errors)
        values = [each[VALUE] for each in states if each[VALUE] is not None]
        return (values[0], None) if len(values) == 1 else self._outcome(self._merged, values)

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
