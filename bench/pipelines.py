"""The pipelines of the benchmarks but Nexmark's, which are in `pipelines.nexmark`."""

import polars as pl

import tidegate as tg
from tidegate.windows import WindowFn

EVENT = {"key": pl.String, "value": pl.Int64, "at": pl.Datetime("ms")}
LATEST = tg.BoundedDelay("10s")


def total(events: tg.Stream, windows: WindowFn) -> tg.Stream:
    """The sum of each key and window, once, when the watermark passes the window's end."""
    grouped = events.window(windows).trigger(tg.AfterWatermark()).accumulate(tg.ACCUMULATING)
    return grouped.group_by("key").agg(total=tg.sum("value"))


json = tg.read_json("events", schema=EVENT, event_time="at", watermark=LATEST)
parquet = tg.read_parquet("parquet", schema=EVENT, event_time="at", watermark=LATEST)
words = tg.read_json(
    "words", schema={"word": pl.String, "at": pl.Datetime("ms")}, event_time="at", watermark=LATEST
)

sum_json = tg.Pipeline("sum-json", total(json, tg.FixedWindows("2m")).write_json("answer"))
sum_parquet = tg.Pipeline("sum-parquet", total(parquet, tg.FixedWindows("2m")).write_parquet("answer"))
sliding = tg.Pipeline("sliding", total(json, tg.SlidingWindows("10m", every="2m")).write_json("answer"))
sessions = tg.Pipeline("sessions", total(json, tg.Sessions("1m")).write_json("answer"))
word_count = tg.Pipeline(
    "word-count",
    words.window(tg.GlobalWindows())
    .trigger(tg.AfterWatermark(), allow_unsafe_trigger=True)
    .group_by("word")
    .agg(number=tg.count())
    .write_json("answer"),
)
