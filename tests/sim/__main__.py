"""Runs seeds: `python -m tests.sim --seed 7` shows one, `--seeds 1000` runs many.

A seed that breaks a promise is shrunk: faults are switched off, and then uploads left out, as long as it
still breaks one. What is left goes into `tests/sim/regressions.txt` with `--keep`.
"""

import argparse
import os
import sys
import time

# Before Polars is imported: thousands of tiny frames gain nothing from threads.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

from tests.sim.regressions import REGRESSIONS, Regression
from tests.sim.seeds import reduced, simulate, unexpected_calls
from tests.sim.tally import Tally, report, run_many
from tidegate.testing.simulation.simulation import START
from tidegate.testing.simulation.timeline import timeline


def show(regression: Regression) -> int:
    """Prints one seed's time-line."""
    run = simulate(regression.seed, without=regression.without, left_out=regression.left_out)
    for line in timeline(run.steps, START):
        print(line)
    print(f"faults: {', '.join(f'{name} {n}' for name, n in sorted(run.happened.items())) or 'none'}")
    print(f"{len(run.watch.manifests)} epochs, {run.turns} turns, digest {run.digest()}")
    promises = [*run.violations, *unexpected_calls(run)]
    for promise in promises:
        print(f"VIOLATED: {promise}")
    return int(bool(promises))


def main() -> int:
    """The command; returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", metavar="S", help="show this seed's time-line")
    parser.add_argument("--without", default="", metavar="FAULTS", help="faults to switch off, with commas")
    parser.add_argument("--left-out", default="", metavar="NUMBERS", help="uploads to leave out, with commas")
    parser.add_argument("--seeds", type=int, default=1_000, metavar="N", help="how many to run")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--keep", action="store_true", help=f"add what was found to {REGRESSIONS.name}")
    options = parser.parse_args()
    if options.seed:
        return show(Regression.of(f"{options.seed} without={options.without} left_out={options.left_out}"))
    began = time.monotonic()
    total, told = Tally(), 0
    for total in run_many(options.first, options.seeds, options.jobs):
        for seed, promise in list(total.broken.items())[told:]:
            # At once, for a soak takes hours.
            print(f"seed {seed}: {promise[:300]}", file=sys.stderr, flush=True)
        told = len(total.broken)
        if sys.stderr.isatty() or total.seeds % 1_000 == 0:
            print(f"{total.seeds} seeds, {len(total.broken)} broke a promise", file=sys.stderr, flush=True)
    print(report(total, time.monotonic() - began))
    for seed in total.broken:
        smallest = reduced(seed)
        print(f"smallest run that breaks it: {smallest}")
        if options.keep:
            with REGRESSIONS.open("a") as file:
                file.write(f"{smallest}\n")
    return int(bool(total.broken))


if __name__ == "__main__":
    sys.exit(main())
