import threading
from collections.abc import Callable
from dataclasses import replace

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
    remains,
)
from tidegate.epochs import intake, paths
from tidegate.epochs.drive import drive
from tidegate.epochs.head import ROWS_TOGETHER, Head
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import TRANSITIONS, Coordinator, Event, State, event_of
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Task
from tidegate.errors import CorruptObject, IncompatiblePipeline, ObjectNotFound, TidegateError
from tidegate.limits import KEY_GROUPS
from tidegate.stores.memory import MemoryTable
from tidegate.stores.ports import ANYTHING, Put, Write
from tidegate.testing.faults import Crash, Interference
from tidegate.timestamps import MAX

PLAN = compiled(trigger=EARLY_AND_LATE)
OTHER = compiled(trigger=EARLY_AND_LATE, lateness="3m")
FILE: Wave = (("scores/a.json", lines(("x", 1, 5))),)


def contents(world: World) -> tuple[object, ...]:
    return (
        dict(world.input._objects),
        dict(world.state._objects),
        dict(world.output._objects),
        dict(world.table._rows),
    )


def process(world: World, limits: Limits | None = None, plan: object = PLAN) -> Process:
    return Process(plan, world, limits or Limits())  # type: ignore[arg-type]


def many(count: int) -> Wave:
    return tuple((f"scores/{number:04}.json", lines(("x", 1, number % 50))) for number in range(count))


# Planning


def test_nothing_waits_nothing_runs() -> None:
    world = World()
    before = contents(world)
    assert process(world).coordinator.plan() is None
    assert process(world).coordinator.manifest() is None
    drive(process(world).coordinator, process(world).invoker)
    assert contents(world) == before


def test_planning_freezes_the_record_before_any_work() -> None:
    world = World()
    first = process(world)
    first.accept(WAVES[0], NOON)
    record = first.coordinator.plan()
    assert record is not None
    assert [info.key for info in world.state.list("scores")] == [record.key]
    assert EpochRecord.decode(record.key, world.state.get(record.key)) == record
    assert (record.epoch, record.now, record.previous) == (1, NOON, ("", ""))
    assert [each.object.key for each in record.inputs] == ["scores/a.json", "scores/b.json"]


def test_a_frozen_record_is_adopted_whatever_changed_since() -> None:
    world = World()
    first = process(world)
    first.accept(WAVES[0], NOON)
    record = first.coordinator.plan()
    first.accept(WAVES[1], NOON + 1)
    assert process(world, Limits(files=1, small=0)).coordinator.plan() == record
    assert process(world).coordinator.plan(close=True) == record


def test_of_planners_at_once_the_first_record_counts() -> None:
    """The second one stalls just before its put; by then the first one has frozen something else."""
    interference = Interference()
    stalled = Process(PLAN, World(), Limits(), interference)
    stalled.accept(WAVES[0], NOON)
    stalled.coordinator.plan()
    put = next(n for n, call in enumerate(interference.trace, 1) if call.startswith("state put_if_absent"))

    world = World()
    frozen_first: list[EpochRecord | None] = []

    def freeze() -> None:
        frozen_first.append(process(world, Limits(files=1)).coordinator.plan())

    stalled = Process(PLAN, world, Limits(), Interference(put, before=freeze))
    stalled.accept(WAVES[0], NOON)
    record = stalled.coordinator.plan()
    assert record is not None
    assert frozen_first == [record]
    assert len(record.inputs) == 1
    assert EpochRecord.decode(record.key, world.state.get(record.key)) == record


def test_processing_time_never_goes_back() -> None:
    world = World()
    runner = process(world)
    runner.accept(WAVES[0], NOON + 1_000)
    drive(runner.coordinator, runner.invoker)
    runner.accept(WAVES[1], NOON)
    record = runner.coordinator.plan()
    assert record is not None
    assert record.now == NOON + 1_000


def test_the_epoch_that_closes_comes_once() -> None:
    world = World()
    process(world).run(WAVES)
    manifest = process(world).coordinator.manifest()
    assert manifest is not None
    assert manifest.frontier.watermark == MAX
    before = contents(world)
    drive(process(world).coordinator, process(world).invoker, close=True)
    assert contents(world) == before


