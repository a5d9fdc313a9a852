"""`python -m bench.memory`: the peak memory of one epoch over one file, as the file grows, and of many tasks.

Each run is a fresh process, start-up included. With one file of JSON lines, plain or gzip, what a task holds
is bounded if the peak does not grow with the file. The word count has tasks that hold much, one after the
other in one process, as a warm function has them: what one leaves behind adds to the next one's peak.
"""

import argparse
import gzip
import shutil
import sys
from pathlib import Path

from bench.inputs import write_events
from bench.process import measure
from bench.side_by_side import Bench
from bench.workloads import WORKLOADS

FOLDER = Path(".bench/memory")
BLOCK = 500_000
"""Events of the block that a file repeats, so that keys and windows stay as many."""


def write_file(folder: Path, megabytes: int, *, packed: bool) -> None:
    """One file with so much content; a compressed one has a gzip member for each block."""
    block = FOLDER / "block"
    if not block.exists():
        write_events(block, number=BLOCK, files=1)
    lines = next((block / "events").iterdir()).read_bytes()
    content = gzip.compress(lines, 6) if packed else lines
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / f"events.json{'.gz' if packed else ''}").open("wb") as file:
        for _ in range(max(1, round(megabytes * 1e6 / len(lines)))):
            file.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("--megabytes", type=int, nargs="+", default=[50, 200, 1_000])
    parser.add_argument("--runs", type=int, default=3, help="runs of many tasks (default: %(default)s)")
    options = parser.parse_args()
    print("one epoch over one file of JSON, 5,000 keys, windows of 2 minutes; a fresh process each\n")
    print(f"{'content':>12}{'':>8}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}{'to the first':>14}")
    for packed in (False, True):
        first = 0.0
        for megabytes in options.megabytes:
            write_file(FOLDER / "run/events", megabytes, packed=packed)
            for name in ("out", "out.state"):
                shutil.rmtree(FOLDER / "run" / name, ignore_errors=True)
            command = [sys.executable, "-m", "tidegate", "run", "bench.pipelines:sum_json", "--drain"]
            command += ["--input", str(FOLDER / "run"), "--output", str(FOLDER / "run/out")]
            run = measure(command, FOLDER)
            first = first or run.peak
            print(
                f"{megabytes:>9} MB{'gzip' if packed else 'plain':>8}{run.wall:10.2f}{run.cpu:10.2f}"
                f"{run.peak:10.0f}{run.peak / first:14.2f}"
            )
    shutil.rmtree(FOLDER / "run")
    workload = WORKLOADS["words"]
    words = Bench(workload, FOLDER, workload.rows, files=20)
    words.prepare()
    print(f"\n{workload.title}, {workload.rows:,} rows, one task after the other\n")
    print(f"{'':20}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}")
    for _ in range(options.runs):
        run = words.tidegate("--workers", "1")
        print(f"{'':20}{run.wall:10.2f}{run.cpu:10.2f}{run.peak:10.0f}", flush=True)


if __name__ == "__main__":
    main()
