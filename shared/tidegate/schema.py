"""Schemas: the columns that a user declares, with their types."""

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import HIDDEN

UserSchema = Mapping[str, pl.DataType | type[pl.DataType]]


def declared_schema(label: str, schema: UserSchema) -> dict[str, pl.DataType]:
    """The columns with their types as instances.

    Raises:
        PipelineError: A name or type that cannot be used, or no column at all.
    """
    if not isinstance(schema, Mapping):
        raise PipelineError(
            label,
            f"the schema is a {type(schema).__name__}",
            "Give the columns with their types, such as {'score': pl.Int64}.",
        )
    if not schema:
        raise PipelineError(label, "the schema is empty", "Name the columns with their types.")
    for name in schema:
        if not isinstance(name, str) or not name or name.startswith(HIDDEN):
            raise PipelineError(label, f"the column name {name!r} cannot be used", "Choose another name.")
    return {name: _instance(label, name, dtype) for name, dtype in schema.items()}


_MEANT = {
    str: "pl.String",
    int: "pl.Int64",
    float: "pl.Float64",
    bool: "pl.Boolean",
    bytes: "pl.Binary",
    date: "pl.Date",
    datetime: "pl.Datetime('us')",
}
"""The Polars type that is meant by one of Python's."""


def _instance(label: str, name: str, dtype: object) -> pl.DataType:
    """A type as an instance; Polars lets the class stand for it where it needs no arguments."""
    if isinstance(dtype, pl.DataType):
        return dtype
    if not isinstance(dtype, type):
        raise PipelineError(label, f"{name} has the type {dtype!r}", "Give a Polars type, such as pl.Int64.")
    if not issubclass(dtype, pl.DataType):
        meant = _MEANT.get(dtype, "a Polars type, such as pl.Int64")
        raise PipelineError(label, f"{name} has the type {dtype.__name__}", f"Give {meant}.")
    try:
        return dtype()
    except TypeError:
        raise PipelineError(
            label,
            f"{name} has the type {dtype.__name__}, which says not all",
            "Give its arguments, as in pl.List(pl.Int64).",
        ) from None
