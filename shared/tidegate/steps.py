"""Narrow steps: each output row comes from one input row, so they fuse into one task without a shuffle.

A narrow dependency in the words of the RDD paper (NSDI 2012, section 4). The steps here evaluate Polars
expressions on whole frames; those in `function_steps` call plain Python functions and mean the same, slower.

Frames carry hidden columns, whose names begin with `__`, through every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import (
    HIDDEN,
    Outcome,
    Schema,
    check_expression,
    describe_expression,
    hidden,
    row_by_row,
)


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
        for expression in self.expressions:
            if not expression.meta.is_column():
                _check_not_kept(self.label, expression.meta.output_name(), self.kept)
        return after | {name: schema[name] for name in self.kept}

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """Evaluates the expressions on the whole frame."""
        carried = [name for name in (*self.kept, *hidden(frame.columns)) if name in frame.columns]
        # with_columns first: it stretches constants to the frame's height, which select would not do.
        names = [each.meta.output_name() for each in self.expressions]
        names = [name for name in names if name not in carried]
        return row_by_row(frame, lambda part: part.with_columns(*self.expressions).select(*names, *carried))

    def describe(self) -> str:
        """The expressions, each with a digest."""
        return f"select({', '.join(map(describe_expression, self.expressions))})"


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
        for name in after:
            _check_not_kept(self.label, name, self.kept)
        return dict(schema) | after

    def apply(self, frame: pl.DataFrame) -> Outcome:
        """Evaluates the expressions on the whole frame."""
        return row_by_row(frame, lambda part: part.with_columns(*self.expressions))

    def describe(self) -> str:
        """The expressions, each with a digest."""
        return f"with_columns({', '.join(map(describe_expression, self.expressions))})"


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
        return row_by_row(frame, lambda part: part.filter(self.predicate))

    def describe(self) -> str:
        """The predicate with a digest."""
        return f"filter({describe_expression(self.predicate)})"


def _check_not_kept(label: str, name: str, kept: Sequence[str]) -> None:
    if name in kept:
        raise PipelineError(
            label, f"{name} belongs to the pane and cannot be replaced", "Choose another name."
        )


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
            if name in after:
                raise PipelineError(label, f"the name {name} is given twice", "Choose another name.")
            after[name] = dtype
    return after
