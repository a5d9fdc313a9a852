"""The late sink: each element that is dropped for an expired window goes there once, and is counted once."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.epochs.layout import Limits
from tidegate.epochs.tasks import run_task
from tidegate.errors import PipelineError
from tidegate.plan import Plan, compile_plan
from tidegate.testing.memory_runner import MemoryRunner
from tidegate.timestamps import MIN, iso

SECOND = 1_000_000
SCHEMA: dict[str, Any] = {"n": pl.Int64, "k": pl.String, "at": pl.Datetime("us")}
LIST = pl.List(pl.Struct({"start": pl.Int64, "end": pl.Int64}))
FANNED_OUT = Limits(small=0, task_bytes=1)

Rows = list[dict[str, Any]]


def events(schema: dict[str, Any] = SCHEMA) -> tg.Stream:
    return tg.read_json("events", schema=schema, event_time="at", watermark=tg.BoundedDelay("0s"))


def windowed(window_fn: Any = None, lateness: str = "0s", late_to: str | None = "late") -> tg.Stream:
    return events().window(window_fn or tg.FixedWindows("10s"), allowed_lateness=lateness, late_to=late_to)


def compiled(panes: tg.Stream) -> Plan:
    return compile_plan(tg.Pipeline("p", panes.write_parquet("out")))


def counted(window_fn: Any, lateness: str = "0s") -> Plan:
    return compiled(windowed(window_fn, lateness).group_by("k").agg(n=tg.count()))


def element(number: int, second: float, key: str = "a") -> dict[str, Any]:
    return {"n": number, "k": key, "at": round(second * SECOND)}


def shown(second: float) -> str:
    return iso(round(second * SECOND))


def lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


class Twice:
    """Runs each task with two attempts, the second one before the first has published anything more."""

    def __init__(self, plan: Plan, stores: Any) -> None:
        self.plan, self.stores = plan, stores

    def run(self, tasks: Sequence[Any]) -> None:
        for attempt in ("one", "two"):
            for task in tasks:
                run_task(self.plan, self.stores, task, attempt)


def run(
    plan: Plan, *waves: Sequence[Rows], limits: Limits | None = None, close: bool = False, twice: bool = False
) -> tuple[Rows, MemoryRunner]:
    """Waves of files, each once the one before is processed; the late elements of all epochs."""
    runner = MemoryRunner(plan, 10**9, limits, Twice if twice else None)
    for number, files in enumerate(waves):
        runner.upload(
            {f"events/{number:03d}-{file:03d}.json": lines(rows) for file, rows in enumerate(files)}
        )
        runner.run()
    if close:
        runner.run(close=True)
    return [row for manifest in runner.manifests for row in runner.late(manifest)], runner


def test_what_a_late_element_looks_like() -> None:
    late, runner = run(
        counted(tg.FixedWindows("10s")), [[element(1, 25)]], [[element(2, 3, "b"), element(3, 21)]]
    )
    assert late == [
        {
            "n": 2,
            "k": "b",
            "at": shown(3),
            "window_start": shown(0),
            "window_end": shown(10),
            "windows": 1,
            "watermark": shown(25),
        }
    ]
    assert runner.totals["dropped_late"] == 1
    assert runner.manifests[1].outputs == ("late/epoch-0000000002-00000.json",)


def test_an_element_of_a_window_that_lateness_keeps_open_is_not_late() -> None:
    at_the_bound = [[element(1, 15)]], [[element(2, 9)]]
    assert run(counted(tg.FixedWindows("10s"), "5s"), *at_the_bound)[0] == []
    behind_it = [[element(1, 15.000001)]], [[element(2, 9)]]
    assert [row["n"] for row in run(counted(tg.FixedWindows("10s"), "5s"), *behind_it)[0]] == [2]


def test_without_late_elements_there_is_no_file() -> None:
    late, runner = run(counted(tg.FixedWindows("10s")), [[element(1, 25)]], [[element(2, 26)]], close=True)
    assert late == []
    names = [name for manifest in runner.manifests for name in manifest.outputs]
    assert names
    assert not any(name.startswith("late/") for name in names)


def test_without_a_late_sink_they_are_counted_all_the_same() -> None:
    plan = compiled(windowed(late_to=None).group_by("k").agg(n=tg.count()))
    late, runner = run(plan, [[element(1, 25)]], [[element(2, 3)]])
    assert (late, runner.totals["dropped_late"]) == ([], 1)


def test_the_columns_are_those_of_the_stream_at_the_grouping() -> None:
    stream = events().filter(pl.col("n") != 3).select("n", "at", double=pl.col("n") * 2)
    panes = (
        stream.window(tg.FixedWindows("10s"), late_to="late").group_by(odd=pl.col("n") % 2).agg(n=tg.sum("n"))
    )
    (row,), _ = run(compiled(panes), [[element(1, 25)]], [[element(2, 3), element(3, 3)]])
    assert list(row) == ["n", "at", "double", "window_start", "window_end", "windows", "watermark"]
    assert (row["n"], row["double"]) == (2, 4)


def test_a_column_whose_name_a_key_takes_is_shown_as_it_came() -> None:
    panes = windowed().group_by(pl.col("n") // 10, "k").agg(total=tg.sum("n"))
    (row,), _ = run(compiled(panes), [[element(1, 25)]], [[element(57, 3)]])
    assert (row["n"], row["k"]) == (57, "a")


def test_a_sliding_windows_element_is_one_line_for_all_windows_that_it_missed() -> None:
    plan = counted(tg.SlidingWindows("30s", every="10s"))
    late, runner = run(
        plan, [[element(1, 65)]], [[element(2, 12), element(3, 38), element(4, 42), element(5, 61)]]
    )
    assert [(row["n"], row["window_start"], row["window_end"], row["windows"]) for row in late] == [
        (2, shown(-10), shown(40), 3),
        (3, shown(10), shown(60), 3),
        (4, shown(20), shown(60), 2),
    ]
    assert sum(row["windows"] for row in late) == runner.totals["dropped_late"]


def test_a_session_is_asked_before_it_merges() -> None:
    late, _ = run(counted(tg.Sessions("10s")), [[element(1, 25)]], [[element(2, 3)]])
    assert [(row["n"], row["window_start"], row["window_end"]) for row in late] == [(2, shown(3), shown(13))]


def test_after_the_end_of_time_all_is_late_and_the_global_window_has_no_bounds() -> None:
    often = tg.Repeatedly(tg.AfterCount(1))
    plan = compiled(windowed(tg.GlobalWindows()).trigger(often).group_by("k").agg(n=tg.count()))
    runner = MemoryRunner(plan, 10**9)
    runner.upload({"events/1.json": json.dumps(element(1, 5)).encode()})
    runner.run(close=True)
    runner.upload({"events/2.json": json.dumps(element(2, 7)).encode()})
    (manifest,) = runner.run()
    (row,) = runner.late(manifest)
    assert (row["n"], row["window_start"], row["window_end"]) == (2, None, None)
    assert row["watermark"] == "9999-12-31T23:59:59.999999Z"


def regrouped() -> Plan:
    return compiled(
        windowed(tg.FixedWindows("10s"), "1h", None)
        .group_by("k")
        .agg(n=tg.count())
        .window(tg.FixedWindows("20s"), late_to="late/panes")
        .group_by()
        .agg(total=tg.sum("n"))
    )


def test_a_pane_that_is_late_for_another_grouping_keeps_its_own_window() -> None:
    (row,), runner = run(regrouped(), [[element(1, 5)]], [[element(2, 45)]], [[element(3, 3, "b")]])
    assert row == {
        "k": "b",
        "pane_window_start": shown(0),
        "pane_window_end": shown(10),
        "n": 1,
        "pane_timing": "late",
        "pane_index": 0,
        "pane_is_last": False,
        "op": "insert",
        "emitted_at": iso(10**9),
        "window_start": shown(0),
        "window_end": shown(20),
        "windows": 1,
        "watermark": shown(45),
    }
    assert runner.totals["dropped_late"] == 1


WINDOWS: dict[str, tuple[Any, Callable[[int], list[tuple[int, int]]]]] = {
    "fixed": (
        tg.FixedWindows("10s", offset="3s"),
        lambda t: [((t - 3 * SECOND) // (10 * SECOND) * 10 * SECOND + 3 * SECOND, 10 * SECOND)],
    ),
    "sliding": (
        tg.SlidingWindows("25s", every="10s"),
        lambda t: [
            (start, 25 * SECOND)
            for start in range(-100 * SECOND, 400 * SECOND, 10 * SECOND)
            if start <= t < start + 25 * SECOND
        ],
    ),
    "with gaps between them": (
        tg.SlidingWindows("4s", every="10s"),
        lambda t: [(t // (10 * SECOND) * 10 * SECOND, 4 * SECOND)] if t % (10 * SECOND) < 4 * SECOND else [],
    ),
    "sessions": (tg.Sessions("10s"), lambda t: [(t, 10 * SECOND)]),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("seed", range(3))
def test_late_elements_are_those_that_plain_python_finds_in_whatever_layout(name: str, seed: int) -> None:
    chance = random.Random(f"{name} {seed}")  # noqa: S311
    window_fn, windows_of = WINDOWS[name]
    lateness = chance.choice([0, 7])
    waves = [
        [
            [
                element(
                    wave * 100 + file * 10 + row,
                    chance.randrange(10 * wave + 1, 10 * wave + 60),
                    "ab"[row % 2],
                )
                for row in range(chance.randrange(6))
            ]
            for file in range(3)
        ]
        for wave in range(12)
    ]
    if chance.random() < 0.5:
        waves.reverse()
    plan = counted(window_fn, f"{lateness}s")
    late, runner = run(plan, *waves, close=True)
    befores = [MIN, *(manifest.frontier.watermark for manifest in runner.manifests)]
    expected = []
    for wave, before in zip(waves, befores, strict=False):
        for row in (row for file in wave for row in file):
            missed = [
                (start, start + size)
                for start, size in windows_of(row["at"])
                if start + size + lateness * SECOND < before
            ]
            if missed:
                expected.append((row["n"], iso(missed[0][0]), iso(missed[-1][1]), len(missed), iso(before)))
    got = [(r["n"], r["window_start"], r["window_end"], r["windows"], r["watermark"]) for r in late]
    assert sorted(got) == sorted(expected)
    assert runner.totals["dropped_late"] == sum(row["windows"] for row in late)
    fanned_out, other = run(plan, *waves, close=True, limits=FANNED_OUT, twice=True)
    assert sorted(fanned_out, key=repr) == sorted(late, key=repr)
    assert other.totals["dropped_late"] == runner.totals["dropped_late"]


@pytest.mark.parametrize("twice", [False, True])
def test_the_layout_changes_no_late_pane(twice: bool) -> None:
    waves = [
        [[element(1, 5), element(2, 5, "b")]],
        [[element(3, 45)]],
        [[element(n, 3, f"k{n}")] for n in range(9)],
    ]
    small, _ = run(regrouped(), *waves, twice=twice)
    large, runner = run(regrouped(), *waves, limits=FANNED_OUT, twice=twice)
    assert len(small) == 9
    assert sorted(map(repr, small)) == sorted(map(repr, large))
    assert runner.totals["dropped_late"] == 9


def test_each_grouping_has_its_own() -> None:
    stream = windowed(tg.FixedWindows("10s"), late_to="late/events").group_by("k").agg(n=tg.count())
    twice = stream.window(tg.FixedWindows("20s"), late_to="late/panes").group_by().agg(total=tg.sum("n"))
    plan = compiled(twice)
    assert plan.outline().late == ("late/events", "late/panes")
    _, runner = run(plan, [[element(1, 45)]], [[element(2, 3), element(3, 41)]])
    names = [name for each in runner.manifests for name in each.outputs]
    assert names == ["late/events/epoch-0000000002-00000.json"]


def test_where_late_elements_go_changes_neither_state_nor_fingerprint() -> None:
    plans = [compiled(windowed(late_to=to).group_by("k").agg(n=tg.count())) for to in (None, "late", "other")]
    assert len({plan.fingerprint() for plan in plans}) == 1
    assert "  late elements to 'late'" in plans[1].explain()


@pytest.mark.parametrize("prefix", ["", "a b", "../x", "dead-letters", "dead-letters/x", 5])
def test_a_prefix_that_is_no_folder_of_the_users_is_refused(prefix: Any) -> None:
    with pytest.raises(PipelineError, match=r"window\(late_to=...\): the prefix"):
        windowed(late_to=prefix)


@pytest.mark.parametrize(("late", "sink"), [("out", "out"), ("out/late", "out"), ("out", "out/panes")])
def test_a_folder_that_is_the_sinks_or_lies_in_it_is_refused(late: str, sink: str) -> None:
    panes = windowed(late_to=late).group_by("k").agg(n=tg.count())
    with pytest.raises(PipelineError, match="the pipeline's output goes to"):
        panes.write_json(sink)
    assert panes.write_json("output").sink.prefix == "output"


def test_two_groupings_cannot_share_one() -> None:
    panes = windowed(late_to="late").group_by("k").agg(n=tg.count())
    again = panes.window(tg.FixedWindows("20s"), late_to="late/").group_by().agg(total=tg.sum("n"))
    with pytest.raises(PipelineError, match="what is late for another grouping goes to 'late'"):
        again.write_json("out")


@pytest.mark.parametrize("name", ["window_start", "window_end", "windows", "watermark"])
def test_a_column_with_a_name_that_late_elements_need_is_refused(name: str) -> None:
    stream = events(SCHEMA | {name: pl.Int64}).window(tg.FixedWindows("10s"), late_to="late").group_by("k")
    with pytest.raises(PipelineError, match=f"late elements have a column {name} of their own"):
        stream.agg(n=tg.count())


def test_a_value_with_a_name_that_a_late_panes_window_needs_is_refused() -> None:
    panes = windowed(late_to=None).group_by("k").agg(pane_window_end=tg.count())
    again = panes.window(tg.FixedWindows("20s"), late_to="late").group_by("k")
    with pytest.raises(PipelineError, match="late elements have a column pane_window_end of their own"):
        again.agg(total=tg.sum("pane_window_end"))


def test_bytes_are_refused_when_the_pipeline_is_built() -> None:
    stream = events().with_columns(raw=pl.col("k").cast(pl.Binary))
    grouped = stream.window(tg.FixedWindows("10s"), late_to="late").group_by("k")
    with pytest.raises(PipelineError, match=r"window\(late_to='late'\): raw is a Binary, .* Use text such"):
        grouped.agg(n=tg.count())
