"""`python -m bench.state`: what epochs read and write of a large state.

A global window of a million keys, of which each epoch changes a thousand, for 200 epochs. Printed are the
bytes that an epoch writes, and those that it gets from the store beside what a warm function has kept, as
shares of the state; and how many layers lie over each other.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import polars as pl

import tidegate as tg
from tidegate.epochs import paths
from tidegate.limits import CACHE_BYTES
from tidegate.plan import Plan, compile_plan
from tidegate.references import Layer
from tidegate.stores.cached import CachedObjects
from tidegate.stores.memory import MemoryObjects
from tidegate.testing.memory_runner import MemoryRunner


def plan() -> Plan:
    events = tg.read_json(
        "events",
        schema={"key": pl.Int64, "value": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay("10s"),
    )
    totals = (
        events.window(tg.GlobalWindows())
        .trigger(tg.Repeatedly(tg.AfterCount(1)))
        .accumulate(tg.ACCUMULATING)
        .group_by("key")
        .agg(total=tg.sum("value"), seen=tg.count())
    )
    return compile_plan(tg.Pipeline("state", totals.write_json("totals")))


class Counting(MemoryObjects):
    """Counts the bytes of the ranges that it is asked for."""

    asked = 0

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self.asked += sum(length for _, length in ranges)
        return super().get_ranges(key, ranges)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--touched", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=200)
    given = parser.parse_args()
    chance, store = random.Random(0), Counting()
    with TemporaryDirectory() as folder:
        state = CachedObjects(store, Path(folder), CACHE_BYTES, paths.may_hold_layers)
        runner = MemoryRunner(plan(), 0, state=state)
        known: set[Layer] = set()
        written, depths, walls = [], [], []
        for number in range(given.epochs + 1):
            keys = range(given.keys) if number == 0 else chance.sample(range(given.keys), given.touched)
            lines = [{"key": key, "value": chance.randrange(1_000_000), "at": number} for key in keys]
            content = "".join(json.dumps(each) + "\n" for each in lines)
            runner.upload({f"events/{number:05d}.json": content.encode()})
            began = time.perf_counter()
            runner.run()
            walls.append(time.perf_counter() - began)
            layers = set(runner.manifests[-1].layers)
            written.append(sum(each.length for each in layers - known))
            depths.append(len(layers))
            known |= layers
            if number == 0:
                store.asked = 0
    base, *rest = written
    print(f"{given.keys:,} keys in a global window, {base:,} bytes of state")
    print(f"an epoch touches {given.touched:,} and writes {sum(rest) / len(rest) / base:.2%} of the state")
    print(f"it writes {max(rest) / base:.1%} at most")
    print(f"beside what is kept it reads {store.asked / given.epochs / base:.2%}")
    print(f"layers: {median(depths):.0f}, at most {max(depths)}; an epoch takes {median(walls[1:]):.3f} s")


if __name__ == "__main__":
    main()
