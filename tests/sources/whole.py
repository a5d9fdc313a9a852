"""Whole files for the readers, which take them as streams."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from tidegate.limits import INPUT_OBJECT_BYTES
from tidegate.sources import columnar, compression, delimited, json_lines
from tidegate.sources.content import Content
from tidegate.sources.formats import Format, read_batches
from tidegate.sources.records import (
    LINE,
    WHOLE_FILE,
    DeadLetter,
    Records,
    UnreadableFile,
    empty_frame,
    shortened,
)
from tidegate.sources.stored import in_memory

LARGE = 1 << 32


def decompress(name: str, data: bytes, max_bytes: int) -> bytes:
    return b"".join(compression.inflated(name, [data], max_bytes))


def read_json_lines(data: bytes, schema: Mapping[str, pl.DataType]) -> Records:
    return together(schema, json_lines.read_json_lines(Content([data], LARGE), schema))


def read_parquet(data: bytes, schema: Mapping[str, pl.DataType], max_bytes: int) -> Records:
    return together(schema, columnar.read_parquet(in_memory(data), schema, max_bytes))


def read_csv(data: bytes, schema: Mapping[str, pl.DataType], null_values: Sequence[str] = ()) -> Records:
    return together(schema, delimited.read_csv(Content([data], LARGE), schema, null_values))


def read_records(
    name: str,
    data: bytes,
    format: Format,
    schema: Mapping[str, pl.DataType],
    *,
    null_values: Sequence[str] = (),
    max_bytes: int = INPUT_OBJECT_BYTES,
) -> Records:
    """The records of one file, all at once; of one that cannot be read a dead letter."""
    found = read_batches(
        name,
        [data],
        format,
        schema,
        null_values=null_values,
        max_bytes=max_bytes,
        batch_bytes=max_bytes,
    )
    try:
        return together(schema, found)
    except UnreadableFile as error:
        return unreadable(schema, str(error))


def unreadable(schema: Mapping[str, pl.DataType], reason: str) -> Records:
    """The records of a file that cannot be read at all: none, and one dead letter."""
    letter = DeadLetter(WHOLE_FILE, shortened(reason), "")
    return Records(empty_frame(schema), [letter], lambda lines: [""] * len(lines))


def together(schema: Mapping[str, pl.DataType], batches: Iterable[Records]) -> Records:
    """The records of batches of one file as one."""
    found = list(batches)
    if len(found) == 1:
        return found[0]

    def texts(lines: Sequence[int]) -> list[str]:
        places = {line: batch for batch in found for line in batch.frame[LINE]}
        return [text for line in lines for text in places[line].texts([line])]

    frame = pl.concat([batch.frame for batch in found]) if found else empty_frame(schema)
    return Records(frame, [letter for batch in found for letter in batch.dead], texts)
