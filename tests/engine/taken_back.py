"""Elements that become panes and are taken back. Seconds are those after noon."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

import tidegate as tg
from tidegate.testing import TestStream

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EACH_TIME = tg.Repeatedly(tg.AfterCount(1))


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def stream() -> TestStream:
    schema = {"id": pl.String, "points": pl.Int64, "at": pl.Datetime("us")}
    return TestStream(schema, event_time="at", now=NOON)


def comes(second: float, points: int = 1) -> dict[str, Any]:
    """An element that becomes a pane at this second."""
    return {"id": str(second), "points": points, "at": at(second)}


def goes(second: float, points: int = 1) -> dict[str, Any]:
    """What makes that pane's total 0, so that it is taken back."""
    return comes(second, -points)


def present(events: tg.Stream) -> tg.Stream:
    """The panes of the seconds whose points do not sum up to 0."""
    each = events.window(tg.FixedWindows("1s"), allowed_lateness="2h", timestamp="earliest")
    refined = each.trigger(EACH_TIME).accumulate(tg.ACCUMULATING_AND_RETRACTING)
    return refined.group_by("id").agg(points=tg.sum("points")).filter(pl.col("points") != 0)
