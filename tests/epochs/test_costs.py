"""What an epoch's costs are made of, and that nothing depends on them."""

from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.epochs.scenario import WAVES, Process, World, compiled, manifest_of
from tidegate.epochs import costs
from tidegate.epochs.costs import Costs, epoch_costs
from tidegate.epochs.drive import drive
from tidegate.epochs.head import ROWS_TOGETHER
from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Layout, Limits
from tidegate.epochs.machine import State
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Published, TaskResult
from tidegate.errors import TidegateError
from tidegate.frontier import Frontier
from tidegate.limits import INLINE_TASKS
from tidegate.outline import stage_name
from tidegate.references import ObjectRef

PLAN = compiled()
DEFINITION = Path(__file__).parents[2] / "infra" / "epoch.asl.yaml"


def record(tasks: int, shuffles: int = 1, *, small: bool = False, inputs: int = 1) -> EpochRecord:
    accepted = tuple(Accepted(InputObject(f"in/{n}", "v", 1), f"{n}") for n in range(inputs))
    layout = Layout(
        small=small,
        slices=tuple((n,) for n in range(tasks)),
        ranges=tuple((n, n + 1) for n in range(tasks)) if shuffles else (),
        shuffles=shuffles,
    )
    return EpochRecord(
        *("p", 1, "f", (), 0, 0, Frontier(0), False),
        inputs=accepted,
        accepted="",
        processed="",
        previous=("", ""),
        layout=layout,
        planning={"table.read": 3, "cpu": 1},
    )


def results(of: EpochRecord) -> list[TaskResult]:
    """A result for each task, without costs of its own."""
    if of.layout.small:
        return [TaskResult("epoch", 0, "a", {})]
    stages = [(0, len(of.layout.slices))] + [
        (1 + n, len(of.layout.ranges)) for n in range(of.layout.shuffles)
    ]
    return [TaskResult(stage_name(n), task, "a", {}) for n, tasks in stages for task in range(tasks)]


def total(found: Costs, name: str) -> int:
    return sum(counts.get(name, 0) for counts in found.stages.values())


# What is counted


def test_a_stage_is_the_sum_of_its_tasks_with_the_results_and_outputs_that_they_write() -> None:
    of = record(2)
    staged = ObjectRef("key", 100, "checksum")
    mapped = [
        TaskResult("map", 0, "a", {}, costs={"cpu": 5, "state.put": 1}, size=10),
        TaskResult("map", 1, "a", {}, costs={"cpu": 7}, outputs=(Published("out", staged),), size=20),
    ]
    found = epoch_costs(of, mapped, {"cpu": 9, "state.get": 2}, Costs())
    assert found.stages["plan"] == {"calls": 1, "cpu": 1, "state.put": 1, "table.read": 3, "transitions": 2}
    assert found.stages["map"] == {
        "calls": 2,
        "cpu": 12,
        "output.bytes_written": 100,
        "output.put": 1,
        "state.bytes_written": 30,
        "state.put": 3,
        "transitions": 3,
    }
    assert found.stages["commit"] == {
        "calls": 1,
        "cpu": 9,
        "state.get": 2,
        "state.put": 1,
        "table.write": 1,
        "table.write_units": 4,
        "transitions": 1,
    }


def test_totals_go_on() -> None:
    of = record(1, small=True)
    first = epoch_costs(of, results(of), {}, Costs())
    assert (first.totals, first.epochs) == (first.stages, 1)
    second = epoch_costs(record(2), results(record(2)), {}, first)
    assert second.epochs == 2
    assert set(second.totals) == {"plan", "epoch", "map", "reduce", "commit"}
    assert Counter(second.totals["plan"]) == Counter(first.stages["plan"]) + Counter(second.stages["plan"])
    assert second.totals["epoch"] == first.stages["epoch"]


@pytest.mark.parametrize("inputs", [0, 1, ROWS_TOGETHER - 1, ROWS_TOGETHER, 2 * ROWS_TOGETHER, 1_000])
def test_the_table_writes_of_a_commit_are_known_before_it(inputs: int) -> None:
    """What the real one does, with a row for each input to take out."""
    world, files = World(), [(f"scores/{number}.json", "") for number in range(inputs)]
    process = Process(PLAN, world, Limits())
    process.accept(tuple(files), 1)
    if not inputs:
        process.run(WAVES[:1], close=False)
    process.interference.trace.clear()
    drive(process.coordinator, process.invoker, close=not inputs)
    last = process.coordinator.manifest()
    assert last is not None
    written = [call for call in process.interference.trace if call.startswith("table write")]
    assert last.costs.stages["commit"]["table.write"] == len(written)


