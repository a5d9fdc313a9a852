"""Compares the engine with the naive implementation: `python -m tests.oracle --examples 100000`."""

import argparse
import sys
import time

from tests.oracle.comparison import SHARE, Share, differences


def main() -> int:
    """Prints what differs, each time as the smallest example that was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=1_000, help=f"the first seed; each has {SHARE} examples")
    options = parser.parse_args()
    started, done, different = time.monotonic(), 0, 0
    seeds = range(options.first, options.first + -(-options.examples // SHARE))
    # Every third one groups its panes again.
    for found in differences([Share(each, groupings=1 + (each % 3 == 2)) for each in seeds]):
        done += SHARE
        if found:
            different += 1
            print(f"\n{found}\n", flush=True)
        rate = done / (time.monotonic() - started)
        print(f"\r{done:,} examples, {rate:.1f} a second, {different} seeds differ", end="", flush=True)
    print()
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
