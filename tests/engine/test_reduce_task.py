"""The reduce side, through the real protocol; `tests/transcripts` has the rules of panes one by one."""

from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.engine.segments import read_segments
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.plan import compile_plan
from tidegate.references import KeyRange

SECOND = 1_000_000

BOTH = pytest.mark.parametrize("limits", [ONE_CALL, many_tasks(3)], ids=["one task", "many tasks"])


def pipeline(
    trigger: Any = None, *, lateness: str = "0s", window: Any = None, after: Any = lambda panes: panes
) -> tg.Pipeline:
    events = tg.read_json(
        "events",
        schema={"k": pl.String, "v": pl.Int64, "at": pl.Datetime("us")},
        event_time="at",
        watermark=tg.BoundedDelay("0s"),
    ).window(window or tg.FixedWindows("10s"), allowed_lateness=lateness)
    if trigger:
        events = events.trigger(trigger, allow_unsafe_trigger=True)
    return tg.Pipeline("p", after(events.group_by("k").agg(total=tg.sum("v"))).write_json("out"))


def element(second: int, value: int = 1, key: str = "a") -> dict[str, Any]:
    return {"k": key, "v": value, "at": second * SECOND}


def state(world: World, built: tg.Pipeline) -> pl.DataFrame:
    grouping = compile_plan(built).grouping
    assert grouping
    return read_segments(world.state, world.manifests[-1].segments, KeyRange(0, 1024), grouping)


def brief(panes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(pane["k"], pane["total"], pane["pane_timing"], pane["pane_index"]) for pane in panes]


@BOTH
def test_expired_windows_leave_the_state(limits: Any) -> None:
    built = pipeline(lateness="5s")
    world = World(built, limits)
    world.run([[[element(1)]], [[element(12)]], [[element(15)]]])
    assert state(world, built).height == 2  # the watermark is 15: the first window is kept up to 15

    world.run([[[element(16)]]])
    assert state(world, built)["__start"].to_list() == [10 * SECOND]
    world.run(close=True)
    assert world.manifests[-1].segments == ()


@BOTH
def test_an_epoch_writes_no_state_for_what_it_does_not_touch(limits: Any) -> None:
    built = pipeline(window=tg.FixedWindows("1000s"))
    world = World(built, limits)
    world.run([[[element(1, key=str(number)) for number in range(50)]]])
    before = world.manifests[-1].segments

    world.upload_bytes(b"no record\n")
    world.run()
    assert world.manifests[-1].segments == before


@BOTH
def test_a_window_that_becomes_due_fires_although_nothing_touched_it(limits: Any) -> None:
    world = World(pipeline(), limits)
    world.run([[[element(1)], [element(2, key="b")], [element(3, key="c")]]])

    assert sorted(brief(world.run([[[element(10, key="z")]]]))) == [
        ("a", 1, "on_time", 0),
        ("b", 1, "on_time", 0),
        ("c", 1, "on_time", 0),
    ]


@BOTH
def test_a_backlog_does_not_make_events_late(limits: Any) -> None:
    # The file with the highest event time comes first, one file an epoch.
    limits = type(limits)(**{**vars(limits), "files": 1})
    world = World(pipeline(), limits)
    panes = world.run([[[element(99)], [element(1)], [element(2)], [element(11)]]])

    assert world.totals["dropped_late"] == 0
    assert brief(panes) == [("a", 2, "on_time", 0), ("a", 1, "on_time", 0)]
    assert {pane["epoch"] for pane in panes} == {4}


@BOTH
def test_closed_windows_stay_closed_and_what_comes_later_is_counted(limits: Any) -> None:
    world = World(pipeline(tg.AfterCount(2)), limits)
    panes = world.run([[[element(1), element(2)]], [[element(3, 7)]], [[element(4), element(5)]]], close=True)

    assert brief(panes) == [("a", 2, "early", 0)]
    assert panes[0]["pane_is_last"]
    assert world.totals["dropped_closed"] == 3


def test_panes_are_counted_by_their_timing() -> None:
    world = World(pipeline(tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1)), lateness="1h"))
    world.run([[[element(1)]], [[element(10)]], [[element(2)]], [[element(3)]]])

    counted = {name: count for name, count in world.totals.items() if name.startswith("panes_")}
    assert counted == {"panes_early": 2, "panes_on_time": 1, "panes_late": 2}


def test_steps_behind_the_grouping_see_panes_and_reject_them_alone() -> None:
    def picky(row: dict[str, Any]) -> dict[str, Any]:
        if row["total"] == 2:
            raise ValueError("two")
        return row | {"total": -row["total"]}

    world = World(pipeline(after=lambda panes: panes.filter(pl.col("total") < 9).map(picky)))
    world.upload([element(1, 1, "a"), element(1, 2, "b"), element(1, 9, "c")])

    assert brief(world.run(close=True)) == [("a", -1, "on_time", 0)]
    (letter,) = world.dead_letters()
    assert letter["reason"].endswith("picky raised ValueError: two")
    assert '"total":2' in letter["text"]
    assert world.totals["dead_letters"] == 1


def test_processing_time_never_goes_back() -> None:
    world = World(pipeline(tg.Repeatedly(tg.AfterCount(1))))
    panes = world.run(
        [[[element(1)]], [[element(1)]], [[element(1)]]], nows=[5 * SECOND, 3 * SECOND, 7 * SECOND]
    )

    assert [pane["emitted_at"][-3:-1] for pane in panes] == ["05", "05", "07"]


def test_the_global_window_shows_no_bounds() -> None:
    world = World(pipeline(tg.Repeatedly(tg.AfterCount(2)), window=tg.GlobalWindows()))
    first, last = world.run([[[element(1), element(2)]], [[element(3)]]], close=True)

    assert (first["window_start"], first["window_end"], first["pane_timing"]) == (None, None, "early")
    assert (last["window_start"], last["pane_timing"], last["pane_is_last"]) == (None, "on_time", True)


@BOTH
def test_without_keys_there_is_one_pane_for_each_window(limits: Any) -> None:
    events = tg.read_json(
        "events", schema={"at": pl.Datetime("us")}, event_time="at", watermark=tg.BoundedDelay("0s")
    )
    grouped = events.window(tg.FixedWindows("10s")).group_by().agg(number=tg.count())
    world = World(tg.Pipeline("p", grouped.write_json("out")), limits)
    panes = world.run([[[element(1), element(2)], [element(3)], [element(11)]]], close=True)

    assert [pane["number"] for pane in panes] == [3, 1]


def test_a_sum_beyond_64_bits_is_a_dead_letter_and_the_other_panes_go_on() -> None:
    world = World(pipeline())
    world.upload([element(1, 2**63 - 1), element(2, 1), element(3, 7, key="b")])

    assert brief(world.run(close=True)) == [("b", 7, "on_time", 0)]
    assert world.manifests[-1].totals["dead_letters"] == 1


def test_a_sum_may_leave_64_bits_on_its_way_as_long_as_it_comes_back() -> None:
    world = World(pipeline())
    world.upload([element(1, 2**63 - 1), element(2, 1), element(3, -2)])

    assert brief(world.run(close=True)) == [("a", 2**63 - 2, "on_time", 0)]
