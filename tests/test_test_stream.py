"""The test stream that users test their pipelines with."""

import doctest
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.errors import PipelineError
from tidegate.testing import Panes, TestStream
from tidegate.testing import test_stream as module

SCHEMA = {"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLY_AND_LATE = tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1))


def t(minutes: float, seconds: float = 0) -> datetime:
    return NOON + timedelta(minutes=minutes, seconds=seconds)


def stream(now: Any = NOON) -> TestStream:
    return TestStream(SCHEMA, event_time="at", now=now)


def score(points: int, minutes: float, team: str = "x") -> dict[str, Any]:
    return {"team": team, "score": points, "at": t(minutes)}


def totals(events: tg.Stream) -> tg.Stream:
    windowed = events.window(tg.FixedWindows("2m"), allowed_lateness="1h").trigger(EARLY_AND_LATE)
    return windowed.accumulate(tg.ACCUMULATING).group_by("team").agg(total=tg.sum("score"))


def brief(panes: Panes) -> list[tuple[Any, ...]]:
    return [(pane.step, pane.key, pane.values["total"], pane.timing, pane.index) for pane in panes]


def test_each_action_is_one_epoch_and_each_pane_says_which_caused_it() -> None:
    script = (
        stream()
        .add(score(5, 0), score(7, 1, "y"))  # 0
        .advance_clock("1m")  # 1
        .add(score(1, 3))  # 2
        .advance_watermark(t(2))  # 3
        .add(score(2, 0.5))  # 4
        .close()  # 5
    )
    panes = script.run(totals)

    assert brief(panes) == [
        (0, "x", 5, "early", 0),
        (0, "y", 7, "early", 0),
        (2, "x", 1, "early", 0),
        (3, "x", 5, "on_time", 1),
        (3, "y", 7, "on_time", 1),
        (4, "x", 7, "late", 2),
        (5, "x", 1, "on_time", 1),
    ]
    assert (panes.dropped, panes.dead_letters) == (0, [])


def test_a_pane_has_everything_that_can_be_asked_of_it() -> None:
    (pane,) = (
        stream()
        .add(score(5, 0))
        .advance_clock("90s")
        .advance_watermark(t(2))
        .run(lambda events: events.window(tg.FixedWindows("2m")).group_by("team").agg(total=tg.sum("score")))
    )
    assert pane.key == "x"
    assert pane.window == (t(0), t(2))
    assert (pane.window.start, pane.window.end) == (t(0), t(2))
    assert pane.window.end is not None and pane.window.end.tzinfo is not None
    assert pane.values == {"total": 5}
    assert (pane.timing, pane.index, pane.is_first, pane.is_last, pane.op) == (
        "on_time",
        0,
        True,
        False,
        "insert",
    )
    assert pane.event_time == t(2) - timedelta(microseconds=1)
    assert pane.emitted_at == t(1, 30)
    assert pane.step == 2


def test_a_retraction_repeats_its_pane_and_comes_first() -> None:
    def retracting(events: tg.Stream) -> tg.Stream:
        windowed = events.window(tg.FixedWindows("2m")).trigger(EARLY_AND_LATE)
        return windowed.accumulate(tg.ACCUMULATING_AND_RETRACTING).group_by("team").agg(total=tg.sum("score"))

    panes = stream().add(score(5, 0)).add(score(1, 0)).run(retracting)
    assert [(pane.op, pane.values["total"], pane.index, pane.is_first, pane.step) for pane in panes] == [
        ("insert", 5, 0, True, 0),
        ("retract", 5, 0, True, 1),
        ("insert", 6, 1, False, 1),
    ]


def test_a_pane_has_the_timestamp_that_the_pipeline_asks_for() -> None:
    panes = (
        stream()
        .add(score(5, 0.5), score(1, 1))
        .close()
        .run(
            lambda events: (
                events.window(tg.FixedWindows("2m"), timestamp="earliest").group_by("team").agg(n=tg.count())
            )
        )
    )
    assert [pane.event_time for pane in panes] == [t(0, 30)]


def test_the_global_window_has_neither_start_nor_end() -> None:
    panes = (
        stream()
        .add(score(5, 0))
        .close()
        .run(lambda events: events.window(tg.GlobalWindows()).group_by("team").agg(total=tg.sum("score")))
    )
    assert [pane.window for pane in panes] == [(None, None)]


@pytest.mark.parametrize(
    ("keys", "key"),
    [((), ()), (("team",), "x"), (("team", "score"), ("x", 5)), (("score", "team"), (5, "x"))],
)
def test_several_key_columns_are_a_tuple(keys: tuple[str, ...], key: Any) -> None:
    panes = (
        stream()
        .add(score(5, 0))
        .close()
        .run(lambda events: events.window(tg.FixedWindows("2m")).group_by(*keys).agg(n=tg.count()))
    )
    assert [pane.key for pane in panes] == [key]


def test_steps_behind_the_grouping_are_run_too() -> None:
    panes = (
        stream()
        .add(score(5, 0))
        .close()
        .run(
            lambda events: (
                totals(events).filter(pl.col("total") > 1).select("team", double=pl.col("total") * 2)
            )
        )
    )
    assert [(pane.key, pane.values) for pane in panes] == [("x", {"double": 10}), ("x", {"double": 10})]
    mapped = stream().add(score(5, 0)).run(lambda events: totals(events).map(lambda row: row | {"total": 1}))
    assert [(pane.key, pane.values, pane.event_time.year) for pane in mapped] == [("x", {"total": 1}, 2026)]


def test_panes_can_be_grouped_again_and_their_retractions_with_them() -> None:
    def best(events: tg.Stream) -> tg.Stream:
        windowed = events.window(tg.FixedWindows("2m"), allowed_lateness="1h").trigger(EARLY_AND_LATE)
        totals = (
            windowed.accumulate(tg.ACCUMULATING_AND_RETRACTING).group_by("team").agg(total=tg.sum("score"))
        )
        again = totals.window(tg.FixedWindows("2m")).trigger(EARLY_AND_LATE).accumulate(tg.ACCUMULATING)
        return again.group_by().agg(best=tg.max("total"))

    panes = stream().add(score(5, 0)).add(score(7, 0, "y")).add(score(-3, 0, "y")).run(best)
    assert [(pane.key, pane.values["best"], pane.step) for pane in panes] == [
        ((), 5, 0),
        ((), 7, 1),
        ((), 5, 2),
    ]


def test_elements_that_are_dropped_are_counted() -> None:
    panes = (
        stream()
        .advance_watermark(t(10))
        .add(score(5, 0), score(1, 11))
        .run(lambda events: events.window(tg.FixedWindows("2m")).group_by("team").agg(total=tg.sum("score")))
    )
    assert (list(panes), panes.dropped) == ([], 1)


def test_late_elements_are_shown_as_the_late_sink_has_them() -> None:
    def build(events: tg.Stream) -> tg.Stream:
        return events.window(tg.FixedWindows("2m"), late_to="late").group_by("team").agg(n=tg.count())

    panes = stream().advance_watermark(t(10)).add(score(5, 0), score(1, 11)).run(build)
    (late,) = panes.late
    assert (late["score"], late["windows"], panes.dropped) == (5, 1, 1)
    assert datetime.fromisoformat(late["window_end"]) == t(2)
    assert datetime.fromisoformat(late["watermark"]) == t(10)


def test_a_value_that_does_not_fit_makes_a_dead_letter_as_in_a_file() -> None:
    panes = stream().add({"team": "x", "score": "five", "at": t(0)}, {"team": "x"}).close().run(totals)
    assert list(panes) == []
    assert [letter["reason"] for letter in panes.dead_letters] == [
        'score: "five" is no Int64',
        "it has no event time",
    ]


def test_a_script_can_be_run_again_and_with_another_pipeline() -> None:
    script = stream().add(score(5, 0)).advance_watermark(t(2))
    first = script.run(totals)
    assert script.run(totals) == first
    assert len(script.run(lambda events: totals(events.filter(pl.col("score") > 5)))) == 0
    assert script.run(totals) == first


def test_the_actions_need_no_chain() -> None:
    script = stream()
    script.add(score(5, 0))
    script.close()
    assert brief(script.run(totals)) == [(0, "x", 5, "early", 0), (1, "x", 5, "on_time", 1)]


def test_without_actions_nothing_is_emitted() -> None:
    assert list(stream().run(totals)) == []


def test_an_epoch_without_elements_is_one() -> None:
    assert list(stream().add().add().run(totals)) == []


@pytest.mark.parametrize(
    "at", [NOON, NOON.replace(tzinfo=None), "2026-01-01T13:00:00+01:00", int(NOON.timestamp() * 1000)]
)
def test_moments_of_elements_are_datetimes_texts_or_numbers(at: Any) -> None:
    (pane,) = stream().add({"team": "x", "at": at}).run(totals)
    assert pane.window == (t(0), t(2))


def test_days_are_elements_values_too() -> None:
    script = TestStream({"day": pl.Date}, event_time="day").add({"day": date(2026, 1, 2)})
    (pane,) = script.close().run(
        lambda days: days.window(tg.FixedWindows("1d")).group_by("day").agg(n=tg.count())
    )
    assert pane.key == date(2026, 1, 2)


@pytest.mark.parametrize("moment", [t(2), "2026-01-01T12:02:00Z", int(t(2).timestamp()) * 1_000_000])
def test_moments_of_the_watermark_are_datetimes_texts_or_microseconds(moment: Any) -> None:
    panes = stream().add(score(5, 0)).advance_watermark(moment).run(totals)
    assert [pane.timing for pane in panes] == ["early", "on_time"]


def test_elements_and_watermarks_may_lie_anywhere_whatever_the_clock_says() -> None:
    script = stream(now="1971-01-01").add({"team": "x", "score": 5, "at": "9000-01-01T00:00:00Z"})
    panes = script.advance_watermark("9000-01-01T00:02:00Z").run(totals)
    assert [pane.timing for pane in panes] == ["early", "on_time"]
    assert {pane.emitted_at.year for pane in panes} == {1971}


def test_the_clock_starts_at_the_same_moment_always() -> None:
    (pane,) = TestStream(SCHEMA, event_time="at").add(score(1, 0)).run(totals)
    assert pane.emitted_at == datetime(2026, 1, 1, tzinfo=UTC)


# What cannot be


def raises(message: str) -> Any:
    return pytest.raises(PipelineError, match=message)


def test_an_unknown_column_is_refused_with_those_that_there_are() -> None:
    with raises(r"action 1 \(add\): there is no column 'points'. The columns are team, score, at"):
        stream().add().add({"points": 5})


def test_a_value_that_no_file_can_hold_is_refused() -> None:
    with raises(r"action 0 \(add\): .* is a timedelta, and no element of a file can hold it"):
        stream().add({"team": "x", "score": timedelta(1)})


def test_the_watermark_never_goes_back() -> None:
    script = stream().advance_watermark(t(2)).advance_watermark(t(2))
    with raises(
        r"12:01:00Z is before the watermark 2026-01-01T12:02:00Z, which never goes back. Give a moment"
    ):
        script.advance_watermark(t(1))


@pytest.mark.parametrize("moment", ["noon", 1.5, None, True, 10**18])
def test_a_moment_that_is_none_is_refused(moment: Any) -> None:
    with raises(r"action 0 \(advance_watermark\): .* Give a datetime, an ISO 8601 text such as"):
        stream().advance_watermark(moment)
    if moment is not None:
        with raises(r"TestStream\(now=...\): "):
            stream(now=moment)


@pytest.mark.parametrize("duration", ["-1m", "soon", timedelta(-1), "420000w"])
def test_the_clock_only_goes_forward_and_not_past_all_time(duration: Any) -> None:
    with raises(r"action 0 \(advance_clock\): "):
        stream().advance_clock(duration)


@pytest.mark.parametrize("action", ["add", "close", "advance_clock", "advance_watermark"])
def test_nothing_follows_the_end(action: str) -> None:
    arguments = {"advance_clock": ("1s",), "advance_watermark": (t(2),)}.get(action, ())
    with raises(rf"action 1 \({action}\): the stream is closed. Let close\(\) be the last action"):
        getattr(stream().close(), action)(*arguments)


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (lambda events: None, "NoneType"),
        (lambda events: events, "Stream"),
        (lambda events: totals(events).write_json("totals"), "Output"),
        (lambda events: events.window(tg.FixedWindows("2m")).group_by("team"), "GroupedStream"),
    ],
)
def test_what_is_built_is_a_stream_of_panes(build: Any, given: str) -> None:
    with raises(
        rf"TestStream.run: the function gave {given}, not the stream of panes that agg gives. Return"
    ):
        stream().run(build)


