"""Narrow steps that call plain Python functions, with one row as a `dict`.

They mean the same as the expression steps and are slower. A row for which the function raises, or returns
what does not fit, leaves as `Rejected` and the others go on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import FAILURES, HIDDEN, Outcome, Rejected, Schema, hidden

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class FlatMap:
    """Calls a Python function with each row; the rows that it returns take the row's place.

    `map` is the same with a function that returns one row.

    Args:
        label: How messages name the step.
        verb: The method of the stream that made it: `map` or `flat_map`.
        function: From a row to rows. It must be deterministic for the result to be.
        schema: The columns of its rows; None keeps the columns as they are.
        original: The user's function, for messages and the fingerprint.
        kept: Pane columns, taken from the input row whatever the function returns.
    """

    label: str
    verb: str
    function: Callable[[Row], Iterable[Row]]
    schema: Mapping[str, pl.DataType] | None
    original: Callable[..., Any]
    kept: tuple[str, ...] = ()
    is_python: bool = field(default=True, init=False)

    def schema_after(self, schema: Schema) -> dict[str, pl.DataType]:
        """The declared columns, or the same as before; then the kept ones."""
        if self.schema is None:
            return dict(schema)
        own = {name: dtype for name, dtype in self.schema.items() if name not in self.kept}
        return own | {name: schema[name] for name in self.kept}

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """Calls the function for every row, in order."""
        carried = [name for name in (*self.kept, *hidden(frame.columns)) if name in frame.columns]
        visible = [name for name in frame.columns if not name.startswith(HIDDEN)]
        columns = (
            {name: frame.schema[name] for name in visible if name not in carried}
            if self.schema is None
            else {name: dtype for name, dtype in self.schema.items() if name not in carried}
        )
        calls = _call(self.label, self.original, frame.select(visible), self._rows(columns, carried))
        failed, reasons = calls.failed, calls.reasons
        rows = [row for produced in calls.values for row in produced]
        parents = [index for index, produced in zip(calls.rows, calls.values, strict=True) for _ in produced]
        built, misfits = build_rows(rows, columns)
        if misfits:
            lost = {parents[row]: reason for row, reason in misfits.items()}
            failed += lost.keys()
            reasons += [f"{self.label}: {reason}" for reason in lost.values()]
            good = [row for row, parent in enumerate(parents) if parent not in lost]
            built, parents = built[good], [parents[row] for row in good]
        result = built.hstack(frame.select(carried)[parents]) if carried else built
        if self.schema is None:
            result = result.select(frame.columns)
        return Outcome(result, [Rejected(frame[failed], tuple(reasons))] if failed else [])

    def describe(self) -> str:
        """The function's module and name, and the declared columns."""
        columns = "" if self.schema is None else f", {dict(self.schema)}"
        return f"{self.verb}({full_name(self.original)}{columns})"

    def _rows(self, columns: Schema, carried: Sequence[str]) -> Callable[[Row], list[tuple[Any, ...]]]:
        complete = self.schema is None
        return lambda row: [_values(new, columns, carried, complete=complete) for new in self.function(row)]


@dataclass(frozen=True, eq=False)
class FilterFunction:
    """Keeps the rows for which a Python function is true."""

    label: str
    predicate: Callable[[Row], bool]
    is_python: bool = field(default=True, init=False)

    def schema_after(self, schema: Schema) -> dict[str, pl.DataType]:
        """The same columns."""
        return dict(schema)

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """Calls the function for every row, in order; the rows themselves stay as they are."""
        visible = [name for name in frame.columns if not name.startswith(HIDDEN)]
        calls = _call(
            self.label, self.predicate, frame.select(visible), lambda row: bool(self.predicate(row))
        )
        kept = [index for index, keep in zip(calls.rows, calls.values, strict=True) if keep]
        rejected = [Rejected(frame[calls.failed], tuple(calls.reasons))] if calls.failed else []
        return Outcome(frame[kept], rejected)

    def describe(self) -> str:
        """The function's module and name."""
        return f"filter({full_name(self.predicate)})"


@dataclass
class _Calls(Generic[T]):
    """What a function gave for each row, and the rows on which it raised."""

    rows: list[int] = field(default_factory=list)
    values: list[T] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def _call(
    label: str, original: Callable[..., Any], frame: pl.DataFrame, function: Callable[[Row], T]
) -> _Calls[T]:
    """Calls a function with each row; `original` is the user's, for messages."""
    calls: _Calls[T] = _Calls()
    for index, row in enumerate(frame.iter_rows(named=True)):
        try:
            value = function(row)
        except (MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:  # user code may raise anything, and must not stop the stream
            calls.failed.append(index)
            calls.reasons.append(f"{label}: {function_name(original)} raised {told(error)}")
        else:
            calls.rows.append(index)
            calls.values.append(value)
    return calls


def told(error: BaseException) -> str:
    """An error's type and text; also the text comes from user code, which may raise again."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, whose text cannot be read"


def checked_callable(label: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function.

    Raises:
        PipelineError: It cannot be called.
    """
    if not callable(function):
        raise PipelineError(label, f"{function!r} cannot be called", "Give a function of one row.")
    return function


def full_name(function: Callable[..., Any]) -> str:
    """The function's module and name, of the module the last part alone.

    So a pipeline means the same as `pipelines.x:p` and as `pipelines/x.py`.
    """
    # Methods of built-in objects have no module of their own, so theirs is their type's.
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module.rsplit('.', maxsplit=1)[-1]}.{function_name(function)}"


def function_name(function: Callable[..., Any]) -> str:
    """The function's name, with that of its class."""
    return getattr(function, "__qualname__", type(function).__qualname__)


def _values(row: Row, columns: Schema, carried: Sequence[str], *, complete: bool) -> tuple[Any, ...]:
    if not isinstance(row, dict):
        raise TypeError(f"returned {type(row).__name__} and not a dict")
    unknown = [name for name in row if name not in columns and name not in carried]
    if unknown:
        raise KeyError(f"returned the undeclared column {unknown[0]!r}; declare it in schema=")
    missing = [name for name in columns if name not in row] if complete else []
    if missing:
        raise KeyError(f"returned no {missing[0]!r}; return row | {{...}}, or declare the columns in schema=")
    return tuple(row.get(name) for name in columns)


def build_rows(rows: list[tuple[Any, ...]], columns: Schema) -> tuple[pl.DataFrame, dict[int, str]]:
    """A frame of the rows; rows whose values have a wrong type come back as index to reason."""
    misfits: dict[int, str] = {}
    series = []
    for position, (name, dtype) in enumerate(columns.items()):
        values = [row[position] for row in rows]
        column = _series(name, values, dtype)
        if column is None:
            # Polars may take values one by one that it does not take together, so they are built one by one.
            single = [_series(name, [value], dtype) for value in values]
            nothing = pl.Series(name, [None], dtype=dtype)
            for index, value in enumerate(values):
                if single[index] is None:
                    misfits[index] = f"{name} is a {type(value).__name__}, which is no {dtype}"
                    single[index] = nothing
                    values[index] = None
            column = _series(name, values, dtype)
        if column is None:
            column = pl.concat([each for each in single if each is not None])
        series.append(column)
    return pl.DataFrame(series), misfits


def _series(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series | None:
    """The values as a column of exactly this type; None if Polars does not take them as that."""
    if isinstance(dtype, pl.Struct) and not all(value is None or isinstance(value, dict) for value in values):
        return None
    try:
        column = pl.Series(name, values, dtype=dtype, strict=True)
    except FAILURES:
        return None
    # Polars gives another type without a word where it likes the values better.
    return column if column.dtype == dtype else None
