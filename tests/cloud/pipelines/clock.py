"""Early panes by the clock, grouped again: processing time alone makes an epoch, for both stages."""

import polars as pl

import tidegate as tg

BY_CLOCK = tg.AfterWatermark(early=tg.AfterProcessingTime("2s"), late=tg.AfterCount(1))

teams = (
    tg.read_json(
        "scores",
        schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay("10s"),
    )
    .window(tg.FixedWindows("2m"), allowed_lateness="1h")
    .trigger(BY_CLOCK)
    .accumulate(tg.ACCUMULATING_AND_RETRACTING)
    .group_by("team")
    .agg(total=tg.sum("score"))
)
best = (
    teams.window(tg.FixedWindows("10m"), allowed_lateness="1h")
    .trigger(tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1)))
    .accumulate(tg.ACCUMULATING_AND_RETRACTING)
    .group_by()
    .agg(best=tg.max("total"), panes=tg.count())
)
pipeline = tg.Pipeline("best-teams", best.write_json("totals"))
