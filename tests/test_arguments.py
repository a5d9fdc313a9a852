"""A call that leaves an argument out is refused as other mistakes are: with what is missing."""

from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.arguments import called_as, takes

SCHEMA: dict[str, Any] = {"k": pl.String, "v": pl.Int64, "at": pl.Datetime("us")}
READERS: list[Any] = [tg.read_json, tg.read_csv, tg.read_parquet]
WATERMARK = tg.BoundedDelay("10s")


def grouped() -> Any:
    events = tg.read_json("events", schema=SCHEMA, event_time="at", watermark=WATERMARK)
    return events.window(tg.FixedWindows("1m")).group_by("k")


@pytest.mark.parametrize("read", READERS, ids=lambda each: each.__name__)
def test_a_source_without_a_watermark_is_refused_with_a_watermark(read: Any) -> None:
    example = rf"Call it as tg\.{read.__name__}\('scores', .*watermark=tg\.BoundedDelay\('10s'\)\)\."
    with pytest.raises(tg.PipelineError, match=rf"{read.__name__}: watermark is missing\. {example}"):
        read("events", schema=SCHEMA, event_time="at")


@pytest.mark.parametrize("read", READERS, ids=lambda each: each.__name__)
def test_the_example_can_be_called(read: Any) -> None:
    with pytest.raises(tg.PipelineError) as error:
        read("events")
    call = error.value.mend.removeprefix("Call it as ").removesuffix(".")
    assert call.startswith(f"tg.{read.__name__}(")
    arguments: dict[str, Any] = {
        "schema": {"team": pl.String, "at": pl.Datetime("ms")},
        "event_time": "at",
        "watermark": WATERMARK,
    }
    assert all(f"{name}=" in call for name in arguments)
    read("scores", **arguments)


def test_all_that_is_missing_is_named() -> None:
    with pytest.raises(tg.PipelineError, match="schema and event_time and watermark are missing"):
        READERS[0]("events")


def test_a_name_that_is_misspelt_and_one_argument_too_many_are_refused() -> None:
    with pytest.raises(tg.PipelineError, match=r"unexpected keyword argument 'watermarks'\. Call it as"):
        READERS[0]("events", schema=SCHEMA, event_time="at", watermarks=WATERMARK)
    with pytest.raises(tg.PipelineError, match=r"too many positional arguments\. Call it as"):
        READERS[0]("events", SCHEMA, "at", WATERMARK)


@pytest.mark.parametrize("event_time", [None, 3])
def test_an_event_time_that_is_no_column_is_refused(event_time: Any) -> None:
    with pytest.raises(tg.PipelineError, match=rf"event_time: {event_time} is no column. Give the name"):
        tg.read_json("events", schema=SCHEMA, event_time=event_time, watermark=WATERMARK)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda reduce: reduce(max), r"reduce: function is missing. Call it as tg.reduce\('score', max\)"),
        (lambda reduce: reduce(max, "v"), "max> is no column. Give a column's name or an expression first"),
        (lambda reduce: reduce(function=max), "reduce: column is missing"),
        (lambda reduce: reduce("v", lambda one: one), "cannot be called with two values. Give a function"),
        (lambda reduce: reduce("v", lambda a, b, c: a), "cannot be called with two values"),
        (lambda reduce: grouped().reduce(), r"reduce: function is missing. Call it as group_by\('user'\)"),
        (lambda reduce: grouped().reduce(lambda one: one), "cannot be called with two values"),
        (lambda reduce: tg.combine("v"), "combine: combine_fn is missing"),  # type: ignore[call-arg]
        (lambda reduce: tg.combine(len, "v"), "is no column. Give a column's name"),  # type: ignore[arg-type]
        (lambda reduce: grouped().combine(), "combine: combine_fn is missing"),
    ],
    ids=range(10),
)
def test_functions_that_are_given_otherwise_are_refused(make: Any, message: str) -> None:
    with pytest.raises(tg.PipelineError, match=message):
        make(tg.reduce)


@pytest.mark.parametrize("function", [max, lambda a, b: a, lambda *all_: all_, lambda a, b=1, c=2: a])
def test_functions_of_two_values_are_taken(function: Any) -> None:
    assert takes(function, 2)
    grouped().agg(x=tg.reduce("v", function))


def test_a_type_error_within_a_step_stays_what_it_is() -> None:
    @called_as("half(4)")
    def half(number: Any) -> Any:
        return number / 2

    assert half(4) == 2
    with pytest.raises(TypeError, match="unsupported operand"):
        half("4")
