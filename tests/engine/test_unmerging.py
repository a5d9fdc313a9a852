"""Sessions of panes that are taken back. Each dash is a second, a gap is ten of them."""

from collections import Counter
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.engine.taken_back import EACH_TIME, NOON, at, comes, goes, present, stream
from tests.oracle.naive_windows import groups, hull
from tidegate.testing import Panes

SESSIONS = tg.Sessions("10s")


def sessions(
    trigger: Any = EACH_TIME,
    accumulation: Any = tg.ACCUMULATING_AND_RETRACTING,
    lateness: str = "1h",
    windows: Any = SESSIONS,
    **options: Any,
) -> Any:
    def build(events: tg.Stream) -> tg.Stream:
        grouped = present(events).window(windows, allowed_lateness=lateness, **options)
        triggered = grouped.trigger(trigger, allow_unsafe_trigger=True)
        return triggered.accumulate(accumulation).group_by().agg(total=tg.sum("points"), n=tg.count())

    return build


def brief(panes: Panes) -> list[str]:
    def second(moment: datetime | None) -> str:
        return f"{(moment - NOON).total_seconds():g}" if moment else "-"

    signs = {"insert": "+", "retract": "-"}
    return [
        f"{pane.step}: {signs[pane.op]}{pane.values['total']} [{second(pane.window.start)}, "
        f"{second(pane.window.end)}) {pane.timing} {pane.index}{' last' if pane.is_last else ''}"
        for pane in panes
    ]


def test_a_session_that_loses_what_held_it_together_becomes_two() -> None:
    #   0----+----10
    #           8----+----18
    #                   16----+----26
    script = stream().add(comes(0, 1), comes(8, 2), comes(16, 4)).add(goes(8, 2))

    assert brief(script.run(sessions())) == [
        "0: +7 [0, 26) early 0",
        "1: -7 [0, 26) early 0",
        "1: +1 [0, 10) early 0",
        "1: +4 [16, 26) early 0",
    ]


def test_a_session_that_loses_an_end_is_another_one() -> None:
    script = stream().add(comes(0, 1), comes(8, 2)).add(goes(0, 1))

    assert brief(script.run(sessions())) == [
        "0: +3 [0, 18) early 0",
        "1: -3 [0, 18) early 0",
        "1: +2 [8, 18) early 0",
    ]


def test_a_session_that_others_still_hold_together_goes_on() -> None:
    script = stream().add(comes(0, 1), comes(4, 2), comes(8, 4)).add(goes(4, 2))

    assert brief(script.run(sessions())) == [
        "0: +7 [0, 18) early 0",
        "1: -7 [0, 18) early 0",
        "1: +5 [0, 18) early 1",
    ]


def test_a_value_that_changes_parts_nothing() -> None:
    script = stream().add(comes(0, 1), comes(8, 2)).add(comes(8, 3)).add(comes(40, 1))

    assert brief(script.run(sessions())) == [
        "0: +3 [0, 18) early 0",
        "1: -3 [0, 18) early 0",
        "1: +6 [0, 18) early 1",
        "2: +1 [40, 50) early 0",
    ]


def test_a_session_of_which_nothing_is_left_is_taken_back_and_forgotten() -> None:
    script = stream().add(comes(0, 1), comes(8, 2)).add(goes(0, 1), goes(8, 2)).add(comes(0, 1), comes(8, 2))

    assert brief(script.run(sessions())) == [
        "0: +3 [0, 18) early 0",
        "1: -3 [0, 18) early 0",
        "2: +3 [0, 18) early 0",
    ]


def test_the_parts_merge_again() -> None:
    script = stream().add(comes(0, 1), comes(8, 2), comes(16, 4)).add(goes(8, 2)).add(comes(8, 8))

    assert brief(script.run(sessions()))[3:] == [
        "1: +4 [16, 26) early 0",
        "2: -1 [0, 10) early 0",
        "2: -4 [16, 26) early 0",
        "2: +13 [0, 26) early 0",
    ]


def test_a_parted_session_waits_for_its_trigger_and_may_arise_before() -> None:
    script = stream().add(comes(0, 1), comes(8, 2), comes(16, 4)).add(goes(8, 2)).add(comes(8, 8))

    # What was taken back, what is left of it twice, and what came are four elements.
    assert brief(script.run(sessions(tg.Repeatedly(tg.AfterCount(3))))) == [
        "0: +7 [0, 26) early 0",
        "2: -7 [0, 26) early 0",
        "2: +13 [0, 26) early 1",
    ]


def test_a_parted_session_takes_its_panes_back_at_the_latest_when_it_expires() -> None:
    script = stream().add(comes(0, 1), comes(8, 2)).add(goes(8, 2)).close()

    assert brief(script.run(sessions(tg.Repeatedly(tg.AfterCount(2))))) == [
        "0: +3 [0, 18) early 0",
        "2: -3 [0, 18) early 0",
        "2: +1 [0, 10) on_time 0 last",
    ]


