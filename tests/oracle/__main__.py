"""Compares the engine with the naive implementation: `python -m tests.oracle --examples 100000`.

Each process takes examples of its own; what differs is printed as the smallest example that was found.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

SHARE = 500
"""Examples that a process takes at once."""


def run(number: int, examples: int) -> str:
    """So many examples of a seed of their own; returns what differs."""
    from hypothesis import given, seed, settings

    from tests.oracle.draws import cases
    from tests.oracle.test_oracle import SETTINGS, compare

    @settings(SETTINGS, max_examples=examples, database=None)
    @seed(number)
    @given(case=cases())
    def examples_of_a_seed(case: Any) -> None:
        compare(*case)

    try:
        examples_of_a_seed()
    except AssertionError as error:
        return "\n".join([str(error), *getattr(error, "__notes__", [])])
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed; each has so many examples")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    # The frames are tiny: threads would only wait for each other.
    os.environ["POLARS_MAX_THREADS"] = "1"
    started, done, different = time.monotonic(), 0, 0
    seeds = range(options.first, options.first + -(-options.examples // SHARE))
    with ProcessPoolExecutor(options.processes) as pool:
        shares = {pool.submit(run, seed, min(SHARE, options.examples)): seed for seed in seeds}
        for share in as_completed(shares):
            done += min(SHARE, options.examples)
            if difference := share.result():
                different += 1
                print(f"\nseed {shares[share]} differs:\n{difference}", flush=True)
            rate = done / (time.monotonic() - started)
            print(f"\r{done:,} examples, {rate:.0f} a second, {different} differ", end="", flush=True)
    print()
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
