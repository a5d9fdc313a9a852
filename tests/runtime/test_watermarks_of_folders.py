"""Watermark policies on folders: when a stream ends by itself, who is idle, and what marks do there."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runtime.conftest import EXPRESSIONS
from tests.runtime.events import NOON, age, output_of, panes_of, write_files
from tests.runtime.runs import opened, run
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.errors import UsageError
from tidegate.plan import compile_plan
from tidegate.runtime import embedded
from tidegate.runtime.embedded import open_runner
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.replay import replay
from tidegate.stores.memory import ManualClock
from tidegate.timestamps import MAX, MIN, iso

Write = Callable[..., str]

SECOND = 1_000_000


def with_watermark(watermark: str) -> str:
    return EXPRESSIONS.replace('tg.BoundedDelay("10s")', watermark)


def sums(folder: Path) -> dict[tuple[object, object], Counter[str]]:
    """What the panes of each team and window come to; they discard."""
    found: dict[tuple[object, object], Counter[str]] = {}
    for pane in panes_of(folder):
        values = Counter(total=int(str(pane["total"])), games=int(str(pane["games"])))
        found.setdefault((pane["team"], pane["window_start"]), Counter()).update(values)
    return found


# Perfect


def test_a_folder_with_a_perfect_watermark_finishes_by_itself(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 3)
    perfect, drained = write_pipeline(with_watermark("tg.Perfect()"), "perfect.py"), write_pipeline()
    finished = run(perfect, tmp_path, "perfect", files=1)
    run(drained, tmp_path, "drained", drain=True)
    assert finished.frontier.watermark == MAX
    assert finished.segments == ()
    assert finished.totals["panes_late"] == 0
    assert run(perfect, tmp_path, "perfect").epoch == finished.epoch
    assert sums(tmp_path / "perfect" / "totals") == sums(tmp_path / "drained" / "totals")


def test_once_finished_it_takes_no_file(write_pipeline: Write, tmp_path: Path) -> None:
    reference, folder = write_pipeline(with_watermark("tg.Perfect()")), tmp_path / "in" / "scores"
    write_files(folder, 2)
    run(reference, tmp_path)
    (folder / "new.json").write_text('{"team": "x", "score": 1, "at": 1700000000000}\n')
    with pytest.raises(
        UsageError, match=r"when its input ended, as Perfect\(\) says, and scores/new.json is new"
    ):
        run(reference, tmp_path)


def test_what_ends_is_not_followed(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline(with_watermark("tg.Perfect()"))
    write_files(tmp_path / "in" / "scores", 1)
    with opened(reference, tmp_path) as runner:
        with pytest.raises(
            UsageError, match=r"Perfect\(\) watermark says that the input ends.*leave --follow out"
        ):
            runner.follow()
        assert runner.table.query("", 10) == []


@pytest.mark.parametrize("watermark", ["tg.Perfect()", "tg.Marks()", 'tg.Idle(tg.BoundedDelay("10s"), "1m")'])
def test_a_replay_gives_the_same_again(write_pipeline: Write, tmp_path: Path, watermark: str) -> None:
    reference, folder = write_pipeline(with_watermark(watermark)), tmp_path / "in" / "scores"
    write_files(folder, 3)
    write_mark(folder / "web.watermark", NOON + 30)
    run(reference, tmp_path, files=2)
    before = output_of(tmp_path / "out")
    folders = Folders.of(tmp_path / "in", tmp_path / "out", None)
    replay(compile_plan(load_pipeline(reference)), reference, folders)
    assert output_of(tmp_path / "out") == before
    assert before


def test_a_replay_makes_no_epochs_of_its_own(write_pipeline: Write, tmp_path: Path) -> None:
    """As it was once: an idle producer's deadline had passed in a backlog, and the replay saw no backlog."""
    reference = write_pipeline(with_watermark('tg.Idle(tg.Marks(["app", "web"]), "1m")'))
    folder = tmp_path / "in" / "scores"
    write_files(folder, 1)
    write_mark(folder / "app.watermark", NOON + 600)
    age(folder / "000.json", NOON)
    age(folder / "app.watermark", NOON)
    run(reference, tmp_path)
    for number in range(3):
        event = {"team": "x", "score": 1, "at": (NOON + 30) * 1000}
        (folder / f"late{number}.json").write_text(json.dumps(event) + "\n")
        age(folder / f"late{number}.json", NOON + 7_200)
    last = run(reference, tmp_path, files=1)
    before = output_of(tmp_path / "out")
    folders = Folders.of(tmp_path / "in", tmp_path / "out", None)
    replay(compile_plan(load_pipeline(reference)), reference, folders)
    assert run(reference, tmp_path).epoch == last.epoch
    assert output_of(tmp_path / "out") == before


