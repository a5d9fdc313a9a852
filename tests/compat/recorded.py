"""The pipelines whose state is kept for each released version: between them all kinds of keys and values.

They never change, for what is recorded belongs to them. A version that can do more gets more pipelines.
"""

from typing import Any

import polars as pl

import tidegate as tg

MOMENT = pl.Datetime("ms")


def doubled(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"score": row["score"] * 2}


_scores = tg.read_json(
    "scores",
    schema={
        "team": pl.String,
        "level": pl.Int32,
        "fee": pl.String,
        "day": pl.Date,
        "joined": MOMENT,
        "member": pl.Boolean,
        "score": pl.Int64,
        "weight": pl.Float64,
        "at": MOMENT,
    },
    event_time="at",
    watermark=tg.BoundedDelay("10s"),
)

fixed = tg.Pipeline(
    "fixed",
    _scores.with_columns(fee=pl.col("fee").cast(pl.Decimal(12, 2)))
    .window(tg.FixedWindows("1m"), allowed_lateness="2m")
    .trigger(tg.AfterWatermark(early=tg.AfterCount(4), late=tg.AfterCount(1)))
    .accumulate(tg.ACCUMULATING)
    .group_by("team", "level", "fee", "day", "joined", "member")
    .agg(
        total=tg.sum("score"),
        games=tg.count(),
        weighed=tg.count("weight"),
        lightest=tg.min("weight"),
        mean=tg.mean("score"),
        fees=tg.sum("fee"),
        last=tg.max("at"),
        first=tg.min("team"),
    )
    .write_json("fixed"),
)
"""Every type of key, every aggregate; early, on-time and late panes that accumulate."""

_trades = tg.read_csv(
    "trades",
    schema={"symbol": pl.String, "volume": pl.UInt32, "price": pl.Float64, "at": MOMENT},
    event_time="at",
    watermark=tg.BoundedDelay("5s"),
)

discarding = tg.Pipeline(
    "discarding",
    _trades.filter(pl.col("volume") > 0)
    .with_columns(turnover=(pl.col("volume") * pl.col("price")).round(2))
    .window(tg.FixedWindows("1m", offset="30s"), allowed_lateness="30s")
    .group_by(pl.col("symbol").str.head(1).alias("initial"))
    .agg(turnover=tg.sum("turnover"), highest=tg.max(pl.col("price") + 1))
    .select("initial", "turnover", "highest", rounded=pl.col("turnover").round())
    .write_parquet("discarding"),
)
"""Expressions, from compressed CSV to Parquet; panes that discard."""

everything = tg.Pipeline(
    "everything",
    _scores.map(doubled)
    .window(tg.GlobalWindows())
    .trigger(tg.Repeatedly(tg.AfterCount(5)))
    .accumulate(tg.ACCUMULATING)
    .group_by("team", "member")
    .agg(total=tg.sum("score"), games=tg.count())
    .write_json("everything"),
)
"""The global window, and a Python function."""

rows = tg.Pipeline(
    "rows",
    _scores.filter(pl.col("member")).select("team", "score", "fee", "joined").write_json("rows"),
)
"""No grouping, and so no state but the log and the counts."""

PIPELINES = {"fixed": fixed, "discarding": discarding, "everything": everything, "rows": rows}
