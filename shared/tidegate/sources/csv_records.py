"""CSV records by Python's `csv` module: the meaning of quotes and commas.

Bytes that are no UTF-8 come out as lone surrogates, which UTF-8 cannot have.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from tidegate.limits import RECORD_BYTES
from tidegate.sources.records import TOO_LONG, readable


class Record(NamedTuple):
    """A record, or why it is none.

    Attributes:
        start: The index of its first line.
        end: The index behind its last line.
        fields: Empty when it could not be read.
        reason: Why it could not be read, else empty.
    """

    start: int
    end: int
    fields: list[str]
    reason: str


class Lines:
    """The lines of a piece of a file with their ends, cut as they are asked for."""

    def __init__(self, data: bytes, first_line: int = 1) -> None:
        self._rest = BytesIO(data)
        self.first_line = first_line
        self.count = data.count(b"\n") + (data[-1:] not in (b"\n", b""))
        self._lines: list[bytes] = []

    def line(self, index: int) -> bytes:
        """One of the lines."""
        while len(self._lines) <= index:
            self._lines.append(self._rest.readline())
        return self._lines[index]

    def offset(self, count: int) -> int:
        """The number of bytes in the first lines."""
        return sum(len(self.line(index)) for index in range(count))

    def texts(self, lines: Sequence[int]) -> list[str]:
        """The records that start at these lines, as they stand in the file."""
        records = (next(Fields(self, line - self.first_line)) for line in lines)
        return [self.text(record) for record in records]

    def text(self, record: Record) -> str:
        """A record as it stands in the file, without its line end."""
        raw = b"".join(map(self.line, range(record.start, record.end)))
        return readable(raw.removesuffix(b"\n").removesuffix(b"\r"))


@dataclass
class Rereading:
    """How many bytes of a file may be read again because of wrong quotes: never more than a few times it.

    Attributes:
        allowed: The bytes that are left: some to begin with, and as many as were passed for good.
    """

    allowed: int = 4 * RECORD_BYTES

    def allows(self, size: int) -> bool:
        """Takes so many bytes, if they are left."""
        if size > self.allowed:
            return False
        self.allowed -= size
        return True


def counted(line: bytes) -> int:
    """What a line counts, also where the rest of a longer one is not here any more."""
    return min(len(line), RECORD_BYTES + 2)


class Fields(Iterator[Record]):
    """The records from one line on; blank lines are left out.

    A record whose quotes are wrong is its first line alone, and reading goes on behind that line. So that
    this takes linear time on any file, it reads only so many bytes again (`Rereading`); after that a bad
    record is all the lines that it seemed to have, each of them a bad record.

    Args:
        lines: The lines.
        start: The index of the first one to read.
        rereading: What of the file may be read again.
        more: Whether more lines follow than there are here. Reading then ends before a record that the last
            line does not finish.

    Attributes:
        end: The index behind the last line that was read for good.
    """

    def __init__(
        self, lines: Lines, start: int = 0, rereading: Rereading | None = None, *, more: bool = False
    ) -> None:
        self._lines = lines
        self._position = start
        self._rereading = rereading or Rereading()
        self._more = more
        self._ran_out = False
        self._size = 0
        self._lost: range = range(0)
        self._reader = csv.reader(_Source(self), strict=True)
        self.end = start

    def __next__(self) -> Record:
        """The next record."""
        while True:
            if self._lost:
                line, self._lost = self._lost[0], self._lost[1:]
                return Record(line, line + 1, [], "inside a record whose quotes are wrong")
            start, self._size = self._position, 0
            try:
                fields = next(self._reader)
            except csv.Error as error:
                if self._more and self._ran_out:
                    raise StopIteration from None
                return self._bad(start, error)
            self.end = self._position
            self._rereading.allowed += self._size
            if fields:
                return Record(start, self._position, fields, "")

    def next_line(self) -> str:
        """The next line for the reader."""
        if self._position >= self._lines.count:
            self._ran_out = True
            raise StopIteration
        line = self._lines.line(self._position)
        self._position += 1
        self._size += counted(line)
        if self._size - line.endswith(b"\n") > RECORD_BYTES:
            raise _TooLong(TOO_LONG)
        return line.decode("utf-8", "surrogateescape")

    def _bad(self, start: int, error: csv.Error) -> Record:
        first = counted(self._lines.line(start))
        self._rereading.allowed += first
        if self._rereading.allows(self._size - first):
            self._position, self._ran_out = start + 1, False
        else:
            self._rereading.allowed += self._size - first
            self._lost = range(start + 1, self._position)
        self.end = self._position
        reason = str(error) if isinstance(error, _TooLong) else f"no CSV: {error}"
        return Record(start, start + 1, [], reason)


class _TooLong(csv.Error):
    """A record is longer than `RECORD_BYTES`."""


class _Source:
    """Lines for `csv.reader`, which keeps on reading after this has run out once and was set back."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        return self._fields.next_line()
