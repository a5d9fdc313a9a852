from tests.epochs.scenario import World
from tidegate.runtime.meter import Meter, SharedProcessor
from tidegate.stores.memory import MemoryTable
from tidegate.stores.ports import Put

MILLISECOND = 1_000_000


class Hand:
    """A clock that stands until it is moved, nanoseconds."""

    def __init__(self) -> None:
        self.moment = 0

    def __call__(self) -> int:
        return self.moment

    def moves(self, milliseconds: int) -> None:
        self.moment += milliseconds * MILLISECOND


def test_times_and_requests_are_counted_from_the_beginning() -> None:
    cpu, wall, world = Hand(), Hand(), World()
    meter = Meter(cpu, wall)
    stores = meter.stores(world.stores)
    stores.input.put("a", b"1")
    meter.table(MemoryTable()).write(Put("row", {}))
    cpu.moves(3)
    wall.moves(5)
    assert meter.spent() == {
        "input.put": 1,
        "input.bytes_written": 1,
        "table.write": 1,
        "table.write_units": 2,
        "cpu": 3_000,
        "wall": 5_000,
    }
    meter.begin()
    stores.input.get("a")
    wall.moves(1)
    assert meter.spent() == {"input.get": 1, "input.bytes_read": 1, "wall": 1_000}


def test_memory_is_counted_where_it_is_known() -> None:
    wall = Hand()
    meter = Meter(wall, wall, memory=512)
    wall.moves(4)
    assert meter.spent() == {"cpu": 4_000, "wall": 4_000, "memory": 4 * 512}


def test_tasks_at_work_at_the_same_time_share_the_process() -> None:
    r"""
    first   |-- 10 --|-- 10 --|
    second           |-- 10 --|-- 10 --|
    """
    cpu = Hand()
    processor = SharedProcessor(cpu)
    cpu.moves(1_000)
    with processor.part() as second:
        with processor.part() as first:
            assert (first(), second()) == (0, 0), "what was before is nobody's"
            cpu.moves(10)
            assert (first(), second()) == (5 * MILLISECOND, 5 * MILLISECOND)
        cpu.moves(10)
        assert second() == 15 * MILLISECOND
        with processor.part() as third:
            cpu.moves(10)
            assert (second(), third()) == (20 * MILLISECOND, 5 * MILLISECOND)
