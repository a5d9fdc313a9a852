"""Taking a file's compression off, by the suffix of its name: `.gz` and `.zst`."""

import sys
import zlib
from io import BytesIO

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


def decompress(name: str, data: bytes, max_bytes: int) -> bytes:
    """The content of a file, uncompressed.

    Args:
        name: The file's name or key; only its suffix matters.
        data: The file as it is stored.
        max_bytes: The content at most; a small file can otherwise fill any memory.

    Raises:
        UnreadableFile: The file is damaged, cut off, followed by something else, larger than `max_bytes`,
            a bomb (see `GZIP_RATIO`), or its first bytes say another compression than its name.
    """
    lowered = name.lower()
    if lowered.endswith(".gz"):
        if not data.startswith(GZIP):
            raise UnreadableFile("the name says gzip, the first bytes do not")
        return _gunzip(data, max_bytes)
    if lowered.endswith(".zst"):
        if not data.startswith((ZSTD, *_ZSTD_SKIPPABLE)):
            raise UnreadableFile("the name says Zstandard, the first bytes do not")
        return _unzstd(data, max_bytes)
    # Neither can begin a file of text or Parquet, so this is a wrong name and not a coincidence.
    if data.startswith(GZIP):
        raise UnreadableFile("the file is gzip: its name must end with .gz")
    if data.startswith(ZSTD):
        raise UnreadableFile("the file is Zstandard: its name must end with .zst")
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data


def looks_compressed(data: bytes) -> bool:
    """Whether Polars would uncompress this text by itself, which it does after a look at the first bytes."""
    return data.startswith((GZIP, ZSTD, *_ZLIB))


class _Content:
    """What a file has inflated to so far, held to the limits with every chunk."""

    def __init__(self, max_bytes: int, ratio: int) -> None:
        self._max_bytes = max_bytes
        self._ratio = ratio
        # Its buffer becomes the result without another copy.
        self._buffer = BytesIO()

    def add(self, chunk: bytes, read: int) -> None:
        """Takes a chunk, once so many bytes of the file are read.

        Raises:
            UnreadableFile: The content is too large, or too large for these bytes.
        """
        self._buffer.write(chunk)
        size = self._buffer.tell()
        if size > self._max_bytes:
            raise _too_large(self._max_bytes)
        if size > max(INFLATED_FREELY, self._ratio * read):
            raise UnreadableFile(
                f"a compression bomb: its first {read:,} bytes give more than {self._ratio:,} times as many; "
                f"compress the file less, or write it in parts of at most {INFLATED_FREELY:,} bytes"
            )

    def whole(self) -> bytes:
        """All of it."""
        return self._buffer.getvalue()


def _gunzip(data: bytes, max_bytes: int) -> bytes:
    content = _Content(max_bytes, GZIP_RATIO)
    position = 0
    while position < len(data):
        if not data.startswith(GZIP, position):
            # gzip itself ignores zeros after the last member, which tapes and block devices leave.
            if not data[position:].strip(b"\0"):
                break
            raise UnreadableFile("damaged gzip: something else follows the compressed data")
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            window = data[position : position + _WINDOW]
            try:
                piece = member.decompress(window, _CHUNK)
            except zlib.error as error:
                raise UnreadableFile(f"damaged gzip: {error}") from None
            if not window and not piece and not member.eof:
                raise UnreadableFile("damaged gzip: the file is cut off")
            # At a member's end zlib may give the rest of the window as both of them.
            position += len(window) - len(member.unused_data if member.eof else member.unconsumed_tail)
            content.add(piece, position)
    return content.whole()


def _unzstd(data: bytes, max_bytes: int) -> bytes:
    content = _Content(max_bytes, ZSTD_RATIO)
    position = 0
    while position < len(data):
        if not data.startswith((ZSTD, *_ZSTD_SKIPPABLE), position):
            raise UnreadableFile("damaged Zstandard: something else follows the compressed data")
        frame = zstd.ZstdDecompressor()
        while not frame.eof:
            window = data[position : position + _WINDOW] if frame.needs_input else b""
            if frame.needs_input and not window:
                raise UnreadableFile("damaged Zstandard: the file is cut off")
            try:
                piece = frame.decompress(window, _CHUNK)
            except zstd.ZstdError as error:
                raise UnreadableFile(f"damaged Zstandard: {error}") from None
            position += len(window)
            content.add(piece, position)
        position -= len(frame.unused_data)
    return content.whole()


def _too_large(max_bytes: int) -> UnreadableFile:
    return UnreadableFile(f"the file has more than {max_bytes:,} bytes of content")
