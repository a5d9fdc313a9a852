"""The union: streams with equal columns from sources of their own, as one stream."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.errors import PipelineError, TidegateError
from tidegate.plan import Plan, compile_plan

SCHEMA: dict[str, Any] = {"user": pl.String, "n": pl.Int64, "at": pl.Datetime("ms")}


def read(prefix: str, schema: dict[str, Any] = SCHEMA, watermark: Any = None, **source: Any) -> tg.Stream:
    policy = watermark or tg.BoundedDelay("10s")
    return tg.read_json(prefix, schema=schema, event_time="at", watermark=policy, **source)


def compiled(stream: tg.Stream) -> Plan:
    panes = stream.window(tg.FixedWindows("1m")).group_by("user").agg(n=tg.sum("n"))
    return compile_plan(tg.Pipeline("p", panes.write_json("out")))


def test_the_map_stage_has_a_chain_for_each_source_and_one_for_all() -> None:
    clicks = read("clicks").filter(pl.col("n") > 0).with_columns(n=pl.col("n") * 2)
    plan = compiled(tg.union(clicks, read("views")).filter(pl.col("user") != "x"))
    assert [(each.source.prefix, len(each.steps)) for each in plan.branches] == [("clicks", 2), ("views", 0)]
    assert len(plan.map.steps) == 1
    assert plan.branch_of("views/a.json") is plan.branches[1]
    with pytest.raises(TidegateError, match=r"no source of the pipeline 'p' reads other/a\.json"):
        plan.branch_of("other/a.json")


def test_explain_shows_each_source_with_its_watermark_and_steps() -> None:
    views = tg.read_csv("views", schema=SCHEMA, event_time="at", watermark=tg.Marks())
    lines = compiled(tg.union(read("clicks").filter(pl.col("n") > 0), views)).explain().splitlines()
    source = ["  read_json('clicks'", "  watermark BoundedDelay", "  filter("]
    starts = [*source, "  read_csv('views'", "  watermark Marks"]
    assert all(line.startswith(start) for line, start in zip(lines[2:7], starts, strict=True)), lines
    assert lines[7:9] == ["  union, watermark: the minimum", "  assign windows, combine by user, shuffle"]


def test_unions_of_unions_are_one() -> None:
    two = tg.union(read("a"), read("b")).filter(pl.col("n") > 0)
    three = tg.union(two, read("c").select("user", "n", "at"))
    assert [each.source.prefix for each in three.branches] == ["a", "b", "c"]
    assert [len(each.steps) for each in three.branches] == [1, 1, 1]
    assert three.steps == ()


def test_in_whatever_order_the_streams_are_given_it_is_the_same() -> None:
    one, other = compiled(tg.union(read("a"), read("b"))), compiled(tg.union(read("b"), read("a")))
    assert one.fingerprint() == other.fingerprint()
    assert one.outline() == other.outline()


CHANGES: dict[str, Callable[[], tg.Stream]] = {
    "one source less": lambda: read("a"),
    "another source": lambda: tg.union(read("a"), read("c")),
    "one more": lambda: tg.union(read("a"), read("b"), read("c")),
    "a watermark": lambda: tg.union(read("a"), read("b", watermark=tg.BoundedDelay("11s"))),
    "an order": lambda: tg.union(read("a"), read("b", ordered=True)),
    "a step of one": lambda: tg.union(read("a"), read("b").filter(pl.col("n") > 0)),
    "a step of the other": lambda: tg.union(read("a").filter(pl.col("n") > 0), read("b")),
    "a step of both": lambda: tg.union(read("a"), read("b")).filter(pl.col("n") > 0),
}


def test_what_changes_the_meaning_changes_the_fingerprint() -> None:
    built = [tg.union(read("a"), read("b")), *(change() for change in CHANGES.values())]
    assert len({compiled(each).fingerprint() for each in built}) == len(built)


def test_columns_may_stand_in_another_order_and_the_first_ones_counts() -> None:
    both = tg.union(read("b").select("at", "n", "user"), read("a"))
    assert list(both.schema) == ["at", "n", "user"]
    assert [len(each.steps) for each in both.branches] == [1, 1]


def test_steps_are_counted_over_all_branches() -> None:
    both = tg.union(read("a").filter(pl.col("n") > 0), read("b"))
    with pytest.raises(PipelineError, match=r"step 2 \(filter\): there is no column 'm'"):
        both.filter(pl.col("m") > 0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            read("b", SCHEMA | {"n": pl.Int32}),
            "the columns differ: n is Int64 in 'a' and Int32 in 'b'. Make",
        ),
        (read("b", SCHEMA | {"m": pl.Int64}), "the columns differ: m is missing in 'a' and Int64 in 'b'"),
        (read("b").select("user", "at"), "the columns differ: n is Int64 in 'a' and missing in 'b'"),
        (read("a"), "'a' and 'a' have files in common"),
        (read("a/b"), "'a' and 'a/b' have files in common"),
        (read("b").window(tg.FixedWindows("1m")), "'b' is windowed already. Unite the streams before"),
        (
            read("b").window(tg.FixedWindows("1m")).group_by("user").agg(n=tg.sum("n")),
            r"union\('a', 'b'\): 'b' is grouped already. Unite the streams before",
        ),
        ("b", "'b' is no stream"),
    ],
    ids=["types", "more", "fewer", "itself", "inside", "windowed", "grouped", "text"],
)
def test_what_does_not_fit_is_refused(other: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        tg.union(read("a"), other)


def test_one_stream_alone_is_no_union() -> None:
    for streams in ((), (read("a"),)):
        with pytest.raises(PipelineError, match="there is nothing to unite"):
            tg.union(*streams)


def test_prefixes_that_only_begin_alike_have_nothing_in_common() -> None:
    assert len(tg.union(read("a"), read("a-b"), read("ab")).branches) == 3


def test_the_end_of_the_global_window_comes_only_if_all_sources_end() -> None:
    bounded = read("a", watermark=tg.Perfect())
    tg.union(bounded, read("b", watermark=tg.Marks())).window(tg.GlobalWindows()).group_by("user")
    with pytest.raises(PipelineError, match=r"it can never fire: BoundedDelay\(.*\) never reaches the end"):
        tg.union(bounded, read("b")).window(tg.GlobalWindows()).group_by("user")


def test_functions_of_one_branch_call_python() -> None:
    assert compiled(tg.union(read("a").map(lambda row: row), read("b"))).calls_python
    assert not compiled(tg.union(read("a"), read("b"))).calls_python
