"""Query 7, highest bid: the bids of the highest price, of every ten seconds.

Up to ten bids of that price are given. Prices go up to 100 million and a window has less than 100,000 bids:
even two of the highest price are rare.
"""

import polars as pl

import tidegate as tg
from pipelines.nexmark.bids import bids

AT_MOST = 10

ranked = (
    bids.select("auction", "bidder", "price", "dateTime", "extra")
    .window(tg.FixedWindows("10s"))
    .group_by()
    .agg(bids=tg.top(AT_MOST, by="price"))
)

price = pl.element().struct.field("price")
highest = ranked.with_columns(bids=pl.col("bids").list.eval(pl.element().filter(price == price.max())))

pipeline = tg.Pipeline("nexmark-q7", highest.write_parquet("answer"))
