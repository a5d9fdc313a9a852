"""Reading lines fast and exactly: whole where a fast reader is sure, line by line where it is not.

A fast reader sees many lines at once and either reads them all as the slow reader would, or declines. What
it declines is cut into pieces and tried again, down to pieces so small that the slow reader, which knows the
reason for every line, takes them. One bad line in 100 MB costs about one more pass over the file.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from itertools import islice

import polars as pl

from tidegate.limits import RECORD_BYTES
from tidegate.sources.records import DeadLetter, check_dead_letters

_SMALL_BYTES = 16 * 1024
_CUTS = 32


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file, and the number of the first one."""

    data: bytes
    first_line: int

    @cached_property
    def lines(self) -> int:
        """How many there are; the last one may lack its end."""
        return self.data.count(b"\n") + (not self.data.endswith(b"\n"))

    def counted(self, lines: int) -> None:
        """Takes their number from a reader that knows it; to count them takes as long as to read the file."""
        self.__dict__["lines"] = lines


Result = tuple[pl.DataFrame, list[DeadLetter]]
"""The records of a piece and its dead letters, both ascending by line."""


def read_pieces(
    piece: Piece, fast: Callable[[Piece], Result | None], slow: Callable[[Piece], Result]
) -> Result:
    """All records of a piece.

    Args:
        piece: What to read.
        fast: Reads a piece as `slow` would, or declines with None.
        slow: Reads any piece.

    Raises:
        UnreadableFile: Too many of the records cannot be read.
    """
    results = []
    bad = 0
    for result in _results(piece, fast, slow):
        results.append(result)
        bad += len(result[1])
        check_dead_letters(bad)
    frame = pl.concat([frame for frame, _ in results]) if len(results) > 1 else results[0][0]
    return frame, [letter for _, dead in results for letter in dead]


def has_long_line(data: bytes) -> bool:
    """Whether a line is longer than a record may be."""
    start = 0
    while len(data) - start > RECORD_BYTES:
        start = data.rfind(b"\n", start, start + RECORD_BYTES + 1) + 1 or len(data) + 1
    return start > len(data)


def lines_at(data: bytes, numbers: Iterable[int]) -> Iterator[bytes]:
    """The lines with these numbers, from 1 and ascending, without their LF; empty past the end."""
    rest = BytesIO(data)
    before = 0
    for number in numbers:
        yield next(islice(rest, number - before - 1, None), b"").removesuffix(b"\n")
        before = number


def _results(
    piece: Piece, fast: Callable[[Piece], Result | None], slow: Callable[[Piece], Result]
) -> Iterator[Result]:
    result = fast(piece)
    if result is not None:
        yield result
    elif len(piece.data) <= _SMALL_BYTES:
        yield slow(piece)
    else:
        for part in _cut(piece, max(_SMALL_BYTES, len(piece.data) // _CUTS)):
            # A line that is longer than a part cannot be cut further.
            if len(part.data) == len(piece.data):
                yield slow(part)
            else:
                yield from _results(part, fast, slow)


def _cut(piece: Piece, size: int) -> Iterator[Piece]:
    data, start, line = piece.data, 0, piece.first_line
    while start < len(data):
        end = data.find(b"\n", start + size - 1) + 1 or len(data)
        part = data[start:end]
        yield Piece(part, line)
        start, line = end, line + part.count(b"\n")
