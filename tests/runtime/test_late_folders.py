"""Late elements in folders: beside the panes, in summaries, and with them in a replay."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.conftest import EXPRESSIONS, FUNCTIONS
from tests.runtime.events import output_of
from tests.runtime.replays import run_in_waves, run_replay
from tests.runtime.runs import opened, run
from tidegate.cli import main

Write = Callable[..., str]


def with_late(text: str) -> str:
    return text.replace('allowed_lateness="1m"', 'allowed_lateness="0s", late_to="late/scores"')


def late(base: Path) -> list[dict[str, object]]:
    files = sorted((base / "out" / "late" / "scores").iterdir())
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("text", [EXPRESSIONS, FUNCTIONS], ids=["expressions", "functions"])
def test_as_many_as_are_counted_and_the_same_ones_in_a_replay(
    write_pipeline: Write, tmp_path: Path, text: str
) -> None:
    reference = write_pipeline(with_late(text))
    run_in_waves(reference, tmp_path)
    manifest = run(reference, tmp_path)
    assert len(late(tmp_path)) == manifest.totals["dropped_late"] > 5
    before = output_of(tmp_path / "out")
    run_replay(reference, tmp_path)
    assert output_of(tmp_path / "out") == before == output_of(tmp_path / "out.before-replay")


def test_a_replay_without_late_elements_any_more_leaves_no_folder_of_old_ones(
    write_pipeline: Write, tmp_path: Path
) -> None:
    run_in_waves(write_pipeline(with_late(EXPRESSIONS)), tmp_path)
    more = with_late(EXPRESSIONS).replace('allowed_lateness="0s"', 'allowed_lateness="1h"')
    run_replay(write_pipeline(more, "patient.py"), tmp_path)
    assert not (tmp_path / "out" / "late").exists()
    assert (tmp_path / "out.before-replay" / "late" / "scores").is_dir()


def test_the_summary_says_where_they_are(
    write_pipeline: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = write_pipeline(with_late(EXPRESSIONS))
    run_in_waves(reference, tmp_path)
    shutil.copy2(tmp_path / "all" / "000.json", tmp_path / "in" / "scores" / "100.json")
    folders = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert main(["run", reference, *folders]) == 0
    assert f"late     what came too late is in {tmp_path}/out/late/scores\n" in capsys.readouterr().out
    assert main(["run", reference, *folders]) == 0
    assert "too late" not in capsys.readouterr().out


def test_what_somebody_removed_is_missed(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline(with_late(EXPRESSIONS))
    run_in_waves(reference, tmp_path)
    manifest = run(reference, tmp_path)
    (name,) = [name for name in manifest.outputs if name.startswith("late/")]
    (tmp_path / "out" / name).unlink()
    with opened(reference, tmp_path) as runner:
        runner.run()
        assert runner.missing == (name,)
