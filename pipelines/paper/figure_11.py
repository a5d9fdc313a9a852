"""Figure 11: windows of two minutes, micro-batches of one minute.

A micro-batch system knows no watermark. Each batch gives the windows that it changed.
"""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """The sum so far of each two minutes that changed, at each full minute."""
    return (
        points.window(tg.FixedWindows("2m"))
        .trigger(tg.Repeatedly(tg.AlignedDelay("1m")))
        .accumulate(tg.ACCUMULATING)
        .group_by()
        .agg(total=tg.sum("value"))
    )


pipeline = tg.Pipeline("paper-figure-11", sums(example.points(tg.Marks())).write_json("figure-11"))
figure = example.figure(
    "Figure 11: windows of two minutes, micro-batches of a minute", example.streaming(), sums
)
