from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.epochs.scenario import (
    EARLY_AND_LATE,
    SECOND,
    Process,
    Wave,
    World,
    compiled,
    lines,
    panes,
    remains,
)
from tidegate.epochs import paths, sweep
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import State
from tidegate.stores.memory import MemoryObjects
from tidegate.stores.ports import ObjectInfo
from tidegate.testing.faults import Crash

PLAN = compiled(trigger=EARLY_AND_LATE)
WAVES: tuple[Wave, ...] = (
    tuple((f"scores/first-{n}.json", lines(*((f"team{n}{k}", 1, k) for k in range(10)))) for n in range(3)),
    *(
        tuple((f"scores/{n:02}-{part}.json", lines(("team00", 1, n))) for part in range(3))
        for n in range(sweep.EPOCHS_KEPT + 6)
    ),
)
"""Many keys at first, and then the same one in every epoch."""


def test_a_sweep_after_every_epoch_changes_no_answer() -> None:
    """The windows of the first epoch stay open all the time, and most of their segments are its own."""
    plan = compiled(trigger=EARLY_AND_LATE, delay="20h")
    limits = Limits(small=0, task_bytes=1)
    expected, world = World(), World()
    Process(plan, expected, limits).run(WAVES)
    removed = 0
    for number in range(1, len(WAVES) + 1):
        Process(plan, world, limits).run(WAVES[:number], close=False)
        manifest = Process(plan, world, limits).coordinator.manifest()
        assert manifest is not None
        removed += sweep.sweep(world.state, manifest, 0)
        oldest = min(paths.epoch_of(layer.key) for layer in manifest.layers)
        assert oldest == 1
    Process(plan, world, limits).run(WAVES)
    assert removed > 10
    assert panes(world) == panes(expected)
    assert remains_of_output(world) == remains_of_output(expected)


def remains_of_output(world: World) -> dict[str, bytes]:
    return {info.key: world.output.get(info.key) for info in world.output.list("totals")}


class Stopping:
    """A store whose caller is stopped at the second call that removes something."""

    def __init__(self, objects: MemoryObjects) -> None:
        self.objects = objects
        self.calls = 0

    def delete(self, keys: Sequence[str]) -> None:
        self.calls += 1
        if self.calls > 1:
            raise Crash("stopped")
        self.objects.delete(keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objects, name)


def test_a_sweep_that_is_stopped_has_removed_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    Process(PLAN, world, Limits()).run(WAVES, close=False)
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    monkeypatch.setattr(sweep, "_TOGETHER", 2)
    with pytest.raises(Crash):
        sweep.sweep(Stopping(world.state), manifest, 0)
    records = [each.key for each in world.state.list(PLAN.name) if paths.is_record(each.key)]
    assert min(map(paths.epoch_of, records)) == 3


def test_recent_epochs_and_young_objects_stay() -> None:
    world = World()
    Process(PLAN, world, Limits()).run(WAVES[: sweep.EPOCHS_KEPT], close=False)
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    before = remains(PLAN, world)
    assert sweep.sweep(world.state, manifest, 0) == 0
    Process(PLAN, world, Limits()).run(WAVES[: sweep.EPOCHS_KEPT + 2], close=False)
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    # Objects in memory are all of the same moment.
    assert sweep.sweep(world.state, manifest, SECOND) == 0
    assert sweep.sweep(world.state, manifest, 0) > 0
    left = [info.key for info in world.state.list("scores/epochs")]
    recent = range(manifest.epoch - sweep.EPOCHS_KEPT + 1, manifest.epoch + 1)
    assert {paths.epoch_of(key) for key in left if paths.is_record(key)} == set(recent)
    assert {key for key in left if paths.epoch_of(key) not in recent} == {
        layer.key for layer in manifest.layers if paths.epoch_of(layer.key) not in recent
    }
    assert before.head[0] == sweep.EPOCHS_KEPT


class Dated(MemoryObjects):
    """Objects that say when they were written."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.moments: dict[str, int] = {}

    def put(self, key: str, data: bytes) -> None:
        self.moments[key] = self.now
        super().put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.moments.setdefault(key, self.now)
        return super().put_if_absent(key, data)

    def list(self, folder: str) -> list[ObjectInfo]:
        return [replace(each, modified=self.moments[each.key]) for each in super().list(folder)]


def test_how_old_an_epoch_is_counts_from_when_it_was_superseded() -> None:
    """A reader who finds the head of an idle pipeline has the whole time, however old the manifest is."""
    state = Dated()
    world = World(state=state)
    waves = WAVES[: sweep.EPOCHS_KEPT + 3]
    Process(PLAN, world, Limits()).run(waves[:1], close=False)
    state.now = 1_000 * SECOND
    Process(PLAN, world, Limits()).run(waves, close=False)
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    assert sweep.sweep(state, manifest, 10 * SECOND) == 0
    state.now = 1_010 * SECOND
    state.put(f"{PLAN.name}/data/{manifest.epoch:010d}/of-another-attempt", b"")
    assert sweep.sweep(state, manifest, 10 * SECOND) > 0


def test_a_reader_has_the_whole_time_also_where_the_next_epoch_was_stopped_before_its_commit() -> None:
    """Its manifest was written long ago, and the head moved to it just now."""
    state = Dated()
    world = World(state=state)
    waves = WAVES[: sweep.EPOCHS_KEPT + 3]
    Process(PLAN, world, Limits()).run(waves[:1], close=False)
    stopped = Process(PLAN, world, Limits())
    stopped.accept(waves[1], 1)
    record = stopped.coordinator.plan()
    assert record is not None
    stopped.invoker.run(stopped.coordinator.tasks(record, State.EPOCH))
    assert paths.manifest(PLAN.name, 2) in state.moments
    state.now = 1_000 * SECOND
    Process(PLAN, world, Limits()).run(waves, close=False)
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    assert manifest.epoch > sweep.EPOCHS_KEPT + 1
    assert sweep.sweep(state, manifest, 10 * SECOND) == 0
