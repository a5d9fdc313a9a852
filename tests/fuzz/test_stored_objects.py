"""Every stored object, damaged or swapped before the step that reads it: found, named, nothing committed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from operator import itemgetter

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
from tidegate.epochs.result import TaskResult, holds_result
from tidegate.errors import CorruptObject
from tidegate.limits import ATTACHED_BYTES
from tidegate.stores.memory import MemoryObjects

PLAN = compiled(trigger=EARLY_AND_LATE)
OTHER = compiled(trigger=EARLY_AND_LATE, name="other")
LARGE = Limits(small=0, task_bytes=1)
LAYOUTS = {
    "small": (Limits(), ATTACHED_BYTES),
    "large": (LARGE, ATTACHED_BYTES),
    "large, apart": (LARGE, 0),
}
"""Whether all of an epoch is one task, and how much of what tasks write is attached to their results."""

EPOCH = 2


class Watched(MemoryObjects):
    """Notes the bytes that are read, of each object."""

    def __init__(self, objects: MemoryObjects) -> None:
        super().__init__()
        self._objects = dict(objects._objects)
        self.read: dict[str, set[int]] = {}

    def get(self, key: str, version: str | None = None) -> bytes:
        data = super().get(key, version)
        self.read.setdefault(key, set()).update(range(len(data)))
        return data

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        data = super().get(key, version)
        for offset, length in ranges:
            self.read.setdefault(key, set()).update(range(offset, offset + length))
        return [data[offset : offset + length] for offset, length in ranges]


@dataclass(frozen=True)
class Step:
    """A step of the second epoch, and the world that it finds."""

    name: str
    world: World
    run: Callable[[World], object]

    def reads(self) -> dict[str, list[int]]:
        """The objects of state that lie there before the step, with the bytes that it reads of them."""
        world = self.world.copy()
        world.state = watched = Watched(world.state)
        self.run(world)
        there = self.world.state._objects
        return {key: sorted(read) for key, read in sorted(watched.read.items()) if key in there}


def process(world: World, limits: Limits) -> Process:
    return Process(PLAN, world, limits)


@cache
def steps(layout: str) -> tuple[Step, ...]:
    """The steps that read what others wrote; each world is as the step before leaves it."""
    limits, attached = LAYOUTS[layout]
    world = World(attached=attached)
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

    states = [State.EPOCH] if limits.small else [State.MAP, State.REDUCE]
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
    (layout, number) for layout, (limits, _) in LAYOUTS.items() for number in range(4 if limits.small else 5)
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


def sampled(places: Sequence[int]) -> list[int]:
    """The first and the last of them, where formats have their marks, and some of those between."""
    return sorted({*places[:4], *places[-4:], *places[4 :: max(1, len(places) // 6)]})


@pytest.mark.parametrize(("layout", "number"), CASES)
def test_a_flipped_byte_is_found_by_the_step_that_reads_it(layout: str, number: int) -> None:
    step = steps(layout)[number]
    reads = step.reads()
    assert reads
    for key, places in reads.items():
        data = step.world.state.get(key)
        for place in sampled(places):
            refused(step, key, flipped(data, place))


@pytest.mark.parametrize(("layout", "number"), CASES)
def test_an_object_that_is_cut_or_longer_is_found(layout: str, number: int) -> None:
    step = steps(layout)[number]
    for key, places in step.reads().items():
        data = step.world.state.get(key)
        end = places[-1] + 1
        # Of objects that hold several parts no byte beyond these is read.
        whole = len(places) == len(data) and "/data/" not in key
        longer = {data + b"\n"} if whole else set()
        for other in {data[: end - 1], data[: end // 2], data[:1], b"", *longer}:
            refused(step, key, other)


@pytest.mark.parametrize(("layout", "number"), CASES)
def test_the_whole_object_of_another_epoch_task_or_pipeline_is_found(layout: str, number: int) -> None:
    step = steps(layout)[number]
    stored = step.world.state._objects
    tried = 0
    for key, places in step.reads().items():
        # What is read of it may be the same in another pipeline's: then it is right.
        read = itemgetter(*places)
        others = [
            data
            for other, data in stored.items()
            if other != key
            and kind_of(other).split(".")[1] == kind_of(key).split(".")[1]
            and (len(data) <= places[-1] or read(data) != read(stored[key]))
        ]
        for data in others[:: max(1, len(others) // 4)]:
            refused(step, key, data)
            tried += 1
    assert tried


def test_the_steps_read_every_kind_of_object() -> None:
    kinds = {kind_of(key) for layout in LAYOUTS for step in steps(layout) for key in step.reads()}
    assert {"record.json", "manifest.json", "map.json", "reduce.json"} <= kinds
    assert {"map.arrow", "reduce.layers"} <= kinds


@pytest.mark.parametrize("layout", ["small", "large, apart"])
def test_every_flipped_byte_of_every_object_is_found(layout: str) -> None:
    """Byte for byte with what reads the object inside of a step, which is quicker than the step."""
    world = steps(layout)[-2].world.copy()
    steps(layout)[-2].run(world)
    count = 0
    for key, read in readers(world):
        data = world.state.get(key)
        # Of what is attached to a result some, for all of it has one checksum.
        attached = len(documents.disclose(data)[1])
        places = [*sampled(range(attached)), *range(attached, len(data))]
        for place in places:
            world.state.put(key, flipped(data, place))
            with pytest.raises(CorruptObject) as raised:
                read()
            assert str(raised.value).startswith(f"{key}: ")
        world.state.put(key, data)
        read()
        count += len(places)
    assert count > 4_000


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
        if key.endswith(".layers"):
            found.append((key, lambda s=segment: read_segments(state, [s], s.range, grouping)))
    for key in sorted(state._objects):
        if not key.startswith(f"{PLAN.name}/epochs/{EPOCH:010d}/"):
            continue
        if key.endswith("/record.json"):
            found.append((key, lambda k=key: EpochRecord.decode(k, state.get(k))))
        if holds_result(key, state.get(key)):
            found.append((key, lambda k=key: TaskResult.decode(k, state.get(k))))
            result = TaskResult.decode(key, state.get(key))
            if result.shuffle not in ("", key):
                sources = [(result.shuffle, piece) for piece in result.pieces]
                found.append((result.shuffle, lambda s=sources: fetch(state, s)))
            for output in result.outputs:
                ref = output.staged
                if ref.key != key:
                    found.append((ref.key, lambda r=ref: r.verify(state.get(r.key))))
    return found


def test_a_result_of_version_0_1_0_says_not_whose_it_is_and_is_read_all_the_same() -> None:
    """So that an epoch that was under way during the upgrade is finished."""
    step = steps("large, apart")[-2]
    (key, *_) = (key for key in step.reads() if "/results/map-" in key)
    body = documents.decode(result.KIND, key, step.world.state.get(key))
    assert (body.pop("pipeline"), body.pop("epoch")) == (PLAN.name, EPOCH)
    old = TaskResult.decode(key, documents.encode(result.KIND, body))
    new = TaskResult.decode(key, step.world.state.get(key))
    assert old == replace(new, pipeline="", epoch=0)
