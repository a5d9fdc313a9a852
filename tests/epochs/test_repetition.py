"""A replay on a deployment: another generation, which repeats the epochs of the one before it."""

import json
from typing import Any

import pytest

import tidegate as tg
from tests.epochs.scenario import (
    EARLY_AND_LATE,
    NOON,
    SECOND,
    WAVES,
    Process,
    Wave,
    World,
    compiled,
    lines,
    manifest_of,
    panes,
)
from tidegate.epochs import history, intake, paths
from tidegate.epochs.drive import drive
from tidegate.epochs.generation import beginning, generation_of, number_of
from tidegate.epochs.head import Head
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import State
from tidegate.epochs.repetition import begin
from tidegate.errors import IncompatiblePipeline, TidegateError, UsageError
from tidegate.plan import Plan
from tidegate.testing.faults import Interference

PLAN = compiled(trigger=EARLY_AND_LATE)
CHANGED = compiled(trigger=EARLY_AND_LATE, accumulation=tg.DISCARDING)
SECOND_GENERATION = beginning(2)
NEXT: Wave = (("scores/next.json", lines(("x", 5, 320))),)


def finished(plan: Plan = PLAN, limits: Limits | None = None) -> tuple[World, Process]:
    """A world in which all waves were processed, and the process that did it."""
    world = World()
    process = Process(plan, world, limits or Limits(files=1))
    process.run(WAVES, close=False)
    return world, process


def other(world: World, plan: Plan, limits: Limits | None = None) -> Process:
    return Process(plan, world, limits or Limits())


def files(world: World, folder: str) -> dict[str, bytes]:
    """The files of a folder, by where they stand in it."""
    return {str(number): world.output.get(each.key) for number, each in enumerate(world.output.list(folder))}


def test_the_same_plan_gives_the_same_panes_in_a_folder_of_their_own() -> None:
    world, process = finished()
    before = files(world, "totals")
    last = process.head.epoch
    process.replay()
    assert process.head.epoch == SECOND_GENERATION + last
    assert files(world, "totals") == before, "nothing of the old generation was touched"
    assert files(world, "totals.generation-2") == before
    assert files(world, "dead-letters/scores.generation-2") == files(world, "dead-letters/scores")
    old, new = manifest_of(PLAN, world, last), manifest_of(PLAN, world, SECOND_GENERATION + last)
    assert (new.totals, new.frontier, new.now) == (old.totals, old.frontier, old.now)


def test_another_plan_gives_what_it_would_have_given_from_the_beginning() -> None:
    world, _ = finished()
    other(world, CHANGED).replay()
    afresh, _ = finished(CHANGED)
    assert files(world, "totals.generation-2") == files(afresh, "totals")
    assert files(world, "totals.generation-2") != files(world, "totals")


def test_readers_are_told_when_all_is_repeated_and_not_before() -> None:
    world, process = finished()
    begin(PLAN.outline(), world.state, world.table)
    for _ in range(process.head.repeats):
        record = process.coordinator.plan()
        assert record is not None
        assert not list(world.output.list("generations"))
        process.invoker.run(process.coordinator.tasks(record, State.EPOCH))
        process.coordinator.commit(record)
    assert process.coordinator.plan() is None
    (told,) = world.output.list("generations")
    assert told.key == paths.generation("scores", 2)
    assert json.loads(world.output.get(told.key)) == {
        "generation": 2,
        "sink": "totals.generation-2",
        "late": [],
        "dead_letters": "dead-letters/scores.generation-2",
    }


def test_what_comes_meanwhile_waits_until_all_is_repeated() -> None:
    world, process = finished()
    begin(PLAN.outline(), world.state, world.table)
    process.accept(NEXT, NOON + 700 * SECOND)
    drive(process.coordinator, process.invoker)
    assert [each.object.key for each in _record(world, process.head.epoch).inputs] == ["scores/next.json"]
    assert not intake.waiting(world.table, 10)
    assert process.head.repeats == 0


