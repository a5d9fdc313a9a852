"""Two sources as one stream: scores as lines of JSON, and bonuses as CSV, whose uploads are marks, too."""

import polars as pl

import tidegate as tg

SCHEMA = {"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")}

scores = tg.read_json("scores", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("10s"))
bonuses = tg.read_csv("bonuses", schema=SCHEMA, event_time="at", watermark=tg.Marks(metadata=True))
totals = (
    tg.union(scores, bonuses)
    .window(tg.FixedWindows("2m"), allowed_lateness="1h")
    .accumulate(tg.ACCUMULATING)
    .group_by("team")
    .agg(total=tg.sum("score"), games=tg.count())
)
pipeline = tg.Pipeline("team-scores", totals.write_json("totals"))
