"""Aggregates by Python functions, through the real tasks: what they give, and what their errors become."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.oracle.driver import World, many_tasks
from tidegate.pipeline import GroupedStream
from tidegate.plan import compile_plan

Row = dict[str, Any]
SCHEMA = {"k": pl.String, "v": pl.Int64, "s": pl.String, "at": pl.Datetime("us")}


def grouped(schema: Any = None) -> GroupedStream:
    events = tg.read_json("events", schema=schema or SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"))
    return events.window(tg.FixedWindows("10s")).accumulate(tg.ACCUMULATING).group_by("k")


def world(panes: tg.Stream, **settings: Any) -> World:
    return World(tg.Pipeline("p", panes.write_json("out")), now=1_750_000_000_000_000, **settings)


def row(v: int | None, s: str = "", k: str = "a", at: int = 0) -> Row:
    return {"k": k, "v": v, "s": s, "at": at}


def longer(a: str, b: str) -> str:
    return max(a, b, key=lambda text: (len(text), text))


class Product(tg.CombineFn):
    """The product of whole numbers that are not 0."""

    accumulator = output = pl.Int64

    def create_accumulator(self) -> int:
        return 1

    def add_input(self, accumulator: int, value: int) -> int:
        if value == 0:
            raise ValueError("zero")
        return accumulator * value

    def merge_accumulators(self, accumulators: Iterable[int]) -> int:
        return math.prod(accumulators)

    def extract_output(self, accumulator: int) -> int:
        if accumulator == 13:
            raise LookupError("thirteen")
        return accumulator


@pytest.mark.parametrize("settings", [{}, {"limits": many_tasks(3)}], ids=["one task", "many tasks"])
def test_reduce_gives_one_value_of_all_tasks_and_epochs(settings: Any) -> None:
    here = world(grouped().agg(word=tg.reduce("s", longer), number=tg.count()), **settings)

    panes = here.run([[[row(1, "bb"), row(2, "a")], [row(3, "ccc", k="b")]], [[row(4, "dd")]]], close=True)
    last = {pane["k"]: (pane["word"], pane["number"]) for pane in panes}
    assert last == {"a": ("dd", 3), "b": ("ccc", 1)}


def test_reduce_of_whole_rows_keeps_the_columns_beside_the_keys() -> None:
    def newest(a: Row, b: Row) -> Row:
        assert set(a) == {"v", "s", "at"}
        return max(a, b, key=lambda each: each["at"])

    panes = grouped().reduce(newest)
    assert list(panes.schema)[:6] == ["k", "window_start", "window_end", "v", "s", "at"]
    here = world(panes, limits=many_tasks(3))
    here.upload([row(1, "old", at=1), row(2, "new", at=3)], [row(3, "middle", at=2), row(None, "b", k="b")])
    found = {pane["k"]: (pane["v"], pane["s"]) for pane in here.run(close=True)}
    assert found == {"a": (2, "new"), "b": (None, "b")}


def test_combine_of_whole_rows_gives_the_columns_of_its_output() -> None:
    class Widest(tg.CombineFn):
        accumulator = pl.Struct({"low": pl.Int64, "high": pl.Int64})
        output = pl.Struct({"low": pl.Int64, "width": pl.Int64})

        def create_accumulator(self) -> None:
            return None

        def add_input(self, accumulator: Row | None, value: Row) -> Row:
            new = {"low": value["v"], "high": value["v"]}
            return new if accumulator is None else self.merge_accumulators([accumulator, new])

        def merge_accumulators(self, accumulators: Iterable[Row]) -> Row:
            given = list(accumulators)
            return {"low": min(a["low"] for a in given), "high": max(a["high"] for a in given)}

        def extract_output(self, accumulator: Row | None) -> Row | None:
            return accumulator and {
                "low": accumulator["low"],
                "width": accumulator["high"] - accumulator["low"],
            }

    here = world(grouped().combine(Widest()))
    here.upload([row(7), row(3)], [row(12)])
    (pane,) = here.run(close=True)
    assert (pane["low"], pane["width"]) == (3, 9)


def test_an_input_that_cannot_be_added_is_a_dead_letter_by_itself() -> None:
    here = world(grouped().agg(product=tg.combine("v", Product()), number=tg.count()))
    here.upload([row(3), row(0), row(None), row(5)])

    (pane,) = here.run(close=True)
    assert (pane["product"], pane["number"]) == (15, 3)
    (letter,) = here.dead_letters()
    assert (letter["line"], letter["reason"]) == (
        2,
        "agg(product=combine(...)): Product.add_input raised ValueError: zero",
    )


def test_a_value_that_cannot_be_read_makes_its_pane_alone_a_dead_letter() -> None:
    here = world(grouped().agg(product=tg.combine("v", Product())))
    here.upload([row(13), row(2, k="b")])

    assert [pane["k"] for pane in here.run(close=True)] == ["b"]
    (letter,) = here.dead_letters()
    assert letter["reason"] == "agg(product=combine(...)): Product raised LookupError: thirteen"
    assert '"k":"a"' in letter["text"]


@pytest.mark.parametrize("settings", [{}, {"limits": many_tasks(3)}], ids=["one task", "many tasks"])
def test_where_a_function_of_two_raises_the_pane_of_that_key_is_a_dead_letter(settings: Any) -> None:
    def picky(a: int, b: int) -> int:
        if 0 in (a, b):
            raise ZeroDivisionError("nothing goes")
        return a * b

    here = world(grouped().agg(product=tg.reduce("v", picky)), **settings)
    here.upload([row(3), row(2, k="b")], [row(0)], [row(5), row(7, k="b")])

    assert [(pane["k"], pane["product"]) for pane in here.run(close=True)] == [("b", 14)]
    (letter,) = here.dead_letters()
    assert letter["reason"].endswith(
        "agg(product=reduce(...)): test_where_a_function_of_two_raises_the_pane_of_that_key_is_a_dead_letter"
        ".<locals>.picky raised ZeroDivisionError: nothing goes"
    )


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda a, b: "text", "value is a str, which is no Int64"),
        (lambda a, b: a / b, "value is a float, which is no Int64"),
    ],
)
def test_a_function_that_returns_another_type_is_told(function: Any, reason: str) -> None:
    here = world(grouped().agg(x=tg.reduce("v", function)))
    here.upload([row(3), row(5), row(1, k="b")])

    assert [(pane["k"], pane["x"]) for pane in here.run(close=True)] == [("b", 1)]
    (letter,) = here.dead_letters()
    assert f"returned what does not fit: {reason}" in letter["reason"]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda a, b: {"v": 1}, "it returned the columns"),
        (lambda a, b: a["v"], "it returned int and not a dict"),
    ],
)
def test_a_function_of_rows_must_return_all_columns_of_a_row(function: Any, reason: str) -> None:
    here = world(grouped().reduce(function))
    here.upload([row(3), row(5)])

    assert here.run(close=True) == []
    assert reason in here.dead_letters()[0]["reason"]


def test_nulls_are_no_values_and_nothing_gives_null_or_the_empty_output() -> None:
    aggregates = {"reduced": tg.reduce("v", max), "combined": tg.combine("v", Product())}
    here = world(grouped().agg(**aggregates))
    here.upload([row(None), row(None)])

    (pane,) = here.run(close=True)
    assert (pane["reduced"], pane["combined"]) == (None, 1)


def test_accumulators_hold_what_python_values_hold() -> None:
    here = world(
        grouped(SCHEMA | {"when": pl.Datetime("us", "UTC")}).agg(
            latest=tg.reduce("when", max),
            joined=tg.reduce(pl.concat_list("v"), lambda a, b: sorted(a + b)),
        )
    )
    here.upload(
        [row(3) | {"when": "2020-01-01T00:00:00Z"}, row(1) | {"when": None}],
        [row(2) | {"when": "2021-01-01T00:00:00Z"}],
    )
    (pane,) = here.run(close=True)
    assert pane["joined"] == [1, 2, 3]
    assert datetime.fromisoformat(pane["latest"]) == datetime(2021, 1, 1, tzinfo=UTC)


def test_panes_that_are_taken_back_are_taken_out_of_what_functions_gave() -> None:
    class Total(Product):
        def create_accumulator(self) -> int:
            return 0

        def add_input(self, accumulator: int, value: int) -> int:
            return accumulator + value

        def merge_accumulators(self, accumulators: Iterable[int]) -> int:
            return sum(accumulators)

        def retract_input(self, accumulator: int, value: int) -> int:
            return accumulator - value

    first = grouped().stream.window(tg.FixedWindows("10s"), allowed_lateness="1h")
    totals = first.accumulate(tg.ACCUMULATING_AND_RETRACTING).group_by("k").agg(total=tg.sum("v"))
    windowed = totals.window(tg.FixedWindows("20s"), allowed_lateness="1h").accumulate(tg.ACCUMULATING)
    here = world(
        windowed.group_by().agg(
            added=tg.combine("total", Total()),
            kept=tg.combine("total", Product()),
            largest=tg.reduce("total", max),
        )
    )
    later = {"k": "z", "v": 1, "s": "", "at": 60_000_000}
    panes = here.run([[[row(2), row(3, k="b")]], [[later]], [[row(5)]]], close=True)

    (last,) = [pane for pane in panes if pane["window_start"].startswith("1970-01-01T00:00:00")][-1:]
    assert (last["added"], last["kept"], last["largest"]) == (10, 21, 7)


def test_the_plan_knows_that_python_is_called_and_by_which_function() -> None:
    def plan(panes: tg.Stream) -> Any:
        return compile_plan(tg.Pipeline("p", panes.write_json("out")))

    assert not plan(grouped().agg(n=tg.sum("v"), q=tg.quantile("v", 0.5))).calls_python
    for panes in (grouped().agg(n=tg.reduce("v", max)), grouped().agg(n=tg.combine("v", Product()))):
        assert plan(panes).calls_python
    assert 'reduce(col("s"), test_function_aggregates.longer)' in "\n".join(
        plan(grouped().agg(word=tg.reduce("s", longer))).meaning()
    )
    assert "test_function_aggregates.Product: Int64 -> Int64" in "\n".join(
        plan(grouped().agg(n=tg.combine("v", Product()))).meaning()
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: grouped().combine(Product()),
            r"combine\(...\): its output is a Int64, and columns are needed",
        ),
        (lambda: grouped().agg(n=tg.combine("v", Product)), "is no CombineFn. Give an instance"),
        (
            lambda: (
                grouped({"k": pl.String, "at": pl.Datetime})
                .stream.select("k")
                .window(tg.FixedWindows("1s"))
                .group_by("k")
                .reduce(max)
            ),
            "there is no column but the keys",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build: Any, message: str) -> None:
    with pytest.raises(tg.PipelineError, match=message):
        build()
