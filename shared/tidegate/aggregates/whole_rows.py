"""Aggregates of whole rows, whose fields become the columns of the panes."""

from collections.abc import Collection
from dataclasses import replace

import polars as pl

from tidegate.aggregates.aggregate import Aggregate, BoundAggregate, Schema
from tidegate.errors import PipelineError
from tidegate.expressions import HIDDEN
from tidegate.panes import PANE_COLUMNS


def row_without(label: str, schema: Schema, keys: Collection[str]) -> pl.Expr:
    """A row as a struct, without its keys and what a pane has beside its values.

    Raises:
        PipelineError: Nothing is left.
    """
    taken = {*keys, *PANE_COLUMNS}
    columns = [name for name in schema if name not in taken and not name.startswith(HIDDEN)]
    if not columns:
        raise PipelineError(label, "there is no column but the keys", "Use agg(number=tg.count()).")
    return pl.struct(columns)


def bind_fields(
    aggregate: Aggregate, schema: Schema, replaced: Collection[str], sign: pl.Expr | None
) -> tuple[BoundAggregate, ...]:
    """An aggregate that gives structs, as one aggregate for each field; the first has the state of all.

    Raises:
        PipelineError: It gives no structs, or its input does not fit.
    """
    bound = aggregate.bind("", schema, replaced, sign)
    if not isinstance(bound.dtype, pl.Struct):
        raise PipelineError(
            f"{aggregate.verb}(...)",
            f"its output is a {bound.dtype}, and columns are needed",
            f"Declare a pl.Struct, or use agg(name=tg.{aggregate.verb}(...)).",
        )
    first, *others = (
        replace(bound, name=name, dtype=dtype, result=bound.result.struct.field(name))
        for name, dtype in pl.Schema(bound.dtype.to_schema()).items()
    )
    return (first, *(replace(each, accumulators=(), inputs=()) for each in others))
