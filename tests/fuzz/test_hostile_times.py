"""Event times at the ends of time and past them: what becomes of each, and of the watermark."""

from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.epochs.layout import Limits
from tidegate.timestamps import MAX, MIN

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = 1_750_000_000 * SECOND
SCHEMA = {"k": pl.String, "at": pl.Datetime("us"), "n": pl.Int64}
LAYOUTS = {"one task": ONE_CALL, "many tasks": many_tasks(3)}


def pipeline(event_time: Any = "at", size: str = "1w", unit: str = "us", **watermark: str) -> tg.Pipeline:
    stream = tg.read_json(
        "events",
        schema=SCHEMA | {"at": pl.Datetime(unit)},
        event_time=event_time,
        watermark=tg.BoundedDelay(**{"delay": "0s", **watermark}),
    )
    panes = stream.window(tg.FixedWindows(size)).group_by("k").agg(games=tg.count())
    return tg.Pipeline("p", panes.write_json("out"))


def world(limits: Limits = ONE_CALL, now: int = NOW, **settings: Any) -> World:
    return World(pipeline(**settings), limits=limits, now=now)


OUTSIDE = "at: lies outside the years 1 to 9999"
AHEAD = "further ahead than max_ahead allows"


@pytest.mark.parametrize("size", ["10s", "7h", "1w"])
@pytest.mark.parametrize("limits", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (MIN, ""),
        (MIN + 1, ""),
        ("0001-01-01", ""),
        (-1, ""),
        ("1969-12-31T23:59:59.999999Z", ""),
        (NOW + DAY, ""),
        (NOW + DAY + 1, AHEAD),
        (MAX, AHEAD),
        ("9999-12-31T23:59:59.999999Z", AHEAD),
        (MIN - 1, OUTSIDE),
        (MAX + 1, OUTSIDE),
        (2**63 - 1, OUTSIDE),
        (-(2**63), OUTSIDE),
        (2**63, OUTSIDE),
        ("0000-12-31T23:59:59Z", "is no day of the calendar"),
        ("0001-01-01T00:00:00+14:00", "lies outside the years 1 to 9999"),
        ("9999-12-31T23:59:59-00:01", "lies outside the years 1 to 9999"),
        ("-0001-01-01T00:00:00Z", "is no ISO 8601 time"),
        ("10000-01-01T00:00:00Z", "is no ISO 8601 time"),
        ("+292277-01-09T04:00:54Z", "is no ISO 8601 time"),
    ],
)
def test_an_event_is_counted_in_its_window_or_says_why_not(
    at: int | str, reason: str, limits: Limits, size: str
) -> None:
    here = world(limits, size=size)
    here.upload([{"k": "a", "at": NOW}, {"k": "odd", "at": at}], [{"k": "a", "at": NOW}])
    panes = [pane for pane in here.run(close=True) if pane["k"] == "odd"]
    assert sum(pane["games"] for pane in here.run(close=True) + panes) == (not reason)
    assert [reason in letter["reason"] for letter in here.dead_letters()] == [True] * bool(reason)
    assert [letter["line"] for letter in here.dead_letters()] == [2] * bool(reason)
    for pane in panes:
        # Years have four digits on both sides, so that texts sort as the moments do.
        assert "0001" <= pane["window_start"][:4] <= pane["window_end"][:4] <= "9999"


@pytest.mark.parametrize(
    ("event_time", "unit", "per_microsecond"),
    [("at", "ms", 0.001), ("at", "ns", 1_000), (pl.col("n").cast(pl.Datetime("ms")), "us", 0.001)],
    ids=["ms", "ns", "expression"],
)
def test_no_unit_overflows(event_time: Any, unit: str, per_microsecond: float) -> None:
    """Numbers whose product with the unit's factor would wrap around 64 bits into a plausible moment."""
    numbers = [2**63 - 1, -(2**63), 2**61, -(2**61), 2**63 // 1_000, 2**64 // 1_000 + 5, 2**62 + 2**61]
    here = world(event_time=event_time, unit=unit)
    here.upload(
        [{"k": "a", "at": number if isinstance(event_time, str) else 0, "n": number} for number in numbers]
    )
    plausible = sum(MIN <= number / per_microsecond <= NOW + DAY for number in numbers)
    assert plausible == (4 if unit == "ns" else 0)
    assert sum(pane["games"] for pane in here.run(close=True)) == plausible
    assert here.totals["dead_letters"] == len(numbers) - plausible


@pytest.mark.parametrize("limits", LAYOUTS.values(), ids=LAYOUTS)
def test_one_bad_clock_makes_nobody_late(limits: Limits) -> None:
    here = world(limits, delay="5s", max_ahead="1h")
    for hour in range(3):
        now = NOW + hour * 3_600 * SECOND
        here.upload(
            [{"k": "a", "at": MAX - 5}, {"k": "a", "at": now + 3_601 * SECOND}, {"k": "a", "at": now}],
            [{"k": "a", "at": 2**63 - 1}],
        )
        here.run(nows=[now])
        assert here.watermark == now - 5 * SECOND
    assert (here.totals["elements"], here.totals["dead_letters"], here.totals["dropped_late"]) == (3, 9, 0)


anywhere = st.integers(-(2**63), 2**63 - 1)
moments = anywhere | st.integers(MIN - 10, MAX + 10) | st.integers(NOW - 10 * DAY, NOW + 10 * DAY)


@settings(max_examples=40)
@given(st.lists(st.lists(moments, max_size=6), min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 3))
@example([[MAX, NOW]], 1, 0)
@example([[MIN, -(2**63)], [MIN]], 3, 3)
def test_the_watermark_stays_behind_now_and_every_record_is_accounted_for(
    epochs: list[list[int]], ahead: int, delay: int
) -> None:
    here = world(max_ahead=f"{ahead}d", delay=f"{delay}d")
    before = MIN
    for number, times in enumerate(epochs):
        now = NOW + number * DAY
        here.upload([{"k": "a", "at": at} for at in times])
        here.run(nows=[now])
        assert before <= here.watermark <= max(MIN, now + ahead * DAY - delay * DAY)
        before = here.watermark
    here.run(close=True)
    totals = here.totals
    assert totals["records"] == sum(map(len, epochs)) == totals["elements"] + totals["dead_letters"]
    good = sum(
        MIN <= at <= NOW + (number + ahead) * DAY for number, times in enumerate(epochs) for at in times
    )
    assert totals["elements"] == good


@pytest.mark.parametrize("now", [MIN, -1, 0, MAX - 1, MAX])
def test_a_machine_whose_clock_stands_at_an_end_of_time(now: int) -> None:
    here = world(now=now, max_ahead="1d")
    here.upload([{"k": "a", "at": at} for at in (MIN, 0, MAX - 1, MAX)])
    here.run()
    assert here.totals["records"] == here.totals["elements"] + here.totals["dead_letters"] == 4
    # MAX itself is the watermark of a finished source, which no event may give.
    assert here.watermark <= MAX - 1
    # A clock before 1970 counts as 1970.
    ahead = min(MAX - 1, max(0, now) + DAY)
    assert here.totals["elements"] == sum(at <= ahead for at in (MIN, 0, MAX - 1, MAX))
