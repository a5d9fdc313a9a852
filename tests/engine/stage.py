"""Runs the two sides of an epoch without the protocol around them; panes keep their hidden columns."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

import tidegate as tg
from tidegate.engine.input_slice import InputSlice
from tidegate.engine.map_task import map_epoch
from tidegate.engine.reduce_task import Times, reduce_epoch
from tidegate.engine.state import state_schema
from tidegate.plan import compile_plan
from tidegate.stores.memory import MemoryObjects
from tidegate.timestamps import MAX, MIN

SECOND = 1_000_000
SCHEMA = {"k": pl.String, "v": pl.Int64, "f": pl.Float64, "at": pl.Datetime("us")}


def stream(window_fn: Any, lateness: str = "0s", timestamp: Any = "end_of_window") -> tg.Stream:
    """Events with their windows; a trigger, an accumulation and a grouping may follow."""
    events = tg.read_json(
        "events", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s", max_ahead="500000w")
    )
    return events.window(window_fn, allowed_lateness=lateness, timestamp=timestamp)


def element(second: float, value: int = 1, key: str | None = "a") -> dict[str, Any]:
    return {"k": key, "v": value, "f": value / 4, "at": round(second * SECOND)}


@dataclass
class Stage:
    """A grouped stream at work, in one task.

    Attributes:
        panes: All panes of the last epoch, with hidden columns.
    """

    grouped: tg.Stream
    watermark: int = MIN
    now: int = 0
    counters: Counter[str] = field(default_factory=Counter)
    panes: pl.DataFrame = field(default_factory=pl.DataFrame)

    def __post_init__(self) -> None:
        self.plan = compile_plan(tg.Pipeline("p", self.grouped.write_json("out")))
        assert self.plan.grouping
        self.grouping = self.plan.grouping
        self.state = pl.DataFrame(schema=state_schema(self.grouping))
        self.dead: list[dict[str, Any]] = []

    def epoch(
        self, *files: Sequence[dict[str, Any]], watermark: float | None = None, close: bool = False
    ) -> list[dict[str, Any]]:
        """An epoch with a map task for each file, which moves the watermark to a second; its panes."""
        (stage,) = self.plan.reduces
        after = MAX if close else self.watermark if watermark is None else round(watermark * SECOND)
        partials = []
        for rows in files:
            objects = MemoryObjects()
            objects.put("events/1.json", "".join(json.dumps(row) + "\n" for row in rows).encode())
            slices = [InputSlice(each.key, each.version, each.size) for each in objects.list("events")]
            mapped = map_epoch(self.plan, objects, slices, self.watermark, 0)
            assert mapped.partials is not None
            partials.append(mapped.partials)
            self.counters.update(mapped.counters)
            self.dead += mapped.dead.entries
        times = Times(self.watermark, after, self.now)
        reduced = reduce_epoch(stage, self.grouping, self.state, partials, times)
        assert dict(reduced.state.schema) == state_schema(self.grouping)
        self.state, self.watermark, self.panes = reduced.state, after, reduced.rows
        self.due, self.alarm = (
            min((getattr(each, name) for each in reduced.outlook.values()), default=MAX)
            for name in ("due", "alarm")
        )
        self.counters.update(reduced.counters)
        self.dead += reduced.dead.entries
        return reduced.rows.to_dicts()
