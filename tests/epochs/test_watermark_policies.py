"""Watermark policies through the real protocol: what files and marks say, in one task and in many."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.epochs.layout import Limits
from tidegate.timestamps import MAX, MIN, iso

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
NOW = 1_750_000_020 * SECOND
"""A full minute."""

LAYOUTS = pytest.mark.parametrize("limits", [ONE_CALL, many_tasks(3), many_tasks(3, files=1)])
"""One task does all; every file has a task of its own; every file has an epoch of its own."""


def world(watermark: Any, limits: Limits = ONE_CALL, **source: Any) -> World:
    stream = tg.read_json(
        "events",
        schema={"k": pl.String, "at": pl.Datetime("us")},
        event_time="at",
        watermark=watermark,
        **source,
    )
    panes = stream.window(tg.FixedWindows("1m"), allowed_lateness="1d").group_by("k").agg(n=tg.count())
    return World(tg.Pipeline("p", panes.write_json("out")), limits, NOW)


def data(*seconds: float) -> bytes:
    """Elements so many seconds after `NOW`."""
    return b"".join(
        json.dumps({"k": "x", "at": NOW + int(each * SECOND)}).encode() + b"\n" for each in seconds
    )


def mark(second: float) -> bytes:
    """A mark so many seconds after `NOW`."""
    return json.dumps({"watermark": NOW + int(second * SECOND)}).encode()


def brief(rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["n"], row["pane_timing"]) for row in rows]


# Marks


@LAYOUTS
def test_a_window_fires_when_all_producers_marks_have_passed_it(limits: Limits) -> None:
    here = world(tg.Marks(["web", "app"]), limits)
    here.upload_files({"a.json": data(1, 2), "web.watermark": mark(90)})
    assert here.run() == []
    assert here.watermark == MIN
    here.upload_files({"b.json": data(3), "app.watermark": mark(60)})
    assert brief(here.run()) == [(3, "on_time")]
    assert here.watermark == NOW + MINUTE
    assert here.totals["marks"] == 2
    assert here.totals["records"] == here.totals["elements"] == 3


@LAYOUTS
def test_marks_wait_for_the_files_that_were_accepted_before_them(limits: Limits) -> None:
    here = world(tg.Marks(), limits)
    here.upload_files({"0/web.watermark": mark(60), "a.json": data(1), "b.json": data(2)})
    assert brief(here.run()) == [(2, "on_time")]


@LAYOUTS
def test_a_producers_marks_lie_in_any_folder_and_the_highest_counts(limits: Limits) -> None:
    here = world(tg.Marks(), limits)
    here.upload_files({"0/web.watermark": mark(50), "1/web.watermark": mark(90), "2/web.watermark": mark(70)})
    here.run()
    assert here.watermark == NOW + 90 * SECOND
    assert here.manifests[-1].frontier.marks == {"web": NOW + 90 * SECOND}


def test_a_mark_is_a_text_too_and_the_end_of_time_finishes_the_stream() -> None:
    here = world(tg.Marks())
    here.upload_files({"a.json": data(1), "web.watermark": json.dumps({"watermark": iso(MAX)}).encode()})
    assert brief(here.run()) == [(1, "on_time")]
    assert here.watermark == MAX


@LAYOUTS
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("web", b"not JSON", "the mark is no JSON"),
        ("web", b"\xff\xfe", "the mark is no JSON"),
        ("web", b"[" * 50_000, "the mark is no JSON"),
        ("web", b'{"watermark": "soon"}', "the mark's watermark is no ISO 8601 time"),
        ("web", b'{"watermark": 1e300}', 'the mark has no "watermark" that is'),
        ("web", b'{"watermark": true}', 'the mark has no "watermark" that is'),
        ("web", b'{"Watermark": 5}', 'the mark has no "watermark" that is'),
        ("web", b"[5]", 'the mark has no "watermark" that is'),
        ("web", b'{"watermark": 999999999999999999}', "outside of the years 1 to 9999"),
        ("web", b" " * 70_000, "a mark has at most 65,536 bytes, and this has more"),
        ("web", mark(86_401), "further ahead than max_ahead allows"),
        ("other", mark(60), "the source declares no producer 'other'; it has app, web"),
    ],
    ids=str,
)
def test_what_is_no_mark_is_a_dead_letter_and_counted(
    limits: Limits, name: str, content: bytes, reason: str
) -> None:
    here = world(tg.Marks(["web", "app"]), limits)
    here.upload_files({"a.json": data(1), f"{name}.watermark": content, "app.watermark": mark(60)})
    here.run()
    (letter,) = here.dead_letters()
    assert (letter["file"], letter["line"]) == (f"events/{name}.watermark", 0)
    assert reason in letter["reason"]
    assert here.totals["records"] == here.totals["elements"] + here.totals["dead_letters"] == 2
    assert here.totals["marks"] == 1
    assert here.watermark == MIN


def test_a_mark_that_was_written_over_before_it_was_read_is_a_dead_letter() -> None:
    here = world(tg.Marks())
    here.upload_files({"web.watermark": mark(1)})
    here.upload_files({"web.watermark": mark(2)})
    here.run()
    (letter,) = here.dead_letters()
    assert "cannot be read as it was accepted" in letter["reason"]
    assert here.watermark == NOW + 2 * SECOND


def test_event_times_move_nothing_and_may_lie_far_ahead() -> None:
    here = world(tg.Marks())
    here.upload(
        [{"k": "x", "at": NOW + 500 * DAY}, {"k": "x", "at": MAX - 1}],
    )
    here.run()
    assert (here.watermark, here.totals["dead_letters"]) == (MIN, 0)


def test_with_another_watermark_marks_are_no_input() -> None:
    here = world(tg.BoundedDelay("0s"))
    assert not here.outline.takes("events/web.watermark")
    assert world(tg.Marks()).outline.takes("events/deep/er/web.watermark")
    assert not world(tg.Marks()).outline.takes("events/.watermark")


# Perfect


@LAYOUTS
def test_a_perfect_watermark_comes_with_the_end_of_the_input(limits: Limits) -> None:
    here = world(tg.Perfect(), limits)
    here.upload_files({"a.json": data(1, 200, 9_000_000), "b.json": data(0)})
    assert here.run() == []
    assert here.watermark == MIN
    assert brief(here.run(close=True)) == [(2, "on_time"), (1, "on_time"), (1, "on_time")]
    assert here.totals["dead_letters"] == here.totals["dropped_late"] == 0


def test_a_perfect_source_fires_the_global_window() -> None:
    events = tg.read_json("e", schema={"at": pl.Datetime("us")}, event_time="at", watermark=tg.Perfect())
    here = World(
        tg.Pipeline("p", events.window(tg.GlobalWindows()).group_by().agg(n=tg.count()).write_json("o"))
    )
    here.upload_files({"a.json": data(1, 2), "b.json": data(3)})
    assert brief(here.run(close=True)) == [(3, "on_time")]


# Idle


@LAYOUTS
def test_an_idle_source_closes_its_windows_by_the_clock_and_without_input(limits: Limits) -> None:
    here = world(tg.Idle(tg.BoundedDelay("10s"), timeout="30s"), limits)
    here.upload_files({"a.json": data(5, 15)})
    assert here.run() == []
    assert here.alarm == NOW + 30 * SECOND
    here.clock.moment = here.alarm - 1
    assert here.run() == []
    here.clock.moment = here.alarm
    assert here.run() == []
    assert here.watermark == NOW + 20 * SECOND
    #  The window ends at 60 s; its watermark is reached at 70 s, and nothing is to be done before.
    assert here.alarm == NOW + 70 * SECOND
    here.clock.moment = here.alarm
    assert brief(here.run()) == [(2, "on_time")]
    assert here.manifests[-1].counters["files"] == 0
    #  It rings once more, to forget the window when its lateness is over, and then no more.
    here.clock.moment = here.alarm
    assert here.alarm == NOW + 70 * SECOND + DAY + 1
    assert here.run() == []
    assert here.alarm == MAX
    assert here.manifests[-1].segments == ()


def test_an_idle_source_that_hears_again_is_no_more_idle_than_any() -> None:
    here = world(tg.Idle(tg.BoundedDelay("0s"), timeout="30s"))
    here.upload_files({"a.json": data(5)})
    here.run()
    here.clock.moment = NOW + 40 * SECOND
    here.run()
    here.upload_files({"b.json": data(6, 50)})
    assert here.run() == []
    assert here.watermark == NOW + 50 * SECOND
    assert here.alarm == NOW + 70 * SECOND


def test_files_without_elements_do_not_count_as_hearing() -> None:
    here = world(tg.Idle(tg.BoundedDelay("0s"), timeout="30s"))
    here.upload_files({"a.json": data(5)})
    here.run()
    here.clock.moment = NOW + 31 * SECOND
    here.upload_files({"b.json": b"", "c.json": b"no JSON\n"})
    here.run()
    assert here.watermark == NOW + 31 * SECOND


def test_a_backlog_does_not_look_idle_however_long_it_waited() -> None:
    here = world(tg.Idle(tg.BoundedDelay("0s"), timeout="30s"), many_tasks(1, files=1))
    here.upload_files({"a.json": data(5)})
    here.run()
    here.clock.moment = NOW + DAY
    here.upload_files({"b.json": b"", "c.json": data(6, 7)})
    assert here.run() == []
    assert (here.watermark, here.totals["dropped_late"]) == (NOW + 7 * SECOND, 0)


@LAYOUTS
def test_a_silent_producer_stops_holding_the_others_back(limits: Limits) -> None:
    here = world(tg.Idle(tg.Marks(["web", "app"]), timeout="30s"), limits)
    here.upload_files({"a.json": data(5), "0/web.watermark": mark(60), "app.watermark": mark(1)})
    assert here.run() == []
    here.clock.moment = NOW + 20 * SECOND
    here.upload_files({"1/web.watermark": mark(61)})
    assert here.run() == []
    assert here.alarm == NOW + 30 * SECOND
    here.clock.moment = here.alarm
    assert brief(here.run()) == [(1, "on_time")]
    assert here.watermark == NOW + 61 * SECOND


def test_a_pipeline_without_groups_is_idle_in_peace() -> None:
    events = tg.read_json(
        "e",
        schema={"at": pl.Datetime("us")},
        event_time="at",
        watermark=tg.Idle(tg.BoundedDelay("0s"), "1m"),
    )
    here = World(tg.Pipeline("p", events.write_json("o")), now=NOW)
    here.upload_files({"a.json": data(1)})
    assert len(here.run()) == 1
    here.clock.moment = here.alarm
    assert here.run() == []
    assert here.alarm == MAX


# File by file


def test_an_ordered_source_emits_and_forgets_windows_as_it_goes() -> None:
    files = {f"{number}.json": data(number * 60, number * 60 + 30) for number in range(4)}
    backlog, ordered = (
        world(tg.BoundedDelay("0s"), many_tasks(1, files=1), ordered=each) for each in (False, True)
    )
    for here in (backlog, ordered):
        here.upload_files(files)
    assert [row["epoch"] for row in backlog.run()] == [4, 4, 4]
    assert [row["epoch"] for row in ordered.run()] == [2, 3, 4]
    assert ordered.totals["dropped_late"] == 0


def test_order_is_part_of_what_a_pipeline_means_and_nothing_else_changed() -> None:
    usual = world(tg.BoundedDelay("0s")).outline
    ordered = world(tg.BoundedDelay("0s"), ordered=True).outline
    assert ordered.fingerprint != usual.fingerprint
    assert ordered.rules["events"] == replace(usual.rules["events"], ordered=True)
    assert "ordered" not in "".join(usual.meaning)


def test_order_says_nothing_where_no_watermark_follows_the_files() -> None:
    with pytest.raises(
        tg.PipelineError, match=r"ordered=True: Perfect\(\) gives no watermark before the input's end"
    ):
        world(tg.Perfect(), ordered=True)


def test_what_is_no_policy_is_refused() -> None:
    for wrong in ("10s", tg.BoundedDelay, None):
        with pytest.raises(
            tg.PipelineError, match=r"is no watermark. Give for example BoundedDelay\('10s'\)"
        ):
            world(wrong)
