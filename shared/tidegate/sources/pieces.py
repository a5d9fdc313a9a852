"""Reading lines fast and exactly: whole where a fast reader is sure, line by line where it is not.

A fast reader sees many lines at once and either reads them all as the slow reader would, or declines. What
it declines is cut into pieces and tried again, down to pieces so small that the slow reader, which knows the
reason for every line, takes them. One bad line in 100 MB costs about one more pass over the file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from tidegate.sources.records import DeadLetter

_SMALL_BYTES = 16 * 1024
_CUTS = 32


@dataclass(frozen=True, slots=True)
class Piece:
    """Some whole lines of a file, and the number of the first one."""

    data: bytes
    first_line: int


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
    """
    results = list(_results(piece, fast, slow))
    frame = pl.concat([frame for frame, _ in results]) if len(results) > 1 else results[0][0]
    return frame, [letter for _, dead in results for letter in dead]


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
