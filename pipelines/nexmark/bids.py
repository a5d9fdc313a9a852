"""The stream of bids."""

import polars as pl

import tidegate as tg

bids = tg.read_parquet(
    "bids",
    schema={
        "auction": pl.Int64,
        "bidder": pl.Int64,
        "price": pl.Int64,
        "channel": pl.String,
        "url": pl.String,
        "dateTime": pl.Datetime("ms"),
        "extra": pl.String,
    },
    event_time="dateTime",
    # As Nexmark's own tables say; events come 3 seconds late at most.
    watermark=tg.BoundedDelay("4s"),
)
