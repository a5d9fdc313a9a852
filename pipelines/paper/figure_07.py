"""Figure 7: the global window, every minute, accumulating."""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """The sum so far, at each full minute before which something came."""
    return (
        points.window(tg.GlobalWindows())
        .trigger(tg.Repeatedly(tg.AlignedDelay("1m")))
        .accumulate(tg.ACCUMULATING)
        .group_by()
        .agg(total=tg.sum("value"))
    )


pipeline = tg.Pipeline("paper-figure-07", sums(example.points(tg.Marks())).write_json("figure-07"))
figure = example.figure("Figure 7: the global window, every minute, accumulating", example.streaming(), sums)
