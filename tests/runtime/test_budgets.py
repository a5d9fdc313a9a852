"""How many requests an epoch may make beyond reading its inputs, on AWS with warm functions.

The numbers are exact, so that whoever changes them sees it: fewer are welcome, more need a reason.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.epochs.scenario import NOON, SECOND, Wave, World, compiled, lines, manifest_of, panes, uploaded
from tidegate.epochs import paths
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import run_task
from tidegate.runtime.control_plane import ControlPlane
from tidegate.runtime.meter import Meter
from tidegate.runtime.small_epoch import SmallEpochs
from tidegate.stores.cached import CachedObjects
from tidegate.stores.memory import ManualClock, MemoryAlarms

PLAN = compiled(delay="1s")

SMALL = {"puts": 3, "gets": 3, "table reads": 7, "table writes": 2}
"""A file that opens windows and fires others: the record, the manifest with state and output attached to it,
the output under its name."""

UNCHANGED = {"puts": 2, "gets": 3, "table reads": 7, "table writes": 2}
"""A file without records: the record and the manifest."""

FANNED_OUT = Limits(small=0, task_bytes=1, tasks=3)

MAPS = REDUCES = 3
"""Tasks of a stage in an epoch of three files with these limits."""


@dataclass
class Deployed:
    """The functions of a deployment, all of them warm, over stores in memory, in the order of an epoch.

    Attributes:
        limits: How large its epochs are.
    """

    cache: Path
    limits: Limits = field(default_factory=Limits)
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.clock = ManualClock(NOON)
        self._meter = Meter()
        stores = self._meter.stores(self.world.stores)
        self._cached = CachedObjects(stores.state, self.cache, 1_000_000, paths.may_hold_layers)
        self._stores = replace(stores, state=self._cached)
        self._small = SmallEpochs(PLAN, self._stores, self._meter)
        self._attempts = count()
        self._control = ControlPlane(
            *(PLAN.outline(), self.world.table, self.world.state, self.world.output, NoUploads(), "in"),
            *(self.limits, self.clock),
            MemoryAlarms(),
            lambda execution: True,
            housekeeping={},
        )

    def epoch(self, *files: str) -> Manifest:
        """Runs one epoch with these files, and returns what it leaves."""
        self.clock.moment += SECOND
        names = [f"scores/{self.clock.moment}-{number}.json" for number in range(len(files))]
        wave: Wave = tuple(zip(names, files, strict=True))
        for each in uploaded(self.world, wave):
            assert self._control.accept("in", each.key, each.version, each.size)
        self._control.wake()
        execution = f"execution-{self.clock.moment}"
        answer = self._control.plan(execution, 0)
        if answer["action"] == "epoch":
            attempt = f"attempt-{next(self._attempts)}"
            self._cached.trusting(lambda: self._small.run(self._control, answer["epoch"], attempt))
        else:
            for each in (*answer["map"], *answer["reduce"]):
                self._run(each)
            self._control.commit(answer["epoch"])
        assert self._control.plan(execution, 0)["action"] == "idle"
        return manifest_of(PLAN, self.world, answer["epoch"])

    def _run(self, task: dict[str, Any]) -> None:
        self._meter.begin()
        wanted = Task(task["epoch"], task["stage"], task["task"])
        run_task(PLAN, self._stores, wanted, f"attempt-{next(self._attempts)}", self._meter)


class NoUploads:
    def list(self, folder: str) -> list[Any]:
        return []


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path)


def requests(manifest: Manifest, *stages: str) -> dict[str, int]:
    """The requests of an epoch, or of some of its stages, beyond reading its inputs."""
    counts: Counter[str] = Counter()
    for stage, taken in manifest.costs.stages.items():
        if not stages or stage in stages:
            counts.update(taken)
    assert not any(counts[f"{store}.{kind}"] for store in ("state", "output") for kind in ("list", "delete"))
    return {
        "puts": counts["state.put"] + counts["output.put"],
        "gets": counts["state.get"] + counts["output.get"],
        "table reads": counts["table.read"],
        "table writes": counts["table.write"],
    }


def minute(number: int, score: int = 1) -> str:
    """A file of one minute: it opens a window for each team, and fires those of the minute before."""
    return lines(*((team, score, 60 * number + 5) for team in ("x", "y", "z")))


def test_a_small_epoch(deployed: Deployed) -> None:
    deployed.epoch(minute(0))
    deployed.epoch(minute(1))
    assert requests(deployed.epoch(minute(2))) == SMALL


def test_an_epoch_that_changes_nothing(deployed: Deployed) -> None:
    deployed.epoch(minute(0))
    deployed.epoch(minute(1))
    manifest = deployed.epoch("")
    assert manifest.outputs == ()
    assert requests(manifest) == UNCHANGED


def test_many_epochs_cost_no_more_than_the_third(deployed: Deployed) -> None:
    for number in range(30):
        manifest = deployed.epoch(minute(number))
        if number > 1:
            assert requests(manifest) == SMALL, f"epoch {manifest.epoch}"


def test_many_files_are_read_and_nothing_else_is_asked_for(deployed: Deployed) -> None:
    deployed.epoch(minute(0))
    deployed.epoch(minute(1))
    manifest = deployed.epoch(*[minute(2)] * 50)
    assert manifest.costs.stages["epoch"]["input.get"] == 50
    assert requests(manifest) == SMALL


def test_a_cold_function_reads_the_layers_of_its_state(deployed: Deployed, tmp_path: Path) -> None:
    deployed.epoch(minute(0))
    deployed.epoch(minute(1))
    cold = Deployed(tmp_path, world=deployed.world)
    cold.clock.moment = deployed.clock.moment
    manifest = manifest_of(PLAN, deployed.world, 2)
    places = {each.key for each in manifest.layers}
    assert places
    # And the manifest of the epoch before, which it did not commit itself.
    assert requests(cold.epoch(minute(2))) == SMALL | {"gets": SMALL["gets"] + len(places | {manifest.key})}


def test_an_epoch_that_fans_out_over_little(tmp_path: Path) -> None:
    """What is shuffled lies in the results of the map tasks, and no task reads more than these."""
    deployed = Deployed(tmp_path, FANNED_OUT)
    for number in range(3):
        manifest = deployed.epoch(minute(number), minute(number), minute(number))
    assert not _objects(deployed, manifest, "")
    # The record, the manifest before it and whether there is a result already; and the result.
    assert requests(manifest, "map") == {
        "puts": MAPS,
        "gets": 3 * MAPS,
        "table reads": 0,
        "table writes": 0,
    }
    reducing = requests(manifest, "reduce")
    assert reducing["gets"] == REDUCES * (3 + MAPS)
    assert REDUCES < reducing["puts"] <= 2 * REDUCES


def test_an_epoch_that_fans_out(tmp_path: Path) -> None:
    """One shuffle object a map task, and at most one ranged get for each pair of tasks."""
    deployed = Deployed(tmp_path, FANNED_OUT, World(attached=0))
    deployed.epoch(minute(0), minute(0), minute(0))
    deployed.epoch(minute(1), minute(1), minute(1))
    manifest = deployed.epoch(minute(2), minute(2), minute(2))
    calls = {stage: counts.get("calls") for stage, counts in manifest.costs.stages.items()}
    assert calls == {"plan": 1, "map": MAPS, "reduce": REDUCES, "commit": 1}
    shuffled = _objects(deployed, manifest, "shuffle.arrow")
    assert len(shuffled) == MAPS
    # Beside its shuffle object a map task writes its result, and reads the record, the manifest before it and
    # whether there is a result already.
    assert requests(manifest, "map") == {
        "puts": 2 * MAPS,
        "gets": 3 * MAPS,
        "table reads": 0,
        "table writes": 0,
    }
    reducing = requests(manifest, "reduce")
    # A reduce task reads the map tasks' results, too.
    assert reducing["gets"] <= REDUCES * (3 + MAPS) + MAPS * REDUCES
    # State, result, output staged and published, by those whose key groups have keys.
    assert reducing["puts"] <= 4 * REDUCES
    assert requests(manifest, "commit") == {
        "puts": 1,
        "gets": 2 + MAPS + REDUCES,
        "table reads": 1,
        "table writes": 1,
    }


def _objects(deployed: Deployed, manifest: Manifest, what: str) -> list[str]:
    """The data objects of an epoch that are called like this."""
    listed = [
        each.key for each in deployed.world.state.list(f"{manifest.pipeline}/data/{manifest.epoch:010d}")
    ]
    return [key for key in listed if key.endswith(what)]


def test_a_warm_function_goes_on_where_all_state_was_removed_and_begun_anew(tmp_path: Path) -> None:
    """What it keeps has the names of what is there now, and is something else."""
    first = Deployed(tmp_path)
    for number in range(3):
        first.epoch(minute(number))
    world = first.world
    for store in (world.state, world.output, world.input):
        store._objects.clear()
    world.table._rows.clear()
    second = Deployed(tmp_path, world=world)
    second.clock.moment = first.clock.moment
    for number in range(2):
        second.epoch(minute(number, score=100))
    first.clock.moment = second.clock.moment
    first.epoch(minute(2, score=100))
    assert {pane["total"] for pane in panes(world)} == {100}
