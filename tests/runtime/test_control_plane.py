"""What the functions do that process no data, over ports in memory."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.epochs.scenario import NOON, WAVES, World, compiled, uploaded
from tidegate.epochs import intake, lease, paths
from tidegate.epochs.head import Head
from tidegate.epochs.layout import Limits
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import run_task
from tidegate.errors import ForeignObject, IncompatiblePipeline
from tidegate.limits import (
    EXECUTION_HISTORY,
    KEY_GROUPS,
    LEASE,
    RECONCILE_EVERY,
    RECONCILE_OVERLAP,
    SWEEP_EVERY,
)
from tidegate.outline import Outline, SourceOutline
from tidegate.runtime.control_plane import ControlPlane, Received
from tidegate.runtime.notifications import Alarm
from tidegate.stores.memory import ManualClock, MemoryAlarms
from tidegate.stores.ports import QUEUE_DELAY, ObjectInfo, Put
from tidegate.testing.faults import Crash, FaultyTable, Interference

PLAN = compiled()


@dataclass
class Uploads:
    """A listing of uploads."""

    found: list[ObjectInfo] = field(default_factory=list)

    def list(self, folder: str) -> list[ObjectInfo]:
        return [each for each in self.found if each.key.startswith(f"{folder}/")]


@dataclass
class Deployed:
    world: World = field(default_factory=World)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    uploads: Uploads = field(default_factory=Uploads)
    alarms: MemoryAlarms = field(default_factory=MemoryAlarms)
    started: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    outline: Outline = field(default_factory=PLAN.outline)
    limits: Limits = field(default_factory=Limits)

    @property
    def running(self) -> set[str]:
        return {*self.started} - self.ended

    def start(self, execution: str) -> bool:
        """As the service: a name is used once, and that of an execution that runs starts nothing."""
        self.started.append(execution)
        return execution not in self.ended

    @property
    def control(self) -> ControlPlane:
        world = self.world
        return ControlPlane(
            self.outline,
            world.table,
            world.state,
            world.output,
            self.uploads,
            "in",
            self.limits,
            self.clock,
            self.alarms,
            self.start,
        )

    def fanned_out(self, tasks: int) -> dict[str, Any]:
        """The plan for an epoch of two keys with so many tasks, whose map tasks are done."""
        self.limits = Limits(small=0, tasks=tasks, task_bytes=1)
        intake.accept(self.world.table, uploaded(self.world, WAVES[1]), NOON)
        assert self.settle("one")[-1] == "fan_out"
        answer = self.control.plan("one", 0)
        for each in answer["map"]:
            run_task(PLAN, self.world.stores, Task(each["epoch"], each["stage"], each["task"]), "only")
        return answer

    def settle(self, execution: str) -> list[str]:
        """Plans until there is an epoch, nothing, or a wait; returns the actions."""
        actions = [self.control.plan(execution, 0)["action"]]
        while actions[-1] in ("reconcile", "sweep"):
            actions.append(self.control.plan(execution, 0)["action"])
        return actions


@pytest.fixture
def deployed() -> Deployed:
    return Deployed()


def test_an_object_of_another_bucket_is_refused(deployed: Deployed) -> None:
    with pytest.raises(ForeignObject, match="'theirs'; this deployment reads 'in'"):
        deployed.control.accept("theirs", "scores/a.json", "v", 1)
    assert deployed.world.table.query("", 10) == []


def test_an_object_that_the_source_does_not_read_is_none_of_ours(deployed: Deployed) -> None:
    assert not deployed.control.accept("in", "other/a.json", "v", 1)
    assert deployed.control.accept("in", "scores/a.json", "v", 1)
    assert not deployed.control.accept("in", "scores/a.json", "v", 1), "twice"


def test_whoever_wakes_an_idle_pipeline_starts_a_coordinator(deployed: Deployed) -> None:
    deployed.control.wake()
    deployed.control.wake()
    assert len(set(deployed.started)) == 2


def test_whoever_wakes_a_busy_one_has_another_stand_by_once(deployed: Deployed) -> None:
    lease.acquire(deployed.world.table, "busy", NOON)
    deployed.control.wake()
    deployed.control.wake()
    assert len(set(deployed.started)) == 1, "a name that was used starts nothing"
    lease.acquire(deployed.world.table, "busy", NOON + LEASE)
    deployed.clock.moment = NOON + LEASE
    deployed.control.wake()
    assert len(set(deployed.started)) == 2, "once for each time that a lease may last"
    assert all(len(name) <= 80 for name in deployed.started)


def test_one_execution_stands_by_whoever_holds_the_lease_meanwhile(deployed: Deployed) -> None:
    lease.acquire(deployed.world.table, "busy", NOON)
    deployed.control.wake()
    (standby,) = deployed.running
    assert deployed.control.plan(f"arn:aws:states:::execution:epochs:{standby}", 0)["action"] == "wait"
    for number in range(5):
        lease.give_back(deployed.world.table, f"busy{number - 1}" if number else "busy")
        lease.acquire(deployed.world.table, f"busy{number}", NOON)
        deployed.control.wake()
    assert deployed.running == {standby}


def test_a_coordinator_that_fails_has_another_started_for_the_one_that_stands_by(deployed: Deployed) -> None:
    """Else that one would wait for as long as the lease of the failed one would have lasted."""
    lease.acquire(deployed.world.table, "busy", NOON)
    deployed.control.wake()
    (standby,) = deployed.running
    deployed.control.plan(standby, 0)
    deployed.control.release("busy")
    (instead,) = deployed.running - {standby}
    assert deployed.settle(instead)[-1] == "idle"


def test_coordinators_that_fail_one_after_the_other_start_one(deployed: Deployed) -> None:
    lease.acquire(deployed.world.table, "busy", NOON)
    deployed.control.wake()
    (standby,) = deployed.running
    deployed.control.plan(standby, 0)
    deployed.control.release("busy")
    (instead,) = deployed.running - {standby}
    lease.acquire(deployed.world.table, instead, NOON)
    deployed.control.release(instead)
    assert deployed.running == {standby, instead}


def test_who_stood_by_and_took_the_lease_has_another_stand_by(deployed: Deployed) -> None:
    lease.acquire(deployed.world.table, "busy", NOON)
    deployed.control.wake()
    (standby,) = deployed.running
    deployed.control.plan(standby, 0)
    deployed.clock.moment += LEASE
    assert deployed.settle(standby)[:1] == ["reconcile"]
    lease.acquire(deployed.world.table, standby, deployed.clock.moment)
    deployed.control.wake()
    assert len(deployed.running) == 2


@pytest.mark.parametrize("said_so", [True, False])
def test_an_execution_that_was_stopped_stands_by_no_more(deployed: Deployed, said_so: bool) -> None:
    lease.acquire(deployed.world.table, "busy", NOON)
    deployed.control.wake()
    (standby,) = deployed.running
    if said_so:
        deployed.control.plan(standby, 0)
    deployed.ended.add(standby)
    deployed.control.wake()
    assert len(deployed.running) == 1


def test_who_goes_idle_sets_the_heads_alarm_once(deployed: Deployed) -> None:
    table, alarm = deployed.world.table, NOON + 3_600_000_000
    head = Head(1, ("", ""), 1, PLAN.fingerprint(), KEY_GROUPS, alarm)
    table.write(Put(paths.HEAD, head.row()))
    lease.note(table, "reconcile", NOON)
    lease.note(table, "sweep", NOON)
    assert deployed.control.plan("one", 0)["action"] == "idle"
    assert deployed.control.plan("two", 0)["action"] == "idle"
    assert deployed.alarms.moments == [alarm]
    # It went off before its time, or by a clock that is behind: it is set anew.
    assert deployed.control.receive(Alarm(alarm)) is Received.ALARM
    assert deployed.control.plan("three", 0)["action"] == "idle"
    assert deployed.alarms.moments == [alarm, alarm]
    assert deployed.control.receive(Alarm(alarm - 1)) is Received.ALARM
    assert deployed.control.plan("four", 0)["action"] == "idle"
    assert deployed.alarms.moments == [alarm, alarm], "another one was meant"


def test_another_plan_is_refused_before_anything_is_written(deployed: Deployed) -> None:
    """Also before the first commit, when only a frozen record says whose the state is."""
    deployed.control.accept("in", "scores/a.json", "v", 1)
    assert deployed.settle("one")[-1] == "epoch"
    deployed.control.release("one")
    rows, moment = deployed.world.table.query("", 100), deployed.clock.moment
    deployed.clock.moment += 100 * LEASE
    points = SourceOutline("json", "points")
    other = replace(PLAN.outline(), sources=(points,), fingerprint="f" * 16)
    changed = replace(deployed, outline=other).control
    for refused in (
        changed.check,
        changed.reconcile,
        lambda: changed.plan("two", 0),
        lambda: changed.plan("two", EXECUTION_HISTORY),
    ):
        with pytest.raises(IncompatiblePipeline):
            refused()
    assert deployed.world.table.query("", 100) == rows
    assert deployed.started == []
    deployed.clock.moment = moment
    assert deployed.settle("one")[-1] == "epoch"


def test_a_coordinator_stands_by_while_another_holds_the_lease(deployed: Deployed) -> None:
    lease.acquire(deployed.world.table, "busy", NOON)
    answer = deployed.control.plan("mine", 7)
    assert (answer["action"], answer["seconds"]) == ("wait", LEASE // 1_000_000 + 1)
    deployed.clock.moment += LEASE
    assert deployed.settle("mine") == ["reconcile", "sweep", "idle"]


def test_a_planning_function_that_wakes_after_its_execution_freezes_nothing(deployed: Deployed) -> None:
    assert deployed.settle("mine")[-1] == "idle"
    deployed.control.accept("in", "scores/a.json", "v", 1)
    assert deployed.control.plan("mine", 0)["action"] == "idle"
    assert not list(deployed.world.state.list(PLAN.name))
    assert deployed.settle("another")[-1] == "epoch"


def test_an_execution_whose_history_is_full_hands_over_for_good(deployed: Deployed) -> None:
    deployed.control.accept("in", "scores/a.json", "v", 1)
    assert deployed.settle("one")[-1] == "epoch"
    assert deployed.control.plan("one", EXECUTION_HISTORY)["action"] == "idle"
    assert len(deployed.started) == 1
    assert deployed.control.plan("one", 0)["action"] == "idle"
    assert deployed.settle("two")[-1] == "epoch"


def test_an_execution_that_failed_can_be_started_again(deployed: Deployed) -> None:
    deployed.control.accept("in", "scores/a.json", "v", 1)
    assert deployed.settle("one")[-1] == "epoch"
    deployed.control.release("one")
    assert deployed.settle("one")[-1] == "epoch"


def test_housekeeping_is_done_once_an_execution_and_not_too_often(deployed: Deployed) -> None:
    assert deployed.settle("one") == ["reconcile", "sweep", "idle"]
    assert deployed.settle("two") == ["idle"]
    deployed.clock.moment += RECONCILE_EVERY
    assert deployed.settle("three") == ["reconcile", "idle"]
    deployed.clock.moment += SWEEP_EVERY
    assert deployed.settle("four") == ["reconcile", "sweep", "idle"]
    deployed.clock.moment -= 9 * SWEEP_EVERY
    assert deployed.settle("five") == ["reconcile", "sweep", "idle"], "a clock that was set back"


def test_clocks_that_differ_do_not_keep_an_execution_at_housekeeping(deployed: Deployed) -> None:
    deployed.control.accept("in", "scores/a.json", "v", 1)
    for duty in ("reconcile", "sweep"):
        assert deployed.control.plan("one", 0)["action"] == duty
        deployed.clock.moment += 99 * SWEEP_EVERY
    assert deployed.control.plan("one", 0)["action"] == "epoch"


def test_uploads_whose_events_were_lost_are_accepted_once(deployed: Deployed) -> None:
    objects = uploaded(deployed.world, WAVES[0])
    deployed.uploads.found = [
        *(ObjectInfo(each.key, each.size, each.version, NOON) for each in objects),
        ObjectInfo("scores/_hidden.json", 1, "v", NOON),
    ]
    deployed.control.accept("in", objects[0].key, objects[0].version, objects[0].size)
    assert deployed.control.reconcile() == {"accepted": len(objects) - 1}
    assert len(deployed.started) == 1, "the execution that asked may have gone idle meanwhile"
    assert deployed.control.reconcile() == {"accepted": 0}
    assert len(deployed.started) == 1
    waiting = [row["key"] for _, row in deployed.world.table.query(paths.PENDING, 10)]
    assert sorted(map(str, waiting)) == sorted(each.key for each in objects)


def test_a_listing_that_fails_when_it_notes_that_it_is_done_has_woken_somebody(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.uploads.found = [ObjectInfo("scores/a.json", 1, "v", NOON)]

    def fails(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(lease, "note", fails)
    with pytest.raises(Crash):
        deployed.control.reconcile()
    assert len(deployed.started) == 1


def test_a_listing_that_dies_behind_what_it_accepted_has_set_an_alarm(deployed: Deployed) -> None:
    """For a call that is tried again accepts nothing new, and wakes nobody; or nobody tries it again."""
    deployed.uploads.found = [ObjectInfo("scores/a.json", 1, "v", NOON)]

    def dies(_: str) -> bool:
        raise Crash

    with pytest.raises(Crash):
        replace(deployed.control, start=dies).reconcile()
    assert deployed.alarms.moments == [NOON + QUEUE_DELAY]
    assert deployed.control.reconcile() == {"accepted": 0}
    assert deployed.alarms.moments == [NOON + QUEUE_DELAY], "and none where nothing is new"
    deployed.control.receive(Alarm(NOON + QUEUE_DELAY))
    deployed.control.wake()
    (execution,) = deployed.running
    assert deployed.settle(execution)[-1] == "epoch"


def test_a_listing_that_is_stopped_has_found_some(deployed: Deployed) -> None:
    names = [f"scores/{number:04}.json" for number in range(1_000)]
    deployed.uploads.found = [ObjectInfo(name, 1, "v", NOON) for name in names]
    calls = Interference(at=20)
    control = replace(deployed.control, table=FaultyTable(deployed.world.table, calls))
    with pytest.raises(Crash):
        control.reconcile()
    assert len(deployed.world.table.query(paths.PENDING, 2_000)) == 600
    assert deployed.control.reconcile() == {"accepted": 400}
    waiting = [str(row["key"]) for _, row in deployed.world.table.query(paths.PENDING, 2_000)]
    assert sorted(waiting) == names


def test_only_uploads_since_the_last_listing_are_compared_with_the_log(deployed: Deployed) -> None:
    deployed.control.reconcile()
    before = NOON - RECONCILE_OVERLAP
    deployed.uploads.found = [
        ObjectInfo("scores/long-ago.json", 1, "v", before - 1),
        ObjectInfo("scores/in-parts.json", 1, "v", before),
    ]
    assert deployed.control.reconcile() == {"accepted": 1}


def test_a_commit_of_an_epoch_that_was_committed_is_a_success(deployed: Deployed) -> None:
    (first, _) = uploaded(deployed.world, WAVES[0])
    deployed.control.accept("in", first.key, first.version, first.size)
    assert deployed.settle("one")[-1] == "epoch"
    run_task(PLAN, deployed.world.stores, Task(1, "epoch", 0), "attempt")
    for _ in range(2):
        assert deployed.control.commit(1) == {"epoch": 1}
    assert deployed.control.sweep() == {"removed": 0}


# What is called of an epoch that is fanned out


def test_few_reduce_tasks_are_called_without_a_look(deployed: Deployed) -> None:
    answer = deployed.fanned_out(3)
    assert [each["task"] for each in answer["reduce"]] == [0, 1, 2]
    assert (answer["stage"], answer["later"]) == (1, 0)


def test_of_many_reduce_tasks_those_are_called_that_have_work(deployed: Deployed) -> None:
    answer = deployed.fanned_out(30)
    assert answer["reduce"] == [], "a stage without tasks, and one that follows it"
    assert (answer["stage"], answer["later"]) == (0, 1)
    following = deployed.control.next_stage("one", answer["epoch"], answer["stage"], answer["later"], 100)
    assert 1 <= len(following["reduce"]) <= 2, "there are two keys"
    assert (following["stage"], following["later"]) == (1, 0)
    assert following["history"] == 100 + 20 + 7 * len(following["reduce"])
    for each in following["reduce"]:
        run_task(PLAN, deployed.world.stores, Task(each["epoch"], each["stage"], each["task"]), "only")
    assert deployed.control.commit(answer["epoch"]) == {"epoch": 1}