def test_closing_a_pipeline_that_read_nothing() -> None:
    world = World()
    drive(process(world).coordinator, process(world).invoker, close=True)
    manifest = process(world).coordinator.manifest()
    assert manifest is not None
    assert (manifest.epoch, manifest.segments, manifest.outputs) == (1, (), ())


# The plan's identity


def test_the_state_of_another_plan_is_refused_before_any_write() -> None:
    world = World()
    process(world).run(WAVES[:1], close=False)
    process(world).accept(WAVES[1], NOON)
    before = contents(world)
    other = process(world, plan=OTHER)
    for act in (
        other.coordinator.plan,
        other.coordinator.manifest,
        lambda: drive(other.coordinator, other.invoker, close=True),
    ):
        with pytest.raises(
            IncompatiblePipeline, match=r"It was: .*allowed_lateness=2m.*It is: .*allowed_lateness=3m"
        ):
            act()
    assert contents(world) == before


def test_an_epoch_frozen_for_another_plan_is_refused_before_any_write() -> None:
    world = World()
    first = process(world)
    first.accept(WAVES[0], NOON)
    assert first.coordinator.plan() is not None
    before = contents(world)
    other = process(world, plan=OTHER)
    with pytest.raises(IncompatiblePipeline):
        other.coordinator.plan()
    with pytest.raises(IncompatiblePipeline):
        other.invoker.run([Task(1, "epoch", 0)])
    assert contents(world) == before


def test_looking_ties_no_pipeline_to_a_plan() -> None:
    """A pipeline that was run on an empty folder can still be changed."""
    world = World()
    process(world).coordinator.manifest()
    assert process(world).coordinator.plan() is None
    process(world, plan=OTHER).run(WAVES)
    manifest = process(world, plan=OTHER).coordinator.manifest()
    assert manifest is not None
    assert manifest.fingerprint == OTHER.fingerprint()


def test_state_of_another_number_of_key_groups_is_refused() -> None:
    world = World()
    process(world).run(WAVES[:1], close=False)
    row = world.table.get(paths.HEAD)
    assert row is not None
    world.table.write(Put(paths.HEAD, replace(Head.of(row), key_groups=7).row(), expected={}))
    with pytest.raises(IncompatiblePipeline):
        process(world).coordinator.plan()


# Committing


def frozen(world: World, limits: Limits | None = None) -> tuple[Process, EpochRecord]:
    runner = process(world, limits)
    runner.accept(WAVES[0], NOON)
    record = runner.coordinator.plan()
    assert record is not None
    return runner, record


def test_a_commit_without_all_results_is_refused() -> None:
    world = World()
    runner, record = frozen(world, Limits(small=0, task_bytes=1))
    runner.invoker.run(runner.coordinator.tasks(record, State.MAP))
    with pytest.raises(ObjectNotFound, match="reduce"):
        runner.coordinator.commit(record)
    assert world.table.get(paths.HEAD) is None or runner.coordinator.manifest() is None


def test_committing_twice_is_a_success_and_changes_nothing() -> None:
    world = World()
    runner, record = frozen(world)
    runner.invoker.run(runner.coordinator.tasks(record, State.EPOCH))
    manifest = runner.coordinator.commit(record)
    before = contents(world)
    assert runner.coordinator.commit(record) == manifest
    assert process(world).coordinator.commit(record) == manifest
    assert contents(world) == before


def test_committing_an_old_epoch_again_changes_nothing() -> None:
    world = World()
    runner, record = frozen(world)
    runner.invoker.run(runner.coordinator.tasks(record, State.EPOCH))
    runner.coordinator.commit(record)
    process(world).run(WAVES)
    swept = [each.key for each in world.state.list(f"{PLAN.name}/epochs/{record.epoch:010d}")]
    assert swept
    world.state.delete(swept)
    before = contents(world)
    assert runner.coordinator.commit(record) == runner.coordinator.manifest()
    runner.coordinator.commit_epoch(record.epoch)
    assert contents(world) == before


def test_a_commit_moves_the_head_by_one() -> None:
    world = World()
    runner, record = frozen(world)
    runner.invoker.run(runner.coordinator.tasks(record, State.EPOCH))
    runner.coordinator.commit(record)
    row = world.table.get(paths.HEAD)
    assert row is not None
    head = Head.of(row)
    assert (head.epoch, head.settled, head.fingerprint) == (1, 1, PLAN.fingerprint())
    assert head.manifest[0] == paths.manifest("scores", 1)
    assert intake.waiting(world.table, 10) == []


