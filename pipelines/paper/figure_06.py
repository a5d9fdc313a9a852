"""Figure 6: classic batch. One global window, which the end of the input closes."""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """One sum of all."""
    return points.window(tg.GlobalWindows()).group_by().agg(total=tg.sum("value"))


pipeline = tg.Pipeline("paper-figure-06", sums(example.points(tg.Perfect())).write_json("figure-06"))
figure = example.figure("Figure 6: the global window, batch", example.batch(), sums, *example.PERFECT)
