"""A small pipeline on memory stores, and all that it leaves: what the tests of the protocol are about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import polars as pl

import tidegate as tg
from tests.engine.segments import read_segments
from tidegate.epochs import intake, paths
from tidegate.epochs.drive import drive
from tidegate.epochs.generation import beginning, generation_of
from tidegate.epochs.head import Head
from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.repetition import announcement, begin
from tidegate.epochs.tasks import TaskStores
from tidegate.limits import ATTACHED_BYTES, KEY_GROUPS
from tidegate.plan import Plan, compile_plan
from tidegate.references import KeyRange
from tidegate.stores.memory import ManualClock, MemoryObjects, MemoryTable
from tidegate.stores.ports import Table
from tidegate.testing.faults import FaultyObjects, FaultyTable, Interference
from tidegate.testing.sequential import SequentialInvoker
from tidegate.timestamps import from_datetime

SECOND = 1_000_000
NOON = 1_700_000_040 * SECOND
"""A full minute."""

Wave = tuple[tuple[str, str], ...]
"""Files that are accepted together: their names and contents."""


def scores(delay: str = "0s") -> tg.Stream:
    """What teams score, and when."""
    return tg.read_json(
        "scores",
        schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay(delay),
    )


def compiled(
    *,
    name: str = "scores",
    accumulation: Any = tg.ACCUMULATING,
    trigger: Any = None,
    delay: str = "0s",
    lateness: str = "2m",
    late_to: str | None = None,
) -> Plan:
    """Sums per team and minute."""
    windowed = scores(delay).window(tg.FixedWindows("1m"), lateness, late_to=late_to).accumulate(accumulation)
    if trigger:
        windowed = windowed.trigger(trigger)
    panes = windowed.group_by("team").agg(total=tg.sum("score"), games=tg.count())
    return compile_plan(tg.Pipeline(name, panes.write_json("totals")))


EARLY_AND_LATE = tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1))


def lines(*events: tuple[str, int, float]) -> str:
    """Events as JSON lines: team, score, seconds after noon."""
    return "".join(
        f'{{"team":"{team}","score":{score},"at":{int(NOON // 1000 + second * 1000)}}}\n'
        for team, score, second in events
    )


WAVES: tuple[Wave, ...] = (
    (
        ("scores/a.json", lines(("x", 1, 5), ("y", 2, 10), ("x", 3, 50))),
        ("scores/b.json", lines(("y", 4, 20), ("z", 5, 30)) + "no JSON\n"),
    ),
    (("scores/c.json", lines(("x", 6, 70), ("w", 7, 65))),),
    (("scores/d.json", lines(("y", 8, 40), ("x", 9, 80), ("v", 1, 300))),),
)
"""Early panes, on-time ones (in the second wave), late ones (in the third), and a dead letter."""


@dataclass
class World:
    """The stores of a deployment, which outlive every process.

    Attributes:
        attached: Bytes that the results of a stage hold themselves, at most.
    """

    input: MemoryObjects = field(default_factory=MemoryObjects)
    state: MemoryObjects = field(default_factory=MemoryObjects)
    output: MemoryObjects = field(default_factory=MemoryObjects)
    table: MemoryTable = field(default_factory=MemoryTable)
    attempts: Any = field(default_factory=lambda: (f"attempt{number}" for number in count()))
    attached: int = ATTACHED_BYTES

    @property
    def stores(self) -> TaskStores:
        return TaskStores(self.input, self.state, self.output, self.attached)

    def copy(self) -> "World":
        """The world as it is now."""
        world = World(attempts=self.attempts, attached=self.attached)
        world.input._objects = dict(self.input._objects)
        world.state._objects = dict(self.state._objects)
        world.output._objects = dict(self.output._objects)
        world.table._rows = dict(self.table._rows)
        return world


@dataclass
class Process:
    """A process on a world: intake, coordinator and tasks in one, all calls of the ports interfered with."""

    plan: Plan
    world: World
    limits: Limits
    interference: Interference = field(default_factory=Interference)

    def __post_init__(self) -> None:
        world, interference = self.world, self.interference
        self.table: Table = FaultyTable(world.table, interference)
        self.stores = TaskStores(
            FaultyObjects(world.input, interference, "input"),
            FaultyObjects(world.state, interference, "state"),
            FaultyObjects(world.output, interference, "output"),
            world.attached,
        )
        self.invoker = SequentialInvoker(self.plan, self.stores, world.attempts)
        self.coordinator = Coordinator(
            *(self.plan.outline(), self.stores.state, self.table, self.limits, ManualClock(NOON), _newest),
            announce=self._announce,
        )

    def accept(self, wave: Wave, at: int) -> int:
        return intake.accept(self.table, uploaded(self.world, wave), at)

    @property
    def head(self) -> Head:
        """The head, which some epoch moved."""
        row = self.table.get(paths.HEAD)
        assert row is not None
        return Head.of(row)

    def replay(self) -> None:
        """Begins another generation, and repeats all epochs in it."""
        begin(self.plan.outline(), self.stores.state, self.table)
        drive(self.coordinator, self.invoker)

    def _announce(self, generation: int) -> None:
        self.stores.output.put_if_absent(
            paths.generation(self.plan.name, generation), announcement(self.plan.outline(), generation)
        )

    def run(self, waves: Sequence[Wave], *, close: bool = True) -> None:
        """Each wave arrives once the one before is processed; a minute of processing time lies between."""
        for number, wave in enumerate(waves):
            self.accept(wave, NOON + 400 * SECOND + number * 60 * SECOND)
            drive(self.coordinator, self.invoker)
        if close:
            drive(self.coordinator, self.invoker, close=True)


def uploaded(world: World, wave: Wave) -> list[InputObject]:
    """A wave's files in the input store, as intake gets to know them."""
    for name, text in wave:
        world.input.put(name, text.encode())
    versions = {info.key: info.version for info in world.input.list("scores")}
    return [InputObject(name, versions[name], len(text)) for name, text in wave]