def test_accumulating_says_that_nothing_is_left() -> None:
    script = stream().add(comes(0, 1), comes(8, 2), comes(16, 4)).add(goes(8, 2)).close()

    assert brief(script.run(sessions(accumulation=tg.ACCUMULATING))) == [
        "0: +7 [0, 26) early 0",
        "1: +1 [0, 10) early 0",
        "1: +0 [0, 26) early 1",
        "1: +4 [16, 26) early 0",
    ]


def test_what_had_no_pane_parts_in_silence() -> None:
    script = stream().add(comes(0, 1), comes(8, 2), comes(16, 4)).add(goes(8, 2)).advance_watermark(at(60))

    assert brief(script.run(sessions(tg.AfterWatermark(late=tg.AfterCount(1))))) == [
        "2: +1 [0, 10) on_time 0",
        "2: +4 [16, 26) on_time 0",
    ]


@pytest.mark.parametrize(("lateness", "last"), [("1h", ""), ("4s", " last")])
def test_a_part_that_the_watermark_has_passed_comes_at_once_and_late(lateness: str, last: str) -> None:
    script = stream().add(comes(0, 1), comes(8, 2), comes(16, 4)).advance_watermark(at(15)).add(goes(8, 2))
    trigger = tg.AfterWatermark(late=tg.AfterCount(1))

    assert brief(script.run(sessions(trigger, lateness=lateness))) == [f"2: +1 [0, 10) late 0{last}"]


def test_a_closed_session_stays_as_it_is() -> None:
    panes = stream().add(comes(0, 1), comes(8, 2)).add(goes(8, 2)).close().run(sessions(tg.AfterCount(2)))

    assert brief(panes) == ["0: +3 [0, 18) early 0 last"]
    assert panes.dropped == 1


def test_what_lies_in_an_open_session_is_taken_back_from_it_also_beside_a_closed_one() -> None:
    #   0----+----10
    #           8----+----18  closed
    #                         22----+----32
    #                   16----+----26  would belong to the closed one, and join both
    script = stream().add(comes(0, 1), comes(8, 2)).add(comes(22, 4)).add(comes(16, 8), goes(22, 4)).close()
    panes = script.run(sessions(tg.AfterCount(2)))

    assert brief(panes) == ["0: +3 [0, 18) early 0 last"]
    assert panes.dropped == 1


def test_the_event_time_of_a_part_is_of_what_is_left_in_it() -> None:
    script = stream().add(comes(0, 1), comes(4, 2), comes(8, 4)).add(goes(0, 1))
    panes = script.run(sessions(timestamp="earliest"))

    assert [(pane.op, pane.event_time) for pane in panes] == [
        ("insert", at(0)),
        ("retract", at(0)),
        ("insert", at(4)),
    ]


def test_custom_windows_that_merge_part_as_well() -> None:
    def active(elements: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
        return elements.select(start=event_time, end=event_time + pl.duration(seconds=10))

    windows = tg.CustomWindows(active, merge=tg.merge_overlapping, name="active/1")
    script = stream().add(comes(0, 1), comes(8, 2), comes(16, 4)).add(goes(8, 2)).add(comes(24, 8))

    assert brief(script.run(sessions(windows=windows))) == brief(script.run(sessions()))


@given(
    epochs=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.integers(-2, 2)), max_size=4),
        min_size=1,
        max_size=6,
    ),
    trigger=st.sampled_from([EACH_TIME, tg.AfterWatermark(early=tg.AfterCount(2), late=tg.AfterCount(1))]),
)
@settings(max_examples=15, deadline=None)
def test_the_panes_that_stand_are_the_sessions_of_what_is_left(
    epochs: list[list[tuple[str, int, int]]], trigger: Any
) -> None:
    script = stream()
    left: Counter[tuple[str, int]] = Counter()
    for epoch in epochs:
        script = script.add(*({"id": id_, "points": n, "at": at(second)} for id_, second, n in epoch))
        for id_, second, n in epoch:
            left[id_, second] += n
    standing: Counter[tuple[Any, ...]] = Counter()
    for pane in script.close().run(sessions(trigger)):
        row = (pane.window.start, pane.window.end, pane.values["total"], pane.values["n"])
        standing[row] += 1 if pane.op == "insert" else -1
    there = {where: n for where, n in left.items() if n}
    assert Counter({row: n for row, n in standing.items() if n}) == Counter(
        (at(start), at(end), sum(inside), len(inside))
        for start, end in map(hull, groups([(second, second + 10) for _, second in there]))
        for inside in [[n for (_, second), n in there.items() if start <= second < end]]
    )
