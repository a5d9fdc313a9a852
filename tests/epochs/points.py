"""Every point of input and output: a process ends before it, after it, or does not learn what it did there.

`python -m tests.epochs.points` visits all points of all scenarios and prints the table.
"""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from multiprocessing import get_context
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import polars as pl

import tidegate as tg
from tests.epochs.scenario import EARLY_AND_LATE, WAVES, Process, Remains, World, remains, scores
from tidegate.epochs.generation import generation_of
from tidegate.epochs.layout import Limits
from tidegate.limits import ATTACHED_BYTES
from tidegate.plan import Plan, compile_plan
from tidegate.testing.faults import Interference

WINDOWS: dict[str, Any] = {"fixed": tg.FixedWindows("1m"), "global": tg.GlobalWindows()}
TRIGGERS: dict[str, Any] = {
    "at the watermark": tg.AfterWatermark(),
    "early and late": EARLY_AND_LATE,
    "every two": tg.Repeatedly(tg.AfterCount(2)),
}
MODES = {"accumulating": tg.ACCUMULATING, "discarding": tg.DISCARDING}
LAYOUTS = {
    "one file an epoch": Limits(files=1),
    "fanned out": Limits(small=0, task_bytes=1, tasks=3),
}
SCENARIOS = [
    *(", ".join(names) for names in product(WINDOWS, TRIGGERS, MODES, LAYOUTS)),
    *(f"no grouping, {layout}" for layout in LAYOUTS),
    *(f"a replay before the last wave, {layout}" for layout in LAYOUTS),
]


@dataclass
class Points:
    """What came of all points of a scenario.

    Attributes:
        calls: Calls of ports in an undisturbed run.
        visited: Points: each call's before, after and, where it writes, unknown.
        differences: Where something else was left in the end.
    """

    scenario: str
    calls: int
    visited: int
    differences: list[str]


@cache
def plan_of(scenario: str) -> Plan:
    """The pipeline of a scenario: totals per team, or the rows themselves."""
    events = scores()
    if scenario.startswith("a replay"):
        scenario = f"fixed, early and late, accumulating, {scenario.rsplit(', ', maxsplit=1)[1]}"
    if scenario.startswith("no grouping"):
        rows = events.filter(pl.col("score") > 1).write_json("totals")
        return compile_plan(tg.Pipeline("scores", rows))
    window, trigger, mode, _ = scenario.split(", ")
    panes = (
        events.window(WINDOWS[window], allowed_lateness="2m" if window == "fixed" else "0s")
        .trigger(TRIGGERS[trigger], allow_unsafe_trigger=True)
        .accumulate(MODES[mode])
        .group_by("team")
        .agg(total=tg.sum("score"), games=tg.count())
    )
    return compile_plan(tg.Pipeline("scores", panes.write_json("totals")))


def visit(scenario: str) -> Points:
    """Visits all points of a scenario."""
    plan, limits = plan_of(scenario), LAYOUTS[scenario.rsplit(", ", maxsplit=1)[1]]
    # In half of the scenarios all that tasks write is an object of its own.
    attached = 0 if "discarding" in scenario else ATTACHED_BYTES

    def run(world: World, interference: Interference) -> list[str]:
        process = Process(plan, world, limits, interference)
        if scenario.startswith("a replay"):
            process.run(WAVES[:-1], close=False)
            if generation_of(process.head.epoch) == 1:
                process.replay()
            process.run(WAVES[-1:])
        else:
            process.run(WAVES)
        return interference.trace

    undisturbed = World(attached=attached)
    calls = run(undisturbed, Interference())
    expected = remains(plan, undisturbed)
    points = Points(scenario, len(calls), 0, [])

    def compare(world: World, where: str, times: int) -> None:
        points.visited += times
        found: Remains = remains(plan, world)
        if found != expected:
            points.differences.append(where)

    left: list[World] = []
    world = World(attached=attached)
    run(world, Interference(watch=lambda: left.append(world.copy())))
    for number, snapshot in enumerate([*left[1:], world], start=1):
        # What is left after a call is what is left before the next one, so each is looked at once.
        run(snapshot, Interference())
        compare(snapshot, f"ended after call {number}: {calls[number - 1]}", times=2)
    for number in _writes(calls):
        world = World(attached=attached)
        run(world, Interference(number, unknown=True))
        compare(world, f"unknown outcome of call {number}: {calls[number - 1]}", times=1)
    return points


def _writes(calls: list[str]) -> Iterator[int]:
    for number, call in enumerate(calls, start=1):
        if call.split()[1] in ("put", "put_if_absent", "write", "delete"):
            yield number


def main() -> int:
    """Visits everything; returns 1 if anything differed."""
    began = time.monotonic()
    print(f"{'scenario':58} {'calls':>6} {'points':>7} {'differences':>12}")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = []
        for each in pool.map(_visit, SCENARIOS):
            found.append(each)
            print(
                f"{each.scenario:56} {each.calls:6} {each.visited:7} {len(each.differences):12}", flush=True
            )
    differences = [f"{each.scenario}: {where}" for each in found for where in each.differences]
    visited = sum(each.visited for each in found)
    print(
        f"{len(found)} scenarios, {visited} points, {len(differences)} differences, "
        f"{time.monotonic() - began:.0f} s",
        *differences,
        sep="\n",
    )
    return int(bool(differences))


def _visit(scenario: str) -> Points:
    # By its full name, which a process that is spawned can import.
    from tests.epochs import points

    return points.visit(scenario)  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())
