"""Figure 12: windows of two minutes, streaming: at the watermark, and again with late data."""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """The sum of each two minutes when the watermark has passed them, and again with each late point."""
    return (
        points.window(tg.FixedWindows("2m"), allowed_lateness="1h")
        .trigger(tg.AfterWatermark(late=tg.AfterCount(1)))
        .accumulate(tg.ACCUMULATING)
        .group_by()
        .agg(total=tg.sum("value"))
    )


pipeline = tg.Pipeline("paper-figure-12", sums(example.points(tg.Marks())).write_json("figure-12"))
figure = example.figure(
    "Figure 12: windows of two minutes, at the watermark and with late data",
    example.streaming(*example.WATERMARK),
    sums,
    *example.WATERMARK,
)
