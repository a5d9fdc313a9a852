"""Query 0, pass through: the bids as they are. What reading and writing take."""

import tidegate as tg
from pipelines.nexmark.bids import bids

pipeline = tg.Pipeline("nexmark-q0", bids.write_parquet("answer"))
