"""Days, weeks and months as clocks show them, compared with Python's own time zones."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tidegate as tg
from tidegate.errors import PipelineError
from tidegate.timestamps import EPOCH, MAX, MICROSECOND, MIN, from_datetime

HOUR = 3_600_000_000
UNITS = ("hour", "day", "week", "month", "quarter", "year")


def windows(window_fn: tg.CalendarWindows, *moments: int | None) -> list[tuple[Any, ...]]:
    frame = pl.DataFrame({"at": pl.Series(moments, dtype=pl.Int64)})
    start = frame.select(start=window_fn.start(pl.col("at")))
    return start.with_columns(end=window_fn.end(pl.col("start"))).rows()


def hours(unit: Any, zone: str, moment: str) -> tuple[str, float]:
    """The local start of the window that holds a moment, and how many hours it has."""
    at = from_datetime(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)))
    ((start, end),) = windows(tg.CalendarWindows(unit, zone), at)
    local = (EPOCH + start * MICROSECOND).astimezone(ZoneInfo(zone))
    return local.strftime("%Y-%m-%d %H:%M"), (end - start) / HOUR


def test_days_begin_at_local_midnight_and_may_have_23_or_25_hours() -> None:
    assert hours("day", "Europe/Berlin", "2026-03-28T12:00") == ("2026-03-28 00:00", 24)
    assert hours("day", "Europe/Berlin", "2026-03-29T12:00") == ("2026-03-29 00:00", 23)
    assert hours("day", "Europe/Berlin", "2026-10-25T00:00") == ("2026-10-25 00:00", 25)


def test_weeks_begin_on_monday_months_quarters_and_years_on_their_first_day() -> None:
    assert hours("week", "America/New_York", "2026-01-04T23:59") == ("2025-12-29 00:00", 168)
    assert hours("week", "America/New_York", "2026-01-05T00:00") == ("2026-01-05 00:00", 168)
    assert hours("month", "Asia/Tokyo", "2024-02-29T23:59") == ("2024-02-01 00:00", 29 * 24)
    assert hours("quarter", "UTC", "2026-05-17T00:00") == ("2026-04-01 00:00", 91 * 24)
    assert hours("year", "UTC", "2024-12-31T23:59") == ("2024-01-01 00:00", 366 * 24)
    assert hours("hour", "Asia/Kathmandu", "2026-05-17T10:59") == ("2026-05-17 10:00", 1)


def test_a_midnight_that_clocks_skip_is_the_moment_of_the_change() -> None:
    # In Sao Paulo it became 01:00 on 2018-11-04, in Samoa there was no 2011-12-30.
    assert hours("day", "America/Sao_Paulo", "2018-11-04T12:00") == ("2018-11-04 01:00", 23)
    assert hours("day", "Pacific/Apia", "2011-12-29T12:00") == ("2011-12-29 00:00", 24)
    assert hours("day", "Pacific/Apia", "2011-12-31T12:00") == ("2011-12-31 00:00", 24)


def test_a_midnight_that_clocks_show_twice_counts_the_first_time() -> None:
    assert hours("day", "America/Havana", "2025-11-02T12:00") == ("2025-11-02 00:00", 25)
    # At 00:01 of 2010-11-07 it became 23:01 of the day before, once more: that hour is in the new day.
    midnight = datetime(2010, 11, 7, tzinfo=ZoneInfo("America/St_Johns"))
    start = from_datetime(midnight)
    found = windows(tg.CalendarWindows("day", "America/St_Johns"), start, start + HOUR // 2, start + HOUR)
    assert found == [(start, start + 25 * HOUR)] * 3


def test_where_clocks_are_set_over_several_bounds_the_window_still_holds_its_moments() -> None:
    def at(text: str) -> int:
        return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))

    # In Newfoundland it was 02:01 behind 00:00 of 1988-04-03, in Kwajalein 01:00 behind 23:59 of 1969-09-30.
    newfoundland = windows(tg.CalendarWindows("hour", "America/St_Johns"), at("1988-04-03T03:31"))
    assert newfoundland == [(at("1988-04-03T03:30"), at("1988-04-03T04:30"))]
    kwajalein = windows(tg.CalendarWindows("hour", "Pacific/Kwajalein"), at("1969-09-30T13:00"))
    assert kwajalein == [(at("1969-09-30T12:00"), at("1969-10-01T12:00"))]


def changes(zone: str) -> list[int]:
    """The hours of a hundred and fifty years in which clocks were set, microseconds since 1970."""
    frame = pl.DataFrame({"hour": range(-130 * 8766 * HOUR, 68 * 8766 * HOUR, HOUR)})
    local = pl.col("hour").cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    offset = local.dt.replace_time_zone(None).to_physical() - pl.col("hour")
    return frame.filter(offset != offset.shift(-1)).get_column("hour").to_list()


@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Kwajalein", "Asia/Manila", "America/Juneau"])
@pytest.mark.parametrize("unit", UNITS)
def test_windows_follow_on_each_other_wherever_clocks_are_set(unit: Any, zone: str) -> None:
    moments = sorted(
        {each + n * HOUR // 4 + d for each in changes(zone) for n in range(-150, 150) for d in (-1, 0)}
    )
    found = windows(tg.CalendarWindows(unit, zone), *moments)

    assert all(start <= moment < end for moment, (start, end) in zip(moments, found, strict=True))
    distinct = sorted(set(found))
    assert all(before[1] <= after[0] for before, after in pairwise(distinct))


ZONES = (
    *("UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "America/Toronto"),
    *("Asia/Kathmandu", "Asia/Beirut", "Africa/Monrovia", "Australia/Lord_Howe", "Pacific/Apia"),
)


def naive(unit: str, zone: str, moment: int) -> tuple[int, int]:
    def floor(day: date) -> date:
        if unit == "week":
            return day - timedelta(days=day.weekday())
        return {"day": day, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}[unit]

    def bound(day: date) -> int:
        return from_datetime(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)))

    def following(day: date) -> date:
        return floor(day + timedelta(days={"day": 1, "week": 7, "month": 31, "year": 366}[unit]))

    day = floor((EPOCH + moment * MICROSECOND).astimezone(ZoneInfo(zone)).date())
    if bound(following(day)) <= moment:
        day = following(day)
    if bound(day) > moment:
        day = floor(day - timedelta(days=1))
    return bound(day), bound(following(day))


@settings(deadline=None)
@given(
    st.sampled_from(("day", "week", "month", "year")),
    st.sampled_from(ZONES),
    st.integers(-2_200_000_000, 2_080_000_000).map(lambda second: second * 1_000_000 + 123),
)
@example("day", "America/Toronto", from_datetime(datetime(1919, 3, 31, 4, 45, tzinfo=UTC)))
@example("day", "Africa/Monrovia", from_datetime(datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC)))
def test_windows_are_those_of_pythons_calendar(unit: Any, zone: str, moment: int) -> None:
    ((start, end),) = windows(tg.CalendarWindows(unit, zone), moment)

    assert start <= moment < end
    assert (start, end) == naive(unit, zone, moment)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/Toronto", "Asia/Tokyo"])
@pytest.mark.parametrize("unit", UNITS)
def test_the_first_and_the_last_window_are_cut_at_the_bounds_of_time(unit: Any, zone: str) -> None:
    found = windows(tg.CalendarWindows(unit, zone), MIN, MAX - 1, None)

    assert found[0][0] == MIN < found[0][1]
    assert found[1][0] < MAX == found[1][1]
    assert found[2] == (None, None)


def test_what_cannot_be_a_calendar_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"unit 'fortnight' is unknown\. Give one of hour, day, week"):
        tg.CalendarWindows("fortnight")  # type: ignore[arg-type]
    for zone in ("Mars/Base", "", None):
        with pytest.raises(PipelineError, match=rf"time zone {zone!r} is unknown\. Give a name of the IANA"):
            tg.CalendarWindows("day", tz=zone)  # type: ignore[arg-type]


def test_unit_and_zone_are_part_of_the_meaning() -> None:
    assert tg.CalendarWindows("day").describe() == "CalendarWindows(day, tz=UTC)"
    assert tg.CalendarWindows("week", tz="Asia/Tokyo").describe() == "CalendarWindows(week, tz=Asia/Tokyo)"


def test_a_zone_may_be_a_zoneinfo_and_a_unit_is_a_word() -> None:
    assert tg.CalendarWindows("day", tz=ZoneInfo("Asia/Tokyo")) == tg.CalendarWindows("day", "Asia/Tokyo")
    with pytest.raises(PipelineError, match=r"the unit \['day'\] is unknown"):
        tg.CalendarWindows(["day"])  # type: ignore[arg-type]


@pytest.mark.parametrize("closed", [[True, False, True, True], [True, False, False, True], [True] * 4])
def test_the_end_may_be_asked_of_some_rows_alone(closed: list[bool]) -> None:
    """Found by the simulation, seed 930001: a part of the windows was closed, and Polars gave other nulls."""
    windows = tg.CalendarWindows("week", "UTC")
    rows = pl.DataFrame({"start": [1_749_427_200_000_000] * 4, "closed": closed})
    ends = windows.end(pl.col("start").set_sorted())
    found = rows.select(pl.when(~pl.col("closed")).then(pl.when(ends > 0).then(ends)).alias("end"))
    assert found["end"].to_list() == [None if each else 1_750_032_000_000_000 for each in closed]
