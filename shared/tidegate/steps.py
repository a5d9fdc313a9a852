"""Narrow steps: each output row comes from one input row, so they fuse into one task without a shuffle.

A narrow dependency in the words of the RDD paper (NSDI 2012, section 4). Expression steps work on whole
frames; function steps call plain Python functions with one row as a `dict`. Both mean the same, the
functions are slower. A row that makes a step fail leaves as `Rejected` and the others go on.

Frames carry hidden columns, whose names begin with `__`, through every step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from tidegate.errors import PipelineError

HIDDEN = "__"
"""How the names of the columns begin that the system adds and users do not see."""

Row = dict[str, Any]
Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class Rejected:
    """Rows that a step failed on, as they were before it, and why each was rejected."""

    rows: pl.DataFrame
    reasons: tuple[str, ...]


@dataclass
class Outcome:
    """A frame after a step, and what the step rejected."""

    frame: pl.DataFrame
    rejected: list[Rejected] = field(default_factory=list)


class NarrowStep(Protocol):
    """One step of a pipeline that needs no other row than its own."""

    @property
    def label(self) -> str:
        """How messages name the step, such as `step 2 (filter)`."""
        ...

    @property
    def is_python(self) -> bool:
        """Whether it calls a Python function for each row."""
        ...

    def schema_after(self, schema: Schema) -> dict[str, pl.DataType]:
        """The columns after the step, from the columns before it.

        Raises:
            PipelineError: The step cannot work on these columns.
        """
        ...

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """The frame after the step; hidden columns and pane columns stay with their rows."""
        ...

    def describe(self) -> str:
        """One line that changes whenever the step does; part of the plan's fingerprint."""
        ...


def hidden(names: Iterable[str]) -> list[str]:
    """The names of hidden columns among these."""
    return [name for name in names if name.startswith(HIDDEN)]


def check_expression(label: str, expression: pl.Expr, schema: Schema) -> dict[str, pl.DataType]:
    """The columns that a row-by-row expression gives on this schema.

    Raises:
        PipelineError: It names an unknown column, its types do not fit, or it looks at other rows.
    """
    try:
        result = pl.LazyFrame(schema=dict(schema)).select(expression).collect_schema()
    except pl.exceptions.ColumnNotFoundError as error:
        raise unknown_column(label, str(error).split("\n", maxsplit=1)[0], schema) from None
    except pl.exceptions.PolarsError as error:
        raise PipelineError(
            label, f"{expression} cannot work: {error}", f"The columns here are {_columns(schema)}."
        ) from None
    if not _is_row_by_row(expression):
        raise PipelineError(
            label,
            f"{expression} looks at other rows than its own, and which rows share a batch is chance",
            "Use .window(...).group_by(...).agg(...) for anything that combines rows.",
        )
    return dict(result)


def _is_row_by_row(expression: pl.Expr) -> bool:
    try:
        if not expression.meta.is_row_separable():
            return False
    except pl.exceptions.ColumnNotFoundError:
        # Polars cannot tell for Python functions over columns (map_elements): the user vouches for those.
        return True
    return expression.meta.is_scalar() or expression.meta.is_length_preserving()


def unknown_column(label: str, name: str, schema: Schema) -> PipelineError:
    """The error for a column that is not there."""
    return PipelineError(label, f"there is no column {name}", f"The columns here are {_columns(schema)}.")


def _columns(schema: Schema) -> str:
    return ", ".join(f"{name} ({dtype})" for name, dtype in schema.items() if not name.startswith(HIDDEN))


def _row_by_row(frame: pl.DataFrame, work: Callable[[pl.DataFrame], pl.DataFrame]) -> Outcome:
    """`work(frame)`; where it fails, the rows that it fails on are found by halving and rejected."""
    try:
        return Outcome(work(frame))
    except pl.exceptions.PolarsError as error:
        if frame.height == 1:
            reason = str(error).split("\n", maxsplit=1)[0]
            return Outcome(work(frame.clear()), [Rejected(frame, (reason,))])
    half = frame.height // 2
    first, second = _row_by_row(frame[:half], work), _row_by_row(frame[half:], work)
    return Outcome(pl.concat([first.frame, second.frame]), first.rejected + second.rejected)


@dataclass(frozen=True, eq=False)
class Select:
    """Keeps the columns that the expressions give, and no others (pane columns stay)."""

    label: str
    expressions: tuple[pl.Expr, ...]
    kept: tuple[str, ...] = ()
    is_python: bool = field(default=False, init=False)

    def schema_after(self, schema: Schema) -> dict[str, pl.DataType]:
        """The expressions' columns, then the kept ones."""
        after = _schema_of(self.label, self.expressions, schema)
        return after | {name: schema[name] for name in self.kept}

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """Evaluates the expressions on the whole frame."""
        carried = [name for name in (*self.kept, *hidden(frame.columns)) if name in frame.columns]
        # with_columns first: it stretches constants to the frame's height, which select would not do.
        names = [name for each in self.expressions for name in _names(each, frame)]
        return _row_by_row(frame, lambda part: part.with_columns(*self.expressions).select(*names, *carried))

    def describe(self) -> str:
        """The expressions as Polars prints them."""
        return f"select({', '.join(map(str, self.expressions))})"


