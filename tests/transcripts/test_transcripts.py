"""Runs the transcripts, with the engine and with the naive implementation."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.oracle.built import PaneSink
from tests.oracle.driver import World, many_tasks
from tests.transcripts.naive import WORDS as NAIVE_WORDS
from tests.transcripts.naive import Player
from tests.transcripts.page import PAGE, page
from tests.transcripts.transcript import (
    Case,
    element,
    instance,
    load,
    micros,
    pane,
    sources,
    watermarks,
)
from tidegate.accumulation import Accumulation
from tidegate.pipeline import Output

BEHIND = 1_000 * 86_400_000_000

VALUES = {
    "sum": tg.sum("value"),
    "count": tg.count(),
    "min": tg.min("value"),
    "max": tg.max("value"),
    "mean": tg.mean("value"),
}
WORDS = {name: getattr(tg, name) for name in NAIVE_WORDS}
ACCUMULATIONS = {each.value: each for each in Accumulation}


def stream(case: Case) -> tg.Stream:
    timestamp = {"timestamp": case["timestamp"]} if "timestamp" in case else {}
    streams = [
        tg.read_json(
            prefix,
            schema={"key": pl.String, "value": pl.Int64, "at": pl.Datetime("us")},
            event_time="at",
            watermark=tg.BoundedDelay(f"{BEHIND}us", max_ahead="3000d"),
        )
        for prefix in sources(case)
    ]
    events = (
        (tg.union(*streams) if len(streams) > 1 else streams[0])
        # A mark that moves the watermark is a record without a value: it has an event time and nothing else.
        .filter(pl.col("value").is_not_null())
        .window(instance(case["window"], WORDS), allowed_lateness=case.get("lateness", "0s"), **timestamp)
    )
    if "trigger" in case:
        unsafe = case.get("allow_unsafe_trigger") == "true"
        events = events.trigger(instance(case["trigger"], WORDS), allow_unsafe_trigger=unsafe)
    accumulation = ACCUMULATIONS[case.get("accumulation", "discarding")]
    return events.accumulate(accumulation).group_by("key").agg(value=VALUES[case.get("value", "sum")])


def pipeline(case: Case) -> tg.Pipeline:
    return tg.Pipeline("transcript", Output(stream(case), PaneSink("json", "panes")))


def play(
    world: World, case: Case, step: dict[str, Any], files: Callable[[list[Any]], list[list[Any]]]
) -> list[dict[str, Any]]:
    """One epoch; of several sources the elements are dealt out."""
    world.clock.moment = micros(step["now"]) if "now" in step else world.clock.moment
    rows: list[dict[str, Any]] = [
        {"key": key, "value": value, "at": at} for key, value, at in map(element, step.get("add", ()))
    ]
    names, moved = sources(case), watermarks(step, case)
    for number, name in enumerate(names):
        own = rows[number :: len(names)]
        if name in moved:
            own.append({"key": "", "value": None, "at": moved[name] + BEHIND})
        if own:
            world.upload(*files(own), source=number)
    return world.run(close=step.get("drain") == "true")


CASES = load()
PLAYED = pytest.mark.parametrize(
    "case", [each for each in CASES if "steps" in each], ids=lambda each: f"{each['file']}: {each['name']}"
)


@PLAYED
def test_transcript(case: Case) -> None:
    usual = World(pipeline(case), now=micros("12:00:00"))
    check(case, usual, lambda rows: [rows], lambda panes: panes)


@PLAYED
def test_transcript_in_a_hostile_setting(case: Case) -> None:
    """A file for each record, a task for each file, and every task done three times."""
    world = World(pipeline(case), many_tasks(4), micros("12:00:00"), attempts=("one", "two", "three"))
    check(case, world, lambda rows: [[row] for row in rows], lambda panes: sorted(panes, key=str))


def check(
    case: Case,
    world: World,
    files: Callable[[list[Any]], list[list[Any]]],
    ordered: Callable[[list[Any]], list[Any]],
) -> None:
    for number, step in enumerate(case["steps"]):
        got = [pane(row, case) for row in play(world, case, step, files)]
        assert ordered(got) == ordered(step.get("expect", [])), f"step {number}"

    for counter in ("dropped_late", "dropped_closed"):
        assert world.totals.get(counter, 0) == int(case.get(counter, 0)), counter


@PLAYED
def test_transcript_of_the_naive_implementation(case: Case) -> None:
    player = Player(case)

    for number, step in enumerate(case["steps"]):
        assert sorted(player.step(step)) == sorted(step.get("expect", [])), f"step {number}"

    for counter in ("dropped_late", "dropped_closed"):
        assert player.groups.counts.get(counter, 0) == int(case.get(counter, 0)), counter


@pytest.mark.parametrize(
    "case", [each for each in CASES if "refused" in each], ids=lambda each: f"{each['file']}: {each['name']}"
)
def test_refused(case: Case) -> None:
    with pytest.raises(tg.PipelineError) as error:
        stream(case)

    assert case["refused"] in str(error.value)


def test_the_page_of_the_docs_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.transcripts.page"


def test_every_case_is_one_of_both_kinds() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))
    assert all(("steps" in case) != ("refused" in case) for case in CASES)
    known = {"name", "file", "window", "trigger", "accumulation", "lateness", "value", "steps", "refused"}
    known |= {"allow_unsafe_trigger", "dropped_late", "dropped_closed", "timestamp", "sources"}
    assert not [name for case in CASES for name in case if name not in known]
    steps = [step for case in CASES for step in case.get("steps", ())]
    assert not [
        name for step in steps for name in step if name not in ("add", "watermark", "now", "drain", "expect")
    ]
