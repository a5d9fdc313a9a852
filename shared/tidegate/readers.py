"""Where a pipeline begins: a stream of the records of files below a prefix."""

from collections.abc import Sequence

import polars as pl

from tidegate.arguments import called_as
from tidegate.branches import Branch
from tidegate.errors import PipelineError
from tidegate.pipeline import Stream
from tidegate.schema import UserSchema, declared_schema
from tidegate.sources.formats import Format, check_schema
from tidegate.sources.source import Source, check_prefix
from tidegate.watermarks import WatermarkPolicy

EventTime = str | pl.Expr
"""A column's name or a row-by-row expression."""

_USUAL = (
    "'scores', schema={'team': pl.String, 'at': pl.Datetime('ms')}, event_time='at', "
    "watermark=tg.BoundedDelay('10s')"
)


@called_as(f"tg.read_json({_USUAL})")
def read_json(
    prefix: str,
    *,
    schema: UserSchema,
    event_time: EventTime,
    watermark: WatermarkPolicy,
    ordered: bool = False,
) -> Stream:
    """A stream of the JSON lines of the files below a prefix.

    Args:
        prefix: The folder of the files, relative to the input: `.json`, `.jsonl` and `.ndjson`, also with
            `.gz` or `.zst`.
        schema: The columns with their Polars types. Other fields of a record are ignored, missing ones
            are null. A `Datetime` is an ISO 8601 text, or a number in its unit since 1970, in UTC.
        event_time: The column, or the expression, that says when the event happened.
        watermark: How far event time is known to be complete, such as `BoundedDelay("10s")`.
        ordered: Whether the names of the files are in event-time order, and they come in that order. Then the
            watermark follows file by file, and does not wait for all files that were accepted: a long
            backfill emits and forgets windows as it goes, and a file that is out of order is late.

    Raises:
        PipelineError: A type that cannot be read, or an event time that is no `Datetime`; one of these
            arguments is missing.
    """
    return _read("json", prefix, schema, event_time, watermark, (), ordered)


@called_as(f"tg.read_csv({_USUAL})")
def read_csv(
    prefix: str,
    *,
    schema: UserSchema,
    event_time: EventTime,
    watermark: WatermarkPolicy,
    null_values: Sequence[str] = (),
    ordered: bool = False,
) -> Stream:
    """A stream of the records of CSV files with a header (`.csv`, also with `.gz` or `.zst`).

    Args:
        prefix: As for `read_json`.
        schema: The columns to read, found by the header's names, with their types. An empty field is null.
        event_time: As for `read_json`.
        watermark: As for `read_json`.
        null_values: Texts that mean null, such as `("NA",)`.
        ordered: As for `read_json`.
    """
    return _read("csv", prefix, schema, event_time, watermark, tuple(null_values), ordered)


@called_as(f"tg.read_parquet({_USUAL})")
def read_parquet(
    prefix: str,
    *,
    schema: UserSchema,
    event_time: EventTime,
    watermark: WatermarkPolicy,
    ordered: bool = False,
) -> Stream:
    """A stream of the rows of Parquet files; the arguments are those of `read_json`."""
    return _read("parquet", prefix, schema, event_time, watermark, (), ordered)


def _read(
    kind: Format,
    prefix: str,
    schema: UserSchema,
    event_time: EventTime,
    watermark: WatermarkPolicy,
    null_values: tuple[str, ...],
    ordered: bool,
) -> Stream:
    label = f"read_{kind}({prefix!r})"
    columns = declared_schema(label, schema)
    check_schema(columns)
    if isinstance(watermark, type) or not hasattr(watermark, "rule"):
        raise PipelineError(label, f"{watermark!r} is no watermark", "Give for example BoundedDelay('10s').")
    if not isinstance(event_time, str | pl.Expr):
        raise PipelineError(
            f"{label}, event_time",
            f"{event_time!r} is no column",
            "Give the name of the column that says when the event happened, or an expression.",
        )
    expression = pl.col(event_time) if isinstance(event_time, str) else event_time
    source = Source(kind, check_prefix(label, prefix), columns, expression, watermark, null_values, ordered)
    source.check(label)
    return Stream((Branch(source),), columns)
