"""`make bench`: 2 million JSON records in 20 files, Tidegate beside DuckDB's batch query of the same files.

Both run as fresh processes, in turn, start-up included, and their answers are compared. Figures on a shared
machine are noisy: the ratios of one run say more than its seconds.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import duckdb

from bench.events import write_events

FOLDER = Path(".bench")

BATCH = """
    COPY (
        SELECT key, time_bucket(INTERVAL '2 minutes', epoch_ms("at")) AS window_start, sum(value) AS total
        FROM read_json('{events}/*.json', format = 'newline_delimited',
                       columns = {{key: 'VARCHAR', value: 'BIGINT', "at": 'BIGINT'}})
        GROUP BY ALL
    ) TO '{answer}' (FORMAT json)
"""

COMPARE = """
    WITH ours AS (SELECT key, window_start::TIMESTAMP AS w, total FROM read_json('{ours}')),
         batch AS (SELECT key, window_start::TIMESTAMP AS w, total FROM read_json('{batch}'))
    SELECT count(*) FROM ((FROM ours EXCEPT ALL FROM batch) UNION ALL (FROM batch EXCEPT ALL FROM ours))
"""


@dataclass(frozen=True)
class Measured:
    """One run of a process: wall seconds, CPU seconds, peak memory in MB."""

    wall: float
    cpu: float
    peak: float


def measure(command: list[str]) -> Measured:
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed with exit code {process.returncode}: {' '.join(command)}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run_tidegate() -> Measured:
    for name in ("out", "out.state"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    command = [sys.executable, "-m", "tidegate", "run", "bench/window_sum.py", "--drain"]
    return measure([*command, "--input", str(FOLDER), "--output", str(FOLDER / "out")])


def run_duckdb() -> Measured:
    query = BATCH.format(events=FOLDER / "events", answer=FOLDER / "batch.json")
    return measure([sys.executable, "-c", f"import duckdb; duckdb.execute({query!r})"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    marker = FOLDER / f"events-{options.events}-{options.files}"
    if not marker.exists():
        print(f"writing {options.events:,} events")
        shutil.rmtree(FOLDER, ignore_errors=True)
        write_events(FOLDER / "events", events=options.events, files=options.files)
        marker.touch()
    ours, batch = [], []
    for _ in range(options.runs):
        ours.append(run_tidegate())
        batch.append(run_duckdb())
    compare = COMPARE.format(ours=FOLDER / "out/totals/*.json", batch=FOLDER / "batch.json")
    (differences,) = duckdb.execute(compare).fetchone() or (0,)
    print(f"{options.events:,} JSON events, {options.files} files, 5,000 keys, windows of 2 minutes")
    print(f"median of {options.runs} runs in turn, fresh processes, {os.cpu_count()} cores\n")
    print(f"{'':24}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}{'events/s':>12}")
    middle = {}
    for name, runs in (("tidegate run --drain", ours), (f"DuckDB {duckdb.__version__} batch", batch)):
        middle[name] = Measured(
            *(median(getattr(run, part) for run in runs) for part in ("wall", "cpu", "peak"))
        )
        row = middle[name]
        print(f"{name:24}{row.wall:10.2f}{row.cpu:10.2f}{row.peak:10.0f}{options.events / row.wall:12,.0f}")
    first, second = middle.values()
    ratios = (first.wall / second.wall, first.cpu / second.cpu, first.peak / second.peak)
    print(f"{'ratio':24}" + "".join(f"{ratio:10.2f}" for ratio in ratios))
    print(f"\nanswers {'agree' if not differences else f'DIFFER in {differences} rows'}")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
