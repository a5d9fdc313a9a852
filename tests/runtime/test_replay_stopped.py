"""A replay that is stopped, wherever that is, leaves the old output and state or the new ones."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.events import output_of, write_files
from tests.runtime.replays import OTHER, run_in_waves, run_replay
from tests.runtime.runs import run
from tidegate.epochs.manifest import Manifest
from tidegate.errors import IncompatiblePipeline
from tidegate.testing.faults import Crash, crash

Write = Callable[..., str]


def test_stopped_anywhere_it_leaves_the_old_or_the_new(
    write_pipeline: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before every call of the system that changes a folder, and after every epoch."""
    first, second = write_pipeline(), write_pipeline(OTHER, "other_pipeline.py")
    run_in_waves(first, tmp_path)
    run_in_waves(second, tmp_path, "fresh")
    old, new = output_of(tmp_path / "out"), output_of(tmp_path / "fresh")
    for name in ("out", "out.state"):
        (tmp_path / name).rename(tmp_path / f"{name}.template")
    count, at = 0, 0

    def reached(*_: object) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise Crash

    for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, call=call, **k: (reached(), call(*a, **k))[1])
    switched = []
    while True:
        at = 0
        for name in ("out", "out.state"):
            for beside in ("", ".replay", ".before-replay"):
                shutil.rmtree(tmp_path / f"{name}{beside}", ignore_errors=True)
            shutil.copytree(tmp_path / f"{name}.template", tmp_path / name)
        count, at = 0, len(switched) + 1
        try:
            run_replay(second, tmp_path, watch=reached)
            break
        except Crash:
            at = 0
        after = second if len(switched) % 2 else first
        try:
            run(after, tmp_path)
            switched.append(after == second)
        except IncompatiblePipeline:
            switched.append(after == first)
        assert output_of(tmp_path / "out") == (new if switched[-1] else old)
        assert (tmp_path / "out.before-replay").exists() == switched[-1]
        assert not (tmp_path / "out.replay").exists()
        run(second if switched[-1] else first, tmp_path)
        assert output_of(tmp_path / "out") == (new if switched[-1] else old)
        if not switched[-1]:
            run_replay(second, tmp_path)
            assert output_of(tmp_path / "out") == new
    assert switched == sorted(switched), "once it is decided it stays so"
    assert switched.count(False) > 10
    assert switched.count(True) > 5


def test_a_replay_finishes_the_switch_of_the_one_before(
    write_pipeline: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = write_pipeline(), write_pipeline(OTHER, "other_pipeline.py")
    run_in_waves(first, tmp_path)
    run_in_waves(second, tmp_path, "fresh")
    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr("tidegate.runtime.switch.Switch.finish", lambda self: crash())
        run_replay(second, tmp_path)
    replayed = run_replay(second, tmp_path)
    assert replayed.finished_earlier
    assert output_of(tmp_path / "out") == output_of(tmp_path / "fresh")


def test_whoever_lists_the_sink_meanwhile_sees_old_or_new(write_pipeline: Write, tmp_path: Path) -> None:
    """Or no folder at all, between two renames."""
    first = write_pipeline()
    second = write_pipeline(OTHER.replace("panes.write_json", "panes.write_parquet"), "other_pipeline.py")
    run_in_waves(first, tmp_path)
    sink = tmp_path / "out" / "totals"
    old, ended, seen = sorted(os.listdir(sink)), threading.Event(), set[tuple[str, ...]]()  # noqa: PTH208

    def look() -> None:
        while not ended.is_set():
            try:
                seen.add(tuple(sorted(os.listdir(sink))))  # noqa: PTH208
            except FileNotFoundError:
                continue

    reader = threading.Thread(target=look)
    reader.start()
    try:
        run_replay(second, tmp_path)
    finally:
        ended.set()
        reader.join()
    new = sorted(os.listdir(sink))  # noqa: PTH208
    assert seen <= {tuple(old), tuple(new)}
    assert tuple(old) in seen


@pytest.mark.parametrize("seed", [1])
def test_killed_again_and_again(write_pipeline: Write, tmp_path: Path, seed: int) -> None:
    """`kill -9` on real processes, with the old pipeline run in between."""
    files, kills = 40, 8
    first, second = write_pipeline(), write_pipeline(OTHER, "other_pipeline.py")
    write_files(tmp_path / "in" / "scores", files)
    for reference, output in ((first, "out"), (second, "fresh")):
        run(reference, tmp_path, output, files=1)
    old, new = output_of(tmp_path / "out"), output_of(tmp_path / "fresh")
    chance, killed = random.Random(seed), 0  # noqa: S311
    command = [sys.executable, "-m", "tidegate", "replay", second]
    command += ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    for _ in range(kills):
        epochs = tmp_path / "out.state.replay" / "scores" / "epochs"
        wanted = chance.randrange(files + 5)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while process.poll() is None:
                if sum(1 for _ in epochs.glob("*/manifest.json")) >= wanted:
                    process.kill()
                time.sleep(0.001)
            process.communicate()
        killed += process.returncode == -signal.SIGKILL
        decided = (tmp_path / "out.before-replay").exists()
        manifest: Manifest = run(second if decided else first, tmp_path)
        assert manifest.totals["files"] == files
        assert output_of(tmp_path / "out") == (new if decided else old)
        if decided:
            break
    else:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"{files} files in {files} epochs" in done.stdout
    assert killed > 2
    assert output_of(tmp_path / "out") == new
