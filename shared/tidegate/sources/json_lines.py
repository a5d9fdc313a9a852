"""NDJSON: one JSON object a line, in UTF-8, lines ending in LF or CRLF.

`_SlowReader` is the meaning: Python's JSON decoder, with these rules.

- Missing keys and `null` are null; keys outside the schema are ignored; of equal keys the first counts.
- Values follow `values.json_reader`. `NaN` and `Infinity` are no JSON, wherever they stand.
- Nesting goes `MAX_NESTING` levels deep at most, and a line has `RECORD_BYTES` at most.
- A line of spaces, tabs and carriage returns is blank and no record. A byte order mark may open the file.

`_fast` gives the same rows with Polars' multi-threaded parser. It leaves to the other whatever that parser
refuses or reads otherwise: numbers in String columns (it takes their text), half surrogate pairs (it makes up
characters), and deeper nesting.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO

import polars as pl

from tidegate.limits import RECORD_BYTES
from tidegate.sources import iso8601
from tidegate.sources.compression import looks_compressed
from tidegate.sources.content import Content
from tidegate.sources.pieces import Piece, Result, has_long_line, lines_at, read_pieces
from tidegate.sources.records import (
    BYTE_ORDER_MARK,
    LINE,
    TOO_LONG,
    DeadLetter,
    Records,
    check_dead_letters,
    empty_frame,
    readable,
)
from tidegate.sources.uniform_lines import UniformReader
from tidegate.sources.values import INTEGERS, Value, json_reader, series, stored, within

MAX_NESTING = 100
"""Levels of objects and lists in one record; Python's decoder needs stack for each."""

_BLANK = b" \t\r"
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# It matches at every quote, closed or not, so that the time stays linear.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
# What Polars makes of a value that is no text. A text can look like that, so it is a suspicion only.
_NO_TEXT = r"^(?:[\[{]|(?:-?[0-9]+(?:\.[0-9]+)?|true|false)$)"
_NUMBERS = (pl.Int8(), pl.Int16(), pl.UInt8(), pl.UInt16())
_PROBED_LINES = 100
_REFUSALS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def read_json_lines(content: Content, schema: Mapping[str, pl.DataType]) -> Iterator[Records]:
    """The records of NDJSON, batch by batch.

    Raises:
        UnreadableFile: Too many of the lines of a batch cannot be read.
    """
    content.skip(BYTE_ORDER_MARK)
    slow, uniform = _SlowReader(schema), UniformReader(schema)
    for piece in content.batches():
        frame, dead = read_pieces(piece, lambda part: _fast(part, schema, slow, uniform), slow.read)
        yield Records(frame, dead, partial(_texts, piece))


def _texts(piece: Piece, lines: Sequence[int]) -> list[str]:
    """The records that start at these lines."""
    wanted = sorted(set(lines))
    raws = lines_at(piece.data, [line - piece.first_line + 1 for line in wanted])
    found = dict(zip(wanted, raws, strict=True))
    return [readable(found[line].removesuffix(b"\r")) for line in lines]


class _SlowReader:
    """Reads line by line; the definition of what a line means."""

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._schema = schema
        self._readers = [(name, json_reader(dtype)) for name, dtype in schema.items()]

    def read(self, piece: Piece) -> Result:
        """The records of a piece."""
        return self.read_lines(
            (line, raw)
            for line, raw in enumerate(piece.data.split(b"\n"), piece.first_line)
            if raw.strip(_BLANK)
        )

    def read_lines(self, lines: Iterable[tuple[int, bytes]]) -> Result:
        """The records of lines that are not blank, with their numbers."""
        rows: list[list[Value]] = []
        places: list[int] = []
        dead: list[DeadLetter] = []
        for line, raw in lines:
            try:
                rows.append(self._row(_decode(raw)))
                places.append(line)
            except ValueError as error:
                dead.append(DeadLetter(line, str(error), readable(raw.removesuffix(b"\r"))))
                check_dead_letters(len(dead))
        columns = [
            series(name, [row[index] for row in rows], dtype)
            for index, (name, dtype) in enumerate(self._schema.items())
        ]
        return pl.DataFrame([*columns, pl.Series(LINE, places, dtype=pl.UInt64)]), dead

    def _row(self, record: Mapping[str, object]) -> list[Value]:
        row: list[Value] = []
        for name, read in self._readers:
            try:
                row.append(read(record.get(name)))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return row


