"""The map side: what becomes an element, what becomes a dead letter, and what is counted."""

import json
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.oracle.driver import World, many_tasks

DAY = 86_400_000_000
SECOND = 1_000_000
NOW = 1_750_000_000 * SECOND

SCHEMA = {"k": pl.String, "v": pl.Int64, "s": pl.String, "at": pl.Datetime("us")}


def stream(**source: Any) -> tg.Stream:
    return tg.read_json(
        "events", **({"schema": SCHEMA, "event_time": "at", "watermark": tg.BoundedDelay("0s")} | source)
    )


def summed(events: tg.Stream, **aggregates: Any) -> tg.Pipeline:
    panes = events.window(tg.FixedWindows("10s")).group_by("k")
    return tg.Pipeline("p", panes.agg(**(aggregates or {"total": tg.sum("v")})).write_json("out"))


def world(pipeline: tg.Pipeline, **settings: Any) -> World:
    return World(pipeline, now=NOW, **settings)


def test_a_pipeline_without_a_grouping_writes_its_rows() -> None:
    here = world(tg.Pipeline("p", stream().filter(pl.col("v") > 1).select("k", "v").write_json("out")))
    here.upload([{"k": "a", "v": 1, "at": 0}, {"k": "b", "v": 2, "at": 1}], [{"k": "c", "v": 3, "at": 0}])

    assert here.run(close=True) == [{"epoch": 1, "k": "b", "v": 2}, {"epoch": 1, "k": "c", "v": 3}]
    assert (here.totals["records"], here.totals["elements"]) == (3, 2)


def test_without_a_grouping_many_tasks_write_the_same_rows() -> None:
    files = [[{"k": "a", "v": number, "at": number}] for number in range(5)]
    pipeline = tg.Pipeline("p", stream().select("k", "v").write_json("out"))
    small, large = world(pipeline), world(pipeline, limits=many_tasks(3))
    small.upload(*files)
    large.upload(*files)

    assert small.run() == large.run()


def test_every_record_is_an_element_or_a_dead_letter() -> None:
    here = world(summed(stream()))
    here.upload_bytes(
        b'{"k": "a", "v": 1, "at": 0}\nno json\n{"k": "a", "v": "x", "at": 0}\n{"k": "a", "v": 2}\n'
        + json.dumps({"k": "a", "v": 3, "at": NOW + DAY + 1}).encode()
        + b'\n{"k": "a", "v": 4, "at": 5}\n'
    )

    (pane,) = here.run(close=True)
    assert pane["total"] == 5
    assert {name: here.totals[name] for name in ("records", "elements", "dead_letters")} == {
        "records": 6,
        "elements": 2,
        "dead_letters": 4,
    }
    letters = here.dead_letters()
    assert sorted(letter["line"] for letter in letters) == [2, 3, 4, 5]
    assert {letter["file"] for letter in letters} == {"events/000000.json"}
    reasons = " | ".join(letter["reason"] for letter in letters)
    for part in ("no JSON", "v: ", "it has no event time", "further ahead than max_ahead allows"):
        assert part in reasons
    assert all(letter["text"] for letter in letters)


def test_the_bound_of_max_ahead_itself_is_allowed() -> None:
    here = world(summed(stream()))
    here.upload([{"k": "a", "v": 1, "at": NOW + DAY}])

    here.run()
    assert here.totals["dead_letters"] == 0
    assert here.watermark == NOW + DAY


def test_a_record_far_ahead_does_not_move_the_watermark() -> None:
    here = world(summed(stream()))
    here.upload([{"k": "a", "v": 1, "at": NOW + DAY + 1}, {"k": "a", "v": 1, "at": 7}])

    here.run()
    assert here.watermark == 7


def test_a_record_that_a_step_rejects_or_filters_moves_the_watermark_all_the_same() -> None:
    here = world(summed(stream().filter(pl.col("s").cast(pl.Int64) > 0)))
    here.upload(
        [{"k": "a", "v": 1, "s": "1", "at": 0}, {"k": "a", "s": "0", "at": 5}, {"k": "a", "s": "x", "at": 9}]
    )

    here.run()
    assert here.watermark == 9
    assert (here.totals["elements"], here.totals["dead_letters"]) == (1, 1)