def test_a_source_of_which_nothing_can_come_is_refused() -> None:
    """It would hold the watermark of the union back, and no pane would ever come."""
    views = tg.read_json("views", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"))
    with pytest.raises(PipelineError, match=r"run: the function reads 'views' as well, of which nothing"):
        stream().add(score(5, 0)).close().run(lambda clicks: totals(tg.union(clicks, views)))


# How it is used


def test_its_example_works() -> None:
    assert doctest.testmod(module).failed == 0


def test_the_documentations_examples_work() -> None:
    page = Path(__file__).parents[1] / "docs" / "testing.md"
    blocks = page.read_text().split("```python\n")[1:]
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        example = doctest.DocTestParser().get_doctest(block.split("```")[0], names, page.name, str(page), 0)
        assert example.examples
        runner = doctest.DocTestRunner()
        runner.run(example, clear_globs=False)
        names |= example.globs
        assert runner.failures == 0


def test_it_needs_nothing_that_only_developers_of_tidegate_have() -> None:
    code = "import sys, tidegate.testing\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()}
    assert not loaded & {"pytest", "hypothesis", "greenlet", "boto3", "yaml"}
    assert "polars" in loaded


def test_the_last_instant_of_time_lies_in_no_window() -> None:
    panes = stream().add({"team": "x", "score": 1, "at": "9999-12-31T23:59:59.999Z"}).close().run(totals)
    assert {pane.values["total"] for pane in panes} == {1}

    schema = SCHEMA | {"at": pl.Datetime("us")}
    last = TestStream(schema, event_time="at").add({"team": "x", "at": "9999-12-31T23:59:59.999999Z"})
    (letter,) = last.close().run(totals).dead_letters
    assert letter["reason"] == (
        "its event time 9999-12-31T23:59:59.999999Z is the last instant of time, which lies in no window"
    )


def test_a_sum_that_does_not_fit_is_a_dead_letter_that_names_it() -> None:
    panes = stream().add(score(2**63 - 1, 0), score(1, 0), score(3, 0, team="y")).close().run(totals)

    assert {pane.key for pane in panes} == {"y"}
    letter = panes.dead_letters[-1]
    assert "agg(total=sum(...))" in letter["reason"]
    assert "__agg" not in letter["reason"]


@pytest.mark.parametrize("given", [[score(1, 0)], "abc", None])
def test_rows_are_given_one_by_one(given: Any) -> None:
    with pytest.raises(PipelineError, match=r"action 0 \(add\): .* is no row\. .*add\(\*rows\)"):
        stream().add(given)
