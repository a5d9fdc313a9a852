"""A small pipeline that the end-to-end test runs in the local cloud and on the laptop."""

import polars as pl

import tidegate as tg

scores = (
    tg.read_json(
        "scores",
        schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay("10s"),
    )
    .window(tg.FixedWindows("2m"), allowed_lateness="1h")
    .accumulate(tg.ACCUMULATING)
    .group_by("team")
    .agg(total=tg.sum("score"), games=tg.count())
)
pipeline = tg.Pipeline("team-scores", scores.write_json("totals"))
