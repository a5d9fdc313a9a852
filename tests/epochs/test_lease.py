"""The lease is a hint against double work; what must hold is that no wake-up is lost."""

from collections.abc import Iterator

import pytest

from tidegate.epochs import lease
from tidegate.limits import LEASE
from tidegate.stores.memory import MemoryTable
from tidegate.stores.ports import Put
from tidegate.testing.faults import FaultyTable, Interference

NOW = 1_000


def test_the_first_one_gets_it() -> None:
    table = MemoryTable()
    held = lease.acquire(table, "one", NOW)
    assert held is not None
    assert held.holder == "one"
    assert lease.acquire(table, "two", NOW + 1) is None
    assert lease.read(table).is_held(NOW + LEASE - 1)


def test_the_holder_renews_it() -> None:
    table = MemoryTable()
    lease.acquire(table, "one", NOW)
    assert lease.acquire(table, "one", NOW + LEASE) is not None
    assert lease.acquire(table, "two", NOW + LEASE + 1) is None


def test_a_silent_holder_counts_as_lost() -> None:
    table = MemoryTable()
    lease.acquire(table, "one", NOW)
    assert not lease.read(table).is_held(NOW + LEASE)
    assert lease.acquire(table, "two", NOW + LEASE) is not None


def test_after_release_anybody_gets_it() -> None:
    table = MemoryTable()
    held = lease.acquire(table, "one", NOW)
    assert held is not None
    assert lease.release(table, held, ())
    assert not lease.read(table).is_held(NOW)
    assert lease.acquire(table, "two", NOW) is not None


def test_release_fails_if_intake_called_meanwhile() -> None:
    table = MemoryTable()
    held = lease.acquire(table, "one", NOW)
    assert held is not None
    assert lease.wake(table).is_held(NOW)
    assert not lease.release(table, held, ())
    again = lease.acquire(table, "one", NOW)
    assert again is not None
    assert lease.release(table, again, ())


def test_release_fails_if_another_took_it() -> None:
    table = MemoryTable()
    held = lease.acquire(table, "one", NOW)
    assert held is not None
    lease.acquire(table, "two", NOW + LEASE)
    assert not lease.release(table, held, ())
    assert lease.read(table).holder == "two"


def test_give_back_whatever_came_meanwhile() -> None:
    table = MemoryTable()
    lease.acquire(table, "one", NOW)
    lease.wake(table)
    lease.give_back(table, "one")
    assert not lease.read(table).is_held(NOW)
    assert lease.read(table).wake == 1
    lease.acquire(table, "two", NOW)
    lease.give_back(table, "one")
    assert lease.read(table).holder == "two"


def test_the_counter_only_grows() -> None:
    table = MemoryTable()
    seen = []
    for number in range(3):
        seen.append(lease.wake(table).wake)
        held = lease.acquire(table, f"holder{number}", NOW)
        assert held is not None
        lease.wake(table)
        lease.give_back(table, f"holder{number}")
    assert seen == [1, 3, 5]


