"""How much a file or an event that fails again and again can cost, by the template and the state machine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.localcloud.template import Scope, transformed
from tests.epochs.scenario import NOON, compiled
from tidegate.epochs import lease
from tidegate.epochs.action import HOUSEKEEPING
from tidegate.epochs.head import ROWS_TOGETHER
from tidegate.epochs.layout import Layout, Limits
from tidegate.epochs.machine import TRANSITIONS, State
from tidegate.limits import EXECUTION_HISTORY, INLINE_TASKS, KEY_GROUPS, LEASE, MAX_TASKS
from tidegate.runtime.control_plane import ControlPlane
from tidegate.stores.memory import ManualClock, MemoryAlarms, MemoryObjects, MemoryTable
from tidegate.testing.simulation.state_machine import PAYLOAD

ROOT = Path(__file__).parents[2]
TEMPLATE = transformed(ROOT / "template.yaml", {})
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
STATES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "infra" / "epoch.asl.yaml").read_text())["States"]
WIDEST = TEMPLATE["Parameters"]["MaxTasks"]["MaxValue"]
REDUCES = {State.REDUCE.value, f"Wide{State.REDUCE.value}"}
DUTIES = {TRANSITIONS[State.PLAN][event].value for event in HOUSEKEEPING}


def attempts(task: dict[str, Any]) -> int:
    """How often a task's function is called at most: the counters of its retriers are independent."""
    return 1 + sum(retry["MaxAttempts"] for retry in task["Retry"])


def mode(state: dict[str, Any]) -> str:
    return str(state["ItemProcessor"]["ProcessorConfig"]["Mode"])


def calls(name: str, tasks: int) -> int:
    """How many functions one visit of a state calls at most, of an epoch of so many tasks a stage."""
    state = STATES[name]
    if state["Type"] == "Map":
        (item,) = state["ItemProcessor"]["States"].values()
        assert "Retry" not in state, "it would multiply those of its items"
        if mode(state) != ("INLINE" if tasks <= INLINE_TASKS else "DISTRIBUTED"):
            return 0
        return min(tasks, KEY_GROUPS if name in REDUCES else tasks) * attempts(item)
    return attempts(state) if state["Type"] == "Task" else 0


def costliest(
    name: str, tasks: int, visited: frozenset[str] = frozenset(), *, groupings: int = 1, looked: int = 0
) -> int:
    """The most calls from a state on, while the epoch is never committed.

    Two states are reached again. `Plan`: after it stood by for as long as a lease lasts, and after a duty,
    each of which is due once in the time that an execution takes. And the reduce stage: an epoch as wide as
    can be looks which tasks have work, before the first grouping as well, and until then the stage has none.
    """
    state = STATES[name]
    following = [branch["Next"] for branch in (*state.get("Choices", ()), *state.get("Catch", ()))]
    following += [state["Default"]] if "Default" in state else []
    commits = name in (State.EPOCH.value, State.COMMIT.value)
    following += [state["Next"]] if "Next" in state and not commits else []
    visited = visited if name in (State.PLAN.value, "Decide") else visited | {name}
    if name == State.NEXT_STAGE.value:
        looked += 1
        visited -= {*REDUCES, "Staged", "WideStaged", *([name] if looked < groupings else [])}
    own = 0 if name in REDUCES and not looked else calls(name, tasks)
    return own + max(
        [
            costliest(each, tasks, visited, groupings=groupings, looked=looked)
            for each in following
            if each not in visited
        ],
        default=0,
    )


def test_an_epoch_that_cannot_succeed_has_a_price_that_is_known() -> None:
    """Until somebody uploads again or starts the machine: an execution that failed starts no other one."""
    ranges = tuple((n, n + 1) for n in range(MAX_TASKS))
    assert [Layout(False, (), ranges, groupings).looked_at for groupings in (1, 2)] == [1, 2]
    once, twice = [costliest(State.PLAN.value, MAX_TASKS, groupings=groupings) for groupings in (1, 2)]
    assert (once, twice) == (1_064, 1_556)
    text = " ".join((ROOT / "SECURITY.md").read_text().split())
    assert f"at most {once:,} times" in text
    assert f"further grouping of panes adds {twice - once:,}" in text
    widest, again = [costliest(State.PLAN.value, WIDEST, groupings=groupings) for groupings in (1, 2)]
    assert f"With the largest `MaxTasks` ({WIDEST:,}) it is {widest:,}, and {again - widest:,} more" in text


def test_a_function_that_raises_is_called_four_times() -> None:
    """More only where Lambda itself is to blame."""
    for name in (State.PLAN, State.EPOCH, State.COMMIT):
        of_lambda, of_code = STATES[name.value]["Retry"]
        assert all(error.startswith("Lambda.") for error in of_lambda["ErrorEquals"])
        assert (of_code["ErrorEquals"], of_code["MaxAttempts"]) == (
            ["States.TaskFailed", "States.Timeout"],
            3,
        )


def deployed(started: list[str], limits: Limits) -> ControlPlane:
    return ControlPlane(
        outline=compiled().outline(),
        table=MemoryTable(),
        state=MemoryObjects(),
        output=MemoryObjects(),
        uploads=MemoryObjects(),
        input_bucket="input",
        limits=limits,
        clock=ManualClock(NOON),
        alarms=MemoryAlarms(),
        start=lambda name: not started.append(name),
    )


