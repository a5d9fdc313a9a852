"""Figure 10: windows of two minutes, batch."""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """The sum of each two minutes, once all is there."""
    return points.window(tg.FixedWindows("2m")).group_by().agg(total=tg.sum("value"))


pipeline = tg.Pipeline("paper-figure-10", sums(example.points(tg.Perfect())).write_json("figure-10"))
figure = example.figure("Figure 10: windows of two minutes, batch", example.batch(), sums, *example.PERFECT)
