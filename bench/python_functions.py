"""`python -m bench.python_functions`: what a Python function costs for each record, beside the expression.

The whole of one task: reading JSON, windows, combining, panes. CPU seconds of this process with one Polars
thread, so that they are those of one core.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(".bench")


def pipelines() -> dict[str, Callable[[], Any]]:
    import polars as pl

    import tidegate as tg

    events = tg.read_json(
        "events",
        schema={"key": pl.String, "value": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay("10s"),
    )

    def grouped(stream: tg.Stream) -> Any:
        return stream.window(tg.FixedWindows("2m")).accumulate(tg.ACCUMULATING).group_by("key")

    class Mean(tg.CombineFn):
        accumulator = pl.Struct({"number": pl.Int64, "total": pl.Int64})
        output = pl.Float64

        def create_accumulator(self) -> dict[str, int]:
            return {"number": 0, "total": 0}

        def add_input(self, accumulator: dict[str, int], value: int) -> dict[str, int]:
            accumulator["number"] += 1
            accumulator["total"] += value
            return accumulator

        def merge_accumulators(self, accumulators: Iterable[dict[str, int]]) -> dict[str, int]:
            first, *others = accumulators
            for each in others:
                first["number"] += each["number"]
                first["total"] += each["total"]
            return first

        def extract_output(self, accumulator: dict[str, int]) -> float | None:
            return accumulator["total"] / accumulator["number"] if accumulator["number"] else None

    return {
        "sum, an expression": lambda: grouped(events).agg(x=tg.sum("value")),
        "map(fn), then sum": lambda: grouped(events.map(lambda row: row | {"value": row["value"] + 1})).agg(
            x=tg.sum("value")
        ),
        "agg(reduce(column, fn))": lambda: grouped(events).agg(x=tg.reduce("value", max)),
        "reduce(fn) of whole rows": lambda: grouped(events).reduce(
            lambda a, b: a if a["value"] >= b["value"] else b
        ),
        "agg(combine(column, CombineFn))": lambda: grouped(events).agg(x=tg.combine("value", Mean())),
    }


def measure(panes: Any, files: list[bytes]) -> tuple[float, int]:
    """CPU seconds of a drained run, and the panes that it gave."""
    import tidegate as tg
    from tidegate.epochs.layout import Limits
    from tidegate.plan import compile_plan
    from tidegate.testing.memory_runner import MemoryRunner

    plan = compile_plan(tg.Pipeline("p", panes.write_parquet("out")))
    runner = MemoryRunner(plan, now=1_800_000_000_000_000, limits=Limits(small=2**40))
    runner.upload({f"events/{number}.json": data for number, data in enumerate(files)})
    started = time.process_time()
    runner.run(close=True)
    seconds = time.process_time() - started
    return seconds, sum(each for name, each in runner.totals.items() if name.startswith("panes"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.python_functions")
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = "1"
    from bench.inputs import write_events

    folder = FOLDER / f"functions-{options.events}"
    if not folder.exists():
        write_events(folder, options.events, files=5)
    files = [path.read_bytes() for path in sorted((folder / "events").iterdir())]
    print(
        f"{options.events:,} JSON events, 5,000 keys, windows of 2 minutes; median of {options.runs} runs\n"
    )
    print(f"{'':34}{'CPU s':>8}{'events/s/core':>16}{'panes':>10}")
    for name, panes in pipelines().items():
        runs = [measure(panes(), files) for _ in range(options.runs)]
        seconds = median(cpu for cpu, _ in runs)
        print(f"{name:34}{seconds:8.2f}{options.events / seconds:16,.0f}{runs[0][1]:10,}")


if __name__ == "__main__":
    main()
