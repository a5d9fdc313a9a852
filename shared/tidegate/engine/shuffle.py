"""The shuffle: one object per map task, read in ranges by the reduce tasks.

A map task writes its combined rows sorted by key group, one Arrow IPC piece for each reduce task, one
behind the other in one object: M puts and at most M times R ranged gets (Starling, SIGMOD 2020, section
3.2). The offsets travel in the task's result and not in a footer, so an empty piece costs no request.
"""

from collections.abc import Iterable, Sequence

import polars as pl

from tidegate.engine.codec import decode_piece, encode_piece, joined
from tidegate.engine.key_groups import GROUP, within
from tidegate.references import KeyRange, Piece
from tidegate.stores.ports import Objects


def cut(partials: pl.DataFrame, ranges: Sequence[KeyRange]) -> tuple[bytes, list[Piece]]:
    """The content of a shuffle object, and its pieces; ranges without rows have none."""
    ordered = partials.sort(GROUP, maintain_order=True)
    parts = {
        task: encode_piece(rows)
        for task, wanted in enumerate(ranges)
        if (rows := within(ordered, wanted)).height
    }
    content, extents = joined(list(parts.values()))
    return content, [
        Piece(task, place.offset, place.length, place.checksum)
        for task, place in zip(parts, extents, strict=True)
    ]


def fetch(objects: Objects, sources: Iterable[tuple[str, Piece]]) -> list[pl.DataFrame]:
    """The frames of pieces, each given with the key of its shuffle object.

    Raises:
        CorruptObject: A piece is not what was written.
    """
    frames = []
    for key, piece in sources:
        (data,) = objects.get_ranges(key, [(piece.offset, piece.length)])
        frames.append(decode_piece(piece.verify(key, data), key))
    return frames
