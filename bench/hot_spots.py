"""`python -m bench.hot_spots WORKLOAD`: which functions take the CPU seconds of a run of Tidegate.

One task runs after the other, and Polars has one thread, so that what is spent during a call is the call's.
The profile's own cost is in the seconds: shares say more.
"""

import argparse
import cProfile
import os
import pstats
import shutil
import sys
import time
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.hot_spots", description=__doc__)
    parser.add_argument("workload")
    parser.add_argument("--events", type=int, help="rows of the input, instead of the workload's own number")
    parser.add_argument("--lines", type=int, default=60, help="functions to print (default: %(default)s)")
    options = parser.parse_args(arguments)
    os.environ["POLARS_MAX_THREADS"] = "1"
    started = time.process_time()
    from tidegate import cli

    print(f"imports: {time.process_time() - started:.2f} CPU seconds")
    from bench.__main__ import FOLDER
    from bench.side_by_side import Bench
    from bench.workloads import WORKLOADS
    from tidegate.runtime.workers import ThreadWorkers

    workload = WORKLOADS[options.workload]
    bench = Bench(workload, FOLDER, options.events or workload.rows, files=20)
    bench.folder.mkdir(parents=True, exist_ok=True)
    bench.prepare()
    run = ThreadWorkers.run

    def one_after_the_other(workers, tasks):
        for task in tasks:
            run(workers, [task])

    ThreadWorkers.run = one_after_the_other
    out = bench.folder / "profiled"
    for each in (out, bench.folder / "profiled.state"):
        shutil.rmtree(each, ignore_errors=True)
    command = ["run", workload.pipeline, "--drain", "--input", str(bench.input), "--output", str(out)]
    profile = cProfile.Profile(time.process_time)
    code = profile.runcall(cli.main, command)
    statistics = pstats.Stats(profile).strip_dirs()
    statistics.sort_stats("cumulative").print_stats(options.lines)
    statistics.sort_stats("tottime").print_stats(options.lines // 3)
    return code


if __name__ == "__main__":
    sys.exit(main())
