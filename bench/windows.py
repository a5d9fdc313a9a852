"""`python -m bench.windows`: what windows cost, over the same million events.

Each pipeline counts and sums; the events come in one epoch, and then in twenty. The seconds are those of both
sides of an epoch, the reading of Parquet included, without what the protocol stores.
"""

import random
import time
from io import BytesIO

import polars as pl

import tidegate as tg
from tidegate.engine.input_slice import InputSlice
from tidegate.engine.map_task import map_epoch
from tidegate.engine.reduce_task import Times, reduce_epoch
from tidegate.engine.state import state_schema
from tidegate.frontier import SOURCE
from tidegate.plan import Plan, compile_plan
from tidegate.stores.memory import MemoryObjects
from tidegate.timestamps import MAX, MIN
from tidegate.windows import WindowFn

EVENTS = 1_000_000
HOURS = 10
START = 1_767_225_600_000_000

CASES: list[tuple[str, WindowFn, int]] = [
    ("FixedWindows(1m)", tg.FixedWindows("1m"), 1_000),
    ("SlidingWindows(1h, every 1m)", tg.SlidingWindows("1h", every="1m"), 1_000),
    ("CalendarWindows(day, Berlin)", tg.CalendarWindows("day", tz="Europe/Berlin"), 1_000),
    ("Sessions(5m)", tg.Sessions("5m"), 1_000),
    ("FixedWindows(1m)", tg.FixedWindows("1m"), 100_000),
    ("Sessions(5m)", tg.Sessions("5m"), 100_000),
    ("Sessions(1h)", tg.Sessions("1h"), 100_000),
]


def files(keys: int, number: int) -> MemoryObjects:
    """The events in order of time, up to ten seconds late, in so many files."""
    chance, objects = random.Random(1), MemoryObjects()
    step = HOURS * 3_600_000_000 / EVENTS
    each = EVENTS // number
    for file in range(number):
        at = [
            START + int(index * step) - chance.randrange(10_000_000)
            for index in range(file * each, file * each + each)
        ]
        frame = pl.DataFrame(
            {
                "key": [f"key-{chance.randrange(keys)}" for _ in range(each)],
                "value": [chance.randrange(1_000) for _ in range(each)],
                "at": pl.Series(at, dtype=pl.Datetime("us")),
            }
        )
        buffer = BytesIO()
        frame.write_parquet(buffer)
        objects.put(f"events/{file:03}.parquet", buffer.getvalue())
    return objects


def plan(window_fn: WindowFn) -> Plan:
    events = tg.read_parquet(
        "events",
        schema={"key": pl.String, "value": pl.Int64, "at": pl.Datetime("us")},
        event_time="at",
        watermark=tg.BoundedDelay("10s", max_ahead="5000w"),
    )
    panes = events.window(window_fn).group_by("key").agg(total=tg.sum("value"), games=tg.count())
    return compile_plan(tg.Pipeline("windows", panes.write_json("panes")))


def measure(plan: Plan, objects: MemoryObjects) -> tuple[float, float, int]:
    """CPU and wall seconds, and panes."""
    (stage,), grouping = plan.reduces, plan.grouping
    assert grouping
    state, before, panes = pl.DataFrame(schema=state_schema(grouping)), MIN, 0
    wall, cpu = time.perf_counter(), time.process_time()
    for each in objects.list("events"):
        mapped = map_epoch(plan, objects, [InputSlice(each.key, each.version, each.size)], before, 0)
        assert mapped.partials is not None
        after = mapped.stated[SOURCE]
        reduced = reduce_epoch(stage, grouping, state, [mapped.partials], Times(before, after, 0))
        state, before, panes = reduced.state, after, panes + reduced.rows.height
    reduced = reduce_epoch(stage, grouping, state, [], Times(before, MAX, 0))
    return time.process_time() - cpu, time.perf_counter() - wall, panes + reduced.rows.height


def main() -> None:
    print(f"{EVENTS:,} events in {HOURS} hours of event time\n")
    print(f"{'':34}{'keys':>10}{'epochs':>8}{'CPU s':>8}{'wall s':>8}{'events/CPU s':>14}{'panes':>12}")
    for epochs in (1, 20):
        for name, window_fn, keys in CASES:
            built = plan(window_fn)
            cpu, wall, panes = measure(built, files(keys, epochs))
            rate = EVENTS / cpu
            print(f"{name:34}{keys:10,}{epochs:8}{cpu:8.2f}{wall:8.2f}{rate:14,.0f}{panes:12,}")


if __name__ == "__main__":
    main()
