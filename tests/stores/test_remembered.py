import pytest

from tidegate.stores.memory import MemoryObjects
from tidegate.stores.metered import MeteredObjects
from tidegate.stores.ports import Objects
from tidegate.stores.remembered import RememberedObjects
from tidegate.testing.objects import ObjectsConformance


class Asked:
    """How often the store below is asked for an object."""

    def __init__(self) -> None:
        self.gets = 0

    def count(self, name: str, number: int) -> None:
        self.gets += number if name == "state.get" else 0


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def objects(asked: Asked) -> RememberedObjects:
    return RememberedObjects(MeteredObjects(MemoryObjects(), "state", asked.count), is_kept)


def is_kept(key: str) -> bool:
    return key.endswith(".kept")


class TestRememberedObjects(ObjectsConformance):
    @pytest.fixture
    def objects(self) -> Objects:
        return RememberedObjects(MemoryObjects(), is_kept)


def test_what_was_read_is_not_asked_for_again(objects: RememberedObjects, asked: Asked) -> None:
    objects.put("a.kept", b"1")
    assert [objects.get("a.kept") for _ in range(3)] == [b"1"] * 3
    assert asked.gets == 1


def test_what_was_created_is_not_asked_for(objects: RememberedObjects, asked: Asked) -> None:
    assert objects.put_if_absent("a.kept", b"1")
    assert objects.get("a.kept") == b"1"
    assert asked.gets == 0


def test_what_somebody_else_created_is(objects: RememberedObjects, asked: Asked) -> None:
    objects.put("a.kept", b"theirs")
    assert not objects.put_if_absent("a.kept", b"ours")
    before = asked.gets
    assert objects.get("a.kept") == b"theirs"
    assert asked.gets == before + 1


def test_what_may_change_is_asked_for_each_time(objects: RememberedObjects, asked: Asked) -> None:
    objects.put_if_absent("a", b"1")
    assert objects.get("a") == b"1"
    objects.put("a", b"2")
    assert objects.get("a") == b"2"
    assert asked.gets == 2


def test_of_many_only_those_are_asked_for_that_are_not_remembered(
    objects: RememberedObjects, asked: Asked
) -> None:
    for name in "abc":
        objects.put(f"{name}.kept", name.encode() * 4)
    objects.get("b.kept")
    wanted = [("a.kept", None), ("b.kept", None), ("b.kept", [(1, 2)]), ("c.kept", [(0, 3)])]
    assert objects.get_many(wanted) == [[b"aaaa"], [b"bbbb"], [b"bb"], [b"ccc"]]
    assert asked.gets == 3
    # What was read whole is remembered, and of the others nothing is.
    assert objects.get_many(wanted) == [[b"aaaa"], [b"bbbb"], [b"bb"], [b"ccc"]]
    assert asked.gets == 4
