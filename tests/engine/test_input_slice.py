"""Wherever an object is cut, each of its lines is read once, in its order."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.engine.input_slice import InputSlice, SliceContent, contents
from tidegate.errors import ObjectNotFound
from tidegate.limits import READ_AHEAD_BYTES
from tidegate.stores.memory import MemoryObjects
from tidegate.stores.ports import Version

KEY = "in/a.json"

LINES = st.lists(
    st.sampled_from([b"x", b"", b"\r", b"long" * 20, b"\xef\xbb\xbf", b"\x1f\x8b", b"\xff\xfe"]), max_size=20
)
FILES = st.tuples(LINES.map(b"\n".join), st.sampled_from([b"", b"\n", b"\n\n", b"\r\n"])).map(b"".join)


class Watched(MemoryObjects):
    """Notes the parts that are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.put(KEY, data)
        (info,) = self.list("in")
        self.version, self.size = info.version, info.size
        self.reads: list[tuple[int, int]] = []

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        self.reads += ranges
        return super().get_ranges(key, ranges, version)

    def slice(self, start: int = 0, end: int | None = None) -> InputSlice:
        return InputSlice(KEY, self.version, self.size, start, end)


def content(objects: Watched, start: int = 0, end: int | None = None, part: int = 100) -> tuple[bytes, int]:
    """The content of a range, and with which byte it begins."""
    found = SliceContent(objects, objects.slice(start, end), part)
    return b"".join(found.parts()), found.first


def lines_that_begin_in(data: bytes, start: int, end: int) -> list[tuple[int, bytes]]:
    """Line by line, with the byte that each begins with."""
    found, place = [], 0
    for line in data.splitlines(keepends=True) if b"\r" not in data else _lines(data):
        if start <= place < end:
            found.append((place, line))
        place += len(line)
    return found


def _lines(data: bytes) -> list[bytes]:
    *ended, rest = data.split(b"\n")
    return [line + b"\n" for line in ended] + ([rest] if rest else [])


@settings(max_examples=400, deadline=None)
@given(FILES, st.lists(st.integers(1, 200), max_size=5), st.integers(1, 200))
@example(b"a\nb\n", [2], 100)
@example(b"a\nb\n", [1, 3], 1)
@example(b"long" * 20, [1, 30, 60], 7)
def test_every_line_belongs_to_the_range_in_which_it_begins(data: bytes, cuts: list[int], part: int) -> None:
    if data.startswith((b"\xff\xfe", b"\x1f\x8b")):
        data = b"x" + data
    objects = Watched(data)
    edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    whole = b""
    for start, end in pairwise(edges):
        found, first = content(objects, start, end, part)
        expected = lines_that_begin_in(data, start, end)
        assert found == b"".join(line for _, line in expected)
        assert not start or not expected or first == expected[0][0]
        whole += found
    assert whole == data


def test_of_a_line_that_begins_before_a_range_no_more_is_read_than_the_range() -> None:
    objects = Watched(b"x" * 1_000 + b"\n")
    assert content(objects, 200, 400) == (b"", 0)
    assert objects.reads == [(0, 4), (199, 100), (299, 201)]


def test_the_end_of_the_last_line_comes_with_the_last_bytes_of_the_range() -> None:
    objects = Watched(b"0123456\n" * 100)
    assert content(objects, 0, 500)[0] == b"0123456\n" * 63
    assert objects.reads == [(0, 100), (100, 100), (200, 100), (300, 300)]


def test_the_end_of_a_long_line_is_read_in_growing_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.engine.input_slice._BEHIND", 10)
    objects = Watched(b"x" * 200 + b"\n" + b"y" * 800)
    assert content(objects, 0, 50)[0] == b"x" * 200 + b"\n"
    assert objects.reads == [(0, 60), (60, 10), (70, 20), (90, 40), (130, 80)]


