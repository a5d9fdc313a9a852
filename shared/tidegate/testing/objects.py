# ruff: noqa: D102, S101  (a test's name says what it shows, and it is made of assertions)
"""What every store of objects must do."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from tidegate.errors import ObjectNotFound
from tidegate.stores.ports import Objects, Wanted

RACERS = 6
"""Threads that do the same at once."""

ODD_KEYS = (
    "folder/with space",
    "folder/ü.json",
    "folder/😀",
    "folder/50%",
    "folder/a%20b",
    "folder/a+b&c=d;e",
    "folder/question?mark",
    "folder/[brackets]{braces}",
    "folder/star*",
    "folder/quote\"'`",
    "folder/back\\slash",
    "folder/pipe|angle<>",
    "folder/hash#tag",
    "folder/~tilde^caret",
    "folder/.hidden",
    "folder/" + "long" * 50,
    "folder/deep/" + "/".join("abcdefgh" * 4),
)
"""Keys that users' uploads have, and that a layer below could take for something else."""


def race(*functions: Callable[[], None]) -> None:
    """Runs functions in threads that begin at the same moment, and raises what one of them raised."""
    barrier = Barrier(len(functions))
    errors: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        barrier.wait()
        try:
            function()
        except BaseException as error:  # it is raised again below
            errors.append(error)

    threads = [Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class ObjectsConformance:
    """A class of tests to inherit from, with the fixture `objects` overridden: an empty store.

    Example:
        >>> class TestMemoryObjects(ObjectsConformance):
        ...     @pytest.fixture
        ...     def objects(self):
        ...         return MemoryObjects()
    """

    @pytest.fixture
    def objects(self) -> Objects:
        """An empty store."""
        raise NotImplementedError("override the fixture `objects` with an empty store")

    # Reading

    def test_get_returns_what_put_wrote(self, objects: Objects) -> None:
        objects.put("folder/a", b"\x00\xff bytes")
        assert objects.get("folder/a") == b"\x00\xff bytes"

    def test_an_object_may_be_empty(self, objects: Objects) -> None:
        objects.put("folder/a", b"")
        assert objects.get("folder/a") == b""
        (info,) = objects.list("folder")
        assert info.size == 0

    def test_get_of_a_missing_object_names_it(self, objects: Objects) -> None:
        with pytest.raises(ObjectNotFound, match="folder/missing"):
            objects.get("folder/missing")

    def test_a_folder_is_no_object(self, objects: Objects) -> None:
        objects.put("folder/below/a", b"x")
        with pytest.raises(ObjectNotFound):
            objects.get("folder/below")
        with pytest.raises(ObjectNotFound):
            objects.get("folder/below/a/further")

    def test_get_of_the_listed_version(self, objects: Objects) -> None:
        objects.put("folder/a", b"one")
        (info,) = objects.list("folder")
        assert objects.get("folder/a", info.version) == b"one"

    def test_get_of_a_version_that_was_replaced(self, objects: Objects) -> None:
        objects.put("folder/a", b"one")
        (before,) = objects.list("folder")
        objects.put("folder/a", b"three")
        (after,) = objects.list("folder")
        assert before.version != after.version
        with pytest.raises(ObjectNotFound, match="folder/a"):
            objects.get("folder/a", before.version)
        assert objects.get("folder/a", after.version) == b"three"

    def test_get_of_a_version_of_a_missing_object(self, objects: Objects) -> None:
        objects.put("folder/a", b"one")
        (info,) = objects.list("folder")
        objects.delete(["folder/a"])
        with pytest.raises(ObjectNotFound):
            objects.get("folder/a", info.version)

    def test_get_ranges(self, objects: Objects) -> None:
        objects.put("folder/a", bytes(range(256)))
        parts = objects.get_ranges("folder/a", [(0, 1), (10, 5), (255, 1), (100, 100), (10, 5)])
        assert parts == [
            b"\x00",
            bytes(range(10, 15)),
            b"\xff",
            bytes(range(100, 200)),
            bytes(range(10, 15)),
        ]

    def test_get_ranges_of_the_listed_version(self, objects: Objects) -> None:
        objects.put("folder/a", b"0123456789")
        (info,) = objects.list("folder")
        assert objects.get_ranges("folder/a", [(8, 2), (0, 3)], info.version) == [b"89", b"012"]

    def test_get_ranges_of_a_version_that_was_replaced(self, objects: Objects) -> None:
        objects.put("folder/a", b"0123456789")
        (before,) = objects.list("folder")
        assert objects.get_ranges("folder/a", [(0, 5)], before.version) == [b"01234"]
        objects.put("folder/a", b"abcdefghijk")
        (after,) = objects.list("folder")
        with pytest.raises(ObjectNotFound, match="folder/a"):
            objects.get_ranges("folder/a", [(5, 5)], before.version)
        assert objects.get_ranges("folder/a", [(5, 5)], after.version) == [b"fghij"]
        objects.delete(["folder/a"])
        with pytest.raises(ObjectNotFound):
            objects.get_ranges("folder/a", [(5, 5)], after.version)

    def test_what_nobody_said_anything_about_has_no_metadata(self, objects: Objects) -> None:
        objects.put("folder/a", b"one")
        (before,) = objects.list("folder")
        assert objects.metadata("folder/a") == objects.metadata("folder/a", before.version) == {}
        with pytest.raises(ObjectNotFound, match="folder/missing"):
            objects.metadata("folder/missing")
        objects.put("folder/a", b"three")
        with pytest.raises(ObjectNotFound, match="folder/a"):
            objects.metadata("folder/a", before.version)

    def test_get_ranges_of_none(self, objects: Objects) -> None:
        objects.put("folder/a", b"abc")
        assert objects.get_ranges("folder/a", []) == []

    def test_get_many_answers_in_the_order_in_which_it_was_asked(self, objects: Objects) -> None:
        keys = [f"folder/{number}" for number in range(40)]
        for key in keys:
            objects.put(key, f"{key} has a content".encode())
        wanted: list[Wanted] = [
            (key, None if number % 3 else [(0, 3), (7, 2)]) for number, key in enumerate(keys)
        ]
        wanted += [("folder/0", []), ("folder/0", None), ("folder/0", [(1, 2), (1, 2)])]
        assert objects.get_many(wanted) == [
            [objects.get(key)] if ranges is None else objects.get_ranges(key, ranges)
            for key, ranges in wanted
        ]
        assert objects.get_many([]) == []

    def test_get_many_of_which_one_is_missing(self, objects: Objects) -> None:
        objects.put("folder/a", b"abc")
        for ranges in (None, [(0, 1)]):
            wanted: list[Wanted] = [("folder/a", ranges), ("folder/missing", ranges)]
            with pytest.raises(ObjectNotFound, match="folder/missing"):
                objects.get_many(wanted)

    def test_get_versions_of_which_some_are_not_there_any_more(self, objects: Objects) -> None:
        for number in range(40):
            objects.put(f"folder/{number:02}", f"{number} has a content".encode())
        wanted = [(each.key, each.version) for each in objects.list("folder")]
        objects.put("folder/07", b"another content")
        objects.delete(["folder/11"])

        found = objects.get_versions([*wanted, wanted[0]])

        assert [each for each in found if isinstance(each, bytes)] == [
            *(f"{number} has a content".encode() for number in range(40) if number not in (7, 11)),
            b"0 has a content",
        ]
        for number in (7, 11):
            with pytest.raises(ObjectNotFound) as refused:
                objects.get(*wanted[number])
            assert repr(found[number]) == repr(refused.value)
        assert objects.get_versions([]) == []

    def test_get_ranges_of_a_missing_object(self, objects: Objects) -> None:
        with pytest.raises(ObjectNotFound, match="folder/missing"):
            objects.get_ranges("folder/missing", [(0, 1)])

    # Writing

    def test_put_replaces_the_whole_object(self, objects: Objects) -> None:
        objects.put("folder/a", b"a long content")
        objects.put("folder/a", b"short")
        assert objects.get("folder/a") == b"short"

    def test_readers_never_see_a_part(self, objects: Objects) -> None:
        size = 200_000
        objects.put("folder/a", b"0" * size)

        def write() -> None:
            for number in range(1, 10):
                objects.put("folder/a", str(number).encode() * size)

        def read() -> None:
            for _ in range(10):
                found = objects.get("folder/a")
                assert len(found) == size
                assert found == found[:1] * size

        race(write, read, read)

    def test_put_if_absent_writes_once(self, objects: Objects) -> None:
        assert objects.put_if_absent("folder/a", b"first")
        assert not objects.put_if_absent("folder/a", b"second")
        assert objects.get("folder/a") == b"first"

    def test_put_if_absent_spares_what_put_wrote(self, objects: Objects) -> None:
        objects.put("folder/a", b"first")
        assert not objects.put_if_absent("folder/a", b"second")
        assert objects.get("folder/a") == b"first"

    def test_put_if_absent_after_a_delete(self, objects: Objects) -> None:
        assert objects.put_if_absent("folder/a", b"first")
        objects.delete(["folder/a"])
        assert objects.put_if_absent("folder/a", b"second")
        assert objects.get("folder/a") == b"second"

    def test_of_racing_put_if_absent_exactly_one_wins(self, objects: Objects) -> None:
        for round_ in range(8):
            key = f"folder/{round_}"
            won: list[bytes] = []

            def put(number: int, key: str = key, won: list[bytes] = won) -> None:
                data = str(number).encode() * 10_000
                if objects.put_if_absent(key, data):
                    won.append(data)

            race(*(lambda number=number: put(number) for number in range(RACERS)))
            assert len(won) == 1
            assert objects.get(key) == won[0]

    # Listing

    def test_list_of_nothing(self, objects: Objects) -> None:
        assert list(objects.list("folder")) == []

    def test_list_gives_a_folder_at_any_depth_and_nothing_beside_it(self, objects: Objects) -> None:
        for key in ("a/1", "a/b/2", "a/b/c/d/3", "a", "ab/4", "a-/5", "b/a/6", "A/7"):
            if key != "a":  # a file system has either a file or a folder of a name
                objects.put(key, b"x")
        assert [info.key for info in objects.list("a")] == ["a/1", "a/b/2", "a/b/c/d/3"]
        assert [info.key for info in objects.list("a/b")] == ["a/b/2", "a/b/c/d/3"]

    def test_list_is_in_code_point_order(self, objects: Objects) -> None:
        names = ["10", "2", "B", "a", "a-b", "a.b", "a/b", "a0", "ab", "ä", "\ue000", "😀", "~"]
        for name in reversed(names):
            objects.put(f"folder/{name}" if name != "a" else "folder/a_", b"x")
        keys = [info.key for info in objects.list("folder")]
        assert keys == sorted(keys)
        assert len(keys) == len(names)

    def test_list_gives_sizes_and_versions(self, objects: Objects) -> None:
        objects.put("folder/a", b"1")
        objects.put("folder/b", b"22")
        found = {info.key: info for info in objects.list("folder")}
        assert {key: info.size for key, info in found.items()} == {"folder/a": 1, "folder/b": 2}
        assert all(info.version for info in found.values())

    def test_list_sees_what_was_just_written_and_removed(self, objects: Objects) -> None:
        for number in range(20):
            objects.put(f"folder/{number:02}", b"x")
            assert len(list(objects.list("folder"))) == number + 1
        objects.delete([f"folder/{number:02}" for number in range(0, 20, 2)])
        assert len(list(objects.list("folder"))) == 10

    def test_list_of_more_objects_than_one_page(self, objects: Objects) -> None:
        for number in range(1_001):
            objects.put(f"folder/{number:05}", b"")
        keys = [info.key for info in objects.list("folder")]
        assert keys == [f"folder/{number:05}" for number in range(1_001)]

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_odd_keys_are_only_names(self, objects: Objects, key: str) -> None:
        assert objects.put_if_absent(key, b"first")
        assert not objects.put_if_absent(key, b"second")
        objects.put(key, b"third")
        assert [info.key for info in objects.list("folder")] == [key]
        (info,) = objects.list("folder")
        assert objects.get(key, info.version) == b"third"
        assert objects.get_ranges(key, [(1, 2)]) == [b"hi"]
        assert objects.get_ranges(key, [(1, 2)], info.version) == [b"hi"]
        objects.delete([key])
        assert list(objects.list("folder")) == []

    def test_keys_that_differ_in_one_character_are_different(self, objects: Objects) -> None:
        keys = ["folder/a b", "folder/a%20b", "folder/a+b", "folder/A b", "folder/a_b"]
        for key in keys:
            assert objects.put_if_absent(key, key.encode())
        assert {key: objects.get(key) for key in keys} == {key: key.encode() for key in keys}

    # Deleting

    def test_delete(self, objects: Objects) -> None:
        for key in ("folder/a", "folder/b", "folder/c"):
            objects.put(key, b"x")
        objects.delete(["folder/a", "folder/b"])
        assert [info.key for info in objects.list("folder")] == ["folder/c"]
        with pytest.raises(ObjectNotFound):
            objects.get("folder/a")

    def test_delete_of_what_is_not_there(self, objects: Objects) -> None:
        objects.put("folder/a", b"x")
        objects.delete(["folder/missing", "folder/a", "elsewhere/missing"])
        objects.delete(["folder/a"])
        objects.delete([])
        assert list(objects.list("folder")) == []
