"""Late elements are output like any other: there once, whatever stops at whatever call."""

import json

import pytest

from tests.epochs.scenario import EARLY_AND_LATE, WAVES, Process, World, compiled, remains
from tidegate.epochs.layout import Limits
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import run_task
from tidegate.testing.faults import Crash, Interference

PLAN = compiled(trigger=EARLY_AND_LATE, lateness="0s", late_to="late")
LAYOUTS = {
    "one task": Limits(),
    "fanned out": Limits(small=0, task_bytes=1, tasks=2),
}


def late(world: World) -> list[tuple[str, int]]:
    files = [world.output.get(info.key) for info in world.output.list("late")]
    rows = [json.loads(line) for data in files for line in data.splitlines()]
    return sorted((row["team"], row["score"]) for row in rows)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_crash_and_an_unknown_outcome_at_every_call(name: str) -> None:
    limits, whole = LAYOUTS[name], World()
    trace = Interference()
    Process(PLAN, whole, limits, trace).run(WAVES)
    expected = remains(PLAN, whole)
    assert late(whole) == [("y", 8)]
    assert expected.manifest["totals"]["dropped_late"] == 1
    assert sorted(expected.outputs) == expected.named
    for number, call in enumerate(trace.trace, start=1):
        for unknown in (False, True):
            if unknown and call.split()[1] not in ("put", "put_if_absent"):
                continue
            world = World()
            try:
                Process(PLAN, world, limits, Interference(number, unknown=unknown)).run(WAVES)
            except Crash:
                Process(PLAN, world, limits).run(WAVES)
            assert remains(PLAN, world) == expected, f"{'unknown outcome of' if unknown else 'before'} {call}"


def test_they_are_staged_under_the_attempts_name_and_published_after_the_claim() -> None:
    world = World(attached=0)
    process = Process(PLAN, world, Limits())
    process.run(WAVES[:2], close=False)
    process.accept(WAVES[2], 0)
    record = process.coordinator.plan()
    assert record is not None
    traced = Process(PLAN, world, Limits(), trace := Interference())
    result = run_task(PLAN, traced.stores, Task(record.epoch, "epoch", 0), "mine")
    (published,) = [each for each in result.outputs if each.name.startswith("late/")]
    assert published.name == f"late/epoch-{record.epoch:010d}-00000.json"
    assert "-mine-" in published.staged.key
    calls = trace.trace
    claim = next(
        number for number, call in enumerate(calls) if "put_if_absent" in call and "manifest" in call
    )
    (shown,) = [
        number for number, call in enumerate(calls) if call.startswith("output put") and "late/" in call
    ]
    assert shown > claim