def test_what_was_frozen_and_not_committed_is_taken_by_the_new_generation() -> None:
    world, process = finished()
    process.accept(NEXT, NOON + 700 * SECOND)
    frozen = process.coordinator.plan()
    assert frozen is not None
    last = process.head.epoch
    process.replay()
    newest = _record(world, process.head.epoch)
    assert newest.inputs == frozen.inputs
    assert process.head.epoch == SECOND_GENERATION + last + 1


def test_the_old_generation_can_commit_no_more() -> None:
    """Nor remove what waits: it finds another head."""
    world, process = finished()
    process.accept(NEXT, NOON + 700 * SECOND)
    frozen = process.coordinator.plan()
    assert frozen is not None
    process.invoker.run(process.coordinator.tasks(frozen, State.EPOCH))
    late = Process(PLAN, world, Limits(files=1))
    begin(CHANGED.outline(), world.state, world.table)
    before = dict(world.table._rows)
    with pytest.raises(TidegateError):
        late.coordinator.commit(frozen)
    assert world.table._rows == before


@pytest.mark.parametrize("looks", ["before", "behind"])
def test_a_late_commit_of_the_same_plan_takes_nothing_that_waits(looks: str) -> None:
    """Nor if its inputs are so many that they leave in writes of their own, once the head has moved."""
    many: Wave = tuple((f"scores/{n:04}.json", lines(("x", 1, n % 50))) for n in range(120))
    world, _ = finished()
    process = Process(PLAN, world, Limits())
    process.accept(many, NOON + 700 * SECOND)
    frozen = process.coordinator.plan()
    assert frozen is not None
    process.invoker.run(process.coordinator.tasks(frozen, State.EPOCH))

    def fence() -> None:
        begin(PLAN.outline(), world.state, world.table)

    if looks == "behind":
        fence()
        late = process
    else:
        trace = Interference()
        Process(PLAN, world.copy(), Limits(), trace).coordinator.commit(frozen)
        write = next(number for number, call in enumerate(trace.trace, 1) if call.startswith("table write"))
        late = Process(PLAN, world, Limits(), Interference(write, before=fence))
    before = intake.waiting(world.table, 1_000)
    with pytest.raises(TidegateError, match="of generation 1 is not committed any more"):
        late.coordinator.commit(frozen)
    assert intake.waiting(world.table, 1_000) == before
    assert len(before) == 120
    drive(process.coordinator, process.invoker)
    assert not intake.waiting(world.table, 1_000)
    assert _record(world, process.head.epoch).inputs == frozen.inputs


def test_a_commit_between_look_and_write_is_repeated_too() -> None:
    """The old generation commits an epoch just before the new one is begun."""
    world, process = finished()
    process.accept(NEXT, NOON + 700 * SECOND)
    frozen = process.coordinator.plan()
    assert frozen is not None
    process.invoker.run(process.coordinator.tasks(frozen, State.EPOCH))
    copy = world.copy()
    trace = Interference()
    looked = Process(PLAN, copy, Limits(), trace)
    begin(PLAN.outline(), looked.stores.state, looked.table)
    write = next(number for number, call in enumerate(trace.trace, 1) if call.startswith("table write"))
    commit = Interference(write, before=lambda: process.coordinator.commit(frozen) and None)
    beginner = Process(PLAN, world, Limits(), commit)
    head = begin(PLAN.outline(), beginner.stores.state, beginner.table)
    assert head.repeats == frozen.epoch
    drive(process.coordinator, process.invoker)
    assert not intake.waiting(world.table, 10)
    assert _record(world, SECOND_GENERATION + frozen.epoch).inputs == frozen.inputs


def test_a_replay_that_was_begun_goes_on_when_it_is_begun_again() -> None:
    world, process = finished()
    first = begin(PLAN.outline(), world.state, world.table)
    assert begin(PLAN.outline(), world.state, world.table) == first
    drive(process.coordinator, process.invoker)
    again = begin(PLAN.outline(), world.state, world.table)
    assert generation_of(again.epoch) == 3, "it had come to its end"
    assert again.repeats == SECOND_GENERATION + first.repeats


