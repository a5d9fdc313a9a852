"""A slice of an input object: all of it, or the records that begin in a range of its bytes.

A line belongs to the range in which its first byte lies, as in Hadoop's `LineRecordReader`: a task skips to
the first line end from the byte before its range on, and reads past the range until its last line is whole.
So ranges that cover an object cover its lines once, wherever they are cut, and no task asks another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegate.errors import ObjectNotFound
from tidegate.limits import READ_AHEAD_BYTES
from tidegate.sources.formats import is_text
from tidegate.sources.stored import Range, Reach, Stored, in_memory
from tidegate.stores.ports import Objects

_OPENING = 4
"""Bytes of an object that say whether it is text."""

_BEHIND = 64 * 1024
"""Bytes behind a range that are asked for with its last ones: the end of a line, mostly."""


@dataclass(frozen=True)
class InputSlice(Reach):
    """What a map task reads of an object.

    Attributes:
        key: The object's key.
        version: The version that was accepted.
        size: Of the object in bytes, as it was accepted.
        start: The first byte of the range.
        end: The byte behind it; None for the object's end.
    """

    key: str
    version: str
    size: int
    start: int = 0
    end: int | None = None


def contents(objects: Objects, slices: Sequence[InputSlice], part: int) -> Iterator["SliceContent"]:
    """The content of each slice, in their order; small objects are got many at a time.

    Args:
        objects: Where the objects lie.
        slices: What is read of them.
        part: Bytes that are asked for at once, and that what was got before its turn takes at most.
    """
    ahead: list[InputSlice] = []
    size = 0
    for each in slices:
        if _is_small(each, part) and size + each.size > part:
            yield from _together(objects, ahead, part)
            ahead, size = [], 0
        ahead.append(each)
        size += each.size if _is_small(each, part) else 0
    yield from _together(objects, ahead, part)


def _together(objects: Objects, slices: Sequence[InputSlice], part: int) -> Iterator["SliceContent"]:
    found = iter(objects.get_versions([(each.key, each.version) for each in slices if _is_small(each, part)]))
    for each in slices:
        yield SliceContent(objects, each, part, next(found) if _is_small(each, part) else None)


def _is_small(each: InputSlice, part: int) -> bool:
    return each.is_whole and each.size <= min(READ_AHEAD_BYTES, part)


class SliceContent:
    r"""The bytes of a slice in whole lines, all of the version that was accepted.

    Args:
        objects: Where the object lies.
        slice: The slice.
        part: Bytes that are asked for at once.
        found: All of the object, or why it cannot be had, if somebody asked for it already.

    Attributes:
        first: The byte of the object with which the content begins, once a part of it was read.

    Example:
        >>> from tidegate.stores.memory import MemoryObjects
        >>> objects = MemoryObjects()
        >>> objects.put("in/a.json", b"1\n22\n333\n")
        >>> (info,) = objects.list("in")
        >>> for range in ((0, 3), (3, 4), (4, None)):
        ...     content = SliceContent(objects, InputSlice(info.key, info.version, 9, *range), 100)
        ...     print(list(content.parts()), content.first)
        [b'1\n22\n'] 0
        [] 0
        [b'333\n'] 5
    """

    def __init__(
        self, objects: Objects, slice: InputSlice, part: int, found: bytes | ObjectNotFound | None = None
    ) -> None:
        self._objects = objects
        self._slice = slice
        self._part = part
        self._found = found
        self.first = 0

    def parts(self) -> Iterator[bytes]:
        """The content in order; none if no line begins in the range.

        Raises:
            ObjectNotFound: The object is not there any more as it was accepted.
        """
        return self._whole() if self._slice.is_whole else self._lines()

    def stored(self) -> Stored:
        """The same for formats that are read from their end: the bytes of any ranges of the object.

        Their getting raises `ObjectNotFound` if the object is not there any more as it was accepted.
        """
        if isinstance(self._found, bytes):
            return in_memory(self._found)
        each = self._slice
        return Stored(each.size, self._ranges, each.start, each.end)

    def _ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        if isinstance(self._found, ObjectNotFound):
            raise self._found
        return self._objects.get_ranges(self._slice.key, ranges, self._slice.version)

    def _whole(self) -> Iterator[bytes]:
        each = self._slice
        if isinstance(self._found, ObjectNotFound):
            raise self._found
        if self._found is not None:
            yield self._found
            return
        if each.size <= self._part:
            yield self._objects.get(each.key, each.version)
            return
        for start in range(0, each.size, self._part):
            length = min(self._part, each.size - start)
            yield from self._objects.get_ranges(each.key, [(start, length)], each.version)

    def _lines(self) -> Iterator[bytes]:
        each = self._slice
        end = each.size if each.end is None else each.end
        begun = each.opens
        for place, data in self._read(max(0, each.start - 1), end):
            line = 0
            if not begun:
                line = data.find(b"\n") + 1
                if place + (line or len(data)) >= end:
                    return
                if not line:
                    continue
                begun, self.first = True, place + line
            # The last line is that which has the byte before the range's end, or ends with it.
            last = data.find(b"\n", max(line, end - 1 - place)) + 1
            yield data[line : last or None]
            if last:
                return

    def _read(self, place: int, end: int) -> Iterator[tuple[int, bytes]]:
        """The object from a byte on, as parts with their places; nothing if it does not open as text."""
        each, behind = self._slice, min(_BEHIND, self._part)
        opening = [] if each.opens else [(0, min(_OPENING, each.size))]
        while place < each.size:
            if place >= end:
                # In growing steps, for hardly any line is long.
                length, behind = behind, min(2 * behind, self._part)
            else:
                # A little behind a part is no reason for another request.
                rest = end - place
                length = self._part if rest > self._part + behind else rest + behind
            length = min(length, each.size - place)
            *start, data = self._objects.get_ranges(each.key, [*opening, (place, length)], each.version)
            if not all(map(is_text, start)):
                # Whoever has the beginning finds that the object cannot be read.
                return
            yield place, data
            opening, place = [], place + length
