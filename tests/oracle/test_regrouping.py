"""Panes grouped again: inserts less retractions are the batch answer, whatever the order of arrival."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.oracle.built import PaneSink
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.pipeline import Output, Stream

Row = dict[str, Any]

SCHEMA = {"team": pl.String, "user": pl.String, "score": pl.Int64, "at": pl.Datetime("us")}
SECOND = 1_000_000
NOON = 1_750_000_000 * SECOND
LATENESS = "10h"

TRIGGERS: dict[str, tg.AfterWatermark | tg.Repeatedly] = {
    "at the watermark, then each late one": tg.AfterWatermark(late=tg.AfterCount(1)),
    "early and late": tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(2)),
    "every second element": tg.Repeatedly(tg.AfterCount(2)),
}

rows = st.builds(
    lambda team, user, score, at: {"team": team, "user": user, "score": score, "at": NOON + at * SECOND},
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["u", "v", "w"]),
    st.integers(-3, 5),
    st.integers(0, 400),
)


def users(trigger: Any, size: str) -> Stream:
    """The total of each user and window, with every refinement taken back by the next."""
    events = tg.read_json("events", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("5s"))
    windowed = events.window(tg.FixedWindows(size), allowed_lateness=LATENESS)
    triggered = windowed.trigger(trigger).accumulate(tg.ACCUMULATING_AND_RETRACTING)
    return triggered.group_by("team", "user").agg(total=tg.sum("score"))


def teams(trigger: Any) -> tg.Pipeline:
    """Of these totals, those above 1, by how high they are and by team."""
    best = (
        users(trigger, "1m")
        .filter(pl.col("total") > 1)
        .window(tg.FixedWindows("3m"), allowed_lateness=LATENESS)
        .trigger(trigger)
        .accumulate(tg.ACCUMULATING_AND_RETRACTING)
        .group_by("team")
        .agg(users=tg.count(), best=tg.max("total"), points=tg.sum("total"), all=tg.collect("total"))
    )
    return tg.Pipeline("teams", best.write_json("teams"))


def batch(elements: Sequence[Row]) -> Counter[tuple[Any, ...]]:
    """The same by hand."""
    totals: Counter[tuple[Any, ...]] = Counter()
    for each in elements:
        totals[each["team"], each["user"], each["at"] // (60 * SECOND)] += each["score"]
    found: dict[tuple[Any, ...], list[int]] = {}
    for (team, _, minute), total in totals.items():
        if total > 1:
            # A pane's own event time lies in the window that it is of.
            end = (minute + 1) * 60 * SECOND - 1
            found.setdefault((team, end // (180 * SECOND)), []).append(total)
    return Counter(
        (team, len(all_), max(all_), sum(all_), tuple(sorted(all_))) for (team, _), all_ in found.items()
    )


def left(panes: Sequence[Row]) -> Counter[tuple[Any, ...]]:
    """Inserts less retractions."""
    table: Counter[tuple[Any, ...]] = Counter()
    for pane in panes:
        row = (pane["team"], pane["users"], pane["best"], pane["points"], tuple(sorted(pane["all"])))
        table[row] += 1 if pane["op"] == "insert" else -1
    return Counter({row: n for row, n in table.items() if n})


@pytest.mark.parametrize("trigger", TRIGGERS)
@given(
    files=st.lists(st.lists(rows, max_size=6), min_size=1, max_size=6),
    limits=st.sampled_from((1, 2, 3, None)),
)
@settings(max_examples=15, deadline=None)
def test_inserts_less_retractions_are_the_batch_answer(
    trigger: str, files: list[list[Row]], limits: int | None
) -> None:
    world = World(teams(TRIGGERS[trigger]), ONE_CALL if limits is None else many_tasks(limits), now=NOON)
    panes = world.run([[each] for each in files], close=True)
    assert world.totals["dropped_late"] == 0
    assert left(panes) == batch([row for each in files for row in each])


@given(files=st.lists(st.lists(rows, min_size=1, max_size=6), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_how_an_epoch_is_cut_changes_nothing(files: list[list[Row]]) -> None:
    trigger = TRIGGERS["early and late"]
    whole, cut = (World(teams(trigger), limits, now=NOON) for limits in (ONE_CALL, many_tasks(3)))
    arrivals = [[each] for each in files]

    def seen(world: World) -> list[Row]:
        panes = [pane | {"all": sorted(pane["all"])} for pane in world.run(arrivals, close=True)]
        return sorted(panes, key=lambda pane: (pane["epoch"], pane["op"] == "insert", str(pane)))

    assert seen(whole) == seen(cut)
    assert [each.watermarks for each in whole.manifests] == [each.watermarks for each in cut.manifests]


def score(user: str, score: int, at: int) -> Row:
    return {"team": "a", "user": user, "score": score, "at": NOON + at * SECOND}


def test_a_window_that_gave_no_pane_counts_none() -> None:
    """As it was once: one that was taken back, and came again, went on with the index 2."""
    world = World(teams(TRIGGERS["early and late"]), ONE_CALL, now=NOON)
    panes = world.run([[[score("u", each, 0)]] for each in (5, -9, 8)])
    assert [(pane["op"], pane["points"], pane["pane_index"]) for pane in panes] == [
        ("insert", 5, 0),
        ("retract", 5, 0),
        ("insert", 4, 1),
    ]


def test_what_was_taken_back_gives_a_session_no_event_time() -> None:
    """As it was once: the last pane had the event time of the user who is not in it."""
    trigger = tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1))
    best = (
        users(trigger, "1m")
        .filter(pl.col("total") > 1)
        .window(tg.Sessions("10m"), allowed_lateness=LATENESS, timestamp="latest")
        .trigger(trigger)
        .accumulate(tg.ACCUMULATING)
        .group_by("team")
        .agg(points=tg.sum("total"))
    )
    world = World(tg.Pipeline("best", Output(best, PaneSink("json", "best"))), ONE_CALL, now=NOON)
    panes = world.run([[[score("u", each, 0)]] for each in (5, -9)])
    (_, first), (points, last) = [(pane["points"], pane["event_time"]) for pane in panes]
    assert points == 0
    assert first < last, "the end of the window"
