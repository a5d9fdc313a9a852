"""`kill -9` at random moments, again and again: the final files are those of an undisturbed run."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runtime.conftest import EXPRESSIONS, FUNCTIONS
from tests.runtime.events import output_of, panes_of, write_files

FILES = 40
KILLS = 20


@dataclass
class Run:
    """The command line of one pipeline on one folder."""

    pipeline: str
    base: Path
    output: str

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tidegate", "run", self.pipeline, "--input", str(self.base / "in")]
        command += ["--output", str(self.base / self.output), "--max-files-per-epoch", "1", "--workers", "1"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self) -> str:
        """Runs to the end; what it says at last."""
        with self.start() as process:
            output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert errors == ""
        return output

    def kill_somewhere(self, chance: random.Random) -> bool:
        """Starts, waits until it is at work, and kills it a little later; returns whether it was in time."""
        results = self.base / f"{self.output}.state" / "scores" / "epochs"
        before = sum(1 for _ in results.rglob("*.json"))
        wanted = before + chance.randint(0, 2)
        delay = chance.uniform(0, 0.01)
        with self.start() as process:
            while process.poll() is None:
                # Not in the first moments of a start, when nothing can go wrong.
                if sum(1 for _ in results.rglob("*.json")) > wanted:
                    time.sleep(delay)
                    process.kill()
                    break
                time.sleep(0.002)
            process.communicate(timeout=60)
        return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("seed", [1])
def test_killed_and_started_again_until_it_ends(
    write_pipeline: Callable[..., str], tmp_path: Path, seed: int
) -> None:
    write_files(tmp_path / "in" / "scores", FILES)
    pipelines = {
        "expressions": write_pipeline(EXPRESSIONS, "expressions.py"),
        "functions": write_pipeline(FUNCTIONS, "functions.py"),
    }

    def disturbed(name: str) -> int:
        Run(pipelines[name], tmp_path, f"{name}-calm").finish()
        run = Run(pipelines[name], tmp_path, f"{name}-killed")
        chance = random.Random(seed)  # noqa: S311
        kills = sum(run.kill_somewhere(chance) for _ in range(KILLS))
        run.finish()
        return kills

    with ThreadPoolExecutor(2) as pool:
        kills = dict(zip(pipelines, pool.map(disturbed, pipelines), strict=True))
    assert min(kills.values()) >= KILLS - 6, f"too fast to be killed: {kills}"
    outcomes = [output_of(tmp_path / f"{name}-{kind}") for name in pipelines for kind in ("calm", "killed")]
    assert outcomes[0] == outcomes[1], "expressions, which run in threads"
    assert outcomes[2] == outcomes[3], "functions, which run in processes"
    assert outcomes[0] == outcomes[2]
    assert len(panes_of(tmp_path / "functions-killed" / "totals")) > 100
    assert not [path for path in tmp_path.rglob("*#*") if path.is_file()]
