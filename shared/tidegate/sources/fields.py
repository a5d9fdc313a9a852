"""The fields of CSV records as columns of texts: by Polars where it splits as `csv` does, else by `csv`.

Polars fills up records with too few fields, joins lines at odd quotes and takes any text around them, so it
gets only pieces in which every line is a whole record of the right number of fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import polars as pl

from tidegate.sources.compression import looks_compressed
from tidegate.sources.csv_records import Fields, Lines, Record, Rereading, counted
from tidegate.sources.pieces import Piece, Result, has_long_line, read_pieces
from tidegate.sources.records import BYTE_ORDER_MARK, LINE, DeadLetter, check_dead_letters

MAX_FIELD_CHARACTERS = 131_072
"""The limit of Python's `csv`, and so of every field."""

_TOGETHER = 50_000
"""Records whose texts Python holds at once: each takes many times its bytes."""

_FIELD = r'(?:"(?:[^"\n]|"")*"|[^",\r\n]*)'


@dataclass(frozen=True)
class FieldReader:
    """Reads some columns of records of one width.

    Attributes:
        width: The fields of every record.
        columns: The name and the position of each column to read.
        rereading: What of the file may be read again.
    """

    width: int
    columns: Sequence[tuple[str, int]]
    rereading: Rereading = field(default_factory=Rereading)

    def read(self, piece: Piece, *, more: bool = False) -> tuple[Result, Piece]:
        """The columns as texts, where an empty one may be null, and the records without the right fields.

        Args:
            piece: Some lines, the first of which begins a record.
            more: Whether other lines follow, which may finish a record that begins in these.

        Returns:
            The records, and what is left: the lines of a record that is not finished.

        Raises:
            UnreadableFile: Too many records have not the right fields.
        """
        if b'"' not in piece.data:
            result = read_pieces(piece, self._fast, lambda part: self._slow(part)[0])
            passed = sum(map(counted, BytesIO(piece.data))) if has_long_line(piece.data) else len(piece.data)
        # A quoted field may hold line ends, so only reading from the start tells where records begin.
        elif (found := self._fast(piece)) is not None:
            result, passed = found, len(piece.data)
        else:
            return self._slow(piece, self.rereading, more=more)
        self.rereading.allowed += passed
        return result, Piece(b"", piece.first_line)

    def _slow(
        self, piece: Piece, rereading: Rereading | None = None, *, more: bool = False
    ) -> tuple[Result, Piece]:
        lines = Lines(piece.data, piece.first_line)
        valid = _is_utf8(piece.data)
        frames: list[pl.DataFrame] = []
        rows: list[list[str]] = []
        places: list[int] = []
        dead: list[DeadLetter] = []
        fields = Fields(lines, rereading=rereading, more=more)
        for record in fields:
            problem = record.reason or self._problem(record, valid)
            line = piece.first_line + record.start
            if problem:
                dead.append(DeadLetter(line, problem, lines.text(record)))
                check_dead_letters(len(dead))
                continue
            rows.append([record.fields[position] for _, position in self.columns])
            places.append(line)
            if len(rows) == _TOGETHER:
                frames.append(self._frame(rows, places))
                rows, places = [], []
        left = piece.data[lines.offset(fields.end) :] if more else b""
        frame = pl.concat([*frames, self._frame(rows, places)])
        return (frame, dead), Piece(left, piece.first_line + fields.end)

    def _frame(self, rows: list[list[str]], places: list[int]) -> pl.DataFrame:
        columns = [
            pl.Series(name, [row[index] for row in rows], dtype=pl.String)
            for index, (name, _) in enumerate(self.columns)
        ]
        return pl.DataFrame([*columns, pl.Series(LINE, places, dtype=pl.UInt64)])

    def _problem(self, record: Record, valid: bool) -> str:
        fields = record.fields
        if not valid and not all(map(is_encodable, fields)):
            return "no UTF-8"
        if len(fields) != self.width:
            return f"{len(fields)} fields, the header has {self.width}"
        if max(map(len, fields)) > MAX_FIELD_CHARACTERS:
            return f"a field of more than {MAX_FIELD_CHARACTERS:,} characters"
        return ""

    def _fast(self, piece: Piece) -> Result | None:
        data, places = _filled_lines(piece)
        if not data:
            columns = [pl.Series(name, [], dtype=pl.String) for name, _ in self.columns]
            return pl.DataFrame([*columns, places]), []
        quoted = b'"' in data
        if not self._is_regular(data, len(places), quoted):
            return None
        try:
            frame = pl.read_csv(
                data,
                has_header=False,
                schema={str(position): pl.String() for position in range(self.width)},
                quote_char='"' if quoted else None,
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        if frame.height != len(places) or any(map(_has_too_long, frame)):
            return None
        return pl.DataFrame([*(frame[str(at)].alias(name) for name, at in self.columns), places]), []

    def _is_regular(self, data: bytes, lines: int, quoted: bool) -> bool:
        """Whether every line has the right number of fields, given that Polars then refuses more of them."""
        if data.startswith(BYTE_ORDER_MARK) or looks_compressed(data) or has_long_line(data):
            return False
        if data.count(b"\r") != data.count(b"\r\n"):
            return False
        if not quoted:
            return data.count(b",") == lines * (self.width - 1)
        pattern = rf"^{_FIELD}(?:,{_FIELD}){{{self.width - 1}}}\r?$"
        try:
            return bool(pl.read_lines(data)["line"].str.contains(pattern).all())
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return False


def is_encodable(text: str) -> bool:
    """Whether a text came from bytes that were UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _filled_lines(piece: Piece) -> tuple[bytes, pl.Series]:
    """The piece without empty lines, and the numbers of the lines."""
    data, first = piece.data, piece.first_line
    if data[:1] not in (b"\r", b"\n", b"") and b"\n\n" not in data and b"\n\r\n" not in data:
        end = first + data.count(b"\n") + (not data.endswith(b"\n"))
        return data, pl.int_range(first, end, dtype=pl.UInt64, eager=True).alias(LINE)
    filled = [
        (line, raw) for line, raw in enumerate(BytesIO(data), first) if raw.rstrip(b"\n") not in (b"", b"\r")
    ]
    return b"".join(raw for _, raw in filled), pl.Series(LINE, [line for line, _ in filled], dtype=pl.UInt64)


def _has_too_long(column: pl.Series) -> bool:
    longest = column.str.len_bytes().max()
    return isinstance(longest, int) and longest > MAX_FIELD_CHARACTERS