def test_an_execution_that_only_plans_ends() -> None:
    """Each answer counts towards the execution's history, whatever the state machine does with it."""
    started: list[str] = []
    control = deployed(started, Limits())
    control.accept("input", "scores/a.json", "v1", 7)
    history = planned = 0
    answer: dict[str, Any] = {"history": 0}
    while "history" in answer:
        history = answer["history"]
        answer, planned = control.plan("one", history), planned + 1
        assert planned <= EXECUTION_HISTORY
    assert answer == {"action": "idle"}
    assert planned <= 1 + EXECUTION_HISTORY / 25
    assert EXECUTION_HISTORY <= history < 25_000, "what AWS allows"
    assert len(started) == 1, "one other execution goes on"


def test_an_event_that_cannot_be_accepted_is_given_up() -> None:
    redrive = RESOURCES["IntakeQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == 5


MAPS = {name: state for name, state in STATES.items() if state["Type"] == "Map"}


def test_an_inline_map_is_no_wider_than_the_state_machine_runs_side_by_side() -> None:
    assert TEMPLATE["Parameters"]["MaxTasks"]["Default"] == MAX_TASKS <= INLINE_TASKS
    inline = [state["MaxConcurrency"] for state in MAPS.values() if mode(state) == "INLINE"]
    assert inline == [INLINE_TASKS, INLINE_TASKS]


@pytest.mark.parametrize(("reserved", "at_once"), [("0", INLINE_TASKS), ("25", "25")])
def test_a_wide_stage_runs_no_more_functions_at_once_than_are_reserved(
    reserved: str, at_once: int | str
) -> None:
    wide = [state["MaxConcurrencyPath"] for state in MAPS.values() if mode(state) == "DISTRIBUTED"]
    assert wide == ["$.at_once", "$.at_once"]
    given = RESOURCES["PlanFunction"]["Properties"]["Environment"]["Variables"]["TIDEGATE_TASKS_AT_ONCE"]
    assert Scope(TEMPLATE, {"WorkerConcurrency": reserved}, "tidegate").resolve(given) == at_once


@pytest.mark.parametrize("name", [State.MAP.value, State.REDUCE.value])
def test_a_wide_stage_does_with_each_task_what_an_inline_one_does(name: str) -> None:
    def tasks(state: dict[str, Any]) -> list[dict[str, Any]]:
        return list(state["ItemProcessor"]["States"].values())

    inline, wide = MAPS[name], MAPS[f"Wide{name}"]
    assert (mode(inline), mode(wide)) == ("INLINE", "DISTRIBUTED")
    # An Express execution lasts five minutes, and retries take longer.
    assert wide["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] == "STANDARD"
    assert tasks(wide) == tasks(inline)
    assert wide["Catch"] == inline["Catch"]
    assert wide["ResultPath"] is inline["ResultPath"] is None
    assert not [field for field in wide if field.startswith("Tolerated")], "one task that fails is too many"


def test_the_tasks_of_the_widest_stage_fit_into_one_document() -> None:
    """As the plan's answer, and as the answers of all tasks: each answers what it was called with."""
    control = deployed([], Limits(files=WIDEST, small=0, tasks=WIDEST, task_bytes=1))
    for number in range(WIDEST):
        control.accept("input", f"scores/{number}.json", "v1", 7)
    answer: dict[str, Any] = {"action": ""}
    while answer["action"] != "fan_out":
        answer = control.plan("one", 0)
    assert (len(answer["wide_map"]), answer["map"], answer["at_once"]) == (WIDEST, [], INLINE_TASKS)
    assert answer["history"] < 100, "their history is their own"
    text = json.dumps(answer).replace('"map"', '"reduce-8"').replace('"epoch": 1', '"epoch": 1000000000')
    assert len(text) < PAYLOAD / 3


def test_housekeeping_that_hangs_ends_with_the_lease_at_the_latest() -> None:
    timeout = TEMPLATE["Parameters"]["HousekeepingTimeout"]["Default"]
    for name in DUTIES:
        assert RESOURCES[f"{name}Function"]["Properties"]["Timeout"] == {"Ref": "HousekeepingTimeout"}
        failed = STATES[name]["Retry"][-1]
        assert "States.TaskFailed" in failed["ErrorEquals"]
        assert (1 + failed["MaxAttempts"]) * timeout * 1_000_000 <= LEASE


def test_the_largest_epoch_is_settled_in_one_call_of_the_commit() -> None:
    """A transaction of a hundred rows takes a tenth of a second, and seldom much more."""
    transactions = -(-TEMPLATE["Parameters"]["MaxFilesPerEpoch"]["Default"] // ROWS_TOGETHER)
    assert RESOURCES["CommitFunction"]["Properties"]["Timeout"] >= transactions


def test_a_planner_that_stalls_wakes_before_its_execution_is_forgotten() -> None:
    """Executions take a second at least, and as many of those that ended are remembered."""
    assert RESOURCES["PlanFunction"]["Properties"]["Timeout"] <= lease._REMEMBERED


def test_few_intake_functions_run_at_once() -> None:
    (source,) = [each for each in RESOURCES.values() if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    assert source["Properties"]["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "IntakeConcurrency"}}
    assert TEMPLATE["Parameters"]["IntakeConcurrency"]["Default"] <= 5


@pytest.mark.parametrize(("wanted", "reserved"), [("0", None), ("25", "25")])
def test_concurrency_of_workers_is_reserved_where_it_is_asked_for(wanted: str, reserved: str | None) -> None:
    scope = Scope(TEMPLATE, {"WorkerConcurrency": wanted}, "tidegate")
    for name in ("Map", "Reduce", "Epoch"):
        given = RESOURCES[f"{name}Function"]["Properties"]["ReservedConcurrentExecutions"]
        assert scope.resolve(given) == reserved
