"""The shuffle: one object per map task at most, read in ranges by the reduce tasks.

A map task writes its combined rows sorted by key group, one Arrow IPC piece for each reduce task, one
behind the other in one object: M puts and at most M times R ranged gets (Starling, SIGMOD 2020, section
3.2). The offsets travel in the task's result and not in a footer, so an empty piece costs no request. A small
shuffle lies in the results themselves, which a reduce task reads anyway.
"""

from collections.abc import Iterable, Mapping, Sequence

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


def fetch(
    objects: Objects, sources: Iterable[tuple[str, Piece]], at_hand: Mapping[str, bytes] | None = None
) -> list[pl.DataFrame]:
    """The frames of pieces, each given with the key of its object.

    Pieces of one object are got together, and those of all objects at the same time.

    Args:
        objects: Where they lie.
        sources: The pieces with their keys.
        at_hand: Objects that were read already, by their keys, as far as pieces lie in them.

    Raises:
        CorruptObject: A piece is not what was written.
    """
    pieces, read = list(sources), at_hand or {}
    ranges: dict[str, list[tuple[int, int]]] = {}
    for key, piece in pieces:
        ranges.setdefault(key, []).append((piece.offset, piece.length))
    missing = [(key, wanted) for key, wanted in ranges.items() if key not in read]
    parts = dict(zip((key for key, _ in missing), map(iter, objects.get_many(missing)), strict=True))
    for key in ranges.keys() & read.keys():
        parts[key] = iter([read[key][offset : offset + length] for offset, length in ranges[key]])
    return [decode_piece(piece.verify(key, next(parts[key])), key) for key, piece in pieces]
