"""What `scores` may become: the same pipeline with an aggregate that its old state does not have."""

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
    .agg(total=tg.sum("score"), highest=tg.max("score"))
)
pipeline = tg.Pipeline("team-scores", scores.write_json("totals"))
