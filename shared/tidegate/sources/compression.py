"""Taking a file's compression off, by the suffix of its name: `.gz` and `.zst`."""

import sys
import zlib
from collections.abc import Iterable, Iterator

from tidegate.limits import GZIP_RATIO, INFLATED_FREELY, ZSTD_RATIO
from tidegate.sources.records import UnreadableFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_ZSTD_SKIPPABLE = tuple(bytes([low, 0x2A, 0x4D, 0x18]) for low in range(0x50, 0x60))
# Input is fed in small windows: a file of many short members is not copied once for each, and how much of a
# window Zstandard has used is not known.
_WINDOW = 1 << 12
_CHUNK = 1 << 20


def inflated(name: str, parts: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """The content of a file, uncompressed, in parts as they come.

    Args:
        name: The file's name or key; only its suffix matters.
        parts: The file as it is stored, in order.
        max_bytes: The content at most; a small file can otherwise fill any memory.

    Raises:
        UnreadableFile: The file is damaged, cut off, followed by something else, larger than `max_bytes`,
            a bomb (see `GZIP_RATIO`), or its first bytes say another compression than its name. What came
            before is then to be forgotten.
    """
    stored, lowered = _Stored(parts), name.lower()
    start = stored.window()
    if lowered.endswith(".gz"):
        if not start.startswith(GZIP):
            raise UnreadableFile("the name says gzip, the first bytes do not")
        return _gunzip(stored, _Limits(max_bytes, GZIP_RATIO))
    if lowered.endswith(".zst"):
        if not start.startswith((ZSTD, *_ZSTD_SKIPPABLE)):
            raise UnreadableFile("the name says Zstandard, the first bytes do not")
        return _unzstd(stored, _Limits(max_bytes, ZSTD_RATIO))
    if reason := misnamed(start):
        raise UnreadableFile(reason)
    return _plain(stored, _Limits(max_bytes, 1))


def misnamed(start: bytes) -> str | None:
    """Why a file with these first bytes, whose name says that it is not compressed, cannot be read, if so."""
    # Neither can begin a file of text or Parquet, so this is a wrong name and not a coincidence.
    if start.startswith(GZIP):
        return "the file is gzip: its name must end with .gz"
    if start.startswith(ZSTD):
        return "the file is Zstandard: its name must end with .zst"
    return None


def looks_compressed(data: bytes) -> bool:
    """Whether Polars would uncompress this text by itself, which it does after a look at the first bytes."""
    return data.startswith((GZIP, ZSTD, *_ZLIB))


class _Stored:
    """A file as it is stored, read in windows."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._part = b""
        self._place = 0
        self.read = 0

    def window(self) -> bytes:
        """The next bytes; fewer than a window only at the end."""
        while len(self._part) - self._place < _WINDOW:
            more = next(self._parts, None)
            if more is None:
                break
            rest = self._part[self._place :]
            self._part, self._place = rest + more if rest else more, 0
        return self._part[self._place : self._place + _WINDOW]

    def take(self, count: int) -> None:
        """Goes on behind so many bytes of the window, or back by as many as were taken of the last one."""
        self._place += count
        self.read += count

    def rest(self) -> Iterator[bytes]:
        """All that is left, in parts."""
        yield self._part[self._place :] if self._place else self._part
        yield from self._parts


class _Limits:
    """What a file has inflated to so far, held to the limits with every chunk."""

    def __init__(self, max_bytes: int, ratio: int) -> None:
        self._max_bytes = max_bytes
        self._ratio = ratio
        self._size = 0

    def check(self, chunk: bytes, read: int) -> bytes:
        """The same chunk, once so many bytes of the file are read.

        Raises:
            UnreadableFile: The content is too large, or too large for these bytes.
        """
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise UnreadableFile(f"the file has more than {self._max_bytes:,} bytes of content")
        if self._size > max(INFLATED_FREELY, self._ratio * read):
            raise UnreadableFile(
                f"a compression bomb: its first {read:,} bytes give more than {self._ratio:,} times as many; "
                f"compress the file less, or write it in parts of at most {INFLATED_FREELY:,} bytes"
            )
        return chunk


def _plain(stored: _Stored, limits: _Limits) -> Iterator[bytes]:
    read = 0
    for part in stored.rest():
        read += len(part)
        yield limits.check(part, read)


def _gunzip(stored: _Stored, limits: _Limits) -> Iterator[bytes]:
    while start := stored.window():
        if not start.startswith(GZIP):
            _only_zeros(stored)
            return
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            window = stored.window()
            try:
                piece = member.decompress(window, _CHUNK)
            except zlib.error as error:
                raise UnreadableFile(f"damaged gzip: {error}") from None
            if not window and not piece and not member.eof:
                raise UnreadableFile("damaged gzip: the file is cut off")
            # At a member's end zlib may give the rest of the window as both of them.
            stored.take(len(window) - len(member.unused_data if member.eof else member.unconsumed_tail))
            yield limits.check(piece, stored.read)


def _only_zeros(stored: _Stored) -> None:
    """Goes to the end: gzip ignores zeros after the last member, which tapes and block devices leave."""
    while window := stored.window():
        if window.strip(b"\0"):
            raise UnreadableFile("damaged gzip: something else follows the compressed data")
        stored.take(len(window))


def _unzstd(stored: _Stored, limits: _Limits) -> Iterator[bytes]:
    while start := stored.window():
        if not start.startswith((ZSTD, *_ZSTD_SKIPPABLE)):
            raise UnreadableFile("damaged Zstandard: something else follows the compressed data")
        frame = zstd.ZstdDecompressor()
        while not frame.eof:
            window = stored.window() if frame.needs_input else b""
            if frame.needs_input and not window:
                raise UnreadableFile("damaged Zstandard: the file is cut off")
            try:
                piece = frame.decompress(window, _CHUNK)
            except zstd.ZstdError as error:
                raise UnreadableFile(f"damaged Zstandard: {error}") from None
            stored.take(len(window))
            yield limits.check(piece, stored.read)
        stored.take(-len(frame.unused_data))
