"""Several sources through the real protocol: one watermark, in one task and in many, in whatever order."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.epochs import paths
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.tasks import run_task
from tidegate.frontier import Frontier, UnionFrontier
from tidegate.plan import compile_plan
from tidegate.testing.memory_runner import MemoryRunner
from tidegate.timestamps import MAX, MIN

SECOND = 1_000_000
NOW = 1_750_000_020 * SECOND
"""A full minute."""

LAYOUTS = {
    "one call": Limits(),
    "a task for every file": Limits(small=0, task_bytes=1, tasks=3),
    "an epoch for every file": Limits(files=1),
}
EVERY_LAYOUT = pytest.mark.parametrize("limits", LAYOUTS.values(), ids=LAYOUTS)

Event = tuple[str, int, float]
"""User, number, seconds after `NOW`."""


class Twice:
    """Runs each task twice, under two attempts."""

    def __init__(self, plan: Any, stores: Any) -> None:
        self.plan, self.stores = plan, stores

    def run(self, tasks: Sequence[Any]) -> None:
        for attempt in ("one", "two"):
            for task in tasks:
                run_task(self.plan, self.stores, task, attempt)


def clicks(watermark: Any = None, **source: Any) -> tg.Stream:
    """JSON."""
    schema = {"user": pl.String, "n": pl.Int64, "at": pl.Datetime("us")}
    policy = watermark or tg.BoundedDelay("0s")
    return tg.read_json("in/clicks", schema=schema, event_time="at", watermark=policy, **source)


def views(watermark: Any = None, **source: Any) -> tg.Stream:
    """CSV of other columns, brought into form."""
    schema = {"who": pl.String, "times": pl.Int64, "seen": pl.Datetime("us")}
    policy = watermark or tg.BoundedDelay("0s")
    stream = tg.read_csv("in/views", schema=schema, event_time="seen", watermark=policy, **source)
    return stream.filter(pl.col("times") > 0).select(user="who", n="times", at="seen")


def as_clicks(*events: Event) -> bytes:
    rows = ({"user": user, "n": n, "at": NOW + int(second * SECOND)} for user, n, second in events)
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_views(*events: Event) -> bytes:
    rows = [f"{user},{n},{NOW + int(second * SECOND)}" for user, n, second in events]
    return "\n".join(["who,times,seen", *rows, ""]).encode()


def mark(second: float) -> bytes:
    return json.dumps({"watermark": NOW + int(second * SECOND)}).encode()


def world(
    stream: tg.Stream,
    limits: Limits | None = None,
    lateness: str = "0s",
    accumulation: Any = tg.DISCARDING,
    *,
    twice: bool = False,
) -> MemoryRunner:
    windowed = stream.window(tg.FixedWindows("1m"), allowed_lateness=lateness).accumulate(accumulation)
    panes = windowed.group_by("user").agg(n=tg.sum("n"))
    plan = compile_plan(tg.Pipeline("p", panes.write_json("out")))
    return MemoryRunner(plan, NOW, limits, Twice if twice else None)


def panes(runner: MemoryRunner, manifests: Sequence[Manifest] | None = None) -> list[dict[str, Any]]:
    files = [data for each in manifests or runner.manifests for data in runner.outputs(each)]
    return [json.loads(line) for data in files for line in data.splitlines()]


def sums(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """What panes come to: inserts less retractions."""
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found[row["user"], row["window_start"]] += row["n"] * (-1 if row["op"] == "retract" else 1)
    return dict(found)


def watermark(runner: MemoryRunner) -> int:
    return runner.manifests[-1].frontier.watermark


@EVERY_LAYOUT
@pytest.mark.parametrize("twice", [False, True])
def test_a_window_fires_when_both_sources_have_passed_it(limits: Limits, twice: bool) -> None:
    here = world(tg.union(clicks(), views()), limits, twice=twice)
    here.upload({"in/clicks/a.json": as_clicks(("x", 1, 5), ("x", 2, 70))})
    here.run()
    assert watermark(here) == MIN
    here.upload({"in/views/a.csv": as_views(("x", 10, 30), ("y", 0, 50), ("y", 20, 62))})
    (pane,) = panes(here, here.run())
    assert (pane["user"], pane["n"], pane["pane_timing"]) == ("x", 11, "on_time")
    assert watermark(here) == NOW + 62 * SECOND
    assert here.totals["dropped_late"] == 0
    assert (here.totals["records"], here.totals["elements"]) == (5, 4)


@EVERY_LAYOUT
def test_dead_letters_name_the_file_of_their_own_source(limits: Limits) -> None:
    here = world(tg.union(clicks(), views()), limits)
    here.upload(
        {
            "in/clicks/a.json": as_clicks(("x", 1, 5)) + b"no JSON\n",
            "in/views/a.csv": as_views(("x", 1, 5)) + b"x,many,1\n",
        }
    )
    here.run()
    letters = {(each["file"], each["line"]) for each in here.dead_letters()}
    assert letters == {("in/clicks/a.json", 2), ("in/views/a.csv", 3)}


@EVERY_LAYOUT
def test_marks_of_one_source_and_elements_of_the_other(limits: Limits) -> None:
    here = world(tg.union(clicks(), views(tg.Marks(["web", "app"]))), limits)
    here.upload(
        {
            "in/clicks/a.json": as_clicks(("x", 1, 5), ("x", 1, 90)),
            "in/views/a.csv": as_views(("x", 10, 500)),
            "in/views/web.watermark": mark(61),
            "in/views/1/app.watermark": mark(65),
        }
    )
    here.run()
    assert watermark(here) == NOW + 61 * SECOND
    assert here.totals["marks"] == 2
    assert sums(panes(here)) == {("x", "2025-06-15T15:07:00Z"): 1}


@EVERY_LAYOUT
def test_how_far_ahead_an_event_may_lie_is_each_sources_own(limits: Limits) -> None:
    near, far = (tg.BoundedDelay("0s", max_ahead=each) for each in ("10s", "1h"))
    here = world(tg.union(clicks(near), views(far)), limits)
    here.upload({"in/clicks/a.json": as_clicks(("x", 1, 60)), "in/views/a.csv": as_views(("x", 1, 60))})
    here.run()
    assert [each["file"] for each in here.dead_letters()] == ["in/clicks/a.json"]


def test_an_idle_source_is_not_waited_for_and_its_alarm_rings() -> None:
    here = world(tg.union(clicks(), views(tg.Idle(tg.BoundedDelay("10s"), timeout="30s"))))
    here.upload({"in/clicks/a.json": as_clicks(("x", 1, 5), ("x", 1, 200))})
    here.run()
    assert (watermark(here), here.manifests[-1].alarm) == (MIN, NOW + 30 * SECOND)
    here.clock.moment = NOW + 30 * SECOND
    assert panes(here, here.run()) == []
    #  The first window ends 60 s after NOW, which the clock less the delay comes to 10 s later.
    assert here.manifests[-1].alarm == NOW + 70 * SECOND
    here.clock.moment = NOW + 70 * SECOND
    (pane,) = panes(here, here.run())
    assert (pane["n"], pane["pane_timing"]) == (1, "on_time")
    assert here.run() == []


def test_a_bounded_source_is_finished_when_its_input_is_and_the_other_goes_on() -> None:
    here = world(tg.union(clicks(tg.Perfect()), views()))
    here.upload({"in/clicks/a.json": as_clicks(("x", 1, 5)), "in/views/a.csv": as_views(("x", 10, 70))})
    here.run()
    assert watermark(here) == MIN
    (ended,) = here.run(ended=True)
    assert sums(panes(here, [ended])) == {("x", "2025-06-15T15:07:00Z"): 1}
    assert isinstance(ended.frontier, UnionFrontier)
    assert ended.frontier.sources["in/clicks"].watermark == MAX
    assert watermark(here) == NOW + 70 * SECOND
    #  Once is enough.
    assert here.run(ended=True) == []
    here.run(close=True)
    assert watermark(here) == MAX
    assert sums(panes(here))["x", "2025-06-15T15:08:00Z"] == 10


def test_all_sources_bounded() -> None:
    here = world(tg.union(clicks(tg.Perfect()), views(tg.Perfect())))
    here.upload({"in/clicks/a.json": as_clicks(("x", 1, 5)), "in/views/a.csv": as_views(("x", 10, 6))})
    here.run(ended=True)
    assert watermark(here) == MAX
    assert list(sums(panes(here)).values()) == [11]


def test_without_a_grouping_rows_of_both_have_the_columns_of_the_first() -> None:
    rows = tg.union(clicks().select("user", "n"), views().select("n", "user")).write_json("out")
    here = MemoryRunner(compile_plan(tg.Pipeline("p", rows)), NOW)
    here.upload({"in/views/a.csv": as_views(("y", 2, 6)), "in/clicks/a.json": as_clicks(("x", 1, 5))})
    (manifest,) = here.run()
    (data,) = here.outputs(manifest)
    assert data == b'{"user":"y","n":2}\n{"user":"x","n":1}\n'


def test_documents_of_a_union_are_read_as_they_were_written() -> None:
    both = tg.union(clicks(tg.Perfect()), views(tg.Idle(tg.Marks(), "1m")))
    here = world(both, LAYOUTS["an epoch for every file"])
    here.upload({"in/clicks/a.json": as_clicks(("x", 1, 5)), "in/views/web.watermark": mark(7)})
    here.run(ended=True)
    for manifest in here.manifests:
        assert Manifest.decode(manifest.key, manifest.encode()) == manifest
        key = paths.record("p", manifest.epoch)
        record = EpochRecord.decode(key, here.state.get(key))
        assert record.encode() == here.state.get(key)
        assert record.ended == (("in/clicks",) if manifest.epoch == 3 else ())
    assert len(here.manifests) == 3


def test_documents_of_one_source_are_as_they_always_were() -> None:
    here = world(clicks())
    here.upload({"in/clicks/a.json": as_clicks(("x", 1, 5))})
    (manifest,) = here.run()
    record = json.loads(here.state.get(paths.record("p", 1)))["body"]
    assert not {"sources", "ended"} & {*record, *json.loads(manifest.encode())["body"]}
    assert manifest.frontier == Frontier(NOW + 5 * SECOND)


# Whatever comes in whatever order


def events(chance: random.Random, count: int, spread: float) -> list[Event]:
    return [(chance.choice("xyz"), chance.randrange(1, 9), chance.uniform(0, spread)) for _ in range(count)]


def files_of(chance: random.Random, all_events: Sequence[Event], number: int) -> list[tuple[str, bytes]]:
    """The events in so many files, some of either source."""
    parts: list[list[Event]] = [[] for _ in range(number)]
    for event in all_events:
        chance.choice(parts).append(event)
    files = []
    for index, part in enumerate(parts):
        if chance.random() < 0.5:
            files.append((f"in/clicks/{index}.json", as_clicks(*part)))
        else:
            files.append((f"in/views/{index}.csv", as_views(*part)))
    return files


def batch(all_events: Sequence[Event]) -> Counter[tuple[str, int]]:
    """What each user's events of a minute come to."""
    found: Counter[tuple[str, int]] = Counter()
    for user, number, second in all_events:
        found[user, int(second // 60)] += number
    return found


ACCUMULATIONS = [tg.DISCARDING, tg.ACCUMULATING_AND_RETRACTING]


@pytest.mark.parametrize("seed", range(12))
def test_with_enough_lateness_it_is_the_batch_answer_for_every_interleaving(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    all_events = events(chance, 80, 600)
    files = files_of(chance, all_events, 12)
    policies = [
        tg.BoundedDelay("30s"),
        tg.Idle(tg.BoundedDelay("5s"), timeout="3s"),
        tg.Marks(),
        tg.Idle(tg.Marks(["web"]), timeout="3s"),
    ]
    one, other = chance.choice(policies), chance.choice(policies)
    sources = {"in/clicks": one, "in/views": other}
    marked = [name for name, policy in sources.items() if policy.rule().marked]
    stream = tg.union(clicks(one), views(other, ordered=chance.random() < 0.3))
    here = world(stream, None, "1h", chance.choice(ACCUMULATIONS))
    chance.shuffle(files)
    while files:
        here.limits = chance.choice(list(LAYOUTS.values()))
        wave, files = files[: (size := chance.randrange(1, 5))], files[size:]
        here.upload(dict(wave))
        for source in marked:
            if chance.random() < 0.5:
                here.upload({f"{source}/{len(files)}/web.watermark": mark(chance.uniform(0, 600))})
        here.clock.moment += chance.choice([0, 1, 5]) * SECOND
        here.run()
    here.run(close=True)
    assert (here.totals["dropped_late"], here.totals["dead_letters"]) == (0, 0)
    found = sorted(number for number in sums(panes(here)).values())
    assert found == sorted(batch(all_events).values())


@pytest.mark.parametrize("seed", range(6))
def test_the_panes_of_waiting_files_depend_on_no_order_and_no_cut(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    files = files_of(chance, events(chance, 120, 600), 9)
    found = []
    for limits in LAYOUTS.values():
        here = world(tg.union(clicks(tg.BoundedDelay("20s")), views()), limits)
        chance.shuffle(files)
        here.upload(dict(files))
        here.run()
        assert here.totals["dropped_late"] == 0
        rows = [{**row, "emitted_at": None} for row in panes(here)]
        found.append((sorted(rows, key=repr), watermark(here)))
    assert found[0] == found[1] == found[2]
    assert {row["pane_timing"] for row in found[0][0]} <= {"on_time"}