def test_a_replay_for_another_plan_begins_with_the_first_epoch() -> None:
    """Of the generation that was whole, not of the one that was at repeating."""
    world, process = finished()
    last = process.head.epoch
    begin(PLAN.outline(), world.state, world.table)
    record = process.coordinator.plan()
    assert record is not None
    process.invoker.run(process.coordinator.tasks(record, State.EPOCH))
    process.coordinator.commit(record)
    changed = other(world, CHANGED)
    head = begin(CHANGED.outline(), world.state, world.table)
    assert (generation_of(head.epoch), head.repeats) == (3, last)
    drive(changed.coordinator, changed.invoker)
    afresh, _ = finished(CHANGED)
    assert files(world, "totals.generation-3") == files(afresh, "totals")


def test_no_other_plan_works_for_a_generation_that_was_begun() -> None:
    world, process = finished()
    begin(CHANGED.outline(), world.state, world.table)
    before = dict(world.table._rows), dict(world.state._objects)
    with pytest.raises(IncompatiblePipeline, match="begun for another plan"):
        process.coordinator.plan()
    with pytest.raises(IncompatiblePipeline, match="begun for another plan"):
        process.coordinator.check()
    assert (dict(world.table._rows), dict(world.state._objects)) == before


def test_swept_epochs_are_repeated_from_the_history() -> None:
    world, process = finished()
    before = files(world, "totals")
    epochs = range(1, process.head.epoch)
    history.keep(world.state, "scores", epochs)
    world.state.delete([paths.record("scores", epoch) for epoch in epochs])
    process.replay()
    assert files(world, "totals.generation-2") == before


def test_without_all_records_there_is_no_replay() -> None:
    """Version 0.1.0 swept them."""
    world, _ = finished()
    world.state.delete([paths.record("scores", 1), paths.record("scores", 2)])
    before = dict(world.table._rows)
    with pytest.raises(UsageError, match="first 2 epochs of the pipeline 'scores' are gone"):
        begin(PLAN.outline(), world.state, world.table)
    assert world.table._rows == before


def test_without_an_epoch_there_is_nothing_to_replay() -> None:
    world = World()
    with pytest.raises(UsageError, match="nothing to replay"):
        begin(PLAN.outline(), world.state, world.table)
    assert not world.table._rows


def test_epochs_of_many_files_wait_in_no_row_and_leave_none() -> None:
    """Rows of inputs that left with the old generation are neither written nor removed again."""
    many: Wave = tuple((f"scores/{n:04}.json", lines(("x", 1, n % 50))) for n in range(120))
    world = World()
    process = Process(PLAN, world, Limits(small=0))
    process.run((many,), close=False)
    rows = set(world.table._rows)
    trace = Interference()
    again = Process(PLAN, world, Limits(small=0), trace)
    again.replay()
    assert set(world.table._rows) == rows
    assert process.head.settled == process.head.epoch
    writes = [call for call in trace.trace if call.startswith("table write")]
    assert len(writes) == 1 + number_of(process.head.epoch), "one begins it, and one commits each epoch"


@pytest.mark.parametrize("limits", [Limits(), Limits(small=0, task_bytes=1, tasks=3)])
def test_how_work_is_cut_follows_from_todays_limits(limits: Limits) -> None:
    world, _ = finished()
    other(world, PLAN, limits).replay()
    ours = sorted(map(repr, panes(world, "totals.generation-2")))
    assert ours == sorted(map(repr, panes(world)))


def _record(world: World, epoch: int) -> Any:
    return history.record_of(world.state, "scores", epoch)


def test_a_head_says_what_is_to_repeat() -> None:
    def head(epoch: int, repeats: int) -> Head:
        return Head(epoch, ("", ""), epoch, "", 1, repeats=repeats)

    assert head(7, 0).to_repeat == 0
    assert head(beginning(2), 3).to_repeat == 1
    assert head(beginning(2) + 2, 3).to_repeat == 3
    assert head(beginning(2) + 3, 3).to_repeat == 0
    assert head(beginning(5) + 1, beginning(3) + 9).to_repeat == beginning(3) + 2
    assert head(beginning(2), 3).begins
    assert not head(beginning(2) + 1, 3).begins