@dataclass(frozen=True, eq=False)
class WithColumns:
    """Adds columns, or replaces those of the same name."""

    label: str
    expressions: tuple[pl.Expr, ...]
    kept: tuple[str, ...] = ()
    is_python: bool = field(default=False, init=False)

    def schema_after(self, schema: Schema) -> dict[str, pl.DataType]:
        """The old columns, with the expressions' columns added or replaced."""
        after = _schema_of(self.label, self.expressions, schema)
        for name in self.kept:
            if name in after:
                raise PipelineError(
                    self.label, f"{name} belongs to the pane and cannot be replaced", "Choose another name."
                )
        return dict(schema) | after

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """Evaluates the expressions on the whole frame."""
        return _row_by_row(frame, lambda part: part.with_columns(*self.expressions))

    def describe(self) -> str:
        """The expressions as Polars prints them."""
        return f"with_columns({', '.join(map(str, self.expressions))})"


@dataclass(frozen=True, eq=False)
class FilterExpression:
    """Keeps the rows for which a Boolean expression is true (not null)."""

    label: str
    predicate: pl.Expr
    is_python: bool = field(default=False, init=False)

    def schema_after(self, schema: Schema) -> dict[str, pl.DataType]:
        """The same columns."""
        dtypes = list(check_expression(self.label, self.predicate, schema).values())
        if dtypes != [pl.Boolean()]:
            raise PipelineError(
                self.label,
                f"{self.predicate} gives {', '.join(map(str, dtypes))}, not one Boolean",
                "Write a comparison, such as pl.col('score') > 0.",
            )
        return dict(schema)

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """Filters the whole frame."""
        return _row_by_row(frame, lambda part: part.filter(self.predicate))

    def describe(self) -> str:
        """The predicate as Polars prints it."""
        return f"filter({self.predicate})"


@dataclass(frozen=True, eq=False)
class FlatMap:
    """Calls a Python function with each row; the rows that it returns take the row's place.

    `map` is the function that returns one row, `filter` the one that returns the row itself or none:
    both are built on this step, so there is one place that calls user code.

    Args:
        label: How messages name the step.
        verb: The method of the stream that made it: `map`, `filter` or `flat_map`.
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
        rows: list[tuple[Any, ...]] = []
        parents: list[int] = []
        failed: list[int] = []
        reasons: list[str] = []
        for index, row in enumerate(frame.select(visible).iter_rows(named=True)):
            try:
                produced = [_values(new, columns, carried) for new in self.function(row)]
            except Exception as error:  # user code may raise anything; its record must not stop the stream
                failed.append(index)
                reasons.append(self._reason(error))
            else:
                rows.extend(produced)
                parents.extend([index] * len(produced))
        built, misfits = _build(rows, columns)
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
        # The module's last part alone: a pipeline means the same as `pipelines.x:p` and as `pipelines/x.py`.
        module = self.original.__module__.rsplit(".", maxsplit=1)[-1]
        name = f"{module}.{_function_name(self.original)}"
        columns = "" if self.schema is None else f", {dict(self.schema)}"
        return f"{self.verb}({name}{columns})"

    def _reason(self, error: Exception) -> str:
        return f"{self.label}: {_function_name(self.original)} raised {type(error).__name__}: {error}"


def _function_name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _names(expression: pl.Expr, frame: pl.DataFrame) -> list[str]:
    return list(frame.clear().lazy().select(expression).collect_schema())


def _schema_of(label: str, expressions: Sequence[pl.Expr], schema: Schema) -> dict[str, pl.DataType]:
    after: dict[str, pl.DataType] = {}
    for expression in expressions:
        for name, dtype in check_expression(label, expression, schema).items():
            if name.startswith(HIDDEN):
                raise PipelineError(
                    label,
                    f"the name {name} begins with {HIDDEN}",
                    "Such names are the system's; choose another.",
                )
            after[name] = dtype
    return after


def _values(row: Row, columns: Schema, carried: Sequence[str]) -> tuple[Any, ...]:
    if not isinstance(row, dict):
        raise TypeError(f"returned {type(row).__name__} and not a dict")
    unknown = [name for name in row if name not in columns and name not in carried]
    if unknown:
        raise KeyError(f"returned the undeclared column {unknown[0]!r}; declare it in schema=")
    return tuple(row.get(name) for name in columns)


def _build(rows: list[tuple[Any, ...]], columns: Schema) -> tuple[pl.DataFrame, dict[int, str]]:
    """A frame of the rows; rows whose values have a wrong type come back as index to reason."""
    misfits: dict[int, str] = {}
    series = []
    for position, (name, dtype) in enumerate(columns.items()):
        values = [row[position] for row in rows]
        try:
            series.append(pl.Series(name, values, dtype=dtype, strict=True))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            for index, value in enumerate(values):
                try:
                    pl.Series(name, [value], dtype=dtype, strict=True)
                except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
                    misfits[index] = f"{name} is a {type(value).__name__}, which is no {dtype}"
                    values[index] = None
            series.append(pl.Series(name, values, dtype=dtype, strict=True))
    return pl.DataFrame(series), misfits