class Room:
    """A table with a log of accepted objects, of which each coordinator takes all that it sees."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.accepted = 0
        self.waiting = 0
        self.done = 0
        self.started: list[str] = []

    def intake(self) -> None:
        """As `deployment.Intake`: accept, then wake."""
        self.accepted += 1
        self.waiting += 1
        if not lease.wake(self.table).is_held(NOW):
            self.started.append(f"coordinator{len(self.started)}")

    def coordinate(self, name: str, interference: Interference) -> None:
        """As `deployment.plan`, until it is idle."""
        table = FaultyTable(self.table, interference)
        while True:
            held = lease.acquire(table, name, NOW)
            if held is None:
                return
            interference.reaches("look for work")
            found, self.waiting = self.waiting, 0
            interference.reaches("work")
            self.done += found
            if not found and lease.release(table, held, ()):
                return


def calls_of_a_coordinator() -> int:
    room, interference = Room(), Interference()
    room.intake()
    room.coordinate(room.started.pop(), interference)
    return len(interference.trace)


def moments() -> Iterator[tuple[int, int]]:
    calls = calls_of_a_coordinator() + 8
    return ((first, second) for first in range(1, calls) for second in range(0, calls))


@pytest.mark.parametrize("stalled", [False, True])
def test_no_wake_up_is_lost_in_any_interleaving(stalled: bool) -> None:
    """Intake calls at one moment of a coordinator's run and at another one; all that is started runs."""
    for first, second in moments():
        room = Room()

        def call(room: Room = room) -> None:
            room.intake()
            if stalled:
                # What intake started meanwhile runs to its end before the first one goes on.
                for name in room.started[1:]:
                    room.coordinate(name, Interference())
                del room.started[1:]

        room.intake()
        interference = Interference(first, before=call)

        def at_second(room: Room = room, interference: Interference = interference, at: int = second) -> None:
            if len(interference.trace) == at:
                room.intake()

        interference.watch = at_second
        room.coordinate(room.started[0], interference)
        for name in room.started[1:]:
            room.coordinate(name, Interference())
        assert room.waiting == 0, f"calls at {first} and {second}: {interference.trace}"
        assert not lease.read(room.table).is_held(NOW)
        assert room.done == room.accepted


def test_a_stale_row_is_never_released() -> None:
    """Release compares the whole row that was written, so a row of the same counter is not mistaken."""
    table = MemoryTable()
    held = lease.acquire(table, "one", NOW)
    assert held is not None
    table.write(Put("coordinator", {"wake": 0, "holder": "two", "until": 7}, expected={}))
    assert not lease.release(table, held, ())


def test_what_was_noted_stays_through_leases_and_wake_ups() -> None:
    table = MemoryTable()
    held = lease.acquire(table, "one", NOW)
    assert held is not None
    assert held.moment("sweep") == 0
    lease.note(table, "sweep", 7)
    assert not lease.release(table, held, ()), "the row is not what it was; whoever notes acquires again"
    lease.wake(table)
    again = lease.acquire(table, "one", NOW)
    assert again is not None
    assert again.moment("sweep") == 7
    assert lease.release(table, again, ())
    assert lease.read(table).moment("sweep") == 7


def test_a_coordinator_that_went_idle_gets_the_lease_no_more() -> None:
    """What asks is a planning function that stalled past its execution, and nobody would hear its answer."""
    table = MemoryTable()
    held = lease.acquire(table, "one", NOW)
    assert held is not None
    assert lease.release(table, held, ())
    assert lease.acquire(table, "one", NOW) is None
    assert lease.read(table).has_ended("one")
    other = lease.acquire(table, "two", NOW)
    assert other is not None
    assert lease.release(table, other, ())
    assert lease.acquire(table, "one", NOW) is None, "also when others came and went"


def test_a_coordinator_that_failed_may_be_started_again() -> None:
    table = MemoryTable()
    lease.acquire(table, "one", NOW)
    assert not lease.give_up(table, "one"), "nobody stands by"
    assert lease.acquire(table, "one", NOW) is not None


def test_who_failed_hears_once_that_somebody_stands_by() -> None:
    table = MemoryTable()
    lease.acquire(table, "one", NOW)
    lease.stand_by(table, "two")
    assert not lease.give_up(table, "two"), "it has no lease"
    assert lease.give_up(table, "one")
    assert lease.read(table).standby == ""
    assert not lease.give_up(table, "one"), "asked again"
    lease.acquire(table, "three", NOW)
    assert not lease.give_up(table, "three"), "it was started in the place of who stood by"


def test_how_long_a_lease_lasts_at_most() -> None:
    table = MemoryTable()
    assert lease.read(table).remaining(NOW) == 0
    lease.acquire(table, "one", NOW)
    assert lease.read(table).remaining(NOW + LEASE - 5) == 5
    assert lease.read(table).remaining(NOW + LEASE + 5) == 0
    assert lease.read(table).remaining(NOW - 99 * LEASE) == LEASE, "whatever the holder's clock said"
