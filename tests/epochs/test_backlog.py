"""A backlog makes nothing late: the panes of waiting files depend neither on their order nor on the cut."""

import random
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from tests.epochs.scenario import NOON, SECOND, Process, Wave, World, compiled, lines, panes
from tidegate.epochs.drive import drive
from tidegate.epochs.layout import Limits
from tidegate.plan import Plan

FILES = 20
LAYOUTS = {
    "one file an epoch": Limits(files=1),
    "three files an epoch, fanned out": Limits(files=3, small=0, task_bytes=1, tasks=4),
    "one epoch, fanned out": Limits(small=0, task_bytes=1, tasks=4),
}


def shuffled() -> Wave:
    """20 minutes of events in 20 files, each of them spanning all 20 minutes."""
    chance = random.Random(7)  # noqa: S311
    events = [(f"team{n % 7}", n % 11, chance.uniform(0, 1_200)) for n in range(1_000)]
    chance.shuffle(events)
    return tuple((f"scores/{n:02}.json", lines(*events[n::FILES])) for n in range(FILES))


WAVE = shuffled()


def outcome(plan: Plan, limits: Limits, *, close: bool) -> tuple[list[dict[str, Any]], dict[str, int]]:
    world = World()
    process = Process(plan, world, limits)
    process.accept(WAVE, NOON + 3_600 * SECOND)
    drive(process.coordinator, process.invoker, close=close)
    manifest = process.coordinator.manifest()
    assert manifest is not None
    return sorted(panes(world), key=repr), manifest.totals


@pytest.mark.parametrize("close", [False, True], ids=["open", "drained"])
@pytest.mark.parametrize("accumulation", [tg.ACCUMULATING, tg.DISCARDING])
@pytest.mark.parametrize("lateness", ["0s", "5m"])
def test_a_backlog_gives_the_panes_of_one_big_epoch(accumulation: Any, lateness: str, close: bool) -> None:
    plan = compiled(accumulation=accumulation, delay="10s", lateness=lateness)
    expected, totals = outcome(plan, Limits(), close=close)
    assert totals["epochs"] == 1 + close
    assert len(expected) >= 7 * 19
    assert {pane["pane_timing"] for pane in expected} == {"on_time"}
    for limits in LAYOUTS.values():
        found, counted = outcome(plan, limits, close=close)
        assert found == expected
        assert (counted["dropped_late"], counted["dropped_closed"]) == (0, 0)
        assert counted["records"] == 1_000


@pytest.mark.parametrize("accumulation", ["ACCUMULATING", "DISCARDING"])
def test_on_files(tmp_path: Path, accumulation: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same through `tidegate run`, where processing time is when the files were written."""
    import os

    import polars as pl

    from tidegate.cli import main

    (tmp_path / "scores_pipeline.py").write_text(
        "import polars as pl\nimport tidegate as tg\n"
        "schema = {'team': pl.String, 'score': pl.Int64, 'at': pl.Datetime('ms')}\n"
        "panes = (tg.read_json('scores', schema=schema,\n"
        "    event_time='at', watermark=tg.BoundedDelay('10s')).window(tg.FixedWindows('1m'))\n"
        f"    .accumulate(tg.{accumulation}).group_by('team').agg(total=tg.sum('score'), games=tg.count()))\n"
        "pipeline = tg.Pipeline('scores', panes.write_json('totals'))\n"
    )
    (tmp_path / "in" / "scores").mkdir(parents=True)
    for number, (name, text) in enumerate(WAVE):
        path = tmp_path / "in" / name
        path.write_text(text)
        written = (NOON // SECOND + 3_600 + (number * 7) % FILES) * 1_000_000_000
        os.utime(path, ns=(written, written))
    found = []
    for count in (1, 1_000):
        output = tmp_path / f"out{count}"
        arguments = ["run", str(tmp_path / "scores_pipeline.py"), "--input", str(tmp_path / "in")]
        assert main([*arguments, "--output", str(output), "--max-files-per-epoch", str(count)]) == 0
        files = sorted((output / "totals").iterdir())
        rows = [row for path in files for row in pl.read_ndjson(path).to_dicts()]
        found.append(sorted(rows, key=repr))
        assert "0 too late, 0 after their window closed" in capsys.readouterr().out
    assert found[0] == found[1]
    assert len(found[0]) >= 7 * 19
