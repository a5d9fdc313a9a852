from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN, duration_text, from_datetime, iso, microseconds


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("0s", 0),
        ("1us", 1),
        ("500ms", 500_000),
        ("10s", 10_000_000),
        ("2m", 120_000_000),
        ("1h30m", 5_400_000_000),
        ("30m1h", 5_400_000_000),
        ("1h 30m", 5_400_000_000),
        ("1d", 86_400_000_000),
        ("2w", 1_209_600_000_000),
        (timedelta(minutes=2), 120_000_000),
        (timedelta(0), 0),
    ],
)
def test_a_duration_is_whole_numbers_with_units_or_a_timedelta(text: str | timedelta, length: int) -> None:
    assert microseconds(text) == length


@pytest.mark.parametrize(
    "given",
    ["", "2", "m", "-1s", "1.5s", "2 minutes", "1h30", "1y", "s1", "1M", "00", "٣s1", 60, 1.5, True, None],
)
def test_anything_else_is_refused_with_examples(given: object) -> None:
    with pytest.raises(PipelineError) as raised:
        microseconds(given)  # type: ignore[arg-type]

    assert str(raised.value).startswith(f"duration: {given!r} is not a duration. Write a text")
    assert "'10s', '2m'" in raised.value.mend


def test_what_it_was_given_for_is_named() -> None:
    with pytest.raises(PipelineError, match=r"^window\(allowed_lateness=...\): 60 is not a duration"):
        microseconds(60, "window(allowed_lateness=...)")  # type: ignore[arg-type]


def test_a_negative_timedelta_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"is negative\. Give a duration of zero or more"):
        microseconds(timedelta(seconds=-1))


def test_a_duration_is_no_longer_than_all_of_time() -> None:
    assert microseconds("3652058d") <= MAX - MIN
    for too_long in ("3652060d", "9999999999999999999w", timedelta.max):
        with pytest.raises(PipelineError, match="more than 9,999 years"):
            microseconds(too_long)


@given(st.integers(0, MAX - MIN))
def test_the_text_of_a_duration_reads_as_the_same_duration(length: int) -> None:
    assert microseconds(duration_text(length)) == length


def test_the_text_of_a_duration_is_short() -> None:
    assert [duration_text(each) for each in (0, 120_000_000, 5_400_000_000, 1_500_000)] == [
        "0s",
        "2m",
        "1h30m",
        "1s500ms",
    ]


def test_min_and_max_are_the_first_and_last_moment_of_the_years_1_to_9999() -> None:
    assert iso(MIN) == "0001-01-01T00:00:00Z"
    assert iso(MAX) == "9999-12-31T23:59:59.999999Z"
    assert from_datetime(datetime.min.replace(tzinfo=UTC)) == MIN
    assert from_datetime(datetime.max.replace(tzinfo=UTC)) == MAX


@given(st.integers(MIN, MAX))
def test_iso_is_exact(moment: int) -> None:
    assert from_datetime(datetime.fromisoformat(iso(moment))) == moment


def test_a_moment_without_a_zone_is_in_utc_and_one_with_a_zone_in_that() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert from_datetime(noon.replace(tzinfo=None)) == from_datetime(noon)
    assert (
        from_datetime(noon.replace(tzinfo=timezone(timedelta(hours=2))))
        == from_datetime(noon) - 7_200_000_000
    )