# Marks


def write_mark(path: Path, moment: int) -> None:
    """Seconds since 1970."""
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps({"watermark": iso(moment * SECOND)}))
    age(path, NOON + 3_600)


def test_marks_lie_beside_the_files(write_pipeline: Write, tmp_path: Path) -> None:
    reference, folder = write_pipeline(with_watermark("tg.Marks()")), tmp_path / "in" / "scores"
    write_files(folder, 2)
    with opened(reference, tmp_path) as runner:
        manifest = runner.run()
        assert (manifest.frontier.watermark if manifest else None, runner.ignored) == (MIN, 0)
        write_mark(folder / "1" / "web.watermark", NOON + 30)
        manifest = runner.run()
    assert manifest is not None
    assert manifest.frontier.watermark == (NOON + 30) * SECOND
    assert manifest.counters["marks"] == 1


def test_a_producers_last_mark_finishes_the_stream(write_pipeline: Write, tmp_path: Path) -> None:
    reference, folder = write_pipeline(with_watermark("tg.Marks()")), tmp_path / "in" / "scores"
    write_files(folder, 2)
    (folder / "web.watermark").write_text('{"watermark": "9999-12-31T23:59:59.999999Z"}')
    assert run(reference, tmp_path).frontier.watermark == MAX
    (folder / "new.json").write_text('{"team": "x", "score": 1, "at": 1700000000000}\n')
    with pytest.raises(
        UsageError, match=r"finished with --drain or by its marks, and scores/new.json is new"
    ):
        run(reference, tmp_path)


# Idle


def test_in_a_finished_folder_time_stands_still_and_nobody_is_idle(
    write_pipeline: Write, tmp_path: Path
) -> None:
    reference = write_pipeline(with_watermark('tg.Idle(tg.BoundedDelay("10s"), timeout="1us")'))
    write_files(tmp_path / "in" / "scores", 3)
    first = run(reference, tmp_path)
    assert first.frontier.watermark < (NOON + 60) * SECOND
    assert run(reference, tmp_path) == first


def test_who_follows_finds_an_idle_source_by_the_clock(
    write_pipeline: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "POLL", 0)
    reference = write_pipeline(with_watermark('tg.Idle(tg.BoundedDelay("10s"), timeout="1h")'))
    folder = tmp_path / "in" / "scores"
    folder.mkdir(parents=True)
    event = {"team": "x", "score": 1, "at": NOON * 1000}
    (folder / "a.json").write_text(json.dumps(event) + "\n")
    clock = ManualClock(NOON * SECOND)
    watched: list[Manifest] = []

    def looks() -> Iterator[bool]:
        yield False
        # It is taken once it was seen unchanged for a while.
        clock.moment += SECOND
        yield False
        clock.moment = watched[-1].alarm - 1
        yield False
        assert len(watched) == 1
        clock.moment = watched[-1].alarm
        yield False
        yield True

    look = looks()
    plan = compile_plan(load_pipeline(reference))
    folders = Folders.of(tmp_path / "in", tmp_path / "out", None)
    with open_runner(plan, reference, folders, limits=Limits(), watch=watched.append, clock=clock) as runner:
        runner.follow(stop=lambda: next(look))
    first, second = watched
    assert (first.counters["files"], second.counters["files"]) == (1, 0)
    assert first.alarm == (NOON + 1 + 3_600) * SECOND
    assert second.frontier.watermark == (NOON + 1 + 3_600 - 10) * SECOND
    assert [pane["pane_timing"] for pane in panes_of(tmp_path / "out" / "totals")] == ["on_time"]
