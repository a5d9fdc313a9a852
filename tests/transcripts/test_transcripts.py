"""Runs the transcripts: `*.yaml` beside this file, whose header says how to read them."""

import ast
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import tidegate as tg
from tests.oracle.driver import World, many_tasks

DAY = "2026-01-05"
BEHIND = "1d"
MICROSECOND = 1_000_000

VALUES = {
    "sum": tg.sum("value"),
    "count": tg.count(),
    "min": tg.min("value"),
    "max": tg.max("value"),
    "mean": tg.mean("value"),
}
WORDS = {
    name: getattr(tg, name)
    for name in ("FixedWindows", "GlobalWindows", "AfterWatermark", "AfterCount", "Repeatedly")
}

Case = dict[str, Any]


def load() -> list[Case]:
    # BaseLoader makes nothing but texts, so that 12:05 stays a time.
    return [
        case | {"file": path.stem}
        for path in sorted(Path(__file__).parent.glob("*.yaml"))
        for case in yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506
    ]


def instance(text: str) -> Any:
    """A window or a trigger from the text that a user writes."""

    def build(node: ast.expr) -> Any:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = {each.arg: build(each.value) for each in node.keywords if each.arg}
            return WORDS[node.func.id](*map(build, node.args), **named)
        return ast.literal_eval(node)

    return build(ast.parse(text, mode="eval").body)


def micros(clock: str) -> int:
    """12:05:20, or with a day before it 2026-01-04T12:05:20."""
    text = clock if "T" in clock else f"{DAY}T{clock}"
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * MICROSECOND


def element(text: str) -> dict[str, Any]:
    """`5 @ 12:00:26`, or with a key `a=5 @ 12:00:26`."""
    what, when = text.split(" @ ")
    key, _, value = what.rpartition("=")
    return {"key": key, "value": int(value), "at": micros(when)}


def stream(case: Case) -> tg.Stream:
    events = (
        tg.read_json(
            "events",
            schema={"key": pl.String, "value": pl.Int64, "at": pl.Datetime("us")},
            event_time="at",
            watermark=tg.BoundedDelay(BEHIND, max_ahead="30d"),
        )
        # A mark that moves the watermark is a record without a value: it has an event time and nothing else.
        .filter(pl.col("value").is_not_null())
        .window(instance(case["window"]), allowed_lateness=case.get("lateness", "0s"))
    )
    if "trigger" in case:
        unsafe = case.get("allow_unsafe_trigger") == "true"
        events = events.trigger(instance(case["trigger"]), allow_unsafe_trigger=unsafe)
    accumulation = tg.ACCUMULATING if case.get("accumulation") == "accumulating" else tg.DISCARDING
    return events.accumulate(accumulation).group_by("key").agg(value=VALUES[case.get("value", "sum")])


def short(moment: str | None) -> str:
    """12:02 or 12:02:30, with the day before it if it is another one."""
    if moment is None:
        return ""
    clock = moment.removesuffix("Z").removeprefix(f"{DAY}T")
    return clock.removesuffix(":00") if clock.count(":") == 2 else clock


def pane(row: dict[str, Any], case: Case) -> str:
    """A pane as the transcripts write it."""
    parts = [row["key"]] if row["key"] else []
    start, end = row["window_start"], row["window_end"]
    parts.append(f"{short(start)}-{short(end)}" if start else "global")
    parts += [str(row["value"]).lower().replace("none", "null"), row["pane_timing"], str(row["pane_index"])]
    parts += ["last"] if row["pane_is_last"] else []
    parts += [f"@{short(row['emitted_at'])}"] if any("now" in step for step in case["steps"]) else []
    return " ".join(parts)


def play(
    world: World, step: dict[str, Any], files: Callable[[list[Any]], list[list[Any]]]
) -> list[dict[str, Any]]:
    """One epoch."""
    world.clock.moment = micros(step["now"]) if "now" in step else world.clock.moment
    rows = [element(text) for text in step.get("add", ())]
    if "watermark" in step:
        mark = micros(step["watermark"]) + 24 * 3_600 * MICROSECOND
        rows.append({"key": "", "value": None, "at": mark})
    if rows:
        world.upload(*files(rows))
    return world.run(close=step.get("drain") == "true")


CASES = load()


@pytest.mark.parametrize(
    "case", [each for each in CASES if "steps" in each], ids=lambda each: f"{each['file']}: {each['name']}"
)
def test_transcript(case: Case) -> None:
    usual = World(tg.Pipeline("transcript", stream(case).write_json("panes")), now=micros("12:00:00"))
    check(case, usual, lambda rows: [rows], lambda panes: panes)


@pytest.mark.parametrize(
    "case", [each for each in CASES if "steps" in each], ids=lambda each: f"{each['file']}: {each['name']}"
)
def test_transcript_in_a_hostile_setting(case: Case) -> None:
    """A file for each record, a task for each file, and every task done three times."""
    pipeline = tg.Pipeline("transcript", stream(case).write_json("panes"))
    world = World(pipeline, many_tasks(4), micros("12:00:00"), attempts=("one", "two", "three"))
    check(case, world, lambda rows: [[row] for row in rows], lambda panes: sorted(panes, key=str))


def check(
    case: Case,
    world: World,
    files: Callable[[list[Any]], list[list[Any]]],
    ordered: Callable[[list[Any]], list[Any]],
) -> None:
    for number, step in enumerate(case["steps"]):
        got = [pane(row, case) for row in play(world, step, files)]
        assert ordered(got) == ordered(step.get("expect", [])), f"step {number}"

    for counter in ("dropped_late", "dropped_closed"):
        assert world.totals.get(counter, 0) == int(case.get(counter, 0)), counter


@pytest.mark.parametrize(
    "case", [each for each in CASES if "refused" in each], ids=lambda each: f"{each['file']}: {each['name']}"
)
def test_refused(case: Case) -> None:
    with pytest.raises(tg.PipelineError) as error:
        stream(case)

    assert case["refused"] in str(error.value)


def test_every_case_is_one_of_both_kinds() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))
    assert all(("steps" in case) != ("refused" in case) for case in CASES)
    known = {"name", "file", "window", "trigger", "accumulation", "lateness", "value", "steps", "refused"}
    known |= {"allow_unsafe_trigger", "dropped_late", "dropped_closed"}
    assert not [name for case in CASES for name in case if name not in known]
    steps = [step for case in CASES for step in case.get("steps", ())]
    assert not [
        name for step in steps for name in step if name not in ("add", "watermark", "now", "drain", "expect")
    ]
