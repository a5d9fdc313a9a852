"""Whatever stops at whatever call, running again ends with the same output and the same state."""

import random
from collections.abc import Iterator

import pytest

from tests.epochs.scenario import (
    EARLY_AND_LATE,
    WAVES,
    Process,
    Remains,
    World,
    compiled,
    minute,
    panes,
    remains,
)
from tidegate.epochs.layout import Limits
from tidegate.testing.faults import Crash, Interference

PLAN = compiled(trigger=EARLY_AND_LATE)
LAYOUTS = {
    "one file an epoch": Limits(files=1),
    "fanned out": Limits(small=0, task_bytes=1, tasks=2),
}


def run(limits: Limits, world: World, interference: Interference) -> Interference:
    Process(PLAN, world, limits, interference).run(WAVES)
    return interference


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS.keys())
def limits(request: pytest.FixtureRequest) -> Limits:
    wanted = request.param
    assert isinstance(wanted, Limits)
    return wanted


@pytest.fixture
def undisturbed(limits: Limits) -> tuple[Remains, list[str]]:
    """What is left without any fault, and the calls that led there."""
    world = World()
    calls = run(limits, world, Interference()).trace
    return remains(PLAN, world), calls


FINAL_TOTALS = {("x", 0): 4, ("y", 0): 14, ("z", 0): 5, ("x", 1): 15, ("w", 1): 7, ("v", 5): 1}


def final_totals(world: World) -> dict[tuple[str, int], int]:
    """The total in the last pane of each team and window."""
    found = sorted(panes(world), key=lambda pane: int(pane["pane_index"]))
    return {(pane["team"], minute(pane["window_start"])): pane["total"] for pane in found}


def writes(calls: list[str]) -> Iterator[int]:
    """The numbers of the calls that change something."""
    for number, call in enumerate(calls, start=1):
        if call.split()[1] in ("put", "put_if_absent", "write", "delete"):
            yield number


def test_the_scenario_is_worth_it(limits: Limits) -> None:
    world = World()
    calls = run(limits, world, Interference()).trace
    expected = remains(PLAN, world)
    assert {pane["pane_timing"] for pane in panes(world)} == {"early", "on_time", "late"}
    assert final_totals(world) == FINAL_TOTALS
    assert expected.manifest["totals"]["dead_letters"] == 1
    assert sorted(expected.outputs) == expected.named
    assert any(name.startswith("dead-letters/") for name in expected.outputs)
    assert expected.head[0] == expected.head[1] >= 4
    assert expected.rows == ["head", *sorted(row for row in expected.rows if row.startswith("seen#"))]
    assert len(calls) > 70


def test_a_crash_at_every_call(limits: Limits, undisturbed: tuple[Remains, list[str]]) -> None:
    """What a process leaves that ends before a call is what the stores hold then."""
    expected, calls = undisturbed
    world, left = World(), []
    run(limits, world, Interference(watch=lambda: left.append(world.copy())))
    assert len(left) == len(calls)
    for number, world in enumerate(left, start=1):
        run(limits, world, Interference())
        assert remains(PLAN, world) == expected, f"crash before call {number}: {calls[number - 1]}"


def test_an_unknown_outcome_of_every_write(limits: Limits, undisturbed: tuple[Remains, list[str]]) -> None:
    expected, calls = undisturbed
    for number in writes(calls):
        world = World()
        run(limits, world, Interference(number, unknown=True))
        assert remains(PLAN, world) == expected, f"unknown outcome of call {number}: {calls[number - 1]}"


def test_a_process_that_stalls_before_every_decision_while_another_does_all(
    limits: Limits,
) -> None:
    """Two coordinators, and zombies of every kind: the stalled one goes on with what it knew."""
    waves = WAVES[:2]
    undisturbed = World()
    Process(PLAN, undisturbed, limits, interference := Interference()).run(waves)
    expected, calls = remains(PLAN, undisturbed), interference.trace
    changes = set(writes(calls))
    decisive = (
        number for number, call in enumerate(calls, 1) if call.startswith("table") or number in changes
    )
    for number in decisive:
        world = World()
        other = Process(PLAN, world, limits)
        stall = Interference(number, before=lambda other=other: other.run(waves))
        Process(PLAN, world, limits, stall).run(waves)
        assert remains(PLAN, world) == expected, f"stalled before call {number}: {calls[number - 1]}"


def test_two_crashes(limits: Limits, undisturbed: tuple[Remains, list[str]]) -> None:
    expected, calls = undisturbed
    chance = random.Random(2)  # noqa: S311
    for _ in range(10):
        first, second = chance.randint(1, len(calls)), chance.randint(1, len(calls) // 2)
        world = World()
        for number in (first, second):
            try:
                run(limits, world, Interference(number))
            except Crash:
                continue
        run(limits, world, Interference())
        assert remains(PLAN, world) == expected, f"crashes before calls {first} and then {second}"


def test_a_crash_and_then_another_layout(undisturbed: tuple[Remains, list[str]], limits: Limits) -> None:
    """A deployment that was given other limits continues the frozen epoch as it was frozen."""
    expected, calls = undisturbed
    (other,) = (each for each in LAYOUTS.values() if each != limits)
    for number in range(1, len(calls), 13):
        world = World()
        with pytest.raises(Crash):
            run(limits, world, Interference(number))
        run(other, world, Interference())
        found = remains(PLAN, world)
        assert final_totals(world) == FINAL_TOTALS
        assert found.manifest["totals"]["records"] == expected.manifest["totals"]["records"]
        assert sorted(found.outputs) == found.named