@pytest.mark.parametrize("limits", [None, many_tasks(3)], ids=["one task", "many tasks"])
def test_an_aggregates_input_that_fails_on_a_record_rejects_that_record_alone(limits: Any) -> None:
    settings = {"limits": limits} if limits else {}
    here = world(summed(stream(), total=tg.sum(pl.col("s").cast(pl.Int64)), number=tg.count()), **settings)
    here.upload(
        [{"k": "a", "s": "1", "at": 0}, {"k": "a", "s": "x", "at": 1}], [{"k": "a", "s": "3", "at": 2}]
    )

    (pane,) = here.run(close=True)
    assert (pane["total"], pane["number"]) == (4, 2)
    (letter,) = here.dead_letters()
    assert letter["line"] == 2
    assert "conversion from `str` to `i64` failed" in letter["reason"]
    assert json.loads(letter["text"])["s"] == "x"


def test_an_event_time_that_fails_on_a_record_rejects_that_record_alone() -> None:
    source = stream(event_time=pl.col("s").str.to_datetime("%Y-%m-%d", time_unit="us"))
    here = world(summed(source))
    here.upload([{"k": "a", "v": 1, "s": "1970-01-01"}, {"k": "a", "v": 2, "s": "yesterday"}])

    (pane,) = here.run(close=True)
    assert pane["total"] == 1
    (letter,) = here.dead_letters()
    assert letter["line"] == 2


def test_a_function_inside_of_an_expression_that_raises_rejects_its_record_alone() -> None:
    def inverse(value: int) -> int:
        if value == 0:
            raise ValueError("nothing is the inverse of nothing")
        return 12 // value

    here = world(summed(stream().with_columns(v=pl.col("v").map_elements(inverse, return_dtype=pl.Int64))))
    here.upload([{"k": "a", "v": 3, "at": 0}, {"k": "a", "v": 0, "at": 0}])

    (pane,) = here.run(close=True)
    assert pane["total"] == 4
    assert len(here.dead_letters()) == 1


def test_an_empty_file_is_an_epoch_of_nothing() -> None:
    here = world(summed(stream()))
    here.upload([], [])

    assert here.run() == []
    assert here.totals["files"] == 2


def test_keys_are_grouped_by_their_values_nulls_included() -> None:
    here = world(summed(stream()), limits=many_tasks(3))
    here.upload(*[[{"k": key, "v": 1, "at": 0}] for key in ("a", None, "", "a", None)])

    panes = here.run(close=True)
    assert sorted((str(pane["k"]), pane["total"]) for pane in panes) == [("", 1), ("None", 2), ("a", 2)]


def test_a_decimal_key_may_have_all_its_digits() -> None:
    schema = {"k": pl.String, "v": pl.Int64, "at": pl.Datetime("us")}
    events = stream(schema=schema).with_columns(k=pl.col("k").cast(pl.Decimal(38, 2)))
    here = world(summed(events))
    here.upload([{"k": "123456789012345678901234567890123456.78", "v": 1, "at": 0}])

    (pane,) = here.run(close=True)
    assert pane["k"] == "123456789012345678901234567890123456.78"


def test_event_times_before_1970_and_at_the_bounds() -> None:
    here = world(summed(stream()))
    here.upload(
        [{"k": "a", "v": 1, "at": "0001-01-01T00:00:00Z"}, {"k": "a", "v": 2, "at": "1969-12-31T23:59:59Z"}]
    )

    first, second = here.run(close=True)
    assert first["window_start"] == "0001-01-01T00:00:00Z"
    assert (second["window_start"], second["window_end"]) == ("1969-12-31T23:59:50Z", "1970-01-01T00:00:00Z")


def test_a_key_may_take_the_name_of_a_column_that_an_aggregate_reads() -> None:
    grouped = stream().window(tg.FixedWindows("10s")).group_by(pl.col("v") // 10)
    here = world(
        tg.Pipeline("p", grouped.agg(total=tg.sum("v"), top=tg.max(pl.col("v") * 2)).write_json("out"))
    )
    here.upload([{"k": "a", "v": 55, "at": 0}, {"k": "a", "v": 57, "at": 0}])

    (pane,) = here.run(close=True)
    assert (pane["v"], pane["total"], pane["top"]) == (5, 112, 114)


def test_many_rejected_records_cost_no_more_than_the_file_is_long() -> None:
    """Each look for a record's text reads the file anew, so it is one look for all of them."""
    here = world(
        summed(
            stream(schema={"k": pl.String, "v": pl.String, "at": pl.Datetime("us")}).with_columns(
                v=pl.col("v").cast(pl.Int64)
            )
        )
    )
    here.upload([{"k": "a", "v": f"no {number}", "at": 0} for number in range(3_000)])

    assert here.run(close=True) == []
    letters = here.dead_letters()
    assert [letter["line"] for letter in letters] == list(range(1, 3_001))
    assert '"no 2999"' in letters[-1]["text"]