def test_the_invocations_of_an_epoch_are_those_of_the_state_machine() -> None:
    many = INLINE_TASKS + 1
    for of in (record(1, small=True), *(record(tasks, n) for tasks in (1, 7, many) for n in (0, 1, 3))):
        found = epoch_costs(of, results(of), {}, Costs())
        assert (total(found, "transitions"), total(found, "calls")) == walked(of.layout), of.layout


def walked(layout: Layout) -> tuple[int, int]:
    """The states that an epoch enters and the functions that it calls, from the deployed definition."""
    states: dict[str, dict[str, Any]] = yaml.safe_load(DEFINITION.read_text())["States"]
    reduces = len(layout.ranges)
    # A first stage that is looked at before it is called follows one without tasks.
    later = layout.shuffles - (1 if reduces <= 3 else 0) if layout.shuffles else 0
    unlooked = layout.shuffles - later
    tasks = {State.MAP.value: len(layout.slices), State.REDUCE.value: reduces * unlooked}
    is_wide = len(layout.slices) > INLINE_TASKS
    if is_wide:
        tasks = {f"Wide{State.MAP.value}": len(layout.slices), State.REDUCE.value: 0}
    entered = called = 0
    name = State.PLAN.value
    for visits in count():
        state = states[name]
        if visits and name == State.PLAN.value:
            return entered, called
        # The tasks of a wide stage have executions of their own, whose beginning is a transition as well.
        entered += 1 + (tasks[name] * (1 + name.startswith("Wide")) if state["Type"] == "Map" else 0)
        called += tasks[name] if state["Type"] == "Map" else state["Type"] == "Task"
        if name == "Decide":
            name = State.EPOCH.value if layout.small else next(iter(tasks))
        elif name == "Staged" and f"Wide{State.REDUCE.value}" in tasks:
            name = f"Wide{State.REDUCE.value}"
        elif state["Type"] == "Choice":
            name = State.NEXT_STAGE.value if later else state["Default"]
            later -= 1
            tasks[f"Wide{State.REDUCE.value}" if is_wide else State.REDUCE.value] = reduces
        else:
            name = state["Next"]
    raise AssertionError


# That nothing depends on them


class Growing:
    """A meter that never says the same twice."""

    def __init__(self) -> None:
        self.numbers = count(1)

    def begin(self) -> None:
        pass

    def spent(self) -> dict[str, int]:
        return {"cpu": next(self.numbers)}


@pytest.mark.parametrize("limits", [Limits(), Limits(small=0, task_bytes=1, tasks=3)])
def test_the_first_manifest_counts_also_for_who_measured_something_else(limits: Limits) -> None:
    world = World()
    first, second = Process(PLAN, world, limits), Process(PLAN, world, limits)
    first.coordinator.meter = second.coordinator.meter = Growing()
    first.accept(WAVES[0], 1)
    record = first.coordinator.plan()
    assert record is not None
    assert second.coordinator.plan() == record
    states = [State.EPOCH] if record.layout.small else [State.MAP, State.REDUCE]
    for state in states:
        first.invoker.run(first.coordinator.tasks(record, state))
    # The first one stops between its manifest and the head.
    first.table.write = stopped  # type: ignore[method-assign]
    with pytest.raises(TidegateError, match="stopped"):
        first.coordinator.commit(record)
    written = manifest_of(PLAN, world, 1)
    assert second.coordinator.commit(record) == written == second.coordinator.manifest()


def stopped(*writes: object) -> None:
    raise TidegateError("stopped")


def test_epochs_that_cost_something_else_leave_the_same() -> None:
    worlds = [World(), World()]
    for world, meter in zip(worlds, (Growing(), costs.UNMETERED), strict=True):
        process = Process(PLAN, world, Limits())
        process.coordinator.meter = meter
        process.run(WAVES)
    one, other = ([manifest_of(PLAN, world, number) for number in range(1, 5)] for world in worlds)
    assert one != other
    assert [each.without_costs() for each in one] == [each.without_costs() for each in other]
