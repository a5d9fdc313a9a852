"""The formats of input files: bytes in, records out, without any I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import polars as pl

from tidegate.limits import BATCH_BYTES, INPUT_OBJECT_BYTES
from tidegate.sources.columnar import read_parquet
from tidegate.sources.compression import inflated
from tidegate.sources.content import Content
from tidegate.sources.delimited import read_csv
from tidegate.sources.json_lines import read_json_lines
from tidegate.sources.records import Records, UnreadableFile, check_dead_letters
from tidegate.sources.values import check_schema

__all__ = ["Format", "check_schema", "read_batches"]

Format = Literal["json", "csv", "parquet"]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
"""Byte order marks that no UTF-8 begins with."""


def read_batches(
    name: str,
    parts: Iterable[bytes],
    format: Format,
    schema: Mapping[str, pl.DataType],
    *,
    null_values: Sequence[str] = (),
    max_bytes: int = INPUT_OBJECT_BYTES,
    batch_bytes: int = BATCH_BYTES,
) -> Iterator[Records]:
    r"""The records of one file, batch by batch in their order; where it is cut changes no record.

    Args:
        name: The file's name or key; the suffixes `.gz` and `.zst` say that it is compressed.
        parts: The file as it is stored, in order.
        format: `json` is one object a line, `csv` has a header.
        schema: The columns to read, accepted by `check_schema`.
        null_values: Texts that mean null in CSV, besides the empty one.
        max_bytes: The uncompressed content at most.
        batch_bytes: The content of a batch at most; one record, or one row group of Parquet, may be more.

    Raises:
        UnreadableFile: The file cannot be read, which may show at its very end: then none of its records
            counts, and the file is one dead letter.

    Example:
        >>> parts = [b'{"n": 1}\n{"n"', b': "x"}']
        >>> for records in read_batches("a.json", parts, "json", {"n": pl.Int64()}, batch_bytes=10):
        ...     print(records.frame.rows(), [(each.line, each.reason) for each in records.dead])
        [(1, 1)] []
        [] [(2, 'n: "x" is no Int64')]
    """
    bad = 0
    chunks = inflated(name, parts, max_bytes)
    for records in _batches(chunks, format, schema, null_values, max_bytes, batch_bytes):
        bad += len(records.dead)
        check_dead_letters(bad)
        yield records


def _batches(
    chunks: Iterator[bytes],
    format: Format,
    schema: Mapping[str, pl.DataType],
    null_values: Sequence[str],
    max_bytes: int,
    batch_bytes: int,
) -> Iterator[Records]:
    if format == "parquet":
        whole = list(chunks)
        data = whole[0] if len(whole) == 1 else b"".join(whole)
        yield from read_parquet(data, schema, max_bytes, batch_bytes)
        return
    content = Content(chunks, batch_bytes)
    if content.start(4).startswith(_UTF_16):
        raise UnreadableFile("the file is UTF-16 or UTF-32; write it as UTF-8")
    if format == "json":
        yield from read_json_lines(content, schema)
    else:
        yield from read_csv(content, schema, null_values)
