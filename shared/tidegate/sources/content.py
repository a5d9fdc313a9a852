"""The content of a file of text as a stream, cut at line ends into batches of bounded size."""

from collections.abc import Iterable, Iterator

from tidegate.limits import BATCH_BYTES, RECORD_BYTES
from tidegate.sources.pieces import Piece

_CUT = RECORD_BYTES + 1
"""What is kept of a longer line: enough to see that it is no record."""

_BLANK = b" \t\r"


class Content:
    r"""Content that is taken from its start on, so that little of it is in memory at once.

    Args:
        chunks: The content in order, in parts of any size.
        size: Bytes of a batch at most, unless a line is longer.
        opens: Whether it begins where its file does, and not with a line in the middle of it.

    Example:
        >>> content = Content([b"a\nb", b"c\nd\n"], size=4)
        >>> [(piece.first_line, piece.data) for piece in content.batches()]
        [(1, b'a\n'), (2, b'bc\n'), (3, b'd\n')]
    """

    def __init__(self, chunks: Iterable[bytes], size: int = BATCH_BYTES, *, opens: bool = True) -> None:
        self._chunks = iter(chunks)
        self._size = size
        self._opens = opens
        self._kept = b""
        self._line = 1

    def start(self, length: int) -> bytes:
        """The first bytes of what is left; fewer only if there are no more."""
        self._fill(length)
        return self._kept[:length]

    def skip(self, start: bytes) -> None:
        """Leaves these bytes out, if the file opens with them."""
        if self._opens and self.start(len(start)) == start:
            self._kept = self._kept[len(start) :]
            self._line += start.count(b"\n")

    def batches(self) -> Iterator[Piece]:
        """All that is left in whole lines; only the last one may lack its end.

        A line that is longer than any record may be is cut off.
        """
        while True:
            more = self._fill(self._size)
            if not self._kept:
                return
            if not more:
                data, self._kept = self._kept, b""
            elif end := self._kept.rfind(b"\n", 0, self._size) + 1:
                data, self._kept = self._kept[:end], self._kept[end:]
            else:
                data = self._long_line()
            piece = Piece(data, self._line)
            yield piece
            self._line += piece.lines

    def _fill(self, length: int) -> bool:
        """Sees to it that so many bytes are there; returns whether they are."""
        parts, there = [self._kept] if self._kept else [], len(self._kept)
        while there < length and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            there += len(chunk)
        if parts:
            self._kept = b"".join(parts) if len(parts) > 1 else parts[0]
        return there >= length

    def _long_line(self) -> bytes:
        """The first line, which is longer than a batch."""
        line = bytearray()
        while self._kept:
            end = self._kept.find(b"\n") + 1
            part = self._kept[: end - 1] if end else self._kept
            line += part[: max(0, _CUT - len(line))]
            if len(line) == _CUT and not line.strip(_BLANK):
                # A line of blanks is no record, however long; one of blanks and something else is one.
                line += part.lstrip(_BLANK)[:1]
            self._kept = self._kept[end:] if end else b""
            if end:
                return bytes(line) + b"\n"
            self._fill(self._size)
        return bytes(line)
