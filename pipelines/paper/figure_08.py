"""Figure 8: the global window, every minute, discarding."""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """The sum of what came since the last pane, at each full minute before which something came."""
    return (
        points.window(tg.GlobalWindows())
        .trigger(tg.Repeatedly(tg.AlignedDelay("1m")))
        .accumulate(tg.DISCARDING)
        .group_by()
        .agg(total=tg.sum("value"))
    )


pipeline = tg.Pipeline("paper-figure-08", sums(example.points(tg.Marks())).write_json("figure-08"))
figure = example.figure("Figure 8: the global window, every minute, discarding", example.streaming(), sums)
