"""Figure 9: the global window, every two elements, discarding."""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """The sums of two points each: a window of tuples."""
    return (
        points.window(tg.GlobalWindows())
        .trigger(tg.Repeatedly(tg.AfterCount(2)))
        .accumulate(tg.DISCARDING)
        .group_by()
        .agg(total=tg.sum("value"))
    )


pipeline = tg.Pipeline("paper-figure-09", sums(example.points(tg.Marks())).write_json("figure-09"))
figure = example.figure(
    "Figure 9: the global window, every two elements, discarding", example.streaming(), sums
)
