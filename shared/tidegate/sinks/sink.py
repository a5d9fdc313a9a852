"""A sink: where a pipeline's rows go, and as which bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import hidden

ISO_8601 = "%Y-%m-%dT%H:%M:%S%.f"


@dataclass(frozen=True)
class Sink:
    """Files of one format below one prefix of the output.

    Attributes:
        kind: `json` (one object a line) or `parquet`.
        prefix: Without a slash at its ends.
    """

    kind: str
    prefix: str

    def check(self, schema: Mapping[str, pl.DataType], step: str = "") -> None:
        """Refuses columns that the format cannot hold.

        Args:
            schema: The columns.
            step: The step that messages name, if it is not the sink itself.

        Raises:
            PipelineError: There is one.
        """
        for name, dtype in schema.items():
            if self.kind == "json" and "Binary" in str(dtype):
                other = "Use" if step else "Use write_parquet, or"
                raise PipelineError(
                    step or f"write_json({self.prefix!r})",
                    f"{name} is a {dtype}, and JSON has no bytes",
                    f"{other} text such as pl.col({name!r}).bin.encode('base64').",
                )

    def encode(self, rows: pl.DataFrame) -> bytes:
        """The rows as a file, without hidden columns; the same rows always give the same bytes."""
        rows = rows.drop(hidden(rows.columns))
        buffer = BytesIO()
        if self.kind == "parquet":
            rows.write_parquet(buffer, compression="zstd", statistics=True)
        else:
            # Into the buffer, for a string of it would be a copy, and its bytes one more.
            rows.with_columns(_iso(name, dtype) for name, dtype in rows.schema.items()).write_ndjson(buffer)
        return buffer.getvalue()

    def describe(self) -> str:
        """One line for people; where rows go does not change what state means."""
        return f"write_{self.kind}({self.prefix!r})"


def _iso(name: str, dtype: pl.DataType) -> pl.Expr:
    """A moment as ISO 8601 in UTC, with as many digits as it is exact to; other columns as they are."""
    column = pl.col(name)
    if not isinstance(dtype, pl.Datetime):
        return column
    utc = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
    return utc.dt.strftime(f"{ISO_8601}Z")
