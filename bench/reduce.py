"""`python -m bench.reduce`: one epoch of a reduce task over a large state.

A million windows are open, of 100,000 keys; an epoch touches 200,000, and the watermark passes the end of
500,000. Printed is what joining the state, asking the triggers and making the panes take, without reading and
writing state.
"""

import time
from typing import Any

import polars as pl

import tidegate as tg
from bench.pipelines import json
from tidegate.engine.key_groups import with_key_groups
from tidegate.engine.reduce_task import Times, reduce_epoch
from tidegate.engine.state import partial_schema, state_schema
from tidegate.plan import Plan, compile_plan
from tidegate.timestamps import MIN

KEYS, WINDOWS = 100_000, 10
MINUTE = 60_000_000


def plan(accumulation: Any) -> Plan:
    panes = (
        json.window(tg.FixedWindows("1m"), allowed_lateness="1h")
        .trigger(tg.AfterWatermark(early=tg.AfterCount(100), late=tg.AfterCount(1)))
        .accumulate(accumulation)
        .group_by("key")
        .agg(total=tg.sum("value"), games=tg.count(), best=tg.max("value"))
    )
    return compile_plan(tg.Pipeline("reduce", panes.write_json("panes")))


def partials(plan: Plan, every: int) -> pl.DataFrame:
    """Of every so manieth window, what a map task makes of one element with the value 1."""
    grouping = plan.grouping
    assert grouping
    number = pl.int_range(0, KEYS * WINDOWS, every)
    frame = pl.select(
        key=pl.format("key-{}", number % KEYS),
        __start=number // KEYS * MINUTE,
        __added=pl.lit(1, dtype=pl.Int64),
    )
    schema = partial_schema(grouping)
    values = {name: pl.lit(1).cast(schema[name]) for name in schema if name.startswith("__agg")}
    keyed = with_key_groups(frame.lazy().with_columns(**values), grouping.keys)
    return keyed.select(list(schema)).collect()


def main() -> None:
    print(f"{KEYS * WINDOWS:,} windows in state, 200,000 touched, 500,000 due\n")
    print(f"{'':32}{'wall s':>10}{'CPU s':>10}{'panes':>12}")
    for name in ("DISCARDING", "ACCUMULATING", "ACCUMULATING_AND_RETRACTING"):
        built = plan(getattr(tg, name))
        (stage,), grouping = built.reduces, built.grouping
        assert grouping
        empty = pl.DataFrame(schema=state_schema(grouping))
        before = reduce_epoch(stage, grouping, empty, [partials(built, 1)], Times(MIN, 0, 0))
        touched = [partials(built, 5)]
        wall, cpu = time.perf_counter(), time.process_time()
        after = reduce_epoch(stage, grouping, before.state, touched, Times(0, WINDOWS // 2 * MINUTE, 1))
        spent = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{name:32}{spent[0]:10.2f}{spent[1]:10.2f}{after.rows.height:12,}")


if __name__ == "__main__":
    main()
