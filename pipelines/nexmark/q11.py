"""Query 11, user sessions: how many bids somebody makes without a pause of ten seconds."""

import tidegate as tg
from pipelines.nexmark.bids import bids

sessions = bids.window(tg.Sessions("10s")).group_by("bidder").agg(number=tg.count())

pipeline = tg.Pipeline("nexmark-q11", sessions.write_parquet("answer"))
