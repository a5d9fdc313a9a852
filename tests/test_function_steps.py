"""Python functions as steps: what they may return, and what becomes of rows that they fail on."""

import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_steps import SCHEMA, rejected, rows, steps, stream, through
from tidegate.function_steps import FilterFunction, FlatMap

Row = dict[str, Any]


def test_map_flat_map_and_filter_call_the_function_for_each_row() -> None:
    built = (
        stream()
        .map(lambda row: row | {"n": row["n"] * 2})
        .flat_map(lambda row: [row] * row["n"])
        .filter(lambda row: row["text"] != "c")
    )

    frame = rows(text=["a", "b", "c"], n=[0, 1, 2], at=[None] * 3).cast({"at": pl.Datetime("us")})
    assert through(built, frame).select("text", "n", "__line").rows() == [("b", 2, 2), ("b", 2, 2)]


@given(
    st.lists(st.tuples(st.none() | st.text("ab1", max_size=2), st.none() | st.integers(-3, 3)), max_size=8)
)
@settings(max_examples=40)
def test_a_function_and_an_expression_mean_the_same(data: list[tuple[str | None, int | None]]) -> None:
    frame = pl.DataFrame(
        [(text, n, None, line) for line, (text, n) in enumerate(data)],
        schema=SCHEMA | {"__line": pl.Int64()},
        orient="row",
    )
    double = {"double": pl.Int64}
    expressions = (
        stream().filter(pl.col("n") > 0).with_columns(double=pl.col("n") * 2).select("text", "double")
    )
    functions = (
        stream()
        .filter(lambda row: row["n"] is not None and row["n"] > 0)
        .map(lambda row: {"text": row["text"], "double": row["n"] * 2}, schema={"text": pl.String} | double)
    )

    assert through(expressions, frame).equals(through(functions, frame))
    assert expressions.schema == functions.schema


def test_a_row_that_a_function_raises_on_is_rejected_alone_with_the_reason() -> None:
    def invert(row: Row) -> Row:
        return {"n": 12 // row["n"]}

    step = steps(stream().map(invert, schema={"n": pl.Int64}))[0]
    frame = rows(n=[3, 0, 4])

    assert step.apply(frame).frame.rows() == [(4, 1), (3, 3)]
    ((line, reason),) = rejected(step, frame)
    assert line == 2
    assert reason.startswith("step 1 (map): ")
    assert reason.endswith("invert raised ZeroDivisionError: integer division or modulo by zero")


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, "raised TypeError: returned NoneType and not a dict"),
        ([1], "raised TypeError: returned list and not a dict"),
        ({"n": "x"}, "n is a str, which is no Int64"),
        ({"n": 1.5}, "n is a float, which is no Int64"),
        ({"n": 2**70}, "n is a int, which is no Int64"),
        ({"m": 1}, "returned the undeclared column 'm'; declare it in schema="),
    ],
)
def test_a_row_that_a_function_gives_in_a_wrong_form_is_rejected_alone(returned: Any, reason: str) -> None:
    step = steps(stream().map(lambda row: returned if row["n"] == 2 else {"n": 7}, schema={"n": pl.Int64}))[0]
    frame = rows(n=[1, 2, 3])

    assert step.apply(frame).frame.rows() == [(7, 1), (7, 3)]
    ((line, why),) = rejected(step, frame)
    assert line == 2
    assert reason in why


def test_all_the_rows_of_one_row_are_rejected_with_it() -> None:
    step = steps(stream().flat_map(lambda row: [{"n": 1}, {"n": row["n"]}], schema={"n": pl.Int8}))[0]

    outcome = step.apply(rows(n=[1, 300, 2]))
    assert outcome.frame.rows() == [(1, 1), (1, 1), (1, 3), (2, 3)]
    assert [each.rows["__line"].to_list() for each in outcome.rejected] == [[2]]


