"""The plan: stages, its text for people, and the fingerprint that guards the state."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.errors import IncompatiblePipeline
from tidegate.plan import Dependency, Plan, compile_plan

SCHEMA: dict[str, Any] = {"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")}


def shout(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"team": row["team"].upper()}


def whisper(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"team": row["team"].lower()}


def plan(
    *,
    name: str = "p",
    prefix: str = "scores",
    out: str = "totals",
    schema: dict[str, Any] = SCHEMA,
    watermark: tg.BoundedDelay | None = None,
    steps: Callable[[tg.Stream], tg.Stream] = lambda stream: stream.filter(pl.col("score") > 0),
    window: Any = None,
    lateness: str = "1h",
    trigger: Any = None,
    accumulation: Any = tg.ACCUMULATING,
    key: Any = "team",
    after: Callable[[tg.Stream], tg.Stream] = lambda stream: stream.map(shout),
    write: str = "write_json",
    **aggregates: Any,
) -> Plan:
    """A plan of which everything can be changed."""
    stream = steps(
        tg.read_json(prefix, schema=schema, event_time="at", watermark=watermark or tg.BoundedDelay("10s"))
    )
    panes = (
        stream.window(window or tg.FixedWindows("2m"), allowed_lateness=lateness)
        .trigger(trigger or tg.AfterWatermark(late=tg.AfterCount(1)))
        .accumulate(accumulation)
        .group_by(key)
        .agg(**(aggregates or {"total": tg.sum("score")}))
    )
    return compile_plan(tg.Pipeline(name, getattr(after(panes), write)(out)))


def test_narrow_steps_fuse_and_a_grouping_cuts() -> None:
    grouped = plan()

    assert [(stage.name, stage.dependency) for stage in grouped.stages] == [
        ("map", Dependency.NARROW),
        ("reduce", Dependency.WIDE),
    ]
    assert [len(stage.steps) for stage in grouped.stages] == [1, 1]
    assert grouped.map.combine is grouped.grouping is grouped.reduces[0].reduce
    assert grouped.outline().shuffles == 1


def test_without_a_grouping_there_is_one_stage() -> None:
    stream = tg.read_json("x", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"))
    narrow = compile_plan(
        tg.Pipeline("p", stream.filter(pl.col("score") > 0).select("team").write_json("out"))
    )

    assert [stage.name for stage in narrow.stages] == ["map"]
    assert narrow.reduces == ()
    assert narrow.grouping is None
    assert narrow.outline().shuffles == 0


def test_each_grouping_cuts() -> None:
    def by_hour(panes: tg.Stream) -> tg.Stream:
        hours = panes.filter(pl.col("window_end").is_not_null()).window(tg.FixedWindows("1h"))
        return hours.group_by(hour=pl.col("window_start").dt.hour()).agg(panes=tg.count()).select("hour")

    twice = plan(after=by_hour, accumulation=tg.DISCARDING)
    assert [(stage.name, len(stage.steps)) for stage in twice.stages] == [
        ("map", 1),
        ("reduce", 1),
        ("reduce-2", 1),
    ]
    assert twice.outline().shuffles == 2
    assert all(stage.combine is behind.reduce for stage, behind in pairwise(twice.stages))
    assert "stage 2: reduce-2 (wide dependency)" in twice.explain()


def test_whether_python_functions_are_called() -> None:
    assert plan().calls_python
    assert not plan(after=lambda stream: stream).calls_python


def test_explain_names_every_step() -> None:
    text = plan().explain()

    assert text.splitlines()[0] == f"pipeline p (fingerprint {plan().fingerprint()})"
    for part in (
        "stage 0: map (narrow dependency)",
        "read_json('scores'",
        "watermark BoundedDelay(delay=10s, max_ahead=1d)",
        "filter(",
        "assign windows, combine by team, shuffle",
        "stage 1: reduce (wide dependency)",
        "FixedWindows(size=2m, offset=0s), allowed_lateness=1h, AfterWatermark(late=AfterCount(1)), accum",
        "total: Int64 = sum(",
        "map(test_plan.shout)",
        "write_json('totals')",
    ):
        assert part in text


SAME: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the name, under which state is kept anyway": {"name": "q"},
    "where the rows go": {"out": "elsewhere"},
    "as what": {"write": "write_parquet"},
    "the way to write a type": {
        "schema": {"team": pl.String(), "score": pl.Int64(), "at": pl.Datetime("ms")}
    },
    "the way to write a duration": {"window": tg.FixedWindows("120s"), "lateness": "60m"},
    "the way to name a column": {"key": pl.col("team"), "total": tg.sum(pl.col("score"))},
}
OTHER: dict[str, dict[str, Any]] = {
    "the folder that is read": {"prefix": "games"},
    "a type": {"schema": SCHEMA | {"score": pl.Int32}},
    "one more column": {"schema": SCHEMA | {"more": pl.String}},
    "the watermark": {"watermark": tg.BoundedDelay("11s")},
    "how far ahead an event may be": {"watermark": tg.BoundedDelay("10s", max_ahead="2d")},
    "a step's constant": {"steps": lambda stream: stream.filter(pl.col("score") > 1)},
    "no step": {"steps": lambda stream: stream},
    "one step twice": {"steps": lambda s: s.filter(pl.col("score") > 0).filter(pl.col("score") > 0)},
    "the windows' size": {"window": tg.FixedWindows("3m")},
    "the windows' offset": {"window": tg.FixedWindows("2m", offset="1s")},
    "the lateness": {"lateness": "2h"},
    "the trigger": {"trigger": tg.AfterWatermark(late=tg.AfterCount(2))},
    "the accumulation": {"accumulation": tg.DISCARDING},
    "the key": {"key": "score"},
    "an aggregate": {"total": tg.max("score")},
    "an aggregate's name": {"sum": tg.sum("score")},
    "an aggregate's input": {"total": tg.sum(pl.col("score") * 2)},
    "one more aggregate": {"total": tg.sum("score"), "games": tg.count()},
    "what Polars does not print": {"steps": lambda s: s.filter((pl.col("score") / 3).round(2) > 0)},
    "the same, otherwise": {"steps": lambda s: s.filter((pl.col("score") / 3).round(3) > 0)},
    "the middle of a list": {"steps": lambda s: s.filter(pl.col("score").is_in(list(range(99))))},
    "the same, with a gap": {
        "steps": lambda s: s.filter(pl.col("score").is_in([*range(50), *range(51, 99), 98]))
    },
    "a derived key": {"key": pl.col("team").str.head(1)},
    "a function behind the grouping": {"after": lambda stream: stream.map(whisper)},
}


@pytest.mark.parametrize("change", SAME)
def test_the_fingerprint_does_not_change_with(change: str) -> None:
    assert plan(**SAME[change]).fingerprint() == plan().fingerprint()


@pytest.mark.parametrize("change", OTHER)
def test_the_fingerprint_changes_with(change: str) -> None:
    changed = plan(**OTHER[change])

    assert changed.fingerprint() != plan().fingerprint()
    assert changed.meaning() != plan().meaning()


def test_all_these_plans_differ_from_each_other() -> None:
    assert len({plan(**change).fingerprint() for change in OTHER.values()}) == len(OTHER)


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    script = "from tests.test_plan import plan; print(plan().fingerprint())"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": "1"},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == plan().fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        (SAME["as what"], None),
        (
            OTHER["the windows' size"],
            r"It was: group_by\(.*\(size=2m, .*, …\. It is: group_by\(.*\(size=3m, offset=0s\), .*, …\.",
        ),
        (
            OTHER["one more aggregate"],
            r"It was: … agg\(total: Int64 = sum\(.*\)\)\. It is: … agg\(total: .*, games: .*count\(\)\)\.",
        ),
        (OTHER["no step"], r"It was: filter\(.*\)\. It is: \(no such step\)\. Three"),
        (
            OTHER["one step twice"],
            r"It was: \(no such step\)\. It is: filter\(\[\(col.*\)\. Three ways on: undo .*/upgrades.md.*"
            r"; build .* `tidegate replay`; or finish .* `tidegate run OLD --drain`, and .* another name",
        ),
        (
            {"schema": SCHEMA | {"more": pl.String}, "lateness": "3h"},
            r"It was: read_json\(.*; group_by\(.*=1h.* It is: read_json\(.*more.*; group_by\(.*=3h.*",
        ),
    ],
)
def test_the_refusal_says_what_changed(change: dict[str, Any], message: str | None) -> None:
    changed = plan(**change).outline()
    if message is None:
        changed.check(plan().fingerprint(), plan().meaning())
        return
    with pytest.raises(IncompatiblePipeline, match=message):
        changed.check(plan().fingerprint(), plan().meaning())


def test_the_refusal_of_another_order() -> None:
    def steps(*bounds: int) -> Plan:
        filters = [pl.col("score") > bound for bound in bounds]
        return plan(steps=lambda stream: stream.filter(filters[0]).filter(filters[1]))

    with pytest.raises(IncompatiblePipeline, match=r"The steps are the same in another order\. Three ways"):
        steps(1, 2).outline().check(steps(2, 1).fingerprint(), steps(2, 1).meaning())


def test_the_outline_says_what_the_plan_says() -> None:
    outline = plan().outline()

    (source,) = outline.sources
    assert (outline.pipeline, source.kind, source.prefix, outline.sink) == ("p", "json", "scores", "totals")
    assert outline.fingerprint == plan().fingerprint()
    assert outline.meaning == plan().meaning()
