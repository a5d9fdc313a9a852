"""Sessions, which merge. Each dash is a second, a gap is ten of them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidegate as tg
from tests.engine.stage import SECOND, Stage, element, stream
from tidegate.timestamps import MAX, MIN

ANY_TIME = tg.Repeatedly(tg.AfterCount(1))


def stage(trigger: Any = None, accumulation: Any = tg.DISCARDING, **options: Any) -> Stage:
    events = stream(tg.Sessions("10s"), **options)
    if trigger:
        events = events.trigger(trigger, allow_unsafe_trigger=True)
    return Stage(events.accumulate(accumulation).group_by("k").agg(total=tg.sum("v"), games=tg.count()))


def brief(panes: list[dict[str, Any]]) -> list[str]:
    signs = {"insert": "+", "retract": "-"}
    return [
        f"{signs[pane['op']]}{pane['total']} [{pane['window_start'].timestamp():g}, "
        f"{pane['window_end'].timestamp():g}) {pane['pane_timing']} {pane['pane_index']}"
        for pane in panes
    ]


def test_elements_closer_than_the_gap_are_one_session() -> None:
    #   1----+----11
    #       6----+----16
    #                      21----+----31
    run = stage()
    run.epoch([element(1, 1), element(21, 4), element(6, 2)])

    assert brief(run.epoch(close=True)) == ["+3 [1, 16) on_time 0", "+4 [21, 31) on_time 0"]


def test_sessions_that_touch_stay_apart() -> None:
    run = stage()
    run.epoch([element(0)], [element(10)])
    run.epoch([element(20)])

    assert len(run.epoch(close=True)) == 3


def test_an_element_between_two_sessions_makes_them_one() -> None:
    run = stage(ANY_TIME)
    assert brief(run.epoch([element(1, 1)])) == ["+1 [1, 11) early 0"]
    assert brief(run.epoch([element(1, 2)])) == ["+2 [1, 11) early 1"]
    assert brief(run.epoch([element(15, 3)])) == ["+3 [15, 25) early 0"]

    # Discarding, the new window has what no pane had; its index begins anew.
    assert brief(run.epoch([element(8, 4)])) == ["+4 [1, 25) early 0"]
    # An element inside changes nothing of the window, so the index goes on.
    assert brief(run.epoch([element(12, 5)])) == ["+5 [1, 25) early 1"]


def test_keys_do_not_merge() -> None:
    run = stage(ANY_TIME)
    run.epoch([element(1), element(2, key="b"), element(3, key=None)])

    assert brief(run.epoch([element(4), element(5, key=None)])) == [
        "+1 [1, 14) early 0",
        "+1 [3, 15) early 0",
    ]


def test_all_that_had_fired_is_taken_back_when_sessions_merge() -> None:
    run = stage(ANY_TIME, tg.ACCUMULATING_AND_RETRACTING)
    run.epoch([element(1, 5), element(15, 7)])
    run.epoch([element(2, 1)])

    assert brief(run.epoch([element(8, 9)])) == [
        "-6 [1, 12) early 0",
        "-7 [15, 25) early 0",
        "+22 [1, 25) early 0",
    ]
    assert brief(run.epoch([element(8, 1)])) == ["-22 [1, 25) early 0", "+23 [1, 25) early 1"]


def test_what_merged_without_firing_is_taken_back_when_it_closes() -> None:
    run = stage(
        tg.AfterWatermark(early=tg.AfterCount(2), late=tg.AfterCount(9)), tg.ACCUMULATING_AND_RETRACTING
    )
    run.epoch([element(1, 1), element(1, 1), element(15, 2), element(15, 2)])
    assert run.epoch([element(8, 8)]) == []

    assert brief(run.epoch(close=True)) == [
        "-2 [1, 11) early 0",
        "-4 [15, 25) early 0",
        "+14 [1, 25) on_time 0",
    ]


def test_lateness_is_asked_before_merging() -> None:
    run = stage(lateness="1s")
    run.epoch([element(1), element(9)], watermark=13)

    # [2, 12) is kept up to a watermark of 13, [1, 11) is not: although both overlap the session [1, 19).
    run.epoch([element(2, 10), element(1, 100)])
    assert run.counters["dropped_late"] == 1
    assert brief(run.epoch(close=True)) == ["+12 [1, 19) on_time 0"]


def test_a_session_that_grows_beyond_the_watermark_gets_an_on_time_pane_again() -> None:
    run = stage(lateness="1m")
    run.epoch([element(1)])
    assert brief(run.epoch(watermark=12)) == ["+1 [1, 11) on_time 0"]
    assert run.epoch([element(5)]) == []

    assert brief(run.epoch(watermark=15)) == ["+1 [1, 15) on_time 0"]
    assert run.due == 75 * SECOND + 1


def test_a_closed_session_takes_nothing_more_and_leaves_others_apart() -> None:
    #   1----+----11            closed
    #                15----+----25
    #          8----+----18     overlaps the closed one: dropped, although it overlaps the open one too
    #               13----+----23   overlaps the closed one through the one before: dropped
    #                    18----+----28
    run = stage(tg.AfterCount(3), lateness="1h")
    assert brief(run.epoch([element(1), element(1), element(1)])) == ["+3 [1, 11) early 0"]
    run.epoch([element(15, 7)])

    assert run.epoch([element(13, 100), element(8, 100)]) == []
    assert run.counters["dropped_closed"] == 2
    run.epoch([element(18, 1)])
    assert brief(run.epoch(close=True)) == ["+8 [15, 28) on_time 0"]


def test_a_session_may_span_a_year() -> None:
    days = Stage(stream(tg.Sessions("2d")).group_by("k").agg(n=tg.count()))
    day = 86_400
    for month in range(12):
        days.epoch([element((month * 30 + number) * day) for number in range(31)])
        assert days.state.height == 1

    (pane,) = days.epoch(close=True)
    assert (pane["n"], pane["window_end"] - pane["window_start"]) == (12 * 31, timedelta(days=362))


@pytest.mark.parametrize("moment", [MIN, MAX - 1])
def test_sessions_at_the_bounds_of_time(moment: int) -> None:
    run = Stage(stream(tg.Sessions("1000w")).group_by("k").agg(n=tg.count()))
    run.epoch([element(0) | {"at": moment}])

    (start,), (end,) = run.state["__start"], run.state["__end"]
    assert start == moment
    assert end == min(MAX, moment + 604_800_000 * SECOND)
    assert len(run.epoch(close=True)) == 1


epochs = st.lists(st.lists(st.integers(0, 120), max_size=6), min_size=1, max_size=5)


def grown(moments: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for moment in sorted(moments):
        if found and moment < found[-1][1]:
            found[-1] = (found[-1][0], moment + 10)
        else:
            found.append((moment, moment + 10))
    return found


@given(epochs, st.integers(1, 3))
def test_sessions_are_the_same_in_whatever_order_and_epochs_elements_come(
    batches: list[list[int]], files: int
) -> None:
    run = stage()
    for batch in batches:
        run.epoch(*([element(second) for second in batch[number::files]] for number in range(files)))

    panes = run.epoch(close=True)
    found = [(pane["window_start"].timestamp(), pane["window_end"].timestamp()) for pane in panes]
    moments = [second for batch in batches for second in batch]
    assert found == grown(moments)
    assert sum(pane["games"] for pane in panes) == len(moments)