def test_a_head_that_was_set_back_from_outside_is_named() -> None:
    world = World()
    process(world).run(WAVES[:2], close=False)
    runner = process(world)
    runner.accept(WAVES[2], NOON)
    record = runner.coordinator.plan()
    assert record is not None
    runner.invoker.run(runner.coordinator.tasks(record, State.EPOCH))
    row = world.table.get(paths.HEAD)
    assert row is not None
    world.table.write(Put(paths.HEAD, replace(Head.of(row), epoch=1, settled=1).row(), expected={}))
    with pytest.raises(TidegateError, match="restore it from a backup"):
        runner.coordinator.commit(record)


def test_a_manifest_that_was_written_before_a_crash_and_an_upgrade_is_adopted() -> None:
    """A newer version may count more things; the head names the object that is there.

    That of version 0.1.0 has no result before it: it was written when all was published.
    """
    world = World(attached=0)
    runner, record = frozen(world)
    tasks = runner.coordinator.tasks(record, State.EPOCH)
    runner.invoker.run(tasks)
    key = paths.manifest(PLAN.name, 1)
    older = replace(Manifest.decode(key, world.state.get(key)), counters={"files": 2})
    world.state.put(key, older.encode())
    runner.invoker.run(tasks)
    assert runner.coordinator.commit(record) == older
    process(world).run(WAVES)
    assert manifest_of(PLAN, world, 1) == older


