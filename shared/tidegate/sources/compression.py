"""Taking a file's compression off, by the suffix of its name: `.gz` and `.zst`."""

import sys
import zlib

from tidegate.sources.records import UnreadableFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_ZSTD_SKIPPABLE = tuple(bytes([low, 0x2A, 0x4D, 0x18]) for low in range(0x50, 0x60))
# Input is fed in small windows, so that a file of many short members is not copied once for each.
_WINDOW = 1 << 16
_CHUNK = 1 << 22


def decompress(name: str, data: bytes, max_bytes: int) -> bytes:
    """The content of a file, uncompressed.

    Args:
        name: The file's name or key; only its suffix matters.
        data: The file as it is stored.
        max_bytes: The content at most; a small file can otherwise fill any memory.

    Raises:
        UnreadableFile: The file is damaged, cut off, followed by something else, larger than `max_bytes`,
            or its first bytes say another compression than its name.
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


def _gunzip(data: bytes, max_bytes: int) -> bytes:
    content = bytearray()
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
            position += len(window) - len(member.unconsumed_tail) - len(member.unused_data)
            content += piece
            if len(content) > max_bytes:
                raise _too_large(max_bytes)
    return bytes(content)


def _unzstd(data: bytes, max_bytes: int) -> bytes:
    content = bytearray()
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
                content += frame.decompress(window, _CHUNK)
            except zstd.ZstdError as error:
                raise UnreadableFile(f"damaged Zstandard: {error}") from None
            position += len(window)
            if len(content) > max_bytes:
                raise _too_large(max_bytes)
        position -= len(frame.unused_data)
    return bytes(content)


def _too_large(max_bytes: int) -> UnreadableFile:
    return UnreadableFile(f"the file has more than {max_bytes:,} bytes of content")
