"""The window sum as a batch query of Polars' streaming engine."""

import sys
from pathlib import Path

import polars as pl

events, answer = map(Path, sys.argv[1:])
answer.mkdir(parents=True)
at = pl.col("at").cast(pl.Datetime("ms"))
(
    pl.scan_ndjson(events / "*.json", schema={"key": pl.String, "value": pl.Int64, "at": pl.Int64})
    .group_by("key", window_start=at.dt.truncate("2m"))
    .agg(total=pl.col("value").sum())
    .sink_ndjson(answer / "totals.json", engine="streaming")
)
