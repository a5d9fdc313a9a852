"""The watermark between two groupings: it waits for panes that are owed, however the work is cut."""

from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.epochs.layout import Limits
from tidegate.timestamps import MAX

SCHEMA = {"k": pl.String, "v": pl.Int64, "at": pl.Datetime("us")}
SECOND = 1_000_000
Row = dict[str, Any]


def events(delay: str = "0s", *, idle: str = "") -> tg.Stream:
    policy: Any = tg.BoundedDelay(delay)
    if idle:
        policy = tg.Idle(policy, timeout=idle)
    return tg.read_json("events", schema=SCHEMA, event_time="at", watermark=policy)


def row(at: float, v: int = 1, k: str = "a") -> Row:
    return {"k": k, "v": v, "at": int(at * SECOND)}


def run(built: tg.Stream, limits: Limits, *files: list[Row], close: bool = True) -> World:
    world = World(tg.Pipeline("holds", built.write_json("out")), limits, now=100 * SECOND)
    world.run([[each] for each in files], close=close)
    return world


def rows(world: World) -> list[tuple[Any, ...]]:
    return [
        (pane["k"], pane["window_start"], pane["v"], pane["pane_timing"])
        for manifest in world.manifests
        for pane in world.rows(manifest)
    ]


def owing() -> tg.Stream:
    """Panes of two elements each; what is owed for a single one holds the next grouping back."""
    pairs = events().window(tg.FixedWindows("1h"), timestamp="earliest")
    panes = pairs.trigger(tg.Repeatedly(tg.AfterCount(2))).group_by("k").agg(v=tg.sum("v"))
    return panes.window(tg.FixedWindows("10s")).group_by("k").agg(v=tg.sum("v"))


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_a_hold_ends_with_its_pane_however_the_work_is_cut(tasks: int) -> None:
    """A segment that is cut into ranges may not carry what held it to the ranges that owe nothing."""
    keys = "abcdefgh"
    first = [row(1, k="a"), *(row(1 + n / 10, k=k) for k in keys[1:] for n in range(2))]
    # As many files as there are to be ranges; only key a is owed a pane, and gets it.
    pairs = [[row(200, k=f"z{n}"), row(200, k=f"z{n}")] for n in range(tasks)]
    later = [[[row(2, k="a")], *([[row(3, k="a"), row(4, k="a")]] * (tasks - 1))], pairs, pairs]
    whole, cut = (
        World(tg.Pipeline("holds", owing().write_json("out")), ONE_CALL, now=100 * SECOND) for _ in range(2)
    )
    for world in (whole, cut):
        world.run([[first]])
    cut.limits = many_tasks(tasks)
    for world in (whole, cut):
        world.run(later, close=True)
    assert [each.watermarks for each in cut.manifests] == [each.watermarks for each in whole.manifests]
    assert sorted(rows(cut)) == sorted(rows(whole))


def test_an_element_out_of_order_does_not_end_a_hold() -> None:
    """As it was once: the earliest time fell behind, held nothing any more, and the pane was late."""
    sessions = events().window(tg.Sessions("1m"), timestamp="earliest").group_by("k").agg(v=tg.sum("v"))
    built = sessions.window(tg.FixedWindows("1m")).group_by("k").agg(v=tg.sum("v"))
    for limits in (ONE_CALL, many_tasks(2)):
        world = run(built, limits, [row(70, 1)], [row(110, 0, "b")], [row(55, 9)])
        assert world.totals["dropped_late"] == 0
        assert sum(v for k, _, v, _ in rows(world) if k == "a") == 10


@pytest.mark.parametrize("end", [0, 1])
def test_a_watermark_of_zero_is_a_watermark(end: int) -> None:
    """1970 begins with it; where the stages are fanned out, too."""
    first = events().window(tg.FixedWindows("10s")).group_by("k").agg(v=tg.sum("v"))
    built = first.window(tg.FixedWindows("10s")).group_by("k").agg(v=tg.sum("v"))
    files = ([row(-5)], [row(end / SECOND, k="b")])
    small, cut = (rows(run(built, limits, *files, close=False)) for limits in (ONE_CALL, many_tasks(2)))
    assert small == cut == [("a", "1969-12-31T23:59:50Z", 1, "on_time")]


def test_an_idle_source_makes_no_epochs_while_a_pane_is_owed() -> None:
    """As it was once: epochs without end, each of which left the same alarm."""
    pairs = events(idle="1m").window(tg.FixedWindows("1m"), allowed_lateness="10m")
    panes = pairs.trigger(tg.Repeatedly(tg.AfterCount(2))).group_by("k").agg(v=tg.sum("v"))
    built = panes.window(tg.FixedWindows("1m")).group_by().agg(v=tg.sum("v"))
    world = World(tg.Pipeline("holds", built.write_json("out")), ONE_CALL, now=100 * SECOND)
    world.run([[[row(1, k="a"), row(2, k="a"), row(3, k="b")]]])
    world.clock.moment = 1_000 * SECOND
    world.run()
    assert len(world.manifests) < 5
    assert all(each.alarm == MAX or each.alarm > each.now for each in world.manifests)
