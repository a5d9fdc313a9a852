"""`python -m bench.long_run`: whether an epoch costs after thousands of others what the first ones cost.

Files of 1,000 events of 100 keys, each an epoch of its own, through the embedded runner with local files and
SQLite, in one process. Printed are, for each hundred epochs, the median CPU milliseconds of an epoch, those
of the look at the input folder before it, the memory of the process, what the head's manifest takes, and the
requests of an epoch by their kind. The folder keeps its files, and a look asks for the size and time of each:
that grows with their number, and is no part of an epoch. Event time goes on, so that windows close; old
epochs are swept every minute.
"""

import argparse
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from bench.inputs import cuts, events
from bench.pipelines import sum_json
from tidegate.epochs.layout import Limits
from tidegate.plan import compile_plan
from tidegate.runtime.embedded import EmbeddedRunner, open_runner
from tidegate.runtime.folders import Folders
from tidegate.stores.embedded import LocalObjects, SqliteTable

FOLDER = Path(".bench/long")
EVENTS = 1_000
KEYS = 100
TOGETHER = 100
"""Epochs of a line."""

REQUESTS: dict[type, dict[str, str]] = {
    LocalObjects: {
        "get": "get",
        "get_ranges": "get",
        "put": "put",
        "put_if_absent": "put",
        "list": "list",
        "delete": "delete",
    },
    SqliteTable: {"get": "row get", "get_many": "row get", "query": "query", "write": "write"},
}
"""What a call of a store is counted as."""

KINDS = sorted({kind for calls in REQUESTS.values() for kind in calls.values()})


@contextmanager
def counted(requests: Counter[str]) -> Iterator[None]:
    """Counts the requests of what runs inside."""
    before = []

    def counting(kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            requests[kind] += 1
            return call(*args, **kwargs)

        return wrapper

    for store, calls in REQUESTS.items():
        for name, kind in calls.items():
            before.append((store, name, getattr(store, name)))
            setattr(store, name, counting(kind, getattr(store, name)))
    try:
        yield
    finally:
        for store, name, call in before:
            setattr(store, name, call)


def resident() -> float:
    """Megabytes of memory that the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.long_run")
    parser.add_argument("--epochs", type=int, default=2_000)
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    for folder in ("new", "in/events"):
        (FOLDER / folder).mkdir(parents=True)
    number = EVENTS * options.epochs
    for name, first, last in cuts(number, options.epochs):
        events(first, last, number=number, keys=KEYS).write_ndjson(FOLDER / "new" / f"{name}.json")
    requests: Counter[str] = Counter()
    epoch, look = [], []
    files = EmbeddedRunner._files

    def looked(runner: EmbeddedRunner) -> Any:
        started = time.process_time()
        found = files(runner)
        look.append((time.process_time() - started) * 1_000)
        return found

    print(f"{options.epochs:,} epochs of one file of {EVENTS:,} events, embedded, one process\n")
    print(f"{'epochs':>12}{'epoch ms':>10}{'look ms':>9}{'MB':>6}{'manifest':>10}", end="")
    print("".join(f"{kind:>9}" for kind in KINDS))
    folders = Folders.of(FOLDER / "in", FOLDER / "out", None)
    with (
        patch.object(EmbeddedRunner, "_files", looked),
        open_runner(compile_plan(sum_json), "", folders, limits=Limits()) as runner,
        counted(requests),
    ):
        for file in sorted((FOLDER / "new").iterdir()):
            file.rename(FOLDER / "in/events" / file.name)
            started = time.process_time()
            last_manifest = runner.run()
            epoch.append((time.process_time() - started) * 1_000 - look[-1])
            if len(epoch) % TOGETHER == 0 and last_manifest is not None:
                size = len(last_manifest.encode())
                print(f"{len(epoch):>12,}{median(epoch[-TOGETHER:]):10.1f}", end="")
                print(f"{median(look[-TOGETHER:]):9.1f}{resident():6.0f}{size:10,}", end="")
                print("".join(f"{requests[kind] / TOGETHER:9.1f}" for kind in KINDS), flush=True)
                requests.clear()


if __name__ == "__main__":
    main()
