"""A pane's own event time where elements are taken back. Seconds are those after noon."""

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.engine.taken_back import EACH_TIME, NOON, at, comes, goes, present, stream
from tidegate.testing import TestStream

WINDOWS = [tg.FixedWindows("1m"), tg.SlidingWindows("1m", every="1m"), tg.GlobalWindows()]


def totals(
    windows: Any, timestamp: str, accumulation: Any = tg.ACCUMULATING_AND_RETRACTING, lateness: str = "1h"
) -> Any:
    def build(events: tg.Stream) -> tg.Stream:
        options: dict[str, Any] = {"allowed_lateness": lateness, "timestamp": timestamp}
        grouped = present(events).window(windows, **options).trigger(EACH_TIME, allow_unsafe_trigger=True)
        return grouped.accumulate(accumulation).group_by().agg(total=tg.sum("points"))

    return build


def brief(script: TestStream, build: Any) -> list[str]:
    signs = {"insert": "+", "retract": "-"}
    return [
        f"{pane.step}: {signs[pane.op]}{pane.values['total']} at {(pane.event_time - NOON).total_seconds():g}"
        for pane in script.run(build)
    ]


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_the_earliest_time_is_that_of_what_is_left(windows: Any) -> None:
    script = stream().add(comes(3, 1), comes(15, 2), comes(20, 4)).add(goes(3, 1)).add(comes(5, 8))

    assert brief(script, totals(windows, "earliest")) == [
        "0: +7 at 3",
        "1: -7 at 3",
        "1: +6 at 15",
        "2: -6 at 15",
        "2: +14 at 5",
    ]


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_and_so_is_the_latest(windows: Any) -> None:
    script = stream().add(comes(3, 1), comes(15, 2), comes(20, 4)).add(goes(20, 4))

    assert brief(script, totals(windows, "latest", tg.ACCUMULATING)) == ["0: +7 at 20", "1: +3 at 15"]


def test_a_refined_pane_keeps_its_time_though_it_comes_late() -> None:
    script = stream().add(comes(3, 1)).advance_watermark(at(60)).add(comes(3, 1))

    assert brief(script, totals(tg.FixedWindows("1m"), "earliest")) == [
        "0: +1 at 3",
        "2: -1 at 3",
        "2: +2 at 3",
    ]


@pytest.mark.parametrize("windows", WINDOWS[:2], ids=str)
def test_what_came_late_does_not_take_the_place_of_what_is_taken_back(windows: Any) -> None:
    script = stream().add(comes(3, 1), comes(15, 2)).advance_watermark(at(60))
    script = script.add(comes(20, 4)).add(goes(3, 1)).add(goes(15, 2))

    assert brief(script, totals(windows, "latest", tg.ACCUMULATING)) == [
        "0: +3 at 15",
        "2: +7 at 15",
        "3: +6 at 15",
        "4: +4 at 60",
    ]


def test_a_time_that_nothing_is_left_of_is_forgotten() -> None:
    script = (
        stream().add(comes(3, 1), comes(15, 2)).add(goes(3, 1)).advance_watermark(at(60)).add(comes(3, 1))
    )

    assert brief(script, totals(tg.FixedWindows("1m"), "earliest", tg.ACCUMULATING)) == [
        "0: +3 at 3",
        "1: +2 at 15",
        "3: +3 at 15",
    ]


def test_a_pane_that_holds_only_what_is_new_has_the_time_of_what_takes_back() -> None:
    script = stream().add(comes(3, 1), comes(15, 2)).add(goes(3, 1))

    assert brief(script, totals(tg.FixedWindows("1m"), "earliest", tg.DISCARDING)) == [
        "0: +3 at 3",
        "1: +-1 at 3",
    ]


@settings(max_examples=40)
@given(
    epochs=st.lists(
        st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=6), min_size=1, max_size=6
    ),
    windows=st.sampled_from(
        [tg.FixedWindows("20s"), tg.SlidingWindows("20s", every="5s"), tg.GlobalWindows()]
    ),
    timestamp=st.sampled_from(["earliest", "latest"]),
)
def test_what_groups_the_panes_again_comes_to_the_batch_answer(
    epochs: list[list[tuple[int, bool]]], windows: Any, timestamp: str
) -> None:
    there: set[int] = set()
    script = stream()
    for epoch in epochs:
        rows = []
        for second, wanted in epoch:
            if wanted != (second in there):
                there ^= {second}
                rows.append(comes(second) if wanted else goes(second))
        script = script.add(*rows)

    def counted(events: tg.Stream) -> tg.Stream:
        again = totals(windows, timestamp)(events).window(tg.FixedWindows("10s"), allowed_lateness="1h")
        refined = again.trigger(EACH_TIME, allow_unsafe_trigger=True)
        return refined.accumulate(tg.ACCUMULATING_AND_RETRACTING).group_by().agg(total=tg.sum("total"))

    def answer(panes: Any) -> Counter[tuple[datetime, int]]:
        found: Counter[tuple[datetime, int]] = Counter()
        for pane in panes:
            found[pane.window.start, pane.values["total"]] += 1 if pane.op == "insert" else -1
        return +found

    at_once = stream().add(*(comes(second) for second in sorted(there)))

    assert answer(script.run(counted)) == answer(at_once.run(counted))
