"""The history keeps every record, whatever the sweep removes and wherever it is stopped."""

from collections.abc import Iterable

import pytest

from tests.epochs.scenario import NOON, WAVES, Process, World, compiled
from tidegate.epochs import history, paths
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.sweep import sweep
from tidegate.errors import CorruptObject, ObjectNotFound
from tidegate.stores.memory import MemoryObjects
from tidegate.testing.faults import Crash, FaultyObjects, Interference

PLAN = compiled()


def finished(waves: int = 3) -> tuple[World, list[EpochRecord]]:
    """A world after some epochs, and their records."""
    world = World()
    Process(PLAN, world, Limits(files=1)).run((WAVES * waves)[:waves], close=False)
    Process(PLAN, world, Limits()).run((), close=True)
    stored = [info.key for info in world.state.list("scores/epochs") if info.key.endswith("record.json")]
    return world, [EpochRecord.decode(key, world.state.get(key)) for key in stored]


def forget(world: World, epochs: Iterable[int]) -> None:
    """Removes records, as the sweep does."""
    world.state.delete([paths.record("scores", epoch) for epoch in epochs])


def read(world: World) -> list[EpochRecord]:
    epochs = history.epochs_known(world.state, "scores")
    return list(history.records(world.state, "scores", epochs))


def test_nothing_has_happened_yet() -> None:
    world = World()
    assert history.epochs_known(world.state, "scores") == range(1, 1)
    history.keep(world.state, "scores", [])
    assert not list(world.state.list("scores"))


def test_all_records_are_known_swept_or_not() -> None:
    world, records = finished()
    assert len(records) > 4
    assert read(world) == records
    history.keep(world.state, "scores", [1, 2, 3])
    kept = [info.key for info in world.state.list("scores/history")]
    assert kept == [paths.history("scores", epoch) for epoch in (1, 2, 3)]
    assert read(world) == records
    forget(world, [1, 2, 3])
    assert read(world) == records
    history.keep(world.state, "scores", range(4, len(records) + 1))
    forget(world, range(1, len(records) + 1))
    assert read(world) == records


def test_a_record_that_is_frozen_and_not_committed_is_one_of_them() -> None:
    world, records = finished()
    next_ = Process(PLAN, world, Limits())
    next_.accept((("scores/next.json", "{}"),), NOON)
    frozen = next_.coordinator.plan()
    assert read(world) == [*records, frozen]


def test_the_records_that_0_1_0_swept_are_not_known() -> None:
    world, records = finished()
    forget(world, [1, 2])
    assert history.epochs_known(world.state, "scores") == range(3, len(records) + 1)
    history.keep(world.state, "scores", [3, 4])
    forget(world, [3, 4])
    assert read(world) == records[2:]


def test_a_sweep_that_is_stopped_anywhere_loses_none() -> None:
    calls, _ = finished()
    interference = Interference()
    sweep(FaultyObjects(calls.state, interference, "state"), manifest_of(calls), 0, epochs_kept=1)
    kept = [call for call in interference.trace if "/history/" in call]
    assert len(kept) >= 3
    for number in range(1, len(interference.trace) + 1):
        world, records = finished()
        stop = Interference(number)
        with pytest.raises(Crash):
            sweep(FaultyObjects(world.state, stop, "state"), manifest_of(world), 0, epochs_kept=1)
        sweep(world.state, manifest_of(world), 0, epochs_kept=1)
        assert read(world) == records


def manifest_of(world: World) -> Manifest:
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    return manifest


def test_a_damaged_one_is_named() -> None:
    objects = MemoryObjects()
    objects.put(paths.history("scores", 1), b"{}")
    with pytest.raises(CorruptObject, match=r"scores/epochs/0000000001/record\.json"):
        list(history.records(objects, "scores", range(1, 2)))
    with pytest.raises(ObjectNotFound):
        list(history.records(objects, "scores", range(2, 3)))
