"""A file as it is stored, of which any bytes can be had."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

Range = tuple[int, int]
"""An offset and a length, in bytes."""


class Reach:
    """How much of a file is read: from a byte on, up to another one or to the file's end."""

    start: int
    end: int | None

    @property
    def opens(self) -> bool:
        """Whether the file's beginning is part of what is read."""
        return self.start == 0

    @property
    def is_whole(self) -> bool:
        """Whether all of the file is."""
        return self.opens and self.end is None


@dataclass(frozen=True)
class Stored(Reach):
    """A file as it is stored, or what one task reads of it.

    Attributes:
        size: Of the file in bytes.
        get: Gives the bytes of ranges of it, none of them empty.
        start: The first byte of what is read.
        end: The byte behind it; None for the file's end.
        data: All of it, if that is at hand.
    """

    size: int
    get: Callable[[Sequence[Range]], Sequence[bytes]]
    start: int = 0
    end: int | None = None
    data: bytes | None = None

    def has(self, place: int) -> bool:
        """Whether a byte of the file is part of what is read."""
        return self.start <= place < (self.size if self.end is None else self.end)


def in_memory(data: bytes) -> Stored:
    """A file that is at hand as a whole.

    Example:
        >>> in_memory(b"abcde").get([(0, 2), (4, 1)])
        [b'ab', b'e']
    """
    return Stored(len(data), partial(_parts, data), data=data)


def _parts(data: bytes, ranges: Sequence[Range]) -> list[bytes]:
    return [data[offset : offset + length] for offset, length in ranges]
