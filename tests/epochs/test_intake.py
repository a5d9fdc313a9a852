import random
from itertools import permutations

import pytest

from tidegate.epochs import intake, paths
from tidegate.epochs.intake import InputObject
from tidegate.stores.memory import MemoryTable
from tidegate.stores.ports import Delete, Put
from tidegate.testing.faults import Crash, FaultyTable, Interference
from tidegate.testing.objects import race


def files(*names: str, version: str = "1") -> list[InputObject]:
    return [InputObject(f"scores/{name}", version, len(name)) for name in names]


def names(table: MemoryTable, limit: int = 1_000) -> list[str]:
    return [each.object.key.removeprefix("scores/") for each in intake.waiting(table, limit)]


def test_objects_wait_in_the_order_in_which_they_were_given() -> None:
    table = MemoryTable()
    assert intake.accept(table, files("b", "a", "c"), now=5) == 3
    assert intake.accept(table, files("0"), now=6) == 1
    assert names(table) == ["b", "a", "c", "0"]
    assert names(table, limit=2) == ["b", "a"]
    assert [each.object for each in intake.waiting(table, 10)][:3] == files("b", "a", "c")


def test_order_goes_by_time_first() -> None:
    table = MemoryTable()
    intake.accept(table, files("late"), now=2_000_000_000_000_000)
    intake.accept(table, files("early"), now=999_999_999_999_999)
    assert names(table) == ["early", "late"]


def test_more_objects_than_one_write_holds_keep_their_order() -> None:
    table = MemoryTable()
    many = [f"{number:04}" for number in range(205)]
    random.Random(1).shuffle(many)  # noqa: S311
    assert intake.accept(table, files(*many), now=1) == 205
    assert names(table) == many


def test_a_duplicate_changes_nothing() -> None:
    table = MemoryTable()
    intake.accept(table, files("a", "b"), now=1)
    before = table.query("", 100)
    assert intake.accept(table, files("b", "a"), now=2) == 0
    assert table.query("", 100) == before


def test_a_duplicate_within_one_call_counts_once() -> None:
    table = MemoryTable()
    assert intake.accept(table, files("a", "b", "a"), now=1) == 2
    assert names(table) == ["a", "b"]


def test_a_duplicate_of_a_processed_object_changes_nothing() -> None:
    table = MemoryTable()
    intake.accept(table, files("a"), now=1)
    (each,) = intake.waiting(table, 10)
    table.write(Delete(paths.pending(each.position)))
    assert intake.accept(table, files("a"), now=2) == 0
    assert names(table) == []


def test_another_version_is_another_object() -> None:
    table = MemoryTable()
    intake.accept(table, files("a", version="1"), now=1)
    assert intake.accept(table, files("a", version="2"), now=2) == 1
    assert [each.object.version for each in intake.waiting(table, 10)] == ["1", "2"]


def test_key_and_version_do_not_run_together() -> None:
    assert paths.seen("a", "bc") != paths.seen("ab", "c")


def test_every_order_of_duplicated_events_accepts_each_object_once() -> None:
    events = files("a", "a", "b", "c")
    for order in permutations(events):
        table = MemoryTable()
        accepted = sum(intake.accept(table, [each], now=number) for number, each in enumerate(order))
        assert accepted == 3
        assert sorted(names(table)) == ["a", "b", "c"]


def test_intakes_at_once_accept_each_object_once() -> None:
    table = MemoryTable()
    many = [f"{number:03}" for number in range(150)]
    accepted: list[int] = []

    def take(seed: int) -> None:
        mine = many[:]
        random.Random(seed).shuffle(mine)  # noqa: S311
        accepted.append(intake.accept(table, files(*mine), now=seed))

    race(*(lambda seed=seed: take(seed) for seed in range(6)))
    assert sorted(names(table)) == many
    assert sum(accepted) == len(many)


def test_an_intake_that_dies_leaves_an_object_whole_or_not_at_all() -> None:
    interference = Interference()
    intake.accept(FaultyTable(MemoryTable(), interference), files("a", "b"), now=1)
    for number in range(1, len(interference.trace) + 1):
        table = MemoryTable()
        with pytest.raises(Crash):
            intake.accept(FaultyTable(table, Interference(number)), files("a", "b"), now=1)
        assert len(table.query(paths.SEEN, 10)) == len(table.query(paths.PENDING, 10))
        intake.accept(table, files("a", "b"), now=2)
        assert names(table) == ["a", "b"]


def test_an_unknown_outcome_accepts_once() -> None:
    table = MemoryTable()
    intake.accept(FaultyTable(table, Interference(3, unknown=True)), files("a", "b"), now=1)
    assert names(table) == ["a", "b"]


def test_the_last_accepted_position() -> None:
    table = MemoryTable()
    assert intake.last_accepted(table) == ""
    intake.accept(table, files("a", "b"), now=1)
    assert intake.last_accepted(table) == intake.waiting(table, 10)[-1].position


# The log, which stays for good


def rows_of_0_1_0(table: MemoryTable) -> MemoryTable:
    """The same table as version 0.1.0 wrote it: positions without names."""
    old = MemoryTable()
    for key, row in table.query(paths.SEEN, 1_000):
        old.write(Put(key, {"position": row["position"]}))
    return old


def processed(*waves: list[InputObject]) -> MemoryTable:
    """A table after these were accepted, one wave after the other, and processed."""
    table = MemoryTable()
    for number, wave in enumerate(waves):
        intake.accept(table, wave, now=number)
    for key, _ in table.query(paths.PENDING, 1_000):
        table.write(Delete(key))
    return table


def test_the_log_keeps_all_that_was_accepted_in_intake_order() -> None:
    log = intake.read_log(processed(files("b", "a"), files("0"), files("a", version="2")))
    assert [each.object for each in log.accepted] == [
        *files("b", "a"),
        *files("0"),
        *files("a", version="2"),
    ]
    assert [each.moment for each in log.accepted] == [0, 0, 1, 2]
    assert log.unnamed == {}


def test_a_log_of_0_1_0_has_the_names_of_what_is_known_otherwise() -> None:
    new = processed(files("b", "a"), files("c"))
    log = intake.read_log(rows_of_0_1_0(new), files("c", "b", "unknown") + files("a", version="2"))
    assert log.accepted == tuple(
        each for each in intake.read_log(new).accepted if each.object.key != "scores/a"
    )
    assert list(log.unnamed) == [paths.seen("scores/a", "1")]


def test_what_another_table_remembers_is_not_accepted_again() -> None:
    many = [str(number) for number in range(200)]
    log = intake.read_log(rows_of_0_1_0(processed(files(*"abc"), files(*many))), files(*"ab", *many))
    table = MemoryTable()
    for _ in range(2):
        intake.remember(table, log)
    assert intake.accept(table, files(*"abc", *many), now=9) == 0
    assert intake.read_log(table) == log
    assert len(log.unnamed) == 1


def test_what_waits_in_another_table_waits_at_its_position() -> None:
    old = MemoryTable()
    intake.accept(old, files("b", "a"), now=1)
    table = MemoryTable()
    intake.accept(table, files("z"), now=0)
    intake.wait(table, intake.waiting(old, 10))
    assert names(table) == ["z", "b", "a"]
    assert intake.waiting(table, 10)[1:] == intake.waiting(old, 10)