def _decode(raw: bytes) -> dict[str, object]:
    """The object of one line.

    Raises:
        ValueError: The line is no JSON object in UTF-8, too long, or nested too deeply.
    """
    if len(raw) > RECORD_BYTES:
        raise ValueError(TOO_LONG)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8: {error.reason} at byte {error.start + 1}") from None
    if _nested_too_deeply(raw):
        raise ValueError(f"nested more than {MAX_NESTING} levels deep")
    try:
        record = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}") from None
    if not isinstance(record, dict):
        raise ValueError("JSON, but no object")
    return record


def _nested_too_deeply(raw: bytes) -> bool:
    if raw.count(b"{") + raw.count(b"[") <= MAX_NESTING:
        return False
    depth = 0
    for byte in _STRING.sub(b"", raw).translate(None, _NO_BRACKETS):
        if byte in b"{[":
            depth += 1
            if depth > MAX_NESTING:
                return True
        else:
            depth -= 1
    return False


def _first_of_equal_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(pairs))


def _whole_number(digits: str) -> float:
    # Python refuses to read integers of thousands of digits; as a float they are infinite.
    return int(digits) if len(digits) < 640 else float(digits)


def _no_constant(name: str) -> object:
    raise ValueError(f"no JSON: {name}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_first_of_equal_keys, parse_int=_whole_number, parse_constant=_no_constant
)


def _fast(
    piece: Piece, schema: Mapping[str, pl.DataType], slow: _SlowReader, uniform: UniformReader
) -> Result | None:
    """The records of a piece without a line that is no JSON; None when there may be one."""
    # Stripped at its start only, it is not copied.
    if not piece.data.lstrip(b"\n"):
        return empty_frame(schema), []
    if looks_compressed(piece.data) or has_long_line(piece.data) or _half_surrogates(piece.data):
        return None
    parsed, doubt = _parsed(piece, schema, uniform)
    lines = None if parsed is None else _line_numbers(piece, parsed.height)
    if parsed is None or lines is None:
        return None
    columns: list[pl.Series] = []
    for name, dtype in schema.items():
        column = parsed[name]
        typed = _typed(column, dtype)
        if typed.null_count() != column.null_count():
            doubt |= typed.is_null() & column.is_not_null()
        columns.append(typed)
    frame = pl.DataFrame([*columns, lines])
    return _settled(frame, doubt, piece, slow) if doubt.any() else (frame, [])


def _settled(frame: pl.DataFrame, doubt: pl.Series, piece: Piece, slow: _SlowReader) -> Result:
    """The frame with the rows in doubt read by the slow reader."""
    doubtful = frame.filter(doubt)[LINE].to_list()
    lines = lines_at(piece.data, (line - piece.first_line + 1 for line in doubtful))
    again, dead = slow.read_lines(zip(doubtful, lines, strict=True))
    return pl.concat([frame.filter(~doubt), again]).sort(LINE), dead


def _parsed(
    piece: Piece, schema: Mapping[str, pl.DataType], uniform: UniformReader
) -> tuple[pl.DataFrame | None, pl.Series]:
    """The rows of a piece, and which of them are in doubt; None when a line may be no JSON."""
    alike = uniform.read(piece)
    if alike is not None:
        return alike, _nowhere(alike.height)
    parsed, doubt = _parse(piece.data, {name: _read_as(name, dtype, piece) for name, dtype in schema.items()})
    # Only a row without doubt is sure to be an object.
    if parsed is None or _deep(piece.data, parsed.height - int(doubt.sum())):
        return None, doubt
    for name, dtype in schema.items():
        if dtype == pl.String():
            doubt |= _no_texts(piece.data, parsed[name])
    return parsed, doubt


