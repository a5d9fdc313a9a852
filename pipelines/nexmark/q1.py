"""Query 1, currency conversion: each bid with its price in euros."""

import polars as pl

import tidegate as tg
from pipelines.nexmark.bids import bids

EUROS = 0.908
"""One dollar's, as the query says."""

converted = bids.select("auction", "bidder", "dateTime", "extra", price=pl.col("price") * EUROS)

pipeline = tg.Pipeline("nexmark-q1", converted.write_parquet("answer"))
