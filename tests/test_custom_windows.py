"""Windows that users' functions place and merge, through both sides of an epoch."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.engine.stage import SECOND, Stage, element, stream
from tidegate.errors import PipelineError, TidegateError


def stay(events: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
    """From the second of the event for as many seconds as its value says."""
    return events.select(start=event_time, end=event_time + pl.duration(seconds=pl.col("v")))


def next_two(events: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
    """In ten seconds' windows, the one of the event and the one after it; odd values are in none."""
    first = event_time.dt.truncate("10s")
    start = pl.concat_list(first, first + pl.duration(seconds=10))
    none = pl.when(pl.col("v") % 2 == 0)
    end = pl.concat_list(first + pl.duration(seconds=10), first + pl.duration(seconds=20))
    empty = pl.lit([], dtype=pl.List(pl.Datetime("us", "UTC")))
    return events.select(start=none.then(start).otherwise(empty), end=none.then(end).otherwise(empty))


def by_minute(windows: pl.DataFrame) -> pl.DataFrame:
    """All windows of a key that begin in the same minute become one."""
    minute = pl.col("start").dt.truncate("1m")
    return windows.select(pl.col("start").min().over("key", minute), pl.col("end").max().over("key", minute))


def stage(assign: Any, merge: Any = None, **options: Any) -> Stage:
    windows = tg.CustomWindows(assign, merge, name="test/1")
    return Stage(stream(windows, **options).group_by("k").agg(total=tg.sum("v"), n=tg.count()))


def brief(panes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (pane["k"], pane["window_start"].timestamp(), pane["window_end"].timestamp(), pane["total"])
        for pane in panes
    ]


def test_windows_begin_and_end_where_a_column_says() -> None:
    run = stage(stay)
    run.epoch([element(1, 5), element(1, 5), element(1, 7), element(2, 4)])

    assert brief(run.epoch(watermark=6)) == [("a", 1, 6, 10), ("a", 2, 6, 4)]
    assert run.due == 6 * SECOND + 1  # both of these are kept up to a watermark of 6
    assert brief(run.epoch(close=True)) == [("a", 1, 8, 7)]


def test_an_element_may_be_in_several_windows_and_in_none() -> None:
    run = stage(next_two)
    run.epoch([element(1, 2), element(12, 4), element(13, 3)])

    assert brief(run.epoch(watermark=10)) == [("a", 0, 10, 2)]
    assert brief(run.epoch(close=True)) == [("a", 10, 20, 6), ("a", 20, 30, 4)]
    assert run.counters["dropped_late"] == 0


def test_an_element_is_in_a_window_once_however_often_it_is_given() -> None:
    def twice(events: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
        starts = pl.concat_list(event_time, event_time, event_time)
        ends = pl.concat_list(event_time + pl.duration(seconds=each) for each in (5, 5, 9))
        none = pl.lit([], dtype=pl.List(pl.Datetime("us", "UTC")))
        chosen = pl.col("v") > 0
        return events.select(
            start=pl.when(chosen).then(starts).otherwise(none), end=pl.when(chosen).then(ends).otherwise(none)
        )

    run = stage(twice)
    run.epoch([element(1, 2), element(1, 0), element(1, 4)])

    assert brief(run.epoch(close=True)) == [("a", 1, 6, 6), ("a", 1, 10, 6)]


def test_what_is_dropped_is_counted_for_each_window() -> None:
    run = stage(next_two)
    run.epoch([element(40, 2)], watermark=15)

    assert brief(run.epoch([element(1, 2)], close=True))[0] == ("a", 10, 20, 2)
    assert run.counters["dropped_late"] == 1


def test_windows_merge_as_a_function_says() -> None:
    run = stage(stay, by_minute)
    run.epoch([element(1, 5)], [element(50, 30), element(70, 9)], [element(20, 1)])

    assert brief(run.epoch(close=True)) == [("a", 1, 80, 36), ("a", 70, 79, 9)]


def test_sessions_may_have_a_gap_of_each_row() -> None:
    run = stage(stay, tg.merge_overlapping)
    run.epoch([element(1, 5), element(6, 2), element(7, 30)])
    assert run.state.height == 2  # [1, 6) only touches [6, 8), which overlaps [7, 37)

    run.epoch([element(5, 2)])
    assert brief(run.epoch(close=True)) == [("a", 1, 37, 39)]


def test_rows_that_have_no_window_become_dead_letters_and_the_others_go_on() -> None:
    def picky(events: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
        if 9 in events["v"]:
            raise KeyError("nine")
        return stay(events, event_time)

    run = stage(picky)
    run.epoch([element(1, 5), element(1, 0), element(1, 9), element(1, -3)])

    assert brief(run.epoch(close=True)) == [("a", 1, 6, 5)]
    reasons = sorted(letter["reason"] for letter in run.dead)
    assert reasons[0].startswith("CustomWindows('test/1'): KeyError: ")
    window = "from 1970-01-01 00:00:01+00:00 to 1970-01-01 00:00:01+00:00"
    assert f"CustomWindows('test/1'): ValueError: it gave the window {window}" in reasons
    assert (run.counters["records"], run.counters["elements"], run.counters["dead_letters"]) == (4, 1, 3)


@pytest.mark.parametrize(
    ("assign", "reason"),
    [
        (lambda events, at: events.select(start=at, end=at.dt.epoch("us")), "it gave a Int64 as end"),
        (lambda events, at: pl.DataFrame({"start": [None] * 3}), "ColumnNotFoundError"),
        (lambda events, at: events.select(start=at, end=at + pl.duration(days=1)).vstack(
            events.select(start=at, end=at)), "it gave 2 rows for 1"),
    ],
)  # fmt: skip
def test_what_an_assignment_may_give_is_said(assign: Callable[..., Any], reason: str) -> None:
    run = stage(assign)
    run.epoch([element(1)])

    (letter,) = run.dead
    assert reason in letter["reason"]


def test_a_merge_that_fails_stops_with_its_name() -> None:
    def broken(windows: pl.DataFrame) -> pl.DataFrame:
        raise RuntimeError("oh")

    with pytest.raises(TidegateError, match=r"CustomWindows\('test/1', merging\): merge failed with Runtime"):
        stage(stay, broken).epoch([element(1)])
    with pytest.raises(TidegateError, match="merge gave a window that does not end after its start"):
        backwards = stage(stay, lambda windows: windows.select(start="end", end="start"))
        backwards.epoch([element(1)])


def test_empty_epochs_call_nothing() -> None:
    def never(events: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
        raise AssertionError

    run = stage(never)
    assert run.epoch([]) == run.epoch() == run.epoch(close=True) == []


def test_without_a_name_or_a_function_they_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"it has no name\. Give name='...', and another one whenever"):
        tg.CustomWindows(stay)
    with pytest.raises(PipelineError, match=r"'x' cannot be called"):
        tg.CustomWindows("x", name="n")  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match=r"CustomWindows\('n', merging\): 3 cannot be called"):
        tg.CustomWindows(stay, 3, name="n")  # type: ignore[arg-type]


def test_their_name_is_their_meaning() -> None:
    assert tg.CustomWindows(stay, name="a/1").describe() == "CustomWindows('a/1')"
    assert tg.CustomWindows(stay, by_minute, name="a/1").describe() == "CustomWindows('a/1', merging)"
