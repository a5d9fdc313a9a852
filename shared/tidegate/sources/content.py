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
        self._parts: list[bytes] = []
        self._line = 1

    def start(self, length: int) -> bytes:
        """The first bytes of what is left; fewer only if there are no more."""
        self._fill(length)
        return self._joined()[:length]

    def skip(self, start: bytes) -> None:
        """Leaves these bytes out, if the file opens with them."""
        if self._opens and self.start(len(start)) == start:
            self._keep(self._joined()[len(start) :])
            self._line += start.count(b"\n")

    def batches(self) -> Iterator[Piece]:
        """All that is left in whole lines; only the last one may lack its end.

        A line that is longer than any record may be is cut off.
        """
        while True:
            more = self._fill(self._size)
            if not self._parts:
                return
            data = self._whole_lines() if more else self._joined()
            if not more:
                self._parts.clear()
            piece = Piece(data or self._long_line(), self._line)
            yield piece
            self._line += piece.lines

    def _fill(self, length: int) -> bool:
        """Sees to it that so many bytes are there; returns whether they are."""
        there = sum(map(len, self._parts))
        while there < length and (chunk := next(self._chunks, None)) is not None:
            if chunk:
                self._parts.append(chunk)
            there += len(chunk)
        return there >= length

    def _keep(self, data: bytes) -> None:
        self._parts = [data] if data else []

    def _joined(self) -> bytes:
        """What is there, in one part."""
        if len(self._parts) != 1:
            self._keep(b"".join(self._parts))
        return self._parts[0] if self._parts else b""

    def _whole_lines(self) -> bytes:
        """What is there up to the last line end that a batch has room for; nothing if there is none."""
        *before, last = self._parts
        room = self._size - sum(map(len, before))
        end = last.rfind(b"\n", 0, room) + 1
        if not end:
            # It may lie in a part before.
            joined = self._joined()
            end = joined.rfind(b"\n", 0, self._size) + 1
            before, last = [], joined
        if end:
            self._keep(last[end:])
        # Joined as it is cut, it is copied once.
        return b"".join([*before, memoryview(last)[:end]]) if end < len(last) or before else last

    def _long_line(self) -> bytes:
        """The first line, which is longer than a batch."""
        line = bytearray()
        while self._parts:
            kept = self._joined()
            end = kept.find(b"\n") + 1
            part = kept[: end - 1] if end else kept
            line += part[: max(0, _CUT - len(line))]
            if len(line) == _CUT and not line.strip(_BLANK):
                # A line of blanks is no record, however long; one of blanks and something else is one.
                line += part.lstrip(_BLANK)[:1]
            self._keep(kept[end:] if end else b"")
            if end:
                return bytes(line) + b"\n"
            self._fill(self._size)
        return bytes(line)
