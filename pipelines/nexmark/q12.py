"""Query 12, windows of processing time: how many bids somebody makes in ten seconds of processing time.

Written as Beam writes it, for windows are of event time: one global window, and ten seconds of processing
time after somebody's first bid the count is given, of what is new. All bids of an epoch come at one time.
"""

import tidegate as tg
from pipelines.nexmark.bids import bids

counts = (
    bids.window(tg.GlobalWindows())
    .trigger(tg.Repeatedly(tg.AfterProcessingTime("10s")))
    .accumulate(tg.DISCARDING)
    .group_by("bidder")
    .agg(number=tg.count())
)

pipeline = tg.Pipeline("nexmark-q12", counts.write_parquet("answer"))
