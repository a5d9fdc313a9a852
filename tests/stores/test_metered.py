from collections import Counter

import pytest

from tidegate.errors import ConditionFailed, ObjectNotFound
from tidegate.stores.memory import MemoryObjects, MemoryTable
from tidegate.stores.metered import MeteredObjects, MeteredTable
from tidegate.stores.ports import Add, Delete, Objects, Put, Table
from tidegate.testing.objects import ObjectsConformance
from tidegate.testing.table import TableConformance

MIB = 1024 * 1024


class Counted(Counter[str]):
    def add(self, name: str, number: int) -> None:
        self[name] += number

    def taken(self) -> dict[str, int]:
        """What was counted since this was asked the last time."""
        found = {name: number for name, number in self.items() if number}
        self.clear()
        return found


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def objects(counted: Counted) -> MeteredObjects:
    return MeteredObjects(MemoryObjects(), "state", counted.add)


@pytest.fixture
def table(counted: Counted) -> MeteredTable:
    return MeteredTable(MemoryTable(), counted.add)


class TestMeteredObjects(ObjectsConformance):
    @pytest.fixture
    def objects(self) -> Objects:
        return MeteredObjects(MemoryObjects(), "state", Counted().add)


class TestMeteredTable(TableConformance):
    @pytest.fixture
    def table(self) -> Table:
        return MeteredTable(MemoryTable(), Counted().add)


def test_reads_and_writes_are_counted_with_their_bytes(objects: MeteredObjects, counted: Counted) -> None:
    objects.put("a", b"four")
    assert counted.taken() == {"state.put": 1, "state.bytes_written": 4}
    objects.get("a")
    assert counted.taken() == {"state.get": 1, "state.bytes_read": 4}


def test_metadata_costs_a_get_and_no_bytes(objects: MeteredObjects, counted: Counted) -> None:
    objects.put("a", b"four")
    counted.taken()
    objects.metadata("a")
    assert counted.taken() == {"state.get": 1}


def test_each_of_many_objects_is_counted_by_itself(objects: MeteredObjects, counted: Counted) -> None:
    objects.put("a", bytes(10))
    objects.put("b", bytes(2 * MIB))
    counted.taken()
    objects.get_many([("a", None), ("b", [(0, 10), (20, 10)]), ("b", [(0, 10), (MIB + 11, 10)]), ("a", [])])
    assert counted.taken() == {"state.get": 4, "state.bytes_read": 10 + 30 + 20}


def test_and_so_is_each_of_many_versions(objects: MeteredObjects, counted: Counted) -> None:
    objects.put("folder/a", bytes(10))
    (info,) = objects.list("folder")
    counted.taken()
    objects.get_versions([("folder/a", info.version), ("folder/a", "other")])
    assert counted.taken() == {"state.get": 2, "state.bytes_read": 10}


def test_a_get_that_finds_nothing_is_a_request(objects: MeteredObjects, counted: Counted) -> None:
    with pytest.raises(ObjectNotFound):
        objects.get("a")
    assert counted.taken() == {"state.get": 1}


def test_a_create_that_loses_looks_at_what_is_there(objects: MeteredObjects, counted: Counted) -> None:
    objects.put_if_absent("a", b"four")
    assert counted.taken() == {"state.put": 1, "state.bytes_written": 4}
    objects.put_if_absent("a", b"more")
    assert counted.taken() == {"state.put": 1, "state.get": 1, "state.bytes_written": 4}


@pytest.mark.parametrize(
    ("ranges", "requests", "size"),
    [
        ([(0, 10)], 1, 10),
        ([(0, 10), (20, 10)], 1, 30),
        ([(20, 10), (0, 10)], 1, 30),
        ([(0, 30), (5, 10), (25, 10)], 1, 35),
        ([(0, 10), (MIB + 10, 10)], 1, MIB + 20),
        ([(0, 10), (MIB + 11, 10)], 2, 20),
    ],
)
def test_ranges_near_each_other_are_one_request_with_what_is_between(
    ranges: list[tuple[int, int]],
    requests: int,
    size: int,
    objects: MeteredObjects,
    counted: Counted,
) -> None:
    objects.put("a", bytes(MIB + 100))
    counted.clear()
    objects.get_ranges("a", ranges)
    assert counted.taken() == {"state.get": requests, "state.bytes_read": size}


def test_ranges_of_a_version_are_a_request_each(objects: MeteredObjects, counted: Counted) -> None:
    objects.put("folder/a", bytes(100))
    (info,) = objects.list("folder")
    counted.clear()
    objects.get_ranges("folder/a", [(0, 10), (20, 10)], info.version)
    assert counted.taken() == {"state.get": 2, "state.bytes_read": 20}


def test_a_thousand_keys_are_listed_and_removed_in_one_request(
    objects: MeteredObjects, counted: Counted
) -> None:
    keys = [f"folder/{number}" for number in range(1_001)]
    for key in keys:
        objects.put(key, b"")
    counted.clear()
    assert len(list(objects.list("folder"))) == 1_001
    list(objects.list("nothing"))
    assert counted.taken() == {"state.list": 3}
    objects.delete([])
    objects.delete(keys[:1_000])
    assert counted.taken() == {"state.delete": 1}
    objects.delete(keys)
    assert counted.taken() == {"state.delete": 2}


def test_reads_of_rows_are_rounded_up_to_four_kilobytes(table: MeteredTable, counted: Counted) -> None:
    table.write(*(Put(f"row{number}", {"text": "x" * 2_500}) for number in range(4)))
    counted.clear()
    table.get("row0")
    table.get("none")
    assert counted.taken() == {"table.read": 2, "table.read_units": 2}
    table.get_many(["row0", "row0", "row1", "none"])
    assert counted.taken() == {"table.read": 1, "table.read_units": 3}, "each row by itself"
    table.query("row", 10)
    assert counted.taken() == {"table.read": 1, "table.read_units": 3}, "all rows together"


def test_a_hundred_rows_are_read_in_one_request(table: MeteredTable, counted: Counted) -> None:
    table.get_many([str(number) for number in range(101)])
    assert counted.taken() == {"table.read": 2, "table.read_units": 101}


def test_a_write_is_a_transaction_whether_it_succeeds_or_not(table: MeteredTable, counted: Counted) -> None:
    table.write(Put("a", {"text": "x" * 1_500}), Delete("b"), Add("c", "number", 1))
    assert counted.taken() == {"table.write": 1, "table.write_units": 2 * (2 + 1 + 1)}
    with pytest.raises(ConditionFailed):
        table.write(Put("a", {}, expected=None))
    assert counted.taken() == {"table.write": 1, "table.write_units": 2}
