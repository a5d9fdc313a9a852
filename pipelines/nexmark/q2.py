"""Query 2, selection: the prices that were bid in every 123rd auction."""

import polars as pl

import tidegate as tg
from pipelines.nexmark.bids import bids

selected = bids.filter(pl.col("auction") % 123 == 0).select("auction", "price")

pipeline = tg.Pipeline("nexmark-q2", selected.write_parquet("answer"))
