"""The formats of input files: bytes in, records out, without any I/O."""

from collections.abc import Mapping, Sequence
from typing import Literal

import polars as pl

from tidegate.limits import INPUT_OBJECT_BYTES
from tidegate.sources.columnar import read_parquet
from tidegate.sources.compression import decompress
from tidegate.sources.delimited import read_csv
from tidegate.sources.json_lines import read_json_lines
from tidegate.sources.records import Records, UnreadableFile, unreadable
from tidegate.sources.values import check_schema

__all__ = ["Format", "check_schema", "read_records"]

Format = Literal["json", "csv", "parquet"]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
"""Byte order marks that no UTF-8 begins with."""


def read_records(
    name: str,
    data: bytes,
    format: Format,
    schema: Mapping[str, pl.DataType],
    *,
    null_values: Sequence[str] = (),
    max_bytes: int = INPUT_OBJECT_BYTES,
) -> Records:
    r"""The records of one file. No file makes it raise: what cannot be read is in `Records.dead`.

    Args:
        name: The file's name or key; the suffixes `.gz` and `.zst` say that it is compressed.
        data: The file as it is stored.
        format: `json` is one object a line, `csv` has a header.
        schema: The columns to read, accepted by `check_schema`.
        null_values: Texts that mean null in CSV, besides the empty one.
        max_bytes: The uncompressed content at most.

    Example:
        >>> records = read_records("a.json", b'{"n": 1}\n{"n": "x"}', "json", {"n": pl.Int64()})
        >>> records.frame.rows(), records.dead[0].line, records.dead[0].reason
        ([(1, 1)], 2, 'n: "x" is no Int64')
    """
    try:
        content = decompress(name, data, max_bytes)
        if format != "parquet" and content.startswith(_UTF_16):
            raise UnreadableFile("the file is UTF-16 or UTF-32; write it as UTF-8")
        if format == "json":
            return read_json_lines(content, schema)
        if format == "csv":
            return read_csv(content, schema, null_values)
        return read_parquet(content, schema, max_bytes)
    except UnreadableFile as error:
        return unreadable(schema, str(error))
