"""CSV as RFC 4180 has it, in UTF-8: a header, commas, quotes that may hold commas, quotes and line ends.

The rules:

- The header names the columns; a column of the schema must be there once, others are ignored.
- A record has as many fields as the header. Lines end in LF or CRLF; an empty line is no record.
- An empty field is null, quoted or not, and so is one that equals one of `null_values`.
- Values follow `values.text_reader`, to the letter: no spaces are taken off.
- A quote inside a field that does not begin with one is a character like any other.
- A field has at most `fields.MAX_FIELD_CHARACTERS`.
- After a record whose quotes are wrong, reading goes on with the next *line*, so that a stray quote costs one
  record and not the file.

Fields are found first (`fields.py`); then columns are converted whole, and what is left over value by value.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import polars as pl

from tidegate.sources import iso8601
from tidegate.sources.content import Content
from tidegate.sources.csv_records import Fields, Lines
from tidegate.sources.fields import FieldReader, is_encodable
from tidegate.sources.pieces import Piece, Result
from tidegate.sources.records import (
    BYTE_ORDER_MARK,
    LINE,
    DeadLetter,
    Records,
    UnreadableFile,
    check_dead_letters,
)
from tidegate.sources.values import (
    BOOLEANS,
    FLOATS,
    INTEGER,
    INTEGERS,
    NUMBER,
    Value,
    series,
    stored,
    text_reader,
    within,
)

MAX_HEADER_BYTES = 1024 * 1024
"""The header, with any blank lines before it, is shorter than this."""


def read_csv(
    content: Content, schema: Mapping[str, pl.DataType], null_values: Sequence[str] = ()
) -> Iterator[Records]:
    """The records of CSV, batch by batch.

    Raises:
        UnreadableFile: There is no header, it lacks a column of the schema or has it twice, or too many of
            the records of a batch cannot be read.
    """
    content.skip(BYTE_ORDER_MARK)
    header = _header(content)
    _check_header(header, schema)
    fields = FieldReader(len(header), [(name, header.index(name)) for name in schema])
    rest = Piece(b"", 1)
    for batch in content.batches():
        piece = Piece(rest.data + batch.data, rest.first_line) if rest.data else batch
        result, rest = fields.read(piece, more=True)
        yield _records(piece, result, schema, null_values)
    if rest.data:
        result, _ = fields.read(rest)
        yield _records(rest, result, schema, null_values)


def _records(
    piece: Piece, result: Result, schema: Mapping[str, pl.DataType], null_values: Sequence[str]
) -> Records:
    """The records of a piece in the types of the schema."""
    frame, dead = result
    typed, reasons = _typed(frame, schema, null_values)
    check_dead_letters(len(dead) + len(reasons))
    texts = partial(_texts, piece)
    if not reasons:
        return Records(typed, dead, texts)
    bad = pl.Series(sorted(reasons), dtype=pl.UInt32)
    places = frame[LINE].gather(bad).to_list()
    dead += [
        DeadLetter(line, reasons[row], text)
        for line, row, text in zip(places, bad, texts(places), strict=True)
    ]
    good = typed.filter(~pl.int_range(pl.len(), dtype=pl.UInt32).is_in(bad.implode()))
    return Records(good, sorted(dead, key=lambda letter: letter.line), texts)


def _texts(piece: Piece, lines: Sequence[int]) -> list[str]:
    """The records that start at these lines."""
    return Lines(piece.data, piece.first_line).texts(lines)


def _header(content: Content) -> list[str]:
    """The names, which are then taken from the content."""
    lines = Lines(content.start(MAX_HEADER_BYTES))
    record = next(Fields(lines), None)
    if record is None:
        raise UnreadableFile("the file is empty, without even a header")
    if record.reason:
        raise UnreadableFile(f"the header cannot be read: {record.reason}")
    end = lines.offset(record.end)
    if end == MAX_HEADER_BYTES:
        raise UnreadableFile(f"the header has more than {MAX_HEADER_BYTES:,} bytes")
    content.skip(content.start(end))
    return record.fields


def _check_header(header: list[str], schema: Mapping[str, pl.DataType]) -> None:
    if not all(map(is_encodable, header)):
        raise UnreadableFile("the header cannot be read: no UTF-8")
    for name in schema:
        if name not in header:
            raise UnreadableFile(f"there is no column {name}; the header has {', '.join(header)}")
        if header.count(name) > 1:
            raise UnreadableFile(f"the header has the column {name} more than once")


def _typed(
    frame: pl.DataFrame, schema: Mapping[str, pl.DataType], null_values: Sequence[str]
) -> tuple[pl.DataFrame, dict[int, str]]:
    """The frame in the types of the schema, and the reason for each row that has no value of a type."""
    nulls = pl.Series(["", *null_values], dtype=pl.String)
    reasons: dict[int, str] = {}
    columns: list[pl.Series] = []
    for name, dtype in schema.items():
        texts = frame[name]
        texts = texts.set(texts.is_in(nulls.implode()), None)
        values = _converted(texts, dtype)
        left = (texts.is_not_null() & values.is_null()).arg_true()
        if len(left):
            found: list[Value] = []
            read = text_reader(dtype)
            for row, text in zip(left, texts.gather(left), strict=True):
                try:
                    found.append(read(text))
                except ValueError as error:
                    reasons.setdefault(row, f"{name}: {error}")
                    check_dead_letters(len(reasons))
                    found.append(None)
            values = values.scatter(left, series(name, found, dtype))
        columns.append(values)
    return pl.DataFrame([*columns, frame[LINE]]), reasons


def _converted(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The values of a column of texts; null where `text_reader` must decide."""
    if dtype == pl.String():
        return texts
    if dtype in INTEGERS:
        return _matching(texts, INTEGER).cast(dtype, strict=False)
    if dtype in FLOATS:
        numbers = _matching(texts, NUMBER).cast(stored(dtype), strict=False).cast(dtype)
        return numbers.set(~numbers.is_finite(), None)
    if isinstance(dtype, pl.Datetime):
        return _moments(texts, dtype.time_unit).cast(dtype)
    if dtype == pl.Date():
        return iso8601.dates(texts).cast(dtype)
    return texts.replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)


def _moments(texts: pl.Series, unit: str) -> pl.Series:
    integers = _matching(texts, INTEGER)
    if integers.null_count() == len(texts):
        return iso8601.datetimes(texts, unit)
    moments = within(integers.cast(pl.Int64, strict=False), *iso8601.bounds(unit))
    if integers.null_count() == texts.null_count():
        return moments
    return moments.zip_with(moments.is_not_null(), iso8601.datetimes(texts, unit))


def _matching(texts: pl.Series, pattern: str) -> pl.Series:
    return texts.set(~texts.str.contains(f"^(?:{pattern})$"), None)
