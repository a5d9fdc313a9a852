"""Query 5, hot items: the auctions with the most bids, of the last ten seconds, every two seconds.

Windows of ten seconds end two seconds apart, and a pane's own event time is the end of its window: the counts
of one window are therefore alone in a window of two seconds.
"""

import polars as pl

import tidegate as tg
from pipelines.nexmark.bids import bids

counts = bids.window(tg.SlidingWindows("10s", every="2s")).group_by("auction").agg(number=tg.count())

# The auctions of each number of bids first, so that no list has all auctions of a window.
rivals = counts.window(tg.FixedWindows("2s")).group_by("number").agg(auctions=tg.collect("auction"))

hottest = (
    rivals.window(tg.FixedWindows("2s"))
    .group_by()
    .agg(number=tg.max("number"), auctions=tg.top(1, by="number", column="auctions"))
    .with_columns(auctions=pl.col("auctions").list.first())
)

pipeline = tg.Pipeline("nexmark-q5", hottest.write_parquet("answer"))