def test_a_damaged_record_is_named() -> None:
    world = World()
    runner, record = frozen(world)
    data = bytearray(world.state.get(record.key))
    data[len(data) // 2] ^= 1
    world.state.put(record.key, bytes(data))
    with pytest.raises(CorruptObject, match=record.key):
        runner.coordinator.plan()


# Many inputs


def test_more_inputs_than_one_write_settles() -> None:
    world = World()
    runner = process(world)
    runner.accept(many(100), NOON)
    drive(runner.coordinator, runner.invoker)
    assert remains(PLAN, world).head[:2] == (1, 1)
    assert intake.waiting(world.table, 10) == []
    assert manifest_of(PLAN, world, 1).counters["files"] == 100


def test_a_crash_between_head_move_and_settling_takes_no_input_twice() -> None:
    interference = Interference()
    world = World()
    runner = Process(PLAN, world, Limits(), interference)
    runner.accept(many(100), NOON)
    drive(runner.coordinator, runner.invoker)
    expected = remains(PLAN, world)
    moved = next(n for n, call in enumerate(interference.trace, 1) if call.startswith("table write head"))
    for number in range(moved, len(interference.trace) + 1):
        world = World()
        runner = Process(PLAN, world, Limits(), Interference(number))
        with pytest.raises(Crash):
            runner.accept(many(100), NOON)
            drive(runner.coordinator, runner.invoker)
        following = process(world)
        following.accept(many(100), NOON + 1)
        drive(following.coordinator, following.invoker)
        assert remains(PLAN, world) == expected, f"crash before {interference.trace[number - 1]}"


def test_a_settling_that_loses_its_race_settles_what_the_winner_left() -> None:
    """A settles epoch 1; meanwhile B commits epoch 2 and stops before it has settled that."""
    world, limits = World(), Limits(files=100)
    runner = process(world, limits)
    runner.accept(many(200), NOON)
    _commit_and_stop(world, limits)

    slow = Process(PLAN, world, limits)
    slow.coordinator._table = Overtaken(world.table, lambda: _commit_and_stop(world, limits))
    assert slow.coordinator.plan() is None
    assert manifest_of(PLAN, world, 2).totals["files"] == 200


def _commit_and_stop(world: World, limits: Limits) -> None:
    """Does one epoch, up to the head's move and no further."""
    runner = Process(PLAN, world, limits)
    record = runner.coordinator.plan()
    assert record is not None
    runner.invoker.run(runner.coordinator.tasks(record, State.EPOCH))
    runner.coordinator._table = StopsAfterTheHead(world.table)
    with pytest.raises(Crash):
        runner.coordinator.commit(record)


def test_a_settling_that_is_stopped_again_and_again_comes_to_its_end() -> None:
    """Each call goes on where the one before it was killed."""
    world, limits = World(), Limits(files=4 * ROWS_TOGETHER)
    runner = process(world, limits)
    runner.accept(many(5 * ROWS_TOGETHER), NOON)
    runner.coordinator.plan()
    # As a commit leaves it that is killed before it settles.
    moved = Head(1, ("", ""), 0, PLAN.fingerprint(), KEY_GROUPS)
    world.table.write(Put(paths.HEAD, moved.row(), ANYTHING))
    left = []
    for _ in range(2):
        killed = Process(PLAN, world, limits)
        killed.coordinator._table = Stops(world.table, writes=2)
        with pytest.raises(Crash):
            killed.coordinator.plan()
        left.append(len(intake.waiting(world.table, 1_000)))
    assert left == [3 * ROWS_TOGETHER, ROWS_TOGETHER]
    last = Process(PLAN, world, limits)
    last.coordinator._table = Stops(world.table, writes=1)
    record = last.coordinator.plan()
    assert record is not None
    assert (record.epoch, len(record.inputs)) == (2, ROWS_TOGETHER)


class Stops:
    """A table whose user is gone after so many writes."""

    def __init__(self, table: MemoryTable, writes: int) -> None:
        self._table = table
        self._left = writes
        self.get, self.query = table.get, table.query

    def write(self, *writes: Write) -> None:
        if not self._left:
            raise Crash("after its writes")
        self._left -= 1
        self._table.write(*writes)


class StopsAfterTheHead:
    """A table whose user is gone once it has moved the head."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table
        self._moved = False
        self.get, self.query = table.get, table.query

    def write(self, *writes: Write) -> None:
        if self._moved:
            raise Crash("after the head")
        self._moved = any(each.key == paths.HEAD for each in writes)
        self._table.write(*writes)


class Overtaken:
    """A table whose user is overtaken just before it writes the head."""

    def __init__(self, table: MemoryTable, meanwhile: Callable[[], None]) -> None:
        self._table = table
        self._meanwhile: list[Callable[[], None]] = [meanwhile]
        self.get, self.query = table.get, table.query

    def write(self, *writes: Write) -> None:
        if self._meanwhile and any(each.key == paths.HEAD for each in writes):
            self._meanwhile.pop()()
        self._table.write(*writes)


# Two at once


@pytest.mark.parametrize(
    "limits", [Limits(files=1), Limits(small=0, task_bytes=1, tasks=3)], ids=["small", "large"]
)
def test_coordinators_at_once_commit_the_same_epochs(limits: Limits) -> None:
    alone = World()
    process(alone, limits).run(WAVES)
    expected = remains(PLAN, alone)
    world = World()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            Process(PLAN, world, limits).run(WAVES)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert remains(PLAN, world) == expected


# The table of states


def test_every_state_but_the_last_leads_on() -> None:
    assert set(TRANSITIONS) == set(State) - {State.IDLE}
    assert {state for row in TRANSITIONS.values() for state in row.values()} == set(State)


def test_what_planning_ends_with() -> None:
    _, small = frozen(World())
    _, large = frozen(World(), Limits(small=0, task_bytes=1))
    assert (event_of(None), event_of(small), event_of(large)) == (Event.NOTHING, Event.SMALL, Event.LARGE)


def test_driving_tells_of_every_epoch() -> None:
    world = World()
    runner = process(world, Limits(files=1))
    runner.accept(WAVES[0], NOON + 400 * SECOND)
    told: list[int] = []
    drive(runner.coordinator, runner.invoker, close=True, committed=lambda each: told.append(each.epoch))
    assert told == [1, 2, 3]


def test_a_pipeline_that_does_not_group_fans_out_without_reduce_tasks() -> None:
    import polars as pl

    from tidegate.plan import compile_plan

    stream = tg.read_json(
        "scores",
        schema={"team": pl.String},
        event_time=pl.lit(0).cast(pl.Datetime("ms")),
        watermark=tg.BoundedDelay("0s"),
    )
    plan = compile_plan(tg.Pipeline("scores", stream.write_json("totals")))
    for limits in (Limits(), Limits(small=0, task_bytes=1)):
        world = World()
        runner = Process(plan, world, limits)
        runner.accept(WAVES[0], NOON)
        drive(runner.coordinator, runner.invoker)
        assert sorted(row["team"] for row in panes(world)) == ["x", "x", "y", "y", "z"]
        assert isinstance(runner.coordinator, Coordinator)