@pytest.mark.parametrize("opening", [b"\xff\xfe", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd"])
def test_what_does_not_open_as_text_has_no_lines_but_for_the_slice_that_finds_it(opening: bytes) -> None:
    objects = Watched(opening + b"a\nb\nc\n")
    assert content(objects, 3)[0] == b""
    assert content(objects, 0, 3)[0].startswith(opening)


def test_a_range_of_another_version_is_not_read() -> None:
    objects = Watched(b"a\nb\n")
    before = objects.slice(2)
    objects.put(KEY, b"c\nd\n")
    with pytest.raises(ObjectNotFound):
        list(SliceContent(objects, before, 100).parts())


class Together(MemoryObjects):
    """Notes which objects are asked for together, and which are got by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str] | str] = []

    def get_versions(self, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
        found = super().get_versions(wanted)
        self.asked = [*self.asked[: len(self.asked) - len(wanted)], [key for key, _ in wanted]]
        return found

    def get(self, key: str, version: str | None = None) -> bytes:
        self.asked.append(key)
        return super().get(key, version)

    def slices(self) -> list[InputSlice]:
        return [InputSlice(each.key, each.version, each.size) for each in self.list("in")]


def test_small_objects_are_asked_for_together_before_the_first_is_read() -> None:
    objects = Together()
    for number in range(5):
        objects.put(f"in/{number}.json", b"%d\n" % number)

    found = contents(objects, objects.slices(), 100)

    assert b"".join(next(found).parts()) == b"0\n"
    assert objects.asked == [[f"in/{number}.json" for number in range(5)]]
    assert [b"".join(each.parts()) for each in found] == [b"1\n", b"2\n", b"3\n", b"4\n"]
    assert len(objects.asked) == 1


def test_what_is_at_hand_before_its_turn_is_bounded() -> None:
    objects = Together()
    for number, size in enumerate([40, 40, 40, 90, 10]):
        objects.put(f"in/{number}.json", bytes(size))

    read = [len(b"".join(each.parts())) for each in contents(objects, objects.slices(), 100)]

    assert read == [40, 40, 40, 90, 10]
    assert objects.asked == [["in/0.json", "in/1.json"], ["in/2.json"], ["in/3.json", "in/4.json"]]


def test_large_objects_and_parts_of_objects_are_read_in_their_turn() -> None:
    objects = Together()
    objects.put("in/0.json", bytes(READ_AHEAD_BYTES + 1))
    objects.put("in/1.json", b"1\n")
    objects.put("in/2.json", b"2\n22\n")
    large, small, cut = objects.slices()
    slices = [large, small, InputSlice(cut.key, cut.version, cut.size, 2)]

    read = [len(b"".join(each.parts())) for each in contents(objects, slices, 2 * READ_AHEAD_BYTES)]

    assert read == [READ_AHEAD_BYTES + 1, 2, 3]
    assert objects.asked == [["in/1.json"], "in/0.json", "in/2.json"]


def test_of_a_small_object_any_bytes_are_at_hand() -> None:
    objects = Together()
    objects.put("in/0.parquet", b"abcdef")
    (content,) = contents(objects, objects.slices(), 100)

    assert content.stored().get([(0, 2), (4, 1)]) == [b"ab", b"e"]
    assert objects.asked == [["in/0.parquet"]]


def test_a_small_object_that_is_gone_fails_in_its_turn_alone() -> None:
    objects = Together()
    for number in range(3):
        objects.put(f"in/{number}.json", b"%d\n" % number)
    slices = objects.slices()
    objects.put("in/1.json", b"another\n")
    first, gone, last = contents(objects, slices, 100)

    assert [*first.parts(), *last.parts()] == [b"0\n", b"2\n"]
    with pytest.raises(ObjectNotFound, match=r"in/1\.json"):
        list(gone.parts())
    with pytest.raises(ObjectNotFound, match=r"in/1\.json"):
        gone.stored().get([(0, 1)])