def _newest(inputs: Sequence[Accepted]) -> int:
    """Processing time is when the newest of the inputs was accepted."""
    return max((int(each.position.split("-")[0]) for each in inputs), default=0)


@dataclass(frozen=True)
class Remains:
    """What a run leaves, save names that hold an attempt's."""

    outputs: dict[str, bytes]
    named: list[str]
    manifest: dict[str, Any]
    state: list[dict[str, Any]]
    head: tuple[int, int, str]
    rows: list[str]


def remains(plan: Plan, world: World) -> Remains:
    """Everything that must be the same whatever happened on the way."""
    row = world.table.get(paths.HEAD)
    assert row is not None
    head = Head.of(row)
    first = beginning(generation_of(head.epoch)) + 1
    manifests = [manifest_of(plan, world, epoch) for epoch in range(first, head.epoch + 1)]
    last = manifests[-1]
    assert head.manifest[0] == last.key
    outputs = {key: world.output.get(key) for key in sorted(world.output._objects)}
    state: list[dict[str, Any]] = []
    if plan.grouping is not None:
        frame = read_segments(world.state, last.segments, KeyRange(0, KEY_GROUPS), plan.grouping)
        state = frame.to_dicts()
    return Remains(
        outputs=outputs,
        named=sorted(name for each in manifests for name in each.outputs),
        manifest={
            "now": last.now,
            "frontier": last.frontier,
            "processed": last.processed,
            "totals": last.totals,
            "due": sorted((s.range.low, s.range.high, s.bucket, s.windows, s.due) for s in last.segments),
        },
        state=sorted(state, key=repr),
        head=(head.epoch, head.settled, head.fingerprint),
        rows=[key for key, _ in world.table.query("", 1_000)],
    )


def manifest_of(plan: Plan, world: World, epoch: int) -> Manifest:
    """A committed manifest."""
    key = paths.manifest(plan.name, epoch)
    return Manifest.decode(key, world.state.get(key))


def minute(moment: str) -> int:
    """How many minutes after noon an output's moment is."""
    return (from_datetime(datetime.fromisoformat(moment)) - NOON) // (60 * SECOND)


def panes(world: World, folder: str = "totals") -> list[dict[str, Any]]:
    """All panes that a reader of the output finds, in the order of its files."""
    files = [world.output.get(info.key) for info in world.output.list(folder)]
    return [row for data in files for row in pl.read_ndjson(data).to_dicts()]
