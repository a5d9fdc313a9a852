"""What is said of a replay that a deployment does; that it does it is tested in `tests/cloud`."""

from dataclasses import replace

import pytest

from tests.epochs.scenario import NOON, WAVES, Process, World, compiled
from tests.runtime.test_control_plane import Deployed
from tidegate.epochs.generation import beginning
from tidegate.epochs.head import Head
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import State
from tidegate.epochs.repetition import begin as begin_generation
from tidegate.errors import UsageError
from tidegate.runtime.deployed_replay import STILL, Repeated, begin, watched

PLAN = compiled()
CHANGED = compiled(lateness="3m")


@pytest.fixture
def deployed() -> Deployed:
    """A deployment that has processed all waves, with its uploads in the listing."""
    world = World()
    Process(PLAN, world, Limits()).run(WAVES, close=False)
    deployed = Deployed(world=world)
    deployed.uploads.found = [replace(each, modified=NOON) for each in world.input.list("scores")]
    return deployed


def step(deployed: Deployed) -> None:
    """Does one epoch of a replay."""
    process = Process(PLAN, deployed.world, Limits())
    record = process.coordinator.plan()
    if record is not None:
        process.invoker.run(process.coordinator.tasks(record, State.EPOCH))
        process.coordinator.commit(record)


def test_a_replay_is_begun_and_a_coordinator_woken(deployed: Deployed) -> None:
    begun = begin(deployed.control, skip_missing=False)
    assert begun == Repeated(generation=2, epochs=0, of=len(WAVES))
    assert deployed.started


def test_whoever_watches_sees_each_step_and_the_end(deployed: Deployed) -> None:
    begun = begin(deployed.control, skip_missing=False)
    seen = list(watched(deployed.control, begun, pause=lambda seconds: step(deployed)))
    assert [each.epochs for each in seen] == [1, 2, 3]
    assert [each.key for each in deployed.world.output.list("generations")]


def test_whoever_watches_hears_that_nothing_is_done(deployed: Deployed) -> None:
    """As where the functions of the deployment are of another plan, and refuse."""
    begun = begin(deployed.control, skip_missing=False)
    waited = 0.0

    def pause(seconds: float) -> None:
        nonlocal waited
        waited += seconds
        if waited > 2 * STILL:
            step(deployed)

    seen = list(watched(deployed.control, begun, pause=pause))
    assert [each.still for each in seen] == [True, True, False, False, False]
    assert [each.epochs for each in seen] == [0, 0, 1, 2, 3]


def test_a_replay_that_another_one_takes_over_is_given_up(deployed: Deployed) -> None:
    begun = begin(deployed.control, skip_missing=False)

    def another(seconds: float) -> None:
        begin_generation(CHANGED.outline(), deployed.world.state, deployed.world.table)

    with pytest.raises(UsageError, match="generation 2 was given up"):
        list(watched(deployed.control, begun, pause=another))


def test_one_that_goes_on_is_seen_from_where_it_is(deployed: Deployed) -> None:
    begin(deployed.control, skip_missing=False)
    step(deployed)
    assert begin(deployed.control, skip_missing=False) == Repeated(2, 1, 3)


def test_missing_objects_are_named(deployed: Deployed) -> None:
    gone = deployed.uploads.found.pop()
    before = dict(deployed.world.table._rows)
    with pytest.raises(UsageError, match=f"1 .such as {gone.key}. are gone from s3://in"):
        begin(deployed.control, skip_missing=False)
    assert deployed.world.table._rows == before
    assert begin(deployed.control, skip_missing=True).generation == 2


def test_a_pipeline_over_other_files_is_refused(deployed: Deployed) -> None:
    (source,) = deployed.outline.sources
    deployed.outline = replace(deployed.outline, sources=(replace(source, prefix="others"),))
    with pytest.raises(
        UsageError, match=r"built from scores/a\.json, and the pipeline reads json files below"
    ):
        begin(deployed.control, skip_missing=False)


def test_how_far_it_is_by_the_head() -> None:
    head = Head(beginning(3) + 2, ("", ""), beginning(3) + 2, "", 1, repeats=7)
    assert Repeated.at(head) == Repeated(3, 2, 7)
    assert Repeated.at(replace(head, epoch=beginning(3) + 9)) == Repeated(3, 7, 7)
