"""Panes that are taken back, and panes' own event times."""

from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.engine.stage import SECOND, Stage, element, stream
from tidegate.engine.key_groups import with_key_groups
from tidegate.engine.reduce_task import Times, reduce_epoch
from tidegate.engine.state import partial_schema
from tidegate.panes import EVENT_TIME, PANE_COLUMNS
from tidegate.sinks.sink import Sink
from tidegate.timestamps import MAX

EARLY_AND_LATE = tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1))


def stage(accumulation: Any = tg.ACCUMULATING_AND_RETRACTING, window_fn: Any = None, **options: Any) -> Stage:
    events = stream(window_fn or tg.FixedWindows("10s"), **options).trigger(EARLY_AND_LATE)
    return Stage(events.accumulate(accumulation).group_by("k").agg(total=tg.sum("v"), last=tg.max("v")))


def without(pane: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in pane.items() if name not in names}


def test_a_retraction_repeats_the_last_pane_and_comes_before_the_new_one() -> None:
    run = stage(lateness="1m")
    (first,) = run.epoch([element(1, 5)])
    run.now = 7 * SECOND
    taken_back, second = run.epoch([element(2, 3)], watermark=10)

    assert (taken_back["op"], taken_back["emitted_at"].second) == ("retract", 7)
    assert without(taken_back, "op", "emitted_at") == without(first, "op", "emitted_at")
    assert (second["op"], second["total"], second["pane_timing"], second["pane_index"]) == (
        "insert", 8, "on_time", 1,
    )  # fmt: skip
    assert run.counters["panes_early"] == run.counters["panes_on_time"] == 1


def test_a_window_without_a_new_pane_takes_nothing_back() -> None:
    run = stage(lateness="1m")
    run.epoch([element(1, 5)], watermark=10)

    assert run.epoch(watermark=20) == []
    assert [pane["op"] for pane in run.epoch([element(1, 1)])] == ["retract", "insert"]
    assert run.epoch(close=True) == []


def test_for_every_key_retractions_and_inserts_sum_to_the_last_value() -> None:
    run = stage(lateness="1h")
    sums: dict[str, int] = {}
    for number in range(6):
        for pane in run.epoch([element(1, number), element(2, 1, "b")], watermark=number * 3):
            sums[pane["k"]] = sums.get(pane["k"], 0) + pane["total"] * (1 if pane["op"] == "insert" else -1)

    assert sums == {"a": 15, "b": 6}


def test_retractions_come_before_all_inserts() -> None:
    run = stage()
    run.epoch([element(1), element(1, key="b"), element(11)])

    panes = run.epoch([element(1), element(1, key="b"), element(11)])
    assert [pane["op"] for pane in panes] == ["retract"] * 3 + ["insert"] * 3
    assert [pane["k"] for pane in panes] == ["a", "b", "a"] * 2


def test_a_pane_with_a_value_that_does_not_fit_takes_nothing_back() -> None:
    run = stage()
    run.epoch([element(1, 2**63 - 1)])
    assert run.epoch([element(1, 5)]) == []
    assert len(run.dead) == 1

    panes = run.epoch([element(1, -7)])
    assert [(pane["op"], pane["total"]) for pane in panes] == [("retract", 2**63 - 1), ("insert", 2**63 - 3)]


def times(run: Stage) -> list[int]:
    return run.panes.get_column(EVENT_TIME).to_list()


def test_a_pane_lies_at_the_last_microsecond_of_its_window() -> None:
    run = stage()
    run.epoch([element(1), element(15)])
    assert times(run) == [10 * SECOND - 1, 20 * SECOND - 1]

    whole = Stage(
        stream(tg.GlobalWindows()).trigger(tg.Repeatedly(tg.AfterCount(1))).group_by().agg(n=tg.count())
    )
    whole.epoch([element(1)])
    assert times(whole) == [MAX - 1]


WINDOWS = pytest.mark.parametrize(
    "window_fn",
    [tg.FixedWindows("10s"), tg.SlidingWindows("10s", every="10s"), tg.CalendarWindows("hour")],
    ids=lambda window_fn: type(window_fn).__name__,
)


@WINDOWS
@pytest.mark.parametrize(("timestamp", "expected"), [("earliest", [4, 2, 1]), ("latest", [6, 6, 6])])
def test_a_pane_may_lie_at_its_first_or_its_last_element(
    window_fn: Any, timestamp: str, expected: list[int]
) -> None:
    run = stage(tg.ACCUMULATING, window_fn, timestamp=timestamp)
    found = []
    for seconds in ([4, 6], [2], [1, 3]):
        run.epoch(*[[element(second)] for second in seconds])
        found += times(run)

    assert found == [second * SECOND for second in expected]


def test_a_pane_of_what_came_since_the_last_one_lies_at_the_first_of_that() -> None:
    run = stage(tg.DISCARDING, timestamp="earliest")
    run.epoch([element(1), element(2)])
    run.epoch([element(3)])
    assert times(run) == [3 * SECOND]

    run.epoch(watermark=10)  # an empty pane lies at the end
    assert times(run) == [10 * SECOND - 1]


@WINDOWS
def test_late_elements_do_not_count_unless_there_are_no_others(window_fn: Any) -> None:
    # The hour of the calendar ends later, so that nothing is late in it before.
    end = 3_600 if isinstance(window_fn, tg.CalendarWindows) else 10
    run = stage(tg.ACCUMULATING, window_fn, timestamp="earliest", lateness="1h")
    run.epoch([element(5), element(1, key="b")], watermark=end)
    run.epoch([element(2), element(3, key="c")])

    assert run.panes.select("k", EVENT_TIME).rows() == [("a", 5 * SECOND), ("c", end * SECOND - 1)]


def test_sessions_ask_each_element_whether_it_is_late() -> None:
    run = stage(tg.ACCUMULATING, tg.Sessions("10s"), timestamp="earliest", lateness="1m")
    run.epoch([element(9)], watermark=15)
    run.epoch([element(3), element(6)])  # [3, 13) is late, [6, 16) is not

    assert times(run) == [6 * SECOND]


def test_a_retraction_has_the_event_time_of_its_pane() -> None:
    run = stage(timestamp="latest")
    run.epoch([element(1)])
    run.epoch([element(5)])

    assert times(run) == [SECOND, 5 * SECOND]


def test_sinks_do_not_write_it() -> None:
    run = stage()
    run.epoch([element(1)])

    written = pl.read_ndjson(Sink("json", "out").encode(run.panes))
    assert written.columns == ["k", "window_start", "window_end", "total", "last", *PANE_COLUMNS[2:]]


def test_a_million_keys_in_one_window_are_a_million_panes() -> None:
    run = stage(tg.DISCARDING)
    columns = run.grouping.keys
    schema = partial_schema(run.grouping)
    rows = pl.select(k=pl.int_range(1_000_000).cast(pl.String), __start=pl.lit(0, dtype=pl.Int64))
    content = {
        name: pl.lit(1).cast(dtype) for name, dtype in schema.items() if name[:5] in ("__agg", "__add")
    }
    partials = with_key_groups(rows.lazy().with_columns(**content), columns).select(list(schema)).collect()
    (reduce,) = run.plan.reduces

    reduced = reduce_epoch(reduce, run.grouping, run.state, [partials], Times(-1, 10 * SECOND, 0))

    assert reduced.rows.height == reduced.counters["panes_on_time"] == 1_000_000
    assert reduced.rows.get_column("total").sum() == 1_000_000
