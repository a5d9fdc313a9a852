"""Schemas: the columns that a user declares, with their types."""

from collections.abc import Mapping

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import HIDDEN

UserSchema = Mapping[str, pl.DataType | type[pl.DataType]]


def declared_schema(label: str, schema: UserSchema) -> dict[str, pl.DataType]:
    """The columns with their types as instances.

    Raises:
        PipelineError: A name or type that cannot be used, or no column at all.
    """
    columns = {name: dtype() if isinstance(dtype, type) else dtype for name, dtype in schema.items()}
    for name, dtype in columns.items():
        if name.startswith(HIDDEN) or not name:
            raise PipelineError(label, f"the column name {name!r} cannot be used", "Choose another name.")
        if not isinstance(dtype, pl.DataType):
            raise PipelineError(
                label, f"{name} has the type {dtype!r}", "Give a Polars type, such as pl.Int64."
            )
    if not columns:
        raise PipelineError(label, "the schema is empty", "Name the columns with their types.")
    return columns
