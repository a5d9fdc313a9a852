"""The formats of input files: bytes in, records out, without any I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import polars as pl

from tidegate.limits import BATCH_BYTES, INPUT_OBJECT_BYTES
from tidegate.outline import COMPRESSED
from tidegate.sources.columnar import read_parquet
from tidegate.sources.compression import GZIP, ZSTD, inflated
from tidegate.sources.content import Content
from tidegate.sources.delimited import read_csv
from tidegate.sources.json_lines import read_json_lines
from tidegate.sources.records import Records, UnreadableFile, check_dead_letters
from tidegate.sources.stored import Stored, in_memory
from tidegate.sources.values import check_schema

__all__ = ["SPLIT", "SPLIT_AT_LINES", "Format", "check_schema", "is_text", "read_batches"]

Format = Literal["json", "csv", "parquet"]

SPLIT_AT_LINES: frozenset[Format] = frozenset(("json",))
"""The formats of which several tasks can read the lines, if a file is not compressed: each is a record.

In CSV a line end may stand in quotes, and whether it does depends on all that comes before it.
"""

SPLIT: frozenset[Format] = SPLIT_AT_LINES | {"parquet"}
"""The formats of which several tasks can read a file; Parquet is cut at its row groups."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
"""Byte order marks that no UTF-8 begins with."""


def is_text(start: bytes) -> bool:
    """Whether a file that opens with these bytes, at least four, is read as text, as its name says."""
    return not start.startswith((*_UTF_16, GZIP, ZSTD))


def read_batches(
    name: str,
    parts: Iterable[bytes],
    format: Format,
    schema: Mapping[str, pl.DataType],
    *,
    null_values: Sequence[str] = (),
    max_bytes: int = INPUT_OBJECT_BYTES,
    batch_bytes: int = BATCH_BYTES,
    opens: bool = True,
    stored: Stored | None = None,
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
        opens: Whether the parts begin where the file does, and not with a line in the middle of one whose
            format is in `SPLIT_AT_LINES`; lines are counted from there.
        stored: The same file, for formats that are read from their end, as Parquet is; the parts are read
            where it is not given, and where the file is compressed.

    Raises:
        UnreadableFile: It cannot be read, which may show at its very end: then none of these records counts,
            and the file is one dead letter. Of a file that several tasks read, that goes for the part that
            is read here, and no other one.

    Example:
        >>> parts = [b'{"n": 1}\n{"n"', b': "x"}']
        >>> for records in read_batches("a.json", parts, "json", {"n": pl.Int64()}, batch_bytes=10):
        ...     print(records.frame.rows(), [(each.line, each.reason) for each in records.dead])
        [(1, 1)] []
        [] [(2, 'n: "x" is no Int64')]
    """
    bad = 0
    if format == "parquet":
        if stored is None or name.lower().endswith(COMPRESSED):
            stored = in_memory(b"".join(inflated(name, parts, max_bytes)))
        batches = read_parquet(stored, schema, max_bytes, batch_bytes)
    elif opens:
        content = Content(inflated(name, parts, max_bytes), batch_bytes)
        if content.start(4).startswith(_UTF_16):
            raise UnreadableFile("the file is UTF-16 or UTF-32; write it as UTF-8")
        batches = _lines(content, format, schema, null_values)
    else:
        batches = _lines(Content(parts, batch_bytes, opens=False), format, schema, null_values)
    for records in batches:
        bad += len(records.dead)
        check_dead_letters(bad)
        yield records


def _lines(
    content: Content, format: Format, schema: Mapping[str, pl.DataType], null_values: Sequence[str]
) -> Iterator[Records]:
    return read_json_lines(content, schema) if format == "json" else read_csv(content, schema, null_values)
