"""Windows on the time line. Each dash is a second, the number is the window's start."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN
from tidegate.windows import (
    AlignedWindows,
    FixedWindows,
    GlobalWindows,
    Sessions,
    SlidingWindows,
    merge_overlapping,
)

SECOND = 1_000_000


def windows(window_fn: AlignedWindows, *moments: int | None) -> list[tuple[int | None, int | None]]:
    frame = pl.DataFrame({"at": pl.Series(moments, dtype=pl.Int64)})
    start = frame.select(start=window_fn.start(pl.col("at")))
    return start.with_columns(end=window_fn.end(pl.col("start"))).rows()


def test_fixed_windows_are_half_open_and_lie_one_behind_the_other() -> None:
    #  -10        0         10        20
    #   |---------|---------|---------|
    #           -1 0       9 10
    tens = FixedWindows("10s")

    assert windows(tens, -1, 0, 10 * SECOND - 1, 10 * SECOND) == [
        (-10 * SECOND, 0),
        (0, 10 * SECOND),
        (0, 10 * SECOND),
        (10 * SECOND, 20 * SECOND),
    ]


def test_times_before_1970_round_down_like_all_others() -> None:
    assert windows(FixedWindows("10s"), -10 * SECOND, -10 * SECOND - 1) == [
        (-10 * SECOND, 0),
        (-20 * SECOND, -10 * SECOND),
    ]


def test_an_offset_shifts_the_grid() -> None:
    #  -7         3         13        23
    #   |---------|---------|---------|
    #             3       12
    shifted = FixedWindows("10s", offset="3s")

    assert windows(shifted, 3 * SECOND, 12 * SECOND, 2 * SECOND, -8 * SECOND) == [
        (3 * SECOND, 13 * SECOND),
        (3 * SECOND, 13 * SECOND),
        (-7 * SECOND, 3 * SECOND),
        (-17 * SECOND, -7 * SECOND),
    ]


def test_the_first_and_the_last_window_are_cut_at_the_bounds_of_time() -> None:
    week = 7 * 86_400 * SECOND
    (first,), (last,) = windows(FixedWindows("1w"), MIN), windows(FixedWindows("1w"), MAX - 1)

    assert first[0] == MIN
    assert 0 < first[1] - MIN <= week
    assert first[1] % week == 0
    assert last[1] == MAX
    assert 0 < MAX - last[0] <= week


def test_an_element_without_a_time_has_no_window() -> None:
    assert windows(FixedWindows("10s"), None) == [(None, None)]
    assert windows(GlobalWindows(), None) == [(None, None)]


def test_the_global_window_is_all_of_time() -> None:
    assert windows(GlobalWindows(), MIN, 0, MAX) == [(MIN, MAX)] * 3


sizes = st.integers(1, 400 * 86_400 * SECOND)


@given(sizes, st.data())
def test_every_time_lies_in_its_window_on_the_grid(size: int, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, size - 1))
    moment = data.draw(st.integers(MIN, MAX - 1))

    ((start, end),) = windows(FixedWindows(f"{size}us", offset=f"{offset}us"), moment)

    assert start <= moment < end
    assert start == MIN or (start - offset) % size == 0
    assert end == MAX or (end - offset) % size == 0
    assert end - start == size or start == MIN or end == MAX


@given(sizes, st.lists(st.integers(MIN, MAX - 1), min_size=2, max_size=2))
def test_two_times_share_a_window_or_their_windows_are_apart(size: int, moments: list[int]) -> None:
    first, second = windows(FixedWindows(f"{size}us"), *sorted(moments))

    assert first == second or first[1] <= second[0]


def test_what_cannot_be_a_window_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"FixedWindows: the size is zero\. Give a size such as '2m'\."):
        FixedWindows("0s")
    with pytest.raises(PipelineError, match="the offset 3m is not shorter than the size 2m"):
        FixedWindows("2m", offset="3m")
    for wrong in ("2 minutes", 120):
        with pytest.raises(PipelineError, match=rf"FixedWindows\(size=...\): {wrong!r} is not a duration"):
            FixedWindows(wrong)  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match=r"FixedWindows\(offset=...\): 0 is not a duration"):
        FixedWindows("2m", offset=0)  # type: ignore[arg-type]


def test_equal_windows_describe_themselves_alike() -> None:
    assert FixedWindows("120s").describe() == FixedWindows("2m", "0s").describe()
    assert FixedWindows("2m").describe() != FixedWindows("2m", "1s").describe()
    assert GlobalWindows().describe() == "GlobalWindows()"


def test_sliding_windows_and_sessions_that_cannot_be_are_refused() -> None:
    for size, every, problem in (
        ("0s", "1m", "size is zero"),
        ("1m", "0s", "every is zero"),
        ("1000d", "1ms", "an element would lie in 86,400,000,000 windows, and 100,000 are possible"),
    ):
        with pytest.raises(PipelineError, match=f"SlidingWindows: {problem}"):
            SlidingWindows(size, every)
    with pytest.raises(PipelineError, match="the offset 1m is not shorter than the time 1m between two"):
        SlidingWindows("1h", "1m", "1m")
    with pytest.raises(PipelineError, match=r"SlidingWindows\(every=...\): 'often' is not a duration"):
        SlidingWindows("1h", "often")
    with pytest.raises(PipelineError, match=r"Sessions: the gap is zero\. Give a gap such as '10m'\."):
        Sessions("0s")


def test_sliding_windows_and_sessions_describe_themselves() -> None:
    assert SlidingWindows("60m", "60s").describe() == "SlidingWindows(size=1h, every=1m, offset=0s)"
    assert Sessions("90s").describe() == "Sessions(gap=1m30s)"


spans = st.tuples(st.integers(0, 2), st.integers(-30, 30), st.integers(1, 12))


@given(st.lists(spans, max_size=12))
def test_windows_that_overlap_merge_and_those_that_touch_do_not(
    given_spans: list[tuple[int, int, int]],
) -> None:
    rows = sorted((key, start, start + length) for key, start, length in given_spans)
    frame = pl.DataFrame(rows, schema={"key": pl.UInt32, "start": pl.Int64, "end": pl.Int64}, orient="row")

    merged = merge_overlapping(frame).rows()

    for (key, start, end), (first, last) in zip(rows, merged, strict=True):
        assert first <= start < end <= last
        inside = [row for row in rows if row[0] == key and first <= row[1] < last]
        assert (first, last) == (min(row[1] for row in inside), max(row[2] for row in inside))
        # Each moment between two bounds is covered, so the window could not be two.
        for bound in {row[1] for row in inside} - {first}:
            assert any(row[1] < bound < row[2] for row in inside)
