"""`python -m bench.small_epochs`: what an epoch costs that has hardly anything to do.

Files of 1,000 events of 100 keys, each an epoch of its own, through the embedded runner with local files and
SQLite. The first epochs are left out, so that all is warm. Printed are the milliseconds of an epoch and where
they go, each stage without those inside of it; and the CPU seconds of a seed of the simulation, which
consists of such epochs.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import tidegate as tg
from bench.inputs import cuts, events
from bench.pipelines import json as records
from bench.pipelines import sum_json
from bench.process import measure
from tidegate.engine.segments import Standing
from tidegate.epochs import draft, tasks
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator
from tidegate.pipeline import Pipeline
from tidegate.plan import compile_plan
from tidegate.runtime import workers
from tidegate.runtime.embedded import EmbeddedRunner, open_runner
from tidegate.runtime.folders import Folders
from tidegate.sinks.sink import Sink
from tidegate.stores.embedded import LocalObjects, SqliteTable

FOLDER = Path(".bench/small")
EVENTS = 1_000
KEYS = 100
WARM = 20

STAGES: list[tuple[str, Any, tuple[str, ...]]] = [
    ("plan the epoch", Coordinator, ("plan",)),
    ("read and combine", tasks, ("map_epoch",)),
    ("read state", Standing, ("read",)),
    ("join, triggers, panes", tasks, ("reduce_epoch", "regroup")),
    ("encode state", draft, ("encode_layers",)),
    ("encode output", Sink, ("encode",)),
    ("the rest of the task", workers, ("run_task",)),
    ("the rest of the run", EmbeddedRunner, ("run",)),
    ("commit the epoch", Coordinator, ("commit",)),
    ("objects", LocalObjects, ("get", "get_ranges", "_write", "list")),
    ("table", SqliteTable, ("get", "get_many", "query", "write")),
]


class Stages:
    """Milliseconds of CPU of each stage, without those of the stages inside of it."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._inside = [0.0]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its time measured."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(0.0)
            started = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.process_time() - started
                self.spent[name] += (spent - self._inside.pop()) * 1_000
                self._inside[-1] += spent

        return wrapper


@contextmanager
def measured(stages: Stages) -> Iterator[None]:
    """Measures the stages of what runs inside, in one thread."""
    before = []
    for name, owner, functions in STAGES:
        for each in functions:
            before.append((owner, each, getattr(owner, each)))
            setattr(owner, each, stages.timed(name, getattr(owner, each)))
    try:
        yield
    finally:
        for owner, each, function in before:
            setattr(owner, each, function)


def pipelines() -> dict[str, Pipeline]:
    sessions = (
        records.window(tg.Sessions("1m"), allowed_lateness="5m")
        .trigger(tg.AfterWatermark(early=tg.AfterCount(3), late=tg.AfterCount(1)))
        .accumulate(tg.ACCUMULATING_AND_RETRACTING)
        .group_by("key")
        .agg(total=tg.sum("value"), games=tg.count())
    )
    return {"window sum": sum_json, "sessions": tg.Pipeline("sessions", sessions.write_json("totals"))}


def run(pipeline: Pipeline, epochs: int) -> tuple[list[float], list[float], Stages]:
    """Wall and CPU milliseconds of each epoch but the first ones, and those of their stages."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for folder in ("new", "in/events"):
        (FOLDER / folder).mkdir(parents=True)
    number = EVENTS * (epochs + WARM)
    for name, first, last in cuts(number, epochs + WARM):
        events(first, last, number=number, keys=KEYS).write_ndjson(FOLDER / "new" / f"{name}.json")
    folders = Folders.of(FOLDER / "in", FOLDER / "out", None)
    wall, cpu, stages = [], [], Stages()
    with open_runner(compile_plan(pipeline), "", folders, limits=Limits()) as runner, measured(stages):
        # One by one, for files that wait together hold the watermark back.
        for number, file in enumerate(sorted((FOLDER / "new").iterdir())):
            if number == WARM:
                stages.spent.clear()
            file.rename(FOLDER / "in/events" / file.name)
            started = time.perf_counter(), time.process_time()
            runner.run()
            wall.append((time.perf_counter() - started[0]) * 1_000)
            cpu.append((time.process_time() - started[1]) * 1_000)
    return wall[WARM:], cpu[WARM:], stages


def seed_seconds(seeds: int) -> float:
    """CPU seconds of a seed of the simulation, without what the process needs to start."""
    command = [sys.executable, "-m", "tests.sim", "--jobs", "1", "--seeds"]
    first, second = (measure([*command, str(number)], FOLDER).cpu for number in (1, seeds + 1))
    return (second - first) / seeds


def import_seconds() -> float:
    """How long `import tidegate` takes in a new process, the median of five."""
    timed = (
        "import time; started = time.perf_counter(); import tidegate; print(time.perf_counter() - started)"
    )
    command = [sys.executable, "-c", timed]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(5)]
    return median(float(each.stdout) for each in runs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.small_epochs")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()
    print(f"`import tidegate` takes {import_seconds() * 1_000:.0f} ms\n")
    print(f"epochs of one file of {EVENTS:,} events, embedded, warm; {options.epochs} of each pipeline")
    for name, pipeline in pipelines().items():
        wall, cpu, stages = run(pipeline, options.epochs)
        print(f"\n{name}: an epoch takes {median(wall):.1f} ms (median), {median(cpu):.1f} ms of CPU")
        for stage, spent in sorted(stages.spent.items(), key=lambda each: -each[1]):
            print(f"  {stage:30}{spent / options.epochs:8.2f} ms of CPU")
    if options.seeds:
        print(f"\na seed of the simulation takes {seed_seconds(options.seeds):.3f} CPU seconds")


if __name__ == "__main__":
    main()
