"""Fuzzes every reader and codec: `python -m tests.fuzz [TARGET ...] [--inputs N] [--seed S]`."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.process import has_atheris
from tests.fuzz.targets import TARGETS

FOLDER = Path(".fuzz")
_DONE = re.compile(r"Done (\d+) (?:runs|in)|stat::number_of_executed_units:\s+(\d+)")


def main() -> int:
    """Runs the targets one after the other, and prints a table; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"all of {', '.join(TARGETS)} if left out"
    )
    parser.add_argument("--inputs", type=int, default=100_000, help="of all targets together (100,000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed begins with the same inputs (1)")
    chosen = parser.parse_args()
    unknown = set(chosen.targets) - set(TARGETS)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; the targets are {', '.join(TARGETS)}")
    names = chosen.targets or list(TARGETS)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    (FOLDER / ".gitignore").write_text("*\n")
    print(f"{'atheris' if has_atheris() else 'edits at random'}, seed {chosen.seed}")
    print(f"{'target':14}{'inputs':>12}{'failures':>10}{'seconds':>9}", flush=True)
    shares = sum(TARGETS[name].share for name in names)
    total = [0, 0, 0.0]
    for name in names:
        wanted = -(-chosen.inputs * TARGETS[name].share // shares)
        row = run(name, wanted, chosen.seed)
        total = [whole + part for whole, part in zip(total, row, strict=True)]
        print(f"{name:14}{row[0]:12,}{row[1]:10,}{row[2]:9.0f}", flush=True)
    print(f"{'total':14}{total[0]:12,}{total[1]:10,}{total[2]:9.0f}")
    if total[1]:
        print(f"The inputs that broke a promise are in {FOLDER}, each with what it raised.")
    return int(total[1] > 0)


def run(name: str, inputs: int, seed: int) -> tuple[int, int, float]:
    """Inputs, failures and seconds of one target."""
    crashers = FOLDER / name
    crashers.mkdir()
    begin = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.process", name, str(inputs), str(seed), str(crashers)]
    with (FOLDER / f"{name}.log").open("w+b") as log:
        # One thread: the inputs are small, and the machine is shared.
        done = subprocess.run(
            command, stderr=log, stdout=log, check=False, env={**os.environ, "POLARS_MAX_THREADS": "1"}
        )
        log.seek(0)
        counts = [int(a or b) for a, b in _DONE.findall(log.read().decode(errors="replace"))]
    found = sum(path.suffix != ".txt" for path in crashers.iterdir())
    if done.returncode and not found:
        found = 1
    return max(counts, default=0), found, time.monotonic() - begin


if __name__ == "__main__":
    sys.exit(main())
