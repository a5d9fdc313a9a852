"""A source: its event time and what describes it."""

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.errors import PipelineError
from tidegate.sources.source import EVENT_TIME, Source

SCHEMA = {"at": pl.Datetime("ms"), "day": pl.Date, "text": pl.String, "n": pl.Int64}


def source(event_time: Any = "at", **settings: Any) -> Source:
    read = {"schema": SCHEMA, "watermark": tg.BoundedDelay("0s")} | settings
    return tg.read_json("events", event_time=event_time, **read).branches[0].source


def micros(event_time: Any, row: dict[str, Any]) -> int | None:
    made = source(event_time)
    frame = pl.DataFrame([row], schema=dict(made.schema))
    return frame.select(made.event_time_microseconds())[EVENT_TIME].item()


def test_event_time_is_a_column_or_an_expression_in_microseconds() -> None:
    row = {"at": datetime(1970, 1, 1, 0, 0, 1), "day": date(1969, 12, 31), "text": "1970-01-02", "n": 5}  # noqa: DTZ001

    assert micros("at", row) == 1_000_000
    assert micros("day", row) == -86_400_000_000
    assert micros(pl.col("text").str.to_datetime("%Y-%m-%d"), row) == 86_400_000_000
    assert micros(pl.from_epoch("n", time_unit="s"), row) == 5_000_000
    assert micros(pl.col("at").dt.replace_time_zone("Europe/Paris"), row) == 1_000_000 - 3_600_000_000
    assert micros("at", dict.fromkeys(row)) is None


@pytest.mark.parametrize(
    ("event_time", "message"),
    [
        ("nope", r"read_json\('events'\), event_time: there is no column .*nope"),
        ("n", r"is Int64, not a Datetime\. Declare the column as pl\.Datetime"),
        ("text", "is String, not a Datetime"),
        (pl.col("at").dt.time(), "is Time, not a Datetime"),
        (pl.col("at").max(), "looks at other rows"),
    ],
)
def test_anything_else_is_refused(event_time: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        source(event_time)


def test_a_watermark_is_needed() -> None:
    with pytest.raises(PipelineError, match=r"'10s' is no watermark\. Give for example BoundedDelay"):
        source(watermark="10s")


def test_what_it_reads_describes_it() -> None:
    csv = (
        tg.read_csv(
            "events", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"), null_values=["NA"]
        )
        .branches[0]
        .source
    )

    assert source().describe() == source().describe()
    assert len({source().describe(), source("day").describe(), csv.describe()}) == 3
    assert "null_values=('NA',)" in csv.describe()
