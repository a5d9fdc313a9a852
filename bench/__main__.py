"""`make bench`: Tidegate beside DuckDB's batch query of the same files, answers compared.

Both run as fresh processes, in turn, start-up included. Figures on a shared machine are noisy: the ratios of
one run say more than its seconds.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import duckdb
import polars as pl

from bench.process import ROOT, Failed
from bench.side_by_side import Bench, Result
from bench.workloads import WORKLOADS

FOLDER = ROOT / ".bench"

_TABLE = "{:14}{:>12} {:>7}{:>7}{:>7}   {:>7}{:>7}{:>7}   {:>6}{:>6}{:>6}{:>10}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the workloads that are named; 1 if an answer is wrong."""
    options = _parser().parse_args(arguments)
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(f"median of {options.runs} runs in turn, fresh processes; seconds of wall, of CPU; peak MB\n")
    print(_TABLE.format("", "", "", "ours", "", "", "DuckDB", "", "", "ratio", "", ""))
    units = ("wall", "CPU", "MB")
    print(_TABLE.format("", "rows", *units, *units, *units, "to reach"))
    results, wrong = [], 0
    for name in options.workloads or WORKLOADS:
        workload = WORKLOADS[name]
        rows = options.events or int(workload.rows * options.factor)
        bench = Bench(workload, options.folder, rows, options.files)
        options.folder.mkdir(parents=True, exist_ok=True)
        try:
            results.append(bench.run(options.runs))
        except Failed as error:
            print(f"{name:14}{error}")
            wrong += 1
        else:
            print(row_of(results[-1]), flush=True)
    print(f"\n{len(results)} answers agree" + (f", {wrong} workloads failed" if wrong else ""))
    if options.json:
        options.json.write_text(json.dumps(document(results, options.runs), indent=1) + "\n")
    return 1 if wrong else 0


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    return {
        "Python": platform.python_version(),
        "Polars": pl.__version__,
        "DuckDB": duckdb.__version__,
        "cores": str(os.cpu_count()),
    }


def row_of(result: Result) -> str:
    """A line of the table."""
    times = ("{:7.2f}{:7.2f}{:7.0f}".format(*asdict(each).values()) for each in (result.ours, result.batch))
    ratios = "{:6.2f}{:6.2f}{:6.2f}".format(*asdict(result.ratios).values())
    reach = f"{result.workload.to_reach:10.1f}" if result.workload.to_reach else ""
    return f"{result.workload.name:14}{result.rows:12,} " + "   ".join((*times, ratios)) + reach


def document(results: Sequence[Result], runs: int) -> dict[str, object]:
    """The results as JSON."""
    return {
        "versions": versions(),
        "machine": platform.machine(),
        "runs": runs,
        "workloads": [
            {
                "name": each.workload.name,
                "title": each.workload.title,
                "rows": each.rows,
                "to_reach": each.workload.to_reach,
                "tidegate": asdict(each.ours),
                "duckdb": asdict(each.batch),
            }
            for each in results
        ],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all if none"
    )
    parser.add_argument(
        "--events", type=int, metavar="N", help="rows of each input, instead of its own number"
    )
    parser.add_argument("--factor", type=float, default=1.0, help="makes each input so many times as large")
    parser.add_argument("--files", type=int, default=20, help="files of an input (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where inputs and outputs go")
    parser.add_argument("--json", type=Path, help="a file for the figures, which bench.report draws")
    return parser


if __name__ == "__main__":
    sys.exit(main())