def test_a_missing_column_is_null_and_a_generator_may_fail_half_way() -> None:
    def halfway(row: Row) -> Any:
        yield {}
        if row["n"] == 2:
            raise RuntimeError("stop")

    step = steps(stream().flat_map(halfway, schema={"n": pl.Int64}))[0]

    assert step.apply(rows(n=[1, 2])).frame.rows() == [(None, 1)]


def test_a_forgotten_column_is_no_null_where_the_columns_stay_the_same() -> None:
    step = steps(stream().map(lambda row: {name: row[name] for name in list(row)[1:]}))[0]

    (rejected,) = step.apply(rows(n=[1])).rejected
    assert "returned no 'n'" in rejected.reasons[0]


def test_a_function_that_exits_rejects_its_row() -> None:
    step = steps(stream().filter(lambda row: sys.exit(3)))[0]

    (rejected,) = step.apply(rows(n=[1])).rejected
    assert "raised SystemExit: 3" in rejected.reasons[0]


POOL: list[Any] = [
    None,
    True,
    1,
    -1,
    300,
    2**70,
    2.0,
    2.5,
    float("inf"),
    "a",
    "x",
    b"x",
    Decimal("1.25"),
    Decimal("1.255"),
    date(2020, 1, 1),
    time(1),
    datetime(2020, 1, 1),  # noqa: DTZ001
    datetime(2020, 1, 1, tzinfo=UTC),
    [1],
    ["x"],
    {"a": 1},
    {"a": "x"},
]
DTYPES = [
    pl.Int64(),
    pl.UInt8(),
    pl.Float64(),
    pl.Boolean(),
    pl.String(),
    pl.Decimal(10, 2),
    pl.Date(),
    pl.Time(),
    pl.Datetime("us"),
    pl.Datetime("ms", "UTC"),
    pl.Binary(),
    pl.List(pl.Int64()),
    pl.Struct({"a": pl.Int64()}),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=4))
@settings(max_examples=40)
def test_whether_a_value_fits_does_not_depend_on_its_neighbours(dtype: pl.DataType, picks: list[int]) -> None:
    step = FlatMap("s", "map", lambda row: ({"x": POOL[row["n"]]},), {"x": dtype}, dict)

    together = step.apply(rows(n=picks))
    alone = [step.apply(rows(n=[pick])) for pick in picks]

    assert together.frame.schema["x"] == dtype
    assert together.frame["x"].equals(pl.concat([each.frame["x"] for each in alone]))
    assert sum(each.rows.height for each in together.rejected) == sum(bool(each.rejected) for each in alone)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_a_function_lets_pass_comes_out_as_it_was(dtype: pl.DataType) -> None:
    # A whole number as a Time is nanoseconds, and Python's own times have none.
    skipped = (int,) if dtype == pl.Time() else ()
    fitting = [value for value in POOL if not isinstance(value, skipped) and not _rejects(dtype, value)]
    frame = rows(x=pl.concat([pl.Series("x", [value], dtype=dtype, strict=True) for value in fitting]))
    for step in (FlatMap("s", "map", lambda row: (row,), None, dict), FilterFunction("s", lambda row: True)):
        assert step.apply(frame).frame.select(frame.columns).equals(frame)


def test_a_filter_keeps_what_a_row_of_python_values_cannot_hold() -> None:
    frame = rows(at=pl.Series([1_234_567_891], dtype=pl.Datetime("ns")))

    assert FilterFunction("s", lambda row: True).apply(frame).frame.equals(frame)


def _rejects(dtype: pl.DataType, value: Any) -> bool:
    step = FlatMap("s", "map", lambda row: ({"x": value},), {"x": dtype}, dict)
    return bool(step.apply(rows(n=[0])).rejected)


def test_a_function_is_known_by_its_modules_last_part_and_its_name() -> None:
    def named(row: Row) -> Row:
        return row

    assert steps(stream().map(named))[0].describe().startswith("map(test_function_steps.")
    assert "named" in steps(stream().map(named))[0].describe()
    for function in (str.strip, "".join, {1}.__contains__, partial(named), dict):
        assert steps(stream().map(function))[0].describe().startswith("map(")
