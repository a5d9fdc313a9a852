from pathlib import Path

import pytest

from tidegate.errors import CorruptObject, ObjectNotFound
from tidegate.stores.cached import CachedObjects
from tidegate.stores.memory import MemoryObjects
from tidegate.stores.ports import Objects
from tidegate.testing.objects import ObjectsConformance

SIZE = 100


def is_kept(key: str) -> bool:
    return key.endswith(".kept")


class Counting(MemoryObjects):
    """Counts the ranges that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, tuple[int, int]]] = []

    def get_ranges(self, key: str, ranges, version=None):  # type: ignore[no-untyped-def]  # as in the port
        self.asked += [(key, each) for each in ranges]
        return super().get_ranges(key, ranges, version)


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def cached(store: Counting, tmp_path: Path) -> CachedObjects:
    return CachedObjects(store, tmp_path, SIZE, is_kept)


class TestCachedObjects(ObjectsConformance):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return CachedObjects(MemoryObjects(), tmp_path, SIZE, is_kept)


def test_what_was_read_is_not_asked_for_again(store: Counting, cached: CachedObjects) -> None:
    store.put("a.kept", b"0123456789")
    assert cached.get_ranges("a.kept", [(0, 4), (6, 2)]) == [b"0123", b"67"]
    assert cached.get_ranges("a.kept", [(6, 2), (1, 2), (4, 2)]) == [b"67", b"12", b"45"]
    assert store.asked == [("a.kept", (0, 4)), ("a.kept", (6, 2)), ("a.kept", (4, 2))]


def test_of_many_only_what_is_missing_is_asked_for(store: Counting, cached: CachedObjects) -> None:
    cached.put("a.kept", b"0123456789")
    store.put("b.kept", b"0123456789")
    store.put("c", b"0123456789")
    wanted = [("a.kept", [(2, 2), (2, 2)]), ("b.kept", [(4, 2), (4, 2)]), ("c", [(6, 2)]), ("c", None)]
    for _ in range(2):
        assert cached.get_many(wanted) == [[b"23", b"23"], [b"45", b"45"], [b"67"], [b"0123456789"]]
    assert store.asked == [("b.kept", (4, 2)), ("c", (6, 2)), ("c", (6, 2))]


def test_what_was_created_is_kept_and_what_somebody_else_created_is_not(
    store: Counting, cached: CachedObjects
) -> None:
    store.put("b.kept", b"theirs")
    assert cached.put_if_absent("a.kept", b"ours")
    assert not cached.put_if_absent("b.kept", b"ours")
    assert cached.get_ranges("a.kept", [(0, 4)]) == [b"ours"]
    assert cached.get_ranges("b.kept", [(0, 6)]) == [b"theirs"]
    assert store.asked == [("b.kept", (0, 6))]


def test_what_was_written_is_not_asked_for(store: Counting, cached: CachedObjects) -> None:
    cached.put("a.kept", b"0123456789")
    assert store.get("a.kept") == b"0123456789"
    assert cached.get_ranges("a.kept", [(2, 3)]) == [b"234"]
    assert not store.asked


def test_what_may_change_is_always_asked_for(store: Counting, cached: CachedObjects) -> None:
    cached.put("a", b"first")
    assert cached.get_ranges("a", [(0, 5)]) == [b"first"]
    store.put("a", b"other")
    assert cached.get_ranges("a", [(0, 5)]) == [b"other"]


def test_what_was_not_used_for_longest_leaves_first(store: Counting, cached: CachedObjects) -> None:
    for name in "abc":
        cached.put(f"{name}.kept", name.encode() * 40)
        cached.get_ranges("a.kept", [(0, 40)])
    assert not store.asked
    cached.get_ranges("b.kept", [(0, 40)])
    assert store.asked == [("b.kept", (0, 40))]


def test_an_object_that_is_larger_than_the_cache_is_not_kept(
    store: Counting, cached: CachedObjects, tmp_path: Path
) -> None:
    cached.put("a.kept", bytes(SIZE + 1))
    cached.get_ranges("a.kept", [(0, SIZE + 1)])
    assert len(store.asked) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_copy_is_not_used(
    damage: str, store: Counting, cached: CachedObjects, tmp_path: Path
) -> None:
    cached.put("a.kept", b"0123456789")
    (copy,) = (path for path in tmp_path.rglob("*") if path.is_file())
    stored = copy.read_bytes()
    if damage == "gone":
        copy.unlink()
    else:
        copy.write_bytes(stored[:-1] + (b"!" if damage == "flipped" else b""))
    assert cached.get_ranges("a.kept", [(0, 10)]) == [b"0123456789"]
    assert len(store.asked) == 1


def test_without_room_the_store_is_asked(store: Counting, cached: CachedObjects, tmp_path: Path) -> None:
    (folder,) = tmp_path.iterdir()
    folder.rmdir()
    cached.put("a.kept", b"0123456789")
    assert cached.get_ranges("a.kept", [(0, 10)]) == [b"0123456789"]
    assert cached.get_ranges("a.kept", [(0, 10)]) == [b"0123456789"]
    assert len(store.asked) == 2


def test_an_object_that_is_not_there(cached: CachedObjects) -> None:
    with pytest.raises(ObjectNotFound):
        cached.get_ranges("a.kept", [(0, 1)])


def test_work_that_is_misled_by_what_is_kept_is_done_again_without_it(
    store: Counting, cached: CachedObjects
) -> None:
    cached.put("a.kept", b"old")
    store.put("a.kept", b"new")

    def work() -> bytes:
        ((data,),) = cached.get_many([("a.kept", [(0, 3)])])
        if data != b"new":
            raise CorruptObject("a.kept: not what was written")
        return data

    assert cached.trusting(work) == b"new"
    cached.put("a.kept", b"bad")
    with pytest.raises(CorruptObject):
        cached.trusting(work)


def test_what_was_kept_of_an_object_goes_when_it_is_created_again(
    store: Counting, cached: CachedObjects
) -> None:
    assert cached.put_if_absent("a.kept", b"old")
    store.delete(["a.kept"])
    assert cached.put_if_absent("a.kept", b"new")
    assert cached.get_ranges("a.kept", [(0, 3)]) == [b"new"]
