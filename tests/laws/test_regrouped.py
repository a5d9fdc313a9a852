"""Every aggregate behind a grouping that takes panes back: in any order of arrival, what one epoch gives."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
import tidegate.aggregates as public
from tests.laws.registry import ReversibleTotal, Total, larger
from tests.oracle.driver import World
from tidegate.aggregates import Aggregate

Row = dict[str, Any]

TIMES = {
    "window_start",
    "window_end",
    "pane_timing",
    "pane_index",
    "pane_is_last",
    "op",
    "emitted_at",
    "epoch",
}

mean = pl.col("mean")


def aggregates() -> dict[str, Aggregate]:
    """All of them, over the means and sums of the panes before."""
    return {
        "count": tg.count(),
        "sum": tg.sum("mean"),
        "whole_sum": tg.sum("total"),
        "mean_of_means": tg.mean("mean"),
        "min": tg.min("mean"),
        "max": tg.max("mean"),
        "var": tg.var("mean"),
        "std": tg.std("total"),
        "first": tg.first("mean"),
        "last": tg.last("total"),
        "collect": tg.collect("total"),
        "any": tg.any(mean > 2),
        "all": tg.all(mean > 2),
        "count_distinct": tg.count_distinct("mean"),
        "approx_count_distinct": tg.approx_count_distinct("mean"),
        "quantile": tg.quantile("mean", 0.4),
        "approx_quantile": tg.approx_quantile("mean", 0.4),
        "top": tg.top(2, by="total", column="key"),
        "top_rows": tg.top(2, by="total", column=pl.struct("key", "total")),
        "reduce": tg.reduce("mean", larger),
        "combine": tg.combine("total", Total()),
        "combine_back": tg.combine("total", ReversibleTotal()),
    }


def pipeline() -> tg.Pipeline:
    events = tg.read_json(
        "events",
        schema={"key": pl.String, "v": pl.Int64, "at": pl.Datetime("us")},
        event_time="at",
        watermark=tg.BoundedDelay("0s"),
    )
    panes = (
        events.window(tg.FixedWindows("2s"), allowed_lateness="1h")
        .trigger(tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1)))
        .accumulate(tg.ACCUMULATING_AND_RETRACTING)
        .group_by("key")
        .agg(total=tg.sum("v"), mean=tg.mean("v"))
    )
    again = panes.window(tg.FixedWindows("10s"), allowed_lateness="1h").accumulate(tg.ACCUMULATING)
    trigger = tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1))
    return tg.Pipeline("p", again.trigger(trigger).group_by().agg(**aggregates()).write_json("out"))


def last_values(files: Sequence[Sequence[Row]]) -> dict[str, Row]:
    """What each window holds at the end; each file arrives after an epoch of its own."""
    world = World(pipeline(), now=1_750_000_000_000_000)
    panes = world.run([[file] for file in files], close=True)
    assert world.dead_letters() == []
    return {
        pane["window_start"]: {name: value for name, value in pane.items() if name not in TIMES}
        for pane in panes
    }


row = st.fixed_dictionaries(
    {
        "key": st.sampled_from("ab"),
        "v": st.none() | st.integers(-3, 9),
        "at": st.integers(0, 12).map(lambda second: second * 1_000_000),
    }
)


@settings(max_examples=12)
@given(st.lists(st.lists(row, min_size=1, max_size=3), min_size=1, max_size=4))
def test_any_order_of_arrival_ends_as_one_epoch_of_all(files: list[list[Row]]) -> None:
    together = last_values([[each for file in files for each in file]])
    found = last_values(files)

    assert found.keys() == together.keys()
    for window, values in together.items():
        for name, meant in values.items():
            value = found[window][name]
            same = value == meant or (isinstance(value, float) and abs(value - meant) < 1e-9)
            assert same, f"{name} of {window}: {value} and {meant} in one epoch"


def test_all_aggregates_are_among_them() -> None:
    functions = {each for each in public.__all__ if each.islower()}
    assert {each.verb for each in aggregates().values()} == functions
