"""Rows of two frames that are equal in some columns, beside the same by hand."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tidegate.engine.pairs import matches, pairs

ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2)), max_size=8)
ON = ["k", "n"]


def frame(rows: list[tuple[str | None, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"k": pl.String, "n": pl.Int64}, orient="row")


@given(first=ROWS, second=ROWS)
def test_a_null_is_equal_to_a_null_and_rows_may_repeat(
    first: list[tuple[str | None, int]], second: list[tuple[str | None, int]]
) -> None:
    assert matches(frame(first), frame(second), ON).to_list() == [each in second for each in first]
    wanted = [(i, j) for i, one in enumerate(first) for j, other in enumerate(second) if one == other]
    assert sorted(zip(*pairs(frame(first), frame(second), ON), strict=True)) == wanted


def test_without_columns_all_rows_are_equal() -> None:
    some, none = frame([("a", 1), ("b", 2)]), frame([])
    assert matches(some, some, []).to_list() == [True, True]
    assert matches(some, none, []).to_list() == [False, False]
    assert matches(none, some, []).to_list() == []
