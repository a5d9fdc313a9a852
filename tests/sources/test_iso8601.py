from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.sources import iso8601

UNITS = ("ms", "us", "ns")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01 00:00:01", 1_000),
        ("1970-01-01t00:00:01z", 1_000),
        ("1970-01-01T00:00:00.1", 100),
        ("1970-01-01T00:00:00.1239", 123),
        ("1970-01-01T00:00:00.000000000000001Z", 0),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:30:00+0130", 0),
        ("1970-01-01T01:00:00.5+01", 500),
        ("1969-12-31T23:00:00-01:00", 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("2024-02-29", 1_709_164_800_000),
    ],
)
def test_texts_that_are_times(text, milliseconds):
    assert iso8601.parse_datetime(text, "ms") == milliseconds
    # The column may leave a text to the function, but these shapes are what makes it fast.
    fast = iso8601.datetimes(pl.Series([text, None]), "ms").to_list()
    assert fast in ([milliseconds, None], [None, None])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1970",
        "1970-01",
        "19700101",
        "1970-1-1",
        "1970-01-01T",
        "1970-01-01T00:00",
        "1970-01-01T0:00:00",
        "1970-01-01  00:00:00",
        "1970-01-01T00:00:00.",
        "1970-01-01T00:00:00,5",
        "1970-01-01T24:00:00",
        "1970-01-01T00:60:00",
        "1970-01-01T23:59:60",
        "1970-01-01Z",
        "1970-01-01T00:00:00 Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+1",
        "1970-01-01T00:00:00+01:00Z",
        "1970-02-30",
        "1970-13-01",
        "1970-00-01",
        "2023-02-29T00:00:00",
        "0000-01-01",
        "10000-01-01",
        "-001-01-01",
        " 1970-01-01",
        "1970-01-01\n",
        "\u0661970-01-01",
        "1970-01-01T00:00:0\u0661",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_texts_that_are_no_times(text):
    with pytest.raises(ValueError, match=r"is no|outside"):
        iso8601.parse_datetime(text, "ms")
    assert iso8601.datetimes(pl.Series([text]), "ms").to_list() == [None]


def test_nanoseconds_hold_fewer_years():
    assert iso8601.parse_datetime("2262-04-11T23:47:16.854775807", "ns") == 2**63 - 1
    with pytest.raises(ValueError, match="nanoseconds"):
        iso8601.parse_datetime("2262-04-11T23:47:16.854775808", "ns")
    far = pl.Series(["2300-01-01", "0001-01-01", "9999-12-31"])
    assert iso8601.datetimes(far, "ns").to_list() == [None] * 3


def test_whole_columns_of_the_usual_shapes_need_no_help():
    for text in (
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.123Z",
        "2026-01-02T03:04:05.123456+00:00",
        "2026-01-02T03:04:05.123456-07:30",
        "2026-01-02",
    ):
        for unit in UNITS:
            fast = iso8601.datetimes(pl.Series([text, text]), unit).to_list()
            assert fast == [iso8601.parse_datetime(text, unit)] * 2


def test_dates():
    texts = ["1970-01-02", "0001-01-01", "9999-12-31", "0000-01-01", "1970-1-2", "1970-01-02T00:00:00", None]
    days = [1, iso8601.FIRST_DAY, iso8601.LAST_DAY, None, None, None, None]
    assert iso8601.dates(pl.Series(texts)).to_list() == days
    assert [iso8601.parse_date(text) for text in texts[:3]] == days[:3]


MOMENTS = st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2250, 1, 1))  # noqa: DTZ001


@settings(max_examples=50)
@given(MOMENTS, st.sampled_from(UNITS), st.sampled_from("T "), st.integers(-1439, 1439))
def test_python_agrees(moment, unit, separator, minutes):
    away = timedelta(minutes=minutes)
    text = (moment + away).isoformat(separator) + f"{'-' if minutes < 0 else '+'}"
    text += f"{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    microseconds = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    expected = microseconds * iso8601.PER_SECOND[unit] // 1_000_000
    assert iso8601.parse_datetime(text, unit) == expected
    assert iso8601.datetimes(pl.Series([text]), unit).to_list() == [expected]


PIECES = st.sampled_from(
    [
        "2026-01-02",
        "0001-01-01",
        "9999-12-31",
        "2023-02-29",
        "1970-1-1",
        "T",
        " ",
        "t",
        "03:04:05",
        "23:59:60",
        "24:00:00",
        ".",
        ".1",
        ".123",
        ".123456789",
        "999",
        "Z",
        "z",
        "+01:00",
        "-0730",
        "+00:00",
        "+05",
        "-",
        "é",
    ]
)


@settings(max_examples=50)
@given(st.lists(st.lists(PIECES, max_size=5).map("".join) | st.none(), min_size=1, max_size=8))
def test_a_column_gives_what_each_text_gives(texts):
    for unit in UNITS:
        for text, fast in zip(texts, iso8601.datetimes(pl.Series(texts, dtype=pl.String), unit), strict=True):
            if fast is not None:
                assert fast == iso8601.parse_datetime(text, unit)
    for text, fast in zip(texts, iso8601.dates(pl.Series(texts, dtype=pl.String)), strict=True):
        if fast is not None:
            assert fast == iso8601.parse_date(text) == (date.fromisoformat(text) - date(1970, 1, 1)).days


def test_bounds_are_the_years_1_to_9999():
    assert iso8601.in_bounds(iso8601.bounds("us")[1], "us") == 253_402_300_799_999_999
    for unit, outside in (("us", 253_402_300_800_000_000), ("ms", -62_135_596_800_001), ("ns", 2**63)):
        with pytest.raises(ValueError, match=r"years|nanoseconds"):
            iso8601.in_bounds(outside, unit)
