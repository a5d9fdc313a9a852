"""The pipeline of the benchmark: a sum for each key and window of two minutes."""

import polars as pl

import tidegate as tg

records = tg.read_json(
    "events",
    schema={"key": pl.String, "value": pl.Int64, "at": pl.Datetime("ms")},
    event_time="at",
    watermark=tg.BoundedDelay("10s"),
)

events = (
    records.window(tg.FixedWindows("2m"))
    .trigger(tg.AfterWatermark())
    .accumulate(tg.ACCUMULATING)
    .group_by("key")
    .agg(total=tg.sum("value"))
)

pipeline = tg.Pipeline("window-sum", events.write_json("totals"))
