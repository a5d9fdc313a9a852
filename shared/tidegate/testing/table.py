# ruff: noqa: D102, S101  (a test's name says what it shows, and it is made of assertions)
"""What every table must do."""

import pytest

from tidegate.errors import ConditionFailed
from tidegate.stores.ports import ANYTHING, Add, Delete, Put, Row, Table, Write
from tidegate.testing.objects import RACERS, race


class TableConformance:
    """A class of tests to inherit from, with the fixture `table` overridden: a table without rows.

    Example:
        >>> class TestMemoryTable(TableConformance):
        ...     @pytest.fixture
        ...     def table(self):
        ...         return MemoryTable()
    """

    @pytest.fixture
    def table(self) -> Table:
        """A table without rows."""
        raise NotImplementedError("override the fixture `table` with a table without rows")

    # Values

    def test_get_of_a_missing_row(self, table: Table) -> None:
        assert table.get("missing") is None

    @pytest.mark.parametrize(
        "row",
        [
            {"text": "x", "number": 1},
            {"text": "", "number": 0},
            {"text": "ü 😀 \" ' \\ \n %", "number": -1},
            {"text": "1"},
            {"key": "reserved", "value": "words", "size": 3, "count": 4, "until": 5, "status": "x"},
            {"number": 253_402_300_799_999_999},
            {"number": -62_135_596_800_000_000},
            {"number": 2**53 + 1, "other": 2**63 - 1, "third": -(2**63)},
            {"text": "x" * 50_000},
            {},
        ],
    )
    def test_a_row_comes_back_as_it_was_put(self, table: Table, row: Row) -> None:
        table.write(Put("row", row))
        found = table.get("row")
        assert found == row
        assert found is not None
        assert {name: type(value) for name, value in found.items()} == {
            name: type(value) for name, value in row.items()
        }
        assert table.query("row", 10) == [("row", row)]

    def test_put_replaces_the_whole_row(self, table: Table) -> None:
        table.write(Put("row", {"a": 1, "b": 2}))
        table.write(Put("row", {"b": 3}, expected=ANYTHING))
        assert table.get("row") == {"b": 3}

    def test_get_many_finds_what_is_there(self, table: Table) -> None:
        table.write(*(Put(f"row#{number:03}", {"n": number}) for number in range(100)))
        table.write(Put("row#100", {"n": 100}))
        assert table.get_many([]) == {}
        assert table.get_many(["missing"]) == {}
        assert table.get_many(["row#007", "missing", "row#007"]) == {"row#007": {"n": 7}}
        # More than one request of any service reads.
        wanted = [f"row#{number:03}" for number in range(250)]
        assert table.get_many(wanted) == {f"row#{number:03}": {"n": number} for number in range(101)}

    # Conditions

    def test_put_expects_no_row_unless_it_says_otherwise(self, table: Table) -> None:
        table.write(Put("row", {"a": 1}))
        with pytest.raises(ConditionFailed):
            table.write(Put("row", {"a": 2}))
        assert table.get("row") == {"a": 1}

    def test_put_after_a_delete_finds_no_row(self, table: Table) -> None:
        table.write(Put("row", {"a": 1}))
        table.write(Delete("row"))
        table.write(Put("row", {"a": 2}))
        assert table.get("row") == {"a": 2}

    def test_put_that_expects_attributes(self, table: Table) -> None:
        table.write(Put("row", {"epoch": 1, "holder": "", "more": "x"}))
        table.write(Put("row", {"epoch": 2}, expected={"epoch": 1, "holder": ""}))
        assert table.get("row") == {"epoch": 2}

    @pytest.mark.parametrize(
        "expected", [{"epoch": 2}, {"epoch": "1"}, {"missing": 0}, {"epoch": 1, "missing": ""}, {"holder": 0}]
    )
    def test_put_that_expects_other_attributes(self, table: Table, expected: Row) -> None:
        table.write(Put("row", {"epoch": 1, "holder": ""}))
        with pytest.raises(ConditionFailed):
            table.write(Put("row", {"epoch": 2}, expected=expected))
        assert table.get("row") == {"epoch": 1, "holder": ""}

    def test_put_that_expects_attributes_of_a_missing_row(self, table: Table) -> None:
        for expected in ({"epoch": 1}, {}):
            with pytest.raises(ConditionFailed):
                table.write(Put("row", {"epoch": 2}, expected=expected))
        assert table.get("row") is None

    def test_put_that_expects_some_row(self, table: Table) -> None:
        table.write(Put("row", {"a": 1}))
        table.write(Put("row", {"a": 2}, expected={}))
        assert table.get("row") == {"a": 2}

    def test_put_that_expects_anything(self, table: Table) -> None:
        table.write(Put("row", {"a": 1}, expected=ANYTHING))
        table.write(Put("row", {"a": 2}, expected=ANYTHING))
        assert table.get("row") == {"a": 2}

    # Several writes

    def test_all_writes_happen(self, table: Table) -> None:
        table.write(Put("a", {"n": 1}), Put("b", {"n": 2}))
        table.write(Put("a", {"n": 3}, expected={"n": 1}), Delete("b"), Add("c", "n", 4), Put("d", {"n": 5}))
        assert [table.get(key) for key in "abcd"] == [{"n": 3}, None, {"n": 4}, {"n": 5}]

    @pytest.mark.parametrize("place", [0, 2, 4])
    def test_no_write_happens_where_one_condition_fails(self, table: Table, place: int) -> None:
        table.write(Put("a", {"n": 1}), Put("b", {"n": 2}), Put("c", {"n": 3}))
        writes: list[Write] = [
            Put("a", {"n": 9}, expected=ANYTHING),
            Delete("b"),
            Add("c", "n", 1),
            Put("d", {"n": 4}),
        ]
        writes.insert(place, Put("e", {"n": 5}, expected={"n": 0}))
        with pytest.raises(ConditionFailed):
            table.write(*writes)
        assert [table.get(key) for key in "abcde"] == [{"n": 1}, {"n": 2}, {"n": 3}, None, None]

    def test_a_hundred_writes(self, table: Table) -> None:
        table.write(*(Put(f"row#{number:03}", {"n": number}) for number in range(100)))
        assert len(table.query("row#", 1_000)) == 100
        table.write(*(Delete(f"row#{number:03}") for number in range(100)))
        assert table.query("row#", 1_000) == []

    def test_delete_of_a_missing_row(self, table: Table) -> None:
        table.write(Delete("missing"))
        table.write(Delete("missing"), Put("row", {"n": 1}))
        assert table.get("row") == {"n": 1}

    # Adding

    def test_add_begins_at_nothing(self, table: Table) -> None:
        table.write(Add("row", "n", 3))
        assert table.get("row") == {"n": 3}

    def test_add_to_a_row_keeps_the_rest(self, table: Table) -> None:
        table.write(Put("row", {"n": 1, "text": "x"}))
        table.write(Add("row", "n", 2))
        table.write(Add("row", "m", -5))
        assert table.get("row") == {"n": 3, "m": -5, "text": "x"}

    def test_adds_at_once_all_count(self, table: Table) -> None:
        def add() -> None:
            for _ in range(5):
                table.write(Add("row", "n", 1))

        race(*[add] * RACERS)
        assert table.get("row") == {"n": 5 * RACERS}

    # Races

    def test_of_racing_puts_exactly_one_finds_no_row(self, table: Table) -> None:
        for round_ in range(5):
            won: list[int] = []

            def put(number: int, key: str = f"row#{round_}", won: list[int] = won) -> None:
                try:
                    table.write(Put(key, {"n": number}), Put(f"{key}#twin", {"n": number}))
                except ConditionFailed:
                    return
                won.append(number)

            race(*(lambda number=number: put(number) for number in range(RACERS)))
            assert len(won) == 1
            assert table.get(f"row#{round_}") == {"n": won[0]}
            assert table.get(f"row#{round_}#twin") == {"n": won[0]}

    def test_compare_and_swap_loses_no_change(self, table: Table) -> None:
        table.write(Put("row", {"n": 0}))

        def increment() -> None:
            done = 0
            while done < 3:
                row = table.get("row")
                assert row is not None
                try:
                    table.write(Put("row", {"n": int(row["n"]) + 1}, expected=row))
                except ConditionFailed:
                    continue
                done += 1

        race(*[increment] * RACERS)
        assert table.get("row") == {"n": 3 * RACERS}

    # Queries

    def test_query_finds_the_prefix_in_order(self, table: Table) -> None:
        keys = ["pending#0", "pending#1", "pending#10", "pending#2", "pending#~", "pendinh", "head", "seen#1"]
        for key in reversed(keys):
            table.write(Put(key, {"key": key}))
        found = table.query("pending#", 100)
        assert [key for key, _ in found] == ["pending#0", "pending#1", "pending#10", "pending#2", "pending#~"]
        assert all(row == {"key": key} for key, row in found)
        assert table.query("missing#", 100) == []

    def test_query_is_limited(self, table: Table) -> None:
        for number in range(5):
            table.write(Put(f"row#{number}", {"n": number}))
        first = [row["n"] for _, row in table.query("row#", 2)]
        last = [row["n"] for _, row in table.query("row#", 2, last=True)]
        assert (first, last) == ([0, 1], [3, 4])
        for limit in (5, 6):
            assert [row["n"] for _, row in table.query("row#", limit)] == [0, 1, 2, 3, 4]
            assert [row["n"] for _, row in table.query("row#", limit, last=True)] == [0, 1, 2, 3, 4]
        for is_last in (False, True):
            assert table.query("row#", 0, last=is_last) == []

    def test_query_of_more_than_a_service_gives_at_once(self, table: Table) -> None:
        for number in range(30):
            table.write(Put(f"row#{number:02}", {"n": number, "text": "x" * 50_000}))
        assert [row["n"] for _, row in table.query("row#", 100)] == list(range(30))
        assert [row["n"] for _, row in table.query("row#", 25, last=True)] == list(range(5, 30))

    def test_a_row_that_was_read_does_not_change(self, table: Table) -> None:
        table.write(Put("row", {"n": 1}))
        row = table.get("row")
        table.write(Add("row", "n", 1))
        assert row == {"n": 1}
