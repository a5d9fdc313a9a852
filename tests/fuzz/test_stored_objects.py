"""Every stored object, damaged or swapped before the step that reads it: found, named, nothing committed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest

from tests.engine.segments import read_segments
from tests.epochs.scenario import EARLY_AND_LATE, WAVES, Process, World, compiled
from tidegate.engine.shuffle import fetch
from tidegate.epochs import documents, paths, result
from tidegate.epochs.head import Head
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import State
from tidegate.epochs.manifest import Manifest, read_manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import TaskResult
from tidegate.errors import CorruptObject
from tidegate.stores.memory import MemoryObjects

PLAN = compiled(trigger=EARLY_AND_LATE)
OTHER = compiled(trigger=EARLY_AND_LATE, name="other")
LAYOUTS = {"small": Limits(), "large": Limits(small=0, task_bytes=1)}
EPOCH = 2


class Watched(MemoryObjects):
    """Notes what is read."""

    def __init__(self, objects: MemoryObjects) -> None:
        super().__init__()
        self._objects = dict(objects._objects)
        self.read: set[str] = set()

    def get(self, key: str, version: str | None = None) -> bytes:
        self.read.add(key)
        return super().get(key, version)


@dataclass(frozen=True)
class Step:
    """A step of the second epoch, and the world that it finds."""

    name: str
    world: World
    run: Callable[[World], object]

    def reads(self) -> list[str]:
        """The objects of state that lie there before the step and that it reads."""
        world = self.world.copy()
        world.state = watched = Watched(world.state)
        self.run(world)
        return sorted(watched.read & set(self.world.state._objects))


def process(world: World, limits: Limits) -> Process:
    return Process(PLAN, world, limits)


@cache
def steps(layout: str) -> tuple[Step, ...]:
    """The steps that read what others wrote; each world is as the step before leaves it."""
    limits, world = LAYOUTS[layout], World()
    Process(OTHER, world, limits).run(WAVES[:2], close=False)
    for folder in (world.output, world.table):
        vars(folder).update(vars(type(folder)()))
    process(world, limits).run(WAVES[:1], close=False)
    process(world, limits).accept(WAVES[1], 1)
    found = [Step("plan", world, lambda at: process(at, limits).coordinator.plan())]

    def worked(state: State) -> Callable[[World], object]:
        def work(at: World) -> None:
            record = process(at, limits).coordinator.plan()
            assert record is not None
            process(at, limits).invoker.run(process(at, limits).coordinator.tasks(record, state))

        return work

    def commit(at: World) -> object:
        key = paths.record(PLAN.name, EPOCH)
        record = EpochRecord.decode(key, at.state.get(key))
        return process(at, limits).coordinator.commit(record)

    states = [State.EPOCH] if layout == "small" else [State.MAP, State.REDUCE]
    work: list[tuple[str, Callable[[World], object]]] = [(each.value, worked(each)) for each in states]
    for name, run in (*work, ("Commit", commit)):
        world = world.copy()
        found[-1].run(world)
        found.append(Step(name, world, run))
    # The outputs did not arrive, so that the tasks publish what they staged.
    again = found[-1].world.copy()
    again.output = MemoryObjects()
    return (*found, Step("publish", again, work[-1][1]))


CASES = [
    (layout, number) for layout in LAYOUTS for number in range(4 if layout == "small" else 5)
]  # plan, work in one or two stages, commit, publish


def kind_of(key: str) -> str:
    """What an object is: `record.json`, `reduce.parquet`."""
    name, _, suffix = key.rsplit("/", maxsplit=1)[-1].rpartition(".")
    return f"{name.split('-', maxsplit=1)[0]}.{suffix}"


def refused(step: Step, key: str, data: bytes) -> None:
    world = step.world.copy()
    world.state.put(key, data)
    before = world.table.get(paths.HEAD)
    with pytest.raises(CorruptObject) as raised:
        step.run(world)
    assert str(raised.value).startswith(f"{key}: "), raised.value
    assert world.table.get(paths.HEAD) == before
    assert paths.manifest(PLAN.name, EPOCH) not in set(world.state._objects) - set(step.world.state._objects)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]


def sampled(size: int) -> Iterator[int]:
    """The first and the last bytes, where formats have their marks, and some of those between."""
    yield from sorted({*range(4), *range(size - 4, size), *range(4, size, max(1, size // 60))})


@pytest.mark.parametrize(("layout", "number"), CASES)
def test_a_flipped_byte_is_found_by_the_step_that_reads_it(layout: str, number: int) -> None:
    step = steps(layout)[number]
    keys = step.reads()
    assert keys
    for key in keys:
        data = step.world.state.get(key)
        for place in sampled(len(data)):
            refused(step, key, flipped(data, place))


@pytest.mark.parametrize(("layout", "number"), CASES)
def test_an_object_that_is_cut_or_longer_is_found(layout: str, number: int) -> None:
    step = steps(layout)[number]
    for key in step.reads():
        data = step.world.state.get(key)
        # Of objects that hold several parts no byte beyond these is read.
        longer = data if key.endswith((".arrow", ".layers")) else data + b"\n"
        for other in {data[:-1], data[: len(data) // 2], data[:1], b"", longer} - {data}:
            refused(step, key, other)


@pytest.mark.parametrize(("layout", "number"), CASES)
def test_the_whole_object_of_another_epoch_task_or_pipeline_is_found(layout: str, number: int) -> None:
    step = steps(layout)[number]
    stored = step.world.state._objects
    tried = 0
    for key in step.reads():
        for other, data in stored.items():
            if (
                other != key
                and kind_of(other).split(".")[1] == kind_of(key).split(".")[1]
                and data != stored[key]
            ):
                refused(step, key, data)
                tried += 1
    assert tried


def test_the_steps_read_every_kind_of_object() -> None:
    kinds = {kind_of(key) for layout in LAYOUTS for step in steps(layout) for key in step.reads()}
    assert {"record.json", "manifest.json", "map.json", "reduce.json", "epoch.json"} <= kinds
    assert {"map.arrow", "reduce.layers", "epoch.layers"} <= kinds


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_flipped_byte_of_every_object_is_found(layout: str) -> None:
    """Byte for byte with what reads the object inside of a step, which is quicker than the step."""
    world = steps(layout)[-2].world.copy()
    steps(layout)[-2].run(world)
    count = 0
    for key, read in readers(world):
        data = world.state.get(key)
        for place in range(len(data)):
            world.state.put(key, flipped(data, place))
            with pytest.raises(CorruptObject) as raised:
                read()
            assert str(raised.value).startswith(f"{key}: ")
        world.state.put(key, data)
        read()
        count += len(data)
    assert count > 8_000


def readers(world: World) -> Sequence[tuple[str, Callable[[], object]]]:
    """All objects that the second epoch and what comes after it read, and how."""
    state = world.state
    row = world.table.get(paths.HEAD)
    assert row is not None
    reference = Head.of(row).manifest
    manifest = read_manifest(state, reference)
    assert manifest is not None
    assert PLAN.grouping is not None
    grouping = PLAN.grouping
    found: list[tuple[str, Callable[[], object]]] = [
        (reference[0], lambda: read_manifest(state, reference)),
        (reference[0], lambda: Manifest.decode(reference[0], state.get(reference[0]))),
    ]
    for segment in manifest.segments:
        (key,) = {layer.key for layer in segment.layers}
        found.append((key, lambda s=segment: read_segments(state, [s], s.range, grouping)))
    for key in sorted(state._objects):
        if not key.startswith(f"{PLAN.name}/epochs/{EPOCH:010d}/"):
            continue
        if key.endswith("/record.json"):
            found.append((key, lambda k=key: EpochRecord.decode(k, state.get(k))))
        if "/results/" in key:
            found.append((key, lambda k=key: TaskResult.decode(k, state.get(k))))
            result = TaskResult.decode(key, state.get(key))
            if result.pieces:
                sources = [(result.shuffle, piece) for piece in result.pieces]
                found.append((result.shuffle, lambda s=sources: fetch(state, s)))
            for output in result.outputs:
                ref = output.staged
                found.append((ref.key, lambda r=ref: r.verify(state.get(r.key))))
    return found


def test_a_result_of_version_0_1_0_says_not_whose_it_is_and_is_read_all_the_same() -> None:
    """So that an epoch that was under way during the upgrade is finished."""
    step = steps("large")[-2]
    (key, *_) = (key for key in step.reads() if "/results/" in key)
    body = documents.decode(result.KIND, key, step.world.state.get(key))
    assert (body.pop("pipeline"), body.pop("epoch")) == (PLAN.name, EPOCH)
    old = TaskResult.decode(key, documents.encode(result.KIND, body))
    new = TaskResult.decode(key, step.world.state.get(key))
    assert old == replace(new, pipeline="", epoch=0)
