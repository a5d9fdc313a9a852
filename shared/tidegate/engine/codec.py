"""Frames as bytes and back: typed, versioned and checksummed.

Shuffle pieces are Arrow IPC, state segments are zstd Parquet. The references to both carry checksums, so that
a reader finds out about every byte that is not what was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import polars as pl

from tidegate.engine.columns import GONE
from tidegate.engine.frames import constant
from tidegate.errors import CorruptObject
from tidegate.expressions import FAILURES, first_line
from tidegate.references import checksum
from tidegate.sources.parquet_pages import page_sizes

STATE_FORMAT = "tidegate-state/2"
_WITHOUT_DELTAS = "tidegate-state/1"
"""Of version 0.1.0, whose segments hold nothing but what is there."""


@dataclass(frozen=True)
class Extent:
    """Where a part lies in an object: its offset and length in bytes, and the checksum of these bytes."""

    offset: int
    length: int
    checksum: str


def joined(parts: Sequence[bytes]) -> tuple[bytes, list[Extent]]:
    """The content of an object that holds parts one behind the other, and where each of them lies.

    Example:
        >>> content, extents = joined([b"ab", b"cde"])
        >>> content, [(each.offset, each.length) for each in extents]
        (b'abcde', [(0, 2), (2, 3)])
    """
    extents: list[Extent] = []
    offset = 0
    for each in parts:
        extents.append(Extent(offset, len(each), checksum(each)))
        offset += len(each)
    return b"".join(parts), extents


def encode_piece(frame: pl.DataFrame) -> bytes:
    """A frame as an Arrow IPC stream."""
    buffer = BytesIO()
    frame.write_ipc_stream(buffer)
    return buffer.getvalue()


def decode_piece(data: bytes, key: str) -> pl.DataFrame:
    """The frame of an Arrow IPC stream.

    Args:
        data: Its bytes, whose checksum was verified.
        key: Its shuffle object's key, for messages.

    Raises:
        CorruptObject: It is no such stream.
    """
    try:
        return pl.read_ipc_stream(BytesIO(data))
    except MemoryError:
        raise
    except FAILURES as error:
        raise CorruptObject(f"{key}: no shuffle piece of Tidegate: {first_line(error)[:200]}") from None


def encode_state(frame: pl.DataFrame, fingerprint: str) -> bytes:
    """A frame of state as Parquet, marked with its format and its plan's fingerprint."""
    buffer = BytesIO()
    frame.write_parquet(
        buffer, compression="zstd", metadata={"tidegate.format": STATE_FORMAT, "tidegate.plan": fingerprint}
    )
    return buffer.getvalue()


def decode_state(key: str, data: bytes, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The frame of a state segment.

    Args:
        key: The object's key, for messages.
        data: Its bytes, whose checksum was verified.
        schema: The columns that the plan's state has.

    Raises:
        CorruptObject: It is damaged, of another format, or has other columns.
    """
    try:
        # It raises where Polars would end the process.
        sum(page_sizes(data))
        found = pl.read_parquet_metadata(BytesIO(data)).get("tidegate.format")
        known = found in (STATE_FORMAT, _WITHOUT_DELTAS)
        frame = pl.read_parquet(BytesIO(data)) if known else pl.DataFrame()
    except MemoryError:
        raise
    except FAILURES as error:
        raise CorruptObject(f"{key}: no state of Tidegate: {first_line(error)[:200]}") from None
    if not known:
        raise CorruptObject(f"{key}: state of the format {found!r}, and this version reads {STATE_FORMAT!r}")
    if found == _WITHOUT_DELTAS:
        frame = frame.hstack([constant(GONE, False, pl.Boolean(), frame.height)])
    if list(frame.schema.items()) != list(schema.items()):
        raise CorruptObject(f"{key}: its columns are {dict(frame.schema)}, and the plan's are {dict(schema)}")
    return frame
