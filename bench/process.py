"""One run of a program as a fresh process, start-up included, and what it took."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]

_STOPWATCH = Path(__file__).with_name("stopwatch.py")


class Failed(Exception):
    """A program ended with an error; the message is the end of what it wrote."""


@dataclass(frozen=True)
class Measured:
    """What a process took, with those that it started.

    Attributes:
        wall: Seconds until the process ended.
        cpu: Seconds of all cores, the system's included.
        peak: Memory of the largest process, MB.
    """

    wall: float
    cpu: float
    peak: float


def measure(command: Sequence[str], folder: Path, limit: float = 3_600) -> Measured:
    """Runs a program in the repository's root; what it writes goes to `log.txt` in a folder.

    Args:
        command: The program with its arguments.
        folder: Must be there.
        limit: Seconds after which it is killed.

    Raises:
        Failed: It ended with an error, or was killed.
    """
    log = (folder / "log.txt").resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "shared"), str(ROOT)])}
    watched = [sys.executable, "-I", "-S", str(_STOPWATCH), str(log), str(limit), *command]
    ran = subprocess.run(watched, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        lines = log.read_text(errors="replace").splitlines()
        if ran.stdout and json.loads(ran.stdout)["wall"] >= limit:
            raise Failed(f"killed after {limit:,.0f} seconds")
        raise Failed(f"exit code {ran.returncode}: {' '.join(command)}\n" + "\n".join(lines[-15:]))
    return Measured(**json.loads(ran.stdout))


def middle(runs: Sequence[Measured]) -> Measured:
    """The median of each figure."""
    return Measured(*(median(each) for each in zip(*map(astuple, runs), strict=True)))
