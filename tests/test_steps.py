"""Narrow steps: what an expression and a function mean is the same, and a bad row leaves alone."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tidegate.errors import PipelineError
from tidegate.expressions import finding, row_by_row
from tidegate.panes import PANE_COLUMNS, PANE_SCHEMA
from tidegate.steps import FilterExpression, NarrowStep, Select, WithColumns

Row = dict[str, Any]

SCHEMA = {"text": pl.String(), "n": pl.Int64(), "at": pl.Datetime("us")}


def rows(**columns: list[Any]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    return pl.DataFrame({"__line": range(1, height + 1)} | columns)


def with_columns(**named: pl.Expr) -> WithColumns:
    return WithColumns("step 1 (with_columns)", tuple(each.alias(name) for name, each in named.items()))


def rejected(step: NarrowStep, frame: pl.DataFrame) -> list[tuple[int, str]]:
    return [
        (line, reason)
        for each in step.apply(frame).rejected
        for line, reason in zip(each.rows["__line"], each.reasons, strict=True)
    ]


def stream(schema: dict[str, Any] | None = None) -> tg.Stream:
    return tg.read_json("x", schema=schema or SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"))


def panes() -> tg.Stream:
    return stream().window(tg.FixedWindows("2m")).group_by("text").agg(total=tg.sum("n"))


def steps(built: tg.Stream) -> tuple[NarrowStep, ...]:
    return built.steps


def through(built: tg.Stream, frame: pl.DataFrame) -> pl.DataFrame:
    for step in steps(built):
        frame = step.apply(frame).frame
    return frame


# Expressions


def test_with_columns_adds_and_replaces() -> None:
    built = stream().with_columns((pl.col("n") * 2).alias("n"), length=pl.col("text").str.len_chars())

    assert list(built.schema) == ["text", "n", "at", "length"]
    frame = rows(text=["a", "bc"], n=[1, 2], at=[None, None])
    assert through(built, frame).select("n", "length").rows() == [(2, 1), (4, 2)]


def test_select_keeps_what_it_names_and_the_hidden_columns() -> None:
    built = stream().select("n", upper=pl.col("text").str.to_uppercase())

    assert list(built.schema) == ["n", "upper"]
    assert through(built, rows(text=["a"], n=[1], at=[None])).rows(named=True) == [
        {"n": 1, "upper": "A", "__line": 1}
    ]


def test_select_may_swap_names() -> None:
    frame = rows(a=[1], b=[2])
    step = Select("s", (pl.col("a").alias("b"), pl.col("b").alias("a")))

    assert step.apply(frame).frame.select("a", "b").row(0) == (2, 1)


@pytest.mark.parametrize("height", [0, 1, 3])
def test_constants_are_stretched_to_the_rows(height: int) -> None:
    frame = rows(n=list(range(height)))

    for step in (with_columns(one=pl.lit(1)), Select("s", (pl.lit(1).alias("one"),))):
        frame_after = step.apply(frame).frame
        assert frame_after["one"].to_list() == [1] * height
        assert frame_after["__line"].to_list() == frame["__line"].to_list()


def test_filter_keeps_what_is_true_and_neither_false_nor_null() -> None:
    step = FilterExpression("f", pl.col("n") > 1)

    assert step.apply(rows(n=[1, 2, None])).frame["__line"].to_list() == [2]


def test_a_strict_cast_rejects_only_the_rows_that_it_fails_on() -> None:
    texts = ["1", "x", "3", "4", "five", None, "7"]
    step = with_columns(number=pl.col("text").cast(pl.Int64))
    outcome = step.apply(rows(text=texts))

    assert outcome.frame["number"].to_list() == [1, 3, 4, None, 7]
    assert [each.rows["text"].item() for each in outcome.rejected] == ["x", "five"]
    assert "conversion from `str` to `i64` failed" in outcome.rejected[0].reasons[0]


@given(st.lists(st.sampled_from(["1", "22", "x", ""]), max_size=20))
@settings(max_examples=30)
def test_every_row_is_kept_or_rejected_once_and_in_order(texts: list[str]) -> None:
    step = FilterExpression("f", pl.col("text").cast(pl.Int64) > 0)
    outcome = step.apply(
        rows(text=pl.Series(texts, dtype=pl.String).to_list() or []).cast({"text": pl.String})
    )

    good = [text for text in texts if text.isdigit()]
    bad = [text for text in texts if not text.isdigit()]
    assert outcome.frame["text"].to_list() == good
    assert [text for each in outcome.rejected for text in each.rows["text"]] == bad


def test_what_a_function_inside_of_an_expression_raises_rejects_the_row() -> None:
    def picky(value: int) -> int:
        if value == 2:
            raise ValueError("no two")
        return value

    step = with_columns(m=pl.col("n").map_elements(picky, return_dtype=pl.Int64))

    assert step.apply(rows(n=[1, 2, 3])).frame["m"].to_list() == [1, 3]
    ((line, reason),) = rejected(step, rows(n=[1, 2, 3]))
    assert line == 2
    assert "no two" in reason


# What is refused when the pipeline is built


@pytest.mark.parametrize(
    "expression",
    [
        pl.len(),
        pl.col("n").sum(),
        pl.col("n").first(),
        pl.col("n").cum_sum(),
        pl.col("n").shift(1),
        pl.col("n").rank(),
        pl.col("n").sort(),
        pl.col("n").reverse(),
        pl.col("n").unique(),
        pl.col("n").is_duplicated(),
        pl.col("n").forward_fill(),
        pl.col("n").sum().over("text"),
        pl.col("n").rolling_mean(2),
        pl.col("n").drop_nulls(),
        pl.col("n").filter(pl.col("n") > 1),
        pl.col("n").shuffle(seed=1),
        pl.int_range(pl.len()),
        pl.lit(pl.Series([1, 2])),
        # hidden deep inside of what is row by row
        pl.col("n") - pl.col("n").max(),
        pl.col("n") + pl.len(),
        pl.col("n").clip(0, pl.col("n").max()),
        pl.col("n").is_in(pl.col("n").implode()),
        pl.sum_horizontal("n", pl.col("n").mean()),
        pl.when(pl.col("n") > pl.col("n").mean()).then(1),
        pl.col("n").cum_sum() * 2 + 1,
    ],
    ids=str,
)
def test_an_expression_that_looks_at_other_rows(expression: pl.Expr) -> None:
    with pytest.raises(PipelineError, match=r"step 1 \(with_columns\): .*looks at other rows.* Use .window"):
        stream().with_columns(x=expression)


@pytest.mark.parametrize(
    "expression",
    [
        pl.lit(1),
        pl.lit(None),
        pl.col("n").is_in([1, 2]),
        pl.col("n").is_in(pl.Series([1, 2])),
        pl.col("n").replace({1: 2}),
        pl.coalesce("n", pl.lit(0)),
        pl.sum_horizontal("n", "n"),
        pl.struct("n", "text"),
        pl.format("{}-{}", "n", "text"),
        pl.concat_list("n", "n"),
        pl.when(pl.col("n") > 1).then(pl.lit("x")).otherwise(pl.col("text")),
        pl.col("at").dt.truncate("1h"),
        pl.col("text").str.split(","),
        pl.col("text").str.split(",").list.eval(pl.element().sort()),
        pl.col("text").str.split(",").list.first(),
        pl.col("text").str.to_datetime("%Y"),
    ],
    ids=str,
)
def test_an_expression_that_looks_at_its_own_row_only_is_taken(expression: pl.Expr) -> None:
    stream().with_columns(x=expression)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda s: s.select("nope"),
            r"step 1 \(select\): there is no column 'nope'\. The columns here are text \(String\), n",
        ),
        (
            lambda s: s.select(t=pl.col("txt") + "x"),
            r"no column 'txt'\. Did you mean 'text'\? The columns here",
        ),
        (lambda s: s.filter(pl.col("n") > pl.col("m")), r"there is no column 'm'"),
        (lambda s: s.select(pl.col("n", "tex")), r"there is no column 'tex'\. Did you mean 'text'"),
        (
            lambda s: s.filter(pl.col("n") + 1),
            r"step 1 \(filter\): .* gives Int64, not one Boolean\. Write",
        ),
        (lambda s: s.filter(pl.lit("x")), "gives String, not one Boolean"),
        (lambda s: s.with_columns(x=pl.col("text") * pl.col("at")), r"cannot work: .*The columns here are"),
        (lambda s: s.with_columns(x=pl.lit("x").cast(pl.Int64)), "conversion from `str` to `i64` failed"),
        (lambda s: s.with_columns(__x=pl.lit(1)), "the name __x begins with __. Such names are the system's"),
        (lambda s: s.with_columns(x=3), r"step 1 \(with_columns\): 3 does not fit here\. Give an expression"),
        (lambda s: s.select(3), r"step 1 \(select\): 3 does not fit here"),
        (lambda s: s.select("n", n=pl.col("at")), r"step 1 \(select\): the name n is given twice"),
        (lambda s: s.with_columns(pl.lit(1).alias("x"), x=pl.lit(2)), "the name x is given twice"),
        (lambda s: s.select(pl.all()), "stands for several columns. Write each column by its name"),
        (lambda s: s.select(pl.col("n", "text")), "stands for several columns"),
        (lambda s: s.select("n").filter(pl.col("text") == "a"), r"step 2 \(filter\): there is no column"),
        (lambda s: s.map(3), r"step 1 \(map\): 3 cannot be called\. Give a function of one row\."),
        (lambda s: s.map(dict, schema={}), "the schema is empty"),
        (lambda s: s.map(dict, schema={"__x": pl.Int64}), "the column name '__x' cannot be used"),
        (lambda s: s.map(dict, schema={3: pl.Int64}), "the column name 3 cannot be used"),
        (
            lambda s: s.map(dict, schema=[("x", pl.Int64)]),
            r"step 1 \(map\): the schema is a list\. Give the columns with their types, such as {'score'",
        ),
        (lambda s: s.map(dict, schema={"x": int}), r"x has the type int\. Give pl\.Int64\."),
        (lambda s: s.map(dict, schema={"x": str}), r"x has the type str\. Give pl\.String\."),
        (lambda s: s.map(dict, schema={"x": float}), r"x has the type float\. Give pl\.Float64\."),
        (lambda s: s.map(dict, schema={"x": bool}), r"x has the type bool\. Give pl\.Boolean\."),
        (lambda s: s.map(dict, schema={"x": datetime}), r"the type datetime\. Give pl\.Datetime\('us'\)\."),
        (lambda s: s.map(dict, schema={"x": Path}), r"x has the type Path\. Give a Polars type, such as"),
        (lambda s: s.map(dict, schema={"x": "int"}), r"x has the type 'int'\. Give a Polars type, such as"),
        (
            lambda s: s.map(dict, schema={"x": pl.List}),
            r"x has the type List, .* as in pl\.List\(pl\.Int64\)",
        ),
    ],
)
def test_other_mistakes_name_the_step_and_the_mend(build: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build(stream())


# Behind the grouping


def pane_frame() -> pl.DataFrame:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "text": ["a"],
            "window_start": [moment],
            "window_end": [moment],
            "total": [3],
            "pane_timing": ["early"],
            "pane_index": [0],
            "pane_is_last": [False],
            "op": ["insert"],
            "emitted_at": [moment],
        },
        schema={"text": pl.String, "total": pl.Int64} | PANE_SCHEMA,
    )


@pytest.mark.parametrize(
    "step",
    [
        lambda s: s.select("text"),
        lambda s: s.select("text", "window_start", "pane_index"),
        lambda s: s.select(day=pl.col("window_start").dt.date()),
        lambda s: s.with_columns(double=pl.col("total") * 2),
        lambda s: s.map(lambda row: {"text": row["text"]}, schema={"text": pl.String}),
        lambda s: s.map(lambda row: row | {"pane_index": 9, "op": "nonsense"}),
        lambda s: s.filter(lambda row: row["pane_timing"] == "early"),
    ],
)
def test_the_panes_own_columns_stay_with_it(step: Any) -> None:
    built = step(panes())
    after = through(built, pane_frame())

    assert set(PANE_COLUMNS) < set(after.columns)
    assert after.select(PANE_COLUMNS).equals(pane_frame().select(PANE_COLUMNS))
    assert set(built.schema) == set(after.columns)


def test_they_cannot_be_replaced() -> None:
    for build in (
        lambda: panes().with_columns(op=pl.lit("x")),
        lambda: panes().select("text", pane_index=pl.lit(1)),
        lambda: panes().select(pl.col("window_end").alias("window_start")),
    ):
        with pytest.raises(PipelineError, match="belongs to the pane and cannot be replaced"):
            build()


def test_so_many_failing_rows_are_found_and_then_whole_parts_are_rejected() -> None:
    """[0 .. 63] fails but for the last row: two are found alone, and no row is lost on the way."""
    frame = pl.DataFrame({"text": [*(["x"] * 63), "1"]})
    with finding(2):
        outcome = row_by_row(frame, lambda part: part.with_columns(pl.col("text").cast(pl.Int64)))

    assert [each.rows.height for each in outcome.rejected[:2]] == [1, 1]
    assert all("not tried by itself" in each.reasons[0] for each in outcome.rejected[2:])
    assert outcome.frame.height + sum(each.rows.height for each in outcome.rejected) == 64
    assert all(len(each.reasons) == each.rows.height for each in outcome.rejected)
