from collections.abc import Sequence
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.engine.key_groups import GROUP
from tidegate.engine.shuffle import cut, fetch
from tidegate.errors import CorruptObject
from tidegate.references import KeyRange
from tidegate.stores.memory import MemoryObjects


def partials(*groups: int) -> pl.DataFrame:
    return pl.DataFrame({GROUP: pl.Series(groups, dtype=pl.UInt16), "row": range(len(groups))})


HALVES = [KeyRange(0, 512), KeyRange(512, 1024)]


class Counting(MemoryObjects):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int]] = []
        self.calls: list[str] = []

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        self.reads += ranges
        self.calls.append(key)
        return super().get_ranges(key, ranges, version)


def test_one_object_and_a_piece_for_each_reduce_task_that_has_rows() -> None:
    frame = partials(900, 3, 512, 3)
    content, pieces = cut(frame, HALVES)
    store = Counting()
    store.put("shuffle", content)

    assert [piece.task for piece in pieces] == [0, 1]
    assert pieces[0].offset == 0
    assert pieces[1].offset == pieces[0].length
    assert pieces[1].offset + pieces[1].length == len(content)
    first, second = fetch(store, [("shuffle", piece) for piece in pieces])
    assert first.rows() == [(3, 1), (3, 3)]
    assert second.rows() == [(512, 2), (900, 0)]


def test_an_empty_range_has_no_piece_and_costs_no_request() -> None:
    content, pieces = cut(partials(600, 700), HALVES)
    store = Counting()
    store.put("shuffle", content)

    assert [piece.task for piece in pieces] == [1]
    fetch(store, [("shuffle", piece) for piece in pieces if piece.task == 0])
    assert store.reads == []
    assert cut(partials(), HALVES) == (b"", [])


def test_pieces_of_one_object_are_asked_for_together_and_come_in_the_order_of_the_sources() -> None:
    store = Counting()
    sources = []
    for name, frame in (("first", partials(1, 600)), ("second", partials(2, 700))):
        content, pieces = cut(frame, HALVES)
        store.put(name, content)
        sources.append([(name, piece) for piece in pieces])
    (low, high), (other_low, other_high) = sources
    frames = fetch(store, [high, other_low, low, other_high])
    assert [frame.item(0, GROUP) for frame in frames] == [600, 2, 1, 700]
    assert store.calls == ["first", "second"]


@given(st.lists(st.integers(0, 1023), max_size=30), st.lists(st.integers(1, 1023), max_size=5, unique=True))
@settings(max_examples=40)
def test_every_row_arrives_once_at_its_range_with_its_type(groups: list[int], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 1024]
    ranges = [KeyRange(low, high) for low, high in pairwise(edges)]
    frame = partials(*groups)
    content, pieces = cut(frame, ranges)
    store = MemoryObjects()
    store.put("shuffle", content)

    frames = fetch(store, [("shuffle", piece) for piece in pieces])

    for piece, part in zip(pieces, frames, strict=True):
        wanted = ranges[piece.task]
        assert part[GROUP].is_between(wanted.low, wanted.high, closed="left").all()
        assert part.schema == frame.schema
    assert sorted(row for part in frames for row in part.rows()) == sorted(frame.rows())


def test_a_damaged_piece_is_found_and_named() -> None:
    content, pieces = cut(partials(3, 600), HALVES)
    damaged = bytearray(content)
    damaged[pieces[1].offset + 20] ^= 1
    store = MemoryObjects()
    store.put("p/shuffle.arrow", bytes(damaged))

    assert len(fetch(store, [("p/shuffle.arrow", pieces[0])])) == 1
    with pytest.raises(
        CorruptObject, match=rf"p/shuffle\.arrow: bytes {pieces[1].offset} to {len(content)} are damaged"
    ):
        fetch(store, [("p/shuffle.arrow", pieces[1])])
