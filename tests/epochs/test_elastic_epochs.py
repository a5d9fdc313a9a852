"""One task or two hundred, cut anew in every epoch: the same panes, the same state, and nothing is moved."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.epochs.scenario import (
    EARLY_AND_LATE,
    NOON,
    SECOND,
    Process,
    Wave,
    World,
    compiled,
    lines,
    manifest_of,
    panes,
    remains,
    scores,
)
from tidegate.epochs.drive import drive
from tidegate.epochs.layout import Limits
from tidegate.plan import Plan, compile_plan


def regrouped() -> Plan:
    """Of the totals per team and minute the highest, and how many there are, per three minutes."""
    totals = (
        scores()
        .window(tg.FixedWindows("1m"), "5m")
        .trigger(EARLY_AND_LATE)
        .accumulate(tg.ACCUMULATING_AND_RETRACTING)
        .group_by("team")
        .agg(total=tg.sum("score"))
    )
    behind = totals.window(tg.FixedWindows("3m"), "5m").accumulate(tg.ACCUMULATING_AND_RETRACTING)
    table = behind.group_by().agg(teams=tg.count(), points=tg.sum("total"), highest=tg.max("total"))
    return compile_plan(tg.Pipeline("scores", table.write_json("totals")))


PLANS = {
    "one grouping": compiled(trigger=EARLY_AND_LATE, lateness="5m"),
    "no trigger": compiled(delay="20s"),
    "two groupings": regrouped(),
}

EVENTS = st.tuples(st.sampled_from("abcdefgh"), st.integers(-3, 9), st.integers(0, 400))
FILES = st.lists(EVENTS, max_size=8).map(lambda events: lines(*events))
WAVES = st.lists(st.lists(FILES, max_size=3), min_size=1, max_size=4)
LAYOUTS = st.builds(
    Limits,
    small=st.sampled_from((0, 0, 0, 10**6)),
    tasks=st.sampled_from((1, 2, 3, 7, 40, 200)),
    task_bytes=st.sampled_from((1, 100, 40_000, 200_000)),
    split_bytes=st.integers(1, 200),
)


def run(plan: Plan, waves: Sequence[Wave], layouts: Sequence[Limits]) -> tuple[World, dict[str, Any]]:
    """What is left of the waves, each an epoch; the layouts in turn."""
    world = World()
    for number in range(len(waves) + 1):
        process = Process(plan, world, layouts[number % len(layouts)])
        if number < len(waves):
            process.accept(waves[number], NOON + 400 * SECOND + number * 60 * SECOND)
        drive(process.coordinator, process.invoker, close=number == len(waves))
    rest = remains(plan, world) if plan.name == "scores" and len(plan.reduces) == 1 else None
    last = process.coordinator.manifest()
    assert last is not None
    return world, {
        "panes": sorted(panes(world), key=repr),
        "state": rest and rest.state,
        "totals": last.totals,
        "watermarks": [
            (each.frontier.watermark, each.watermarks, each.alarm)
            for each in (manifest_of(plan, world, number) for number in range(1, last.epoch + 1))
        ],
    }


@pytest.mark.parametrize("name", PLANS)
@settings(max_examples=8, deadline=None)
@given(WAVES, st.lists(LAYOUTS, min_size=1, max_size=5))
def test_a_layout_that_changes_in_every_epoch_changes_nothing(
    name: str, contents: list[list[str]], layouts: list[Limits]
) -> None:
    waves = [
        tuple((f"scores/{wave}-{number}.json", text) for number, text in enumerate(files))
        for wave, files in enumerate(contents)
    ]
    assert run(PLANS[name], waves, layouts)[1] == run(PLANS[name], waves, [Limits()])[1]


MANY = Limits(small=0, tasks=200, task_bytes=1, split_bytes=1)


@pytest.mark.parametrize("name", PLANS)
def test_of_two_hundred_tasks_only_those_run_that_have_something_to_do(name: str) -> None:
    wave = (("scores/a.json", lines(("x", 1, 5), ("y", 2, 10), ("x", 3, 50))),)
    world, _ = run(PLANS[name], [wave], [MANY])
    ran = [info.key for info in world.state.list("scores/epochs") if "/results/" in info.key]
    reduces = [key for key in ran if "/reduce" in key]
    assert len([key for key in ran if "/map-" in key]) > 3, "lines that begin in a range of a few bytes"
    # Two keys in one window; then the input ends, and their windows and those behind them close.
    assert 0 < len(reduces) <= 4 + 2


def test_an_epoch_in_which_no_range_has_anything_to_do_has_no_reduce_task() -> None:
    """The watermark of a stage behind it comes on all the same."""
    late = (("scores/late.json", "no JSON\n"),)
    first = (("scores/a.json", lines(("x", 1, 5), ("y", 2, 400))),)
    world, found = run(PLANS["two groupings"], [first, late], [MANY])
    reduces = [info.key for info in world.state.list("scores/epochs/0000000002") if "/reduce" in info.key]
    assert not reduces
    assert found == run(PLANS["two groupings"], [first, late], [Limits()])[1]
