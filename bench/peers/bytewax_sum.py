"""The window sum in Bytewax: a stream in one worker, without recovery."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.files import FileSink
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main

WIDTH = timedelta(minutes=2)
ALIGNED = datetime(2026, 1, 1, tzinfo=UTC)


def lines(folder: Path) -> Iterator[str]:
    # One after the other: read side by side the files would be hours out of order.
    for path in sorted(folder.glob("*.json")):
        with path.open() as file:
            yield from file


def moment(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(event["at"] / 1_000, UTC)


def total_of(window: tuple[str, tuple[int, int]]) -> tuple[str, str]:
    key, (number, total) = window
    started = (ALIGNED + number * WIDTH).isoformat()
    return key, json.dumps({"key": key, "window_start": started, "total": total})


events, answer = map(Path, sys.argv[1:])
answer.mkdir(parents=True)
flow = Dataflow("sum")
stream = op.map("parse", op.input("events", flow, TestingSource(lines(events), batch_size=1_000)), json.loads)
totals = win.fold_window(
    "sum",
    op.key_on("key", stream, lambda event: event["key"]),
    # With ten seconds some windows were wrong, most likely because the clock goes on with the system's.
    win.EventClock(moment, wait_for_system_duration=timedelta(minutes=1)),
    win.TumblingWindower(length=WIDTH, align_to=ALIGNED),
    builder=lambda: 0,
    folder=lambda total, event: total + event["value"],
    merger=lambda a, b: a + b,
)
op.output("totals", op.map("format", totals.down, total_of), FileSink(answer / "totals.json"))
run_main(flow)
