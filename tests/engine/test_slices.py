"""Sliding windows, made of slices."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidegate as tg
from tests.engine.stage import SECOND, Stage, element, stream
from tidegate.timestamps import MAX, MIN

EACH = tg.Repeatedly(tg.AfterCount(1))


def stage(
    window_fn: tg.SlidingWindows, trigger: Any = None, accumulation: Any = tg.DISCARDING, **options: Any
) -> Stage:
    events = stream(window_fn, **options)
    if trigger:
        events = events.trigger(trigger, allow_unsafe_trigger=True)
    values = {"total": tg.sum("v"), "weight": tg.sum("f"), "most": tg.max("v"), "games": tg.count()}
    return Stage(events.accumulate(accumulation).group_by("k").agg(**values))


def brief(panes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (int(pane["window_start"].timestamp()), int(pane["window_end"].timestamp()), pane["total"])
        for pane in panes
    ]


def test_an_element_is_in_every_window_that_overlaps_it() -> None:
    #  -20       0         20
    #   |----|----|----|----|
    run = stage(tg.SlidingWindows("20s", every="10s"))
    run.epoch([element(5, 1), element(15, 2), element(15, 4)])

    assert brief(run.epoch(close=True)) == [(-10, 10, 1), (0, 20, 7), (10, 30, 6)]


def test_elements_are_kept_once_for_each_slice_and_not_for_each_window() -> None:
    run = stage(tg.SlidingWindows("1h", every="1m"))
    run.epoch([element(second) for second in range(120)])

    slices = run.state.filter("__slice")
    assert slices["__start"].to_list() == [0, 60 * SECOND]
    assert slices["__agg.games.count"].to_list() == [60, 60]
    assert run.state.height == 2 + 61


def test_slices_and_windows_leave_the_state_when_the_last_window_expires() -> None:
    run = stage(tg.SlidingWindows("20s", every="10s"))
    run.epoch([element(5)])
    run.epoch(watermark=10)
    assert run.due == 10 * SECOND + 1
    run.epoch(watermark=20)
    assert run.state.filter("__slice").height == 1

    run.epoch(watermark=21)
    assert run.state.height == 0


def test_where_windows_lie_apart_elements_between_them_are_in_none_and_not_dropped() -> None:
    run = stage(tg.SlidingWindows("2s", every="10s", offset="1s"))
    run.epoch([element(0), element(1), element(2.5), element(3), element(12)])

    assert brief(run.epoch(close=True)) == [(1, 3, 2), (11, 13, 1)]
    assert (run.counters["elements"], run.counters["dropped_late"]) == (5, 0)


def test_an_element_is_dropped_for_expired_windows_and_kept_for_others() -> None:
    run = stage(tg.SlidingWindows("30s", every="10s"), lateness="5s")
    run.epoch(watermark=26)
    # Of [-20, 10), [-10, 20) and [0, 30) the first two had expired, at 15 and 25.
    assert brief(run.epoch([element(5, 3), element(6, 4)])) == []

    assert run.counters["dropped_late"] == 4
    assert brief(run.epoch(close=True)) == [(0, 30, 7)]
    run.epoch([element(100)])
    assert run.counters["dropped_late"] == 4 + 3


def test_a_window_that_discards_gives_after_its_pane_only_what_came_since() -> None:
    run = stage(tg.SlidingWindows("20s", every="10s"), lateness="1h")
    run.epoch([element(5, 1), element(15, 2)])
    assert brief(run.epoch(watermark=20)) == [(-10, 10, 1), (0, 20, 3)]

    panes = run.epoch([element(5, 10), element(15, 20)])
    assert brief(panes) == [(-10, 10, 10), (0, 20, 30)]
    assert [pane["weight"] for pane in panes] == [2.5, 7.5]
    assert brief(run.epoch(close=True)) == [(10, 30, 22)]


def test_windows_that_retract_take_back_their_own_panes() -> None:
    run = stage(tg.SlidingWindows("20s", every="10s"), EACH, tg.ACCUMULATING_AND_RETRACTING)
    run.epoch([element(5, 1)])

    panes = run.epoch([element(15, 2)])
    assert [(pane["op"], *brief([pane])[0]) for pane in panes] == [
        ("retract", 0, 20, 1),
        ("insert", 0, 20, 3),
        ("insert", 10, 30, 2),
    ]


def test_a_float_outside_of_a_window_leaves_no_trace_in_it() -> None:
    run = stage(tg.SlidingWindows("2s", every="1s"))
    run.epoch(
        [
            element(0) | {"f": 1e17},
            element(1) | {"f": 0.1},
            element(2) | {"f": -1e17},
            element(3) | {"f": 0.1},
        ]
    )

    assert run.epoch(close=True)[-1]["weight"] == 0.1


@pytest.mark.parametrize("moment", [MIN, MAX - 1])
def test_windows_at_the_bounds_of_time_are_cut_where_they_are_shown(moment: int) -> None:
    run = stage(tg.SlidingWindows("3w", every="1w"))
    run.epoch([element(0) | {"at": moment}])

    panes = run.epoch(close=True)
    assert [pane["games"] for pane in panes] == [1, 1, 1]
    assert all(pane["window_start"] < pane["window_end"] for pane in panes)


periods = st.integers(1, 40)
arrivals = st.lists(
    st.tuples(st.lists(st.integers(-50, 90), max_size=5), st.integers(0, 90)), min_size=1, max_size=5
)


def naive(size: int, every: int, offset: int, moment: int) -> list[int]:
    return [start for start in range(-3_000 * every + offset, 200, every) if start <= moment < start + size]


@given(periods, periods, st.integers(0, 39), arrivals, st.sampled_from([tg.DISCARDING, tg.ACCUMULATING]))
def test_windows_hold_what_lies_in_them(
    size: int, every: int, offset: int, epochs: list[tuple[list[int], int]], accumulation: Any
) -> None:
    offset %= every
    run = stage(tg.SlidingWindows(f"{size}s", f"{every}s", f"{offset}s"), EACH, accumulation, lateness="1d")
    expected: dict[int, int] = {}
    watermark = -1_000
    for seconds, ahead in epochs:
        watermark = max(watermark, ahead)
        fresh: dict[int, int] = {}
        for second in seconds:
            for start in naive(size, every, offset, second):
                fresh[start] = fresh.get(start, 0) + second
        for start, total in fresh.items():
            expected[start] = expected.get(start, 0) + total if accumulation is tg.ACCUMULATING else total
        panes = run.epoch([element(second, second) for second in seconds], watermark=watermark)
        found = {start: total for start, _, total in brief(panes)}
        assert found == {start: expected[start] for start in fresh}
        assert all(end == start + size for start, end, _ in brief(panes))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 49), st.integers(-10_000, 10_000))
def test_a_slice_lies_in_the_same_windows_all_along(size: int, every: int, offset: int, moment: int) -> None:
    windows = tg.SlidingWindows(f"{size}us", f"{every}us", f"{offset % every}us")
    frame = pl.DataFrame({"at": [moment]}).with_columns(start=windows.slice(pl.col("at")))
    start, number = frame.select("start", number=windows.count(pl.col("start"))).row(0)

    assert start <= moment
    for each in (start, moment):
        assert (
            len([s for s in range(offset % every - 20_000 * every, each + 1, every) if each < s + size])
            == number
        )
