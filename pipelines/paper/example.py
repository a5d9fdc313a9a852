"""The running example of the paper (section 2.4): ten points of one key, and a watermark.

Each point has a value, an event time and the processing time at which it came. Those of the paper are read
off its figures; 7 and 9 are moved by a second or two of event time, so that figure 14's sessions overlap as
they do there, and the last one comes 100 ms before the full minute, so that it is in that minute's pane.
"""

from datetime import UTC, datetime, timedelta

import polars as pl

import tidegate as tg
from tidegate.testing import TestStream
from tidegate.testing.figure import Axes, Figure, Level, Point
from tidegate.testing.test_stream import Build
from tidegate.watermarks import WatermarkPolicy

SCHEMA = {"value": pl.Int64, "at": pl.Datetime("ms")}

NOON = datetime(2015, 8, 31, 12, tzinfo=UTC)


def at(minute: int, second: float = 0) -> datetime:
    """A moment after noon."""
    return NOON + timedelta(minutes=minute, seconds=second)


POINTS = (
    Point(5, at(0, 26), at(5, 20)),
    Point(7, at(2, 24), at(5, 40)),
    Point(3, at(3, 39), at(6, 13)),
    Point(4, at(3, 53), at(6, 26)),
    Point(3, at(4, 19), at(6, 39)),
    Point(8, at(3, 6), at(7, 6)),
    Point(3, at(6, 39), at(7, 19)),
    Point(9, at(1, 25), at(8, 19)),
    Point(8, at(7, 26), at(8, 39)),
    Point(1, at(7, 46), at(8, 59.9)),
)

WATERMARK = (
    Level(at(2), at(5, 59)),
    Level(at(4), at(7, 30)),
    Level(at(6), at(7, 40)),
    Level(at(8), at(9, 21)),
)
"""That of figures 12 and 14: it is heuristic, and the point 9 comes behind it."""

END = at(10)
"""When the figures end, and the batches run."""

PERFECT = (Level(at(9), END),)
"""The watermark of a batch: nothing is complete, and then all is."""

AXES = Axes(event_time=(at(0), at(9)), processing_time=(at(5), at(10, 12)))


def points(watermark: WatermarkPolicy) -> tg.Stream:
    """The points as files below `points`."""
    return tg.read_json("points", schema=SCHEMA, event_time="at", watermark=watermark)


def streaming(*levels: Level) -> TestStream:
    """The points as they came, with these moves of the watermark, until `END`."""
    now = AXES.processing_time[0]
    script = TestStream(SCHEMA, event_time="at", now=now)
    # Alarms ring at full minutes, and an epoch has one time.
    moments = [at(minute) for minute in range(6, 11)]
    moments += [each.arrived_at for each in POINTS] + [each.reached_at for each in levels]
    for moment in sorted(moments):
        script.advance_clock(moment - now)
        now = moment
        for point in POINTS:
            if point.arrived_at == moment:
                script.add({"value": point.value, "at": point.event_time})
        for level in levels:
            if level.reached_at == moment:
                script.advance_watermark(level.watermark)
    return script


def batch() -> TestStream:
    """The points as they came, and at `END` the news that these were all."""
    return streaming().close()


def figure(title: str, script: TestStream, build: Build, *levels: Level) -> Figure:
    """A figure of the example, with the moves of the watermark that it shows."""
    return Figure(title, AXES, POINTS, levels, script, build, value="total")
