"""`python -m bench.small_epochs`: what one small epoch takes, in a process that is warm.

A file of 1,000 events comes, one epoch takes it in, and its panes are written; the pipeline is `sum-json`.
The seconds are those from the listing of the input folder to the commit.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

EVENTS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.small_epochs")
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    imports = [import_seconds() for _ in range(5)]
    print(f"import tidegate: {median(imports) * 1_000:.0f} ms, median of 5, without Python's own start")
    with TemporaryDirectory() as folder:
        took = [each * 1_000 for each in epochs(Path(folder), options.epochs)]
    # The first ones load what the others find loaded.
    warm = took[len(took) // 10 :]
    print(
        f"an epoch of {EVENTS:,} events: {median(warm):.0f} ms median of {len(warm)}, "
        f"{quantiles(warm, n=20)[-1]:.0f} ms at the 95th percentile; the first one {took[0]:.0f} ms"
    )


def epochs(folder: Path, number: int) -> list[float]:
    """The seconds of each epoch."""
    from bench.inputs import events
    from bench.pipelines import sum_json
    from tidegate.epochs.record import Limits
    from tidegate.plan import compile_plan
    from tidegate.runtime.embedded import open_runner
    from tidegate.runtime.folders import Folders

    uploads = folder / "input" / "events"
    uploads.mkdir(parents=True)
    folders = Folders.of(folder / "input", folder / "output", None)
    took = []
    with open_runner(
        compile_plan(sum_json), "bench/pipelines.py:sum_json", folders, limits=Limits()
    ) as runner:
        for epoch in range(number):
            rows = events(epoch * EVENTS, (epoch + 1) * EVENTS, number=number * EVENTS)
            rows.write_ndjson(uploads / f"{epoch:05}.json")
            started = time.perf_counter()
            manifest = runner.run()
            took.append(time.perf_counter() - started)
            assert manifest is not None and manifest.epoch == epoch + 1
    return took


def import_seconds() -> float:
    """How long `import tidegate` takes, in a process that has nothing else to do."""
    timed = (
        "import time; started = time.perf_counter(); import tidegate; print(time.perf_counter() - started)"
    )
    ran = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(ran.stdout)


if __name__ == "__main__":
    main()
