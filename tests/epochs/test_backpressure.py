"""However many files wait, the planner looks at each a few times, and they become few epochs."""

from collections.abc import Iterator
from itertools import islice, pairwise

import pytest

from tidegate.epochs import intake, paths
from tidegate.epochs.intake import InputObject
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator, State
from tidegate.epochs.manifest import Manifest, build_manifest, read_manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import TaskResult, result_key
from tidegate.outline import Outline, SourceOutline
from tidegate.stores.memory import ManualClock, MemoryObjects, MemoryTable
from tidegate.stores.ports import Row, Write

OUTLINE = Outline("p", "f", (), (SourceOutline("json", "events"),), "rows", 0)


class Queue(MemoryTable):
    """A table that counts, and that is as fast with many rows as with few: they come and go in order."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.queries = self.writes = 0

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        keys: Iterator[str] = reversed(self._rows) if last else iter(self._rows)
        found = list(islice((key for key in keys if key.startswith(prefix)), limit))
        self.queries += 1
        self.read += len(found)
        return [(key, self._rows[key]) for key in found]

    def write(self, *writes: Write) -> None:
        assert len(writes) <= 100
        self.writes += 1
        super().write(*writes)


class Requests(MemoryObjects):
    """Counts the requests for objects."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def get(self, key: str, version: str | None = None) -> bytes:
        self.count += 1
        return super().get(key, version)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.count += 1
        return super().put_if_absent(key, data)


def backlog(number: int, size: int) -> Queue:
    """A table in which so many files of a size wait."""
    table = Queue()
    for place in range(number):
        name = f"events/{place}.json"
        table._rows[paths.pending(paths.position(1, place, name, "1"))] = {
            "key": name,
            "version": "1",
            "size": size,
        }
    return table


def committed(table: Queue, objects: MemoryObjects, limits: Limits) -> Iterator[tuple[EpochRecord, Manifest]]:
    """Plans and commits epochs whose tasks find nothing, until nothing waits."""
    coordinator = Coordinator(OUTLINE, objects, table, limits, ManualClock(5))
    while record := coordinator.plan():
        state = State.EPOCH if record.layout.small else State.MAP
        previous = read_manifest(objects, record.previous)
        for task in coordinator.tasks(record, state):
            result = TaskResult(task.stage, task.number, "one", {})
            data = result.encode()
            if record.layout.small:
                data = build_manifest(record, OUTLINE.rules, previous, [result]).encode(data)
            objects.put(result_key("p", task), data)
        yield record, coordinator.commit(record)


def test_a_hundred_thousand_waiting_files_are_few_epochs_and_each_is_looked_at_a_few_times() -> None:
    number, table, objects = 100_000, backlog(100_000, 2_000), Requests()
    records = [record for record, _ in committed(table, objects, Limits())]
    assert [len(record.inputs) for record in records] == [10_000] * 10
    assert [len(record.layout.slices) for record in records] == [20] * 10
    assert not intake.waiting(table, 1)
    # 100, 400, 1,600, 6,400 and 10,000 rows for an epoch of 10,000, and the last one.
    assert table.read <= 2 * number
    assert table.queries <= 7 * 11
    # Each leaves the queue once, 90 together.
    assert table.writes <= number / 90 + 3 * len(records)
    # Twenty results, the record, once more for what is left in the queue, and manifests.
    assert objects.count <= (20 + 10) * len(records)


@pytest.mark.parametrize("number", [200, 800])
def test_epochs_that_are_full_of_bytes_look_at_no_more_than_they_can_take(number: int) -> None:
    table, objects = backlog(number, 1_000), Requests()
    records = [record for record, _ in committed(table, objects, Limits(bytes=50_000))]
    assert len(records) == number / 50
    assert table.read <= 3 * number
    assert table.queries <= 3 * len(records) + 3
    assert objects.count <= 6 * len(records) + 3


def test_what_is_written_and_read_for_an_epoch_does_not_grow_with_their_number() -> None:
    table, objects = backlog(300, 1_000), Requests()
    requests, sizes = [], []
    for record, manifest in committed(table, objects, Limits(files=1)):
        requests.append((table.read, table.writes, objects.count))
        sizes.append(len(record.encode()) + len(manifest.encode()))
    spent = {tuple(b - a for a, b in zip(*pair, strict=True)) for pair in pairwise(requests[1:])}
    assert len(spent) == 1
    assert sizes[-1] - sizes[1] < 100, "numbers get longer"


def test_accepting_many_files_is_linear() -> None:
    table = Queue()
    files = [InputObject(f"events/{place}.json", "1", 10) for place in range(2_000)]
    assert intake.accept(table, files, 1) == 2_000
    assert table.writes == 2_000 / 40
