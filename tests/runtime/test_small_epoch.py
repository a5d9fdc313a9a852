"""A small epoch in one function call, by a function that stays warm."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.epochs.scenario import NOON, WAVES, Wave, World, compiled, lines, manifest_of, panes, uploaded
from tidegate.epochs.layout import Limits
from tidegate.errors import TidegateError
from tidegate.runtime.control_plane import ControlPlane
from tidegate.runtime.meter import Meter
from tidegate.runtime.small_epoch import SmallEpochs
from tidegate.stores.memory import ManualClock, MemoryAlarms

PLAN = compiled()


class NoUploads:
    def list(self, folder: str) -> list[Any]:
        return []


@dataclass
class Deployed:
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.meter = Meter()
        self.warm = SmallEpochs(PLAN, self.meter.stores(self.world.stores), self.meter)

    @property
    def control(self) -> ControlPlane:
        world, outline = self.world, PLAN.outline()
        return ControlPlane(
            *(outline, world.table, world.state, world.output, NoUploads(), "in", Limits()),
            ManualClock(NOON),
            MemoryAlarms(),
            lambda execution: True,
            housekeeping={},
        )

    def plan(self, wave: Wave) -> int:
        for each in uploaded(self.world, wave):
            self.control.accept("in", each.key, each.version, each.size)
        epoch: int = self.control.plan("execution", 0)["epoch"]
        return epoch

    def run(self, epoch: int, attempt: str = "first") -> None:
        assert self.warm.run(self.control, epoch, attempt) == {"epoch": epoch}


@pytest.fixture
def deployed() -> Deployed:
    return Deployed()


def test_it_runs_and_commits(deployed: Deployed) -> None:
    deployed.run(deployed.plan(WAVES[0]))
    manifest = manifest_of(PLAN, deployed.world, 1)
    assert manifest.counters["records"] == 6
    assert list(manifest.costs.stages) == ["commit", "epoch", "plan"]


def test_one_that_is_committed_is_a_success_and_nothing_is_touched(deployed: Deployed) -> None:
    deployed.run(deployed.plan(WAVES[0]))
    # As after a sweep.
    deployed.world.state.delete([each.key for each in deployed.world.state.list("scores")])
    deployed.run(1, "late twin")
    assert list(deployed.world.state.list("scores")) == []


def test_whoever_was_stopped_before_the_commit_goes_on_from_the_result(deployed: Deployed) -> None:
    epoch = deployed.plan(WAVES[0])
    write, deployed.world.table.write = deployed.world.table.write, stopped  # type: ignore[method-assign]
    with pytest.raises(TidegateError, match="stopped"):
        deployed.run(epoch)
    deployed.world.table.write = write  # type: ignore[method-assign]
    deployed.run(epoch, "second")
    folder = f"{PLAN.name}/data"
    assert not [each.key for each in deployed.world.state.list(folder) if "second" in each.key]
    assert manifest_of(PLAN, deployed.world, 1).epoch == 1


def stopped(*writes: object) -> None:
    raise TidegateError("stopped")


def test_state_that_was_begun_anew_is_not_mixed_with_what_is_remembered(deployed: Deployed) -> None:
    """Records, results and manifests have their old names again, and another function wrote them."""
    for wave in WAVES[:2]:
        deployed.run(deployed.plan(wave))
    world, warm = deployed.world, deployed.warm
    for store in (world.state, world.output, world.input):
        store._objects.clear()
    world.table._rows.clear()
    again = Deployed(world)
    for number in range(2):
        again.run(again.plan(((f"scores/{number}.json", lines(("x", 100, 60 * number + 5))),)))
    again.warm = warm
    again.run(again.plan((("scores/2.json", lines(("x", 1, 125))),)))
    assert [each["total"] for each in panes(world)] == [100, 100]
