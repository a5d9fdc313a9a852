"""How much a file or an event that fails again and again can cost, by the template and the state machine."""

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
from tidegate.limits import EXECUTION_HISTORY, LEASE, MAX_TASKS
from tidegate.runtime.control_plane import ControlPlane
from tidegate.stores.memory import ManualClock, MemoryAlarms, MemoryObjects, MemoryTable

ROOT = Path(__file__).parents[2]
TEMPLATE = transformed(ROOT / "template.yaml", {})
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
STATES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "infra" / "epoch.asl.yaml").read_text())["States"]
WIDEST = TEMPLATE["Parameters"]["MaxTasks"]["MaxValue"]
DUTIES = {TRANSITIONS[State.PLAN][event].value for event in HOUSEKEEPING}


def attempts(task: dict[str, Any]) -> int:
    """How often a task's function is called at most: the counters of its retriers are independent."""
    return 1 + sum(retry["MaxAttempts"] for retry in task["Retry"])


def calls(name: str) -> int:
    """How many functions one visit of a state calls at most."""
    state = STATES[name]
    if state["Type"] == "Map":
        (item,) = state["ItemProcessor"]["States"].values()
        assert "Retry" not in state, "it would multiply those of its items"
        return WIDEST * attempts(item)
    return attempts(state) if state["Type"] == "Task" else 0


def costliest(
    name: str, visited: frozenset[str] = frozenset(), *, groupings: int = 1, looked: int = 0
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
        visited -= {State.REDUCE.value, "Staged", *([name] if looked < groupings else [])}
    own = 0 if name == State.REDUCE.value and not looked else calls(name)
    return own + max(
        [
            costliest(each, visited, groupings=groupings, looked=looked)
            for each in following
            if each not in visited
        ],
        default=0,
    )


def test_an_epoch_that_cannot_succeed_has_a_price_that_is_known() -> None:
    """Until somebody uploads again or starts the machine: an execution that failed starts no other one."""
    ranges = tuple((n, n + 1) for n in range(WIDEST))
    assert [Layout(False, (), ranges, groupings).looked_at for groupings in (1, 2)] == [1, 2]
    once, twice = [costliest(State.PLAN.value, groupings=groupings) for groupings in (1, 2)]
    assert (once, twice) == (1_064, 1_556)
    text = (ROOT / "SECURITY.md").read_text()
    assert f"at most {once:,} times" in text
    assert f"further grouping of panes adds {twice - once:,}" in text


def test_a_function_that_raises_is_called_four_times() -> None:
    """More only where Lambda itself is to blame."""
    for name in (State.PLAN, State.EPOCH, State.COMMIT):
        of_lambda, of_code = STATES[name.value]["Retry"]
        assert all(error.startswith("Lambda.") for error in of_lambda["ErrorEquals"])
        assert (of_code["ErrorEquals"], of_code["MaxAttempts"]) == (
            ["States.TaskFailed", "States.Timeout"],
            3,
        )


def test_an_execution_that_only_plans_ends() -> None:
    """Each answer counts towards the execution's history, whatever the state machine does with it."""
    started: list[str] = []
    control = ControlPlane(
        outline=compiled().outline(),
        table=MemoryTable(),
        state=MemoryObjects(),
        uploads=MemoryObjects(),
        input_bucket="input",
        limits=Limits(),
        clock=ManualClock(NOON),
        alarms=MemoryAlarms(),
        start=lambda name: not started.append(name),
    )
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


def test_an_epoch_fans_out_no_further_than_the_state_machine_runs_side_by_side() -> None:
    assert WIDEST == MAX_TASKS == TEMPLATE["Parameters"]["MaxTasks"]["Default"]
    maps = [state for state in STATES.values() if state["Type"] == "Map"]
    assert [state["MaxConcurrency"] for state in maps] == [MAX_TASKS, MAX_TASKS]


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