def _parse(data: bytes, schema: Mapping[str, pl.DataType]) -> tuple[pl.DataFrame | None, pl.Series]:
    """The rows, and which of them are in doubt; None when a line is no JSON.

    When a value is not of its type, Polars can only refuse the file or make nulls of all such values, which
    then look like those that are really null.
    """
    try:
        frame = pl.read_ndjson(data, schema=schema)
        return frame, _nowhere(frame.height)
    except _REFUSALS:
        pass
    try:
        frame = pl.read_ndjson(data, schema=schema, ignore_errors=True)
        return frame, frame.select(pl.any_horizontal(pl.all().is_null())).to_series()
    except _REFUSALS:
        return None, pl.Series(dtype=pl.Boolean)


def _read_as(name: str, dtype: pl.DataType, piece: Piece) -> pl.DataType:
    """The type that Polars is strict in, from which `_typed` goes on."""
    if isinstance(dtype, pl.Datetime):
        return pl.Int64() if type(_first_value(piece.data, name)) is int else pl.String()
    if dtype == pl.Date():
        return pl.String()
    return pl.Int64() if dtype in _NUMBERS else stored(dtype)


def _first_value(data: bytes, name: str) -> object:
    """The first value of a key that is not null, as far as the first lines tell."""
    start = 0
    for _ in range(_PROBED_LINES):
        end = data.find(b"\n", start) + 1 or len(data)
        try:
            value = _decode(data[start:end].rstrip(b"\n")).get(name)
        except ValueError:
            value = None
        if value is not None or end == len(data):
            return value
        start = end
    return None


def _typed(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The column in its type; null where a value needs the slow reader's judgement."""
    if isinstance(dtype, pl.Datetime):
        if column.dtype == pl.String():
            return iso8601.datetimes(column, dtype.time_unit).cast(dtype)
        return within(column, *iso8601.bounds(dtype.time_unit)).cast(dtype)
    if dtype == pl.Date():
        return iso8601.dates(column).cast(dtype)
    if dtype == pl.Float32():
        narrow = column.cast(dtype)
        return narrow.set(~narrow.is_finite(), None)
    return within(column, *INTEGERS[dtype]).cast(dtype) if dtype in _NUMBERS else column


def _half_surrogates(data: bytes) -> bool:
    # The search for one byte is ten times as fast as that for two, and most files have no escapes.
    if b"\\" not in data or b"\\u" not in data:
        return False
    return len(_SURROGATE.findall(data)) != 2 * len(_SURROGATE_PAIR.findall(data))


def _deep(data: bytes, objects: int) -> bool:
    """Whether a line is nested too deeply, given at least so many lines that are objects."""
    opened = data.count(b"{") + (data.count(b"[") if b"[" in data else 0)
    return opened - objects >= MAX_NESTING and any(map(_nested_too_deeply, data.split(b"\n")))


def _line_numbers(piece: Piece, records: int) -> pl.Series | None:
    first = piece.first_line
    if piece.lines == records:
        return pl.int_range(first, first + records, dtype=pl.UInt64, eager=True).alias(LINE)
    filled = [line for line, raw in enumerate(BytesIO(piece.data), first) if raw.strip(b"\n" + _BLANK)]
    return pl.Series(LINE, filled, dtype=pl.UInt64) if len(filled) == records else None


def _no_texts(data: bytes, column: pl.Series) -> pl.Series:
    """Which values may be no texts in the file."""
    suspects = column.str.contains(_NO_TEXT)
    if not suspects.any():
        return _nowhere(len(column))
    # As categories Polars takes nothing but texts.
    categories = pl.Categorical(pl.Categories("tidegate.sources.json_lines"))
    with contextlib.suppress(*_REFUSALS):
        pl.read_ndjson(data, schema={column.name: categories})
        return _nowhere(len(column))
    return suspects.fill_null(False)


def _nowhere(height: int) -> pl.Series:
    """False for each row."""
    return pl.Series([False]).new_from_index(0, height)
