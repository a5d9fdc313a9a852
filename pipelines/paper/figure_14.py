"""Figure 14: sessions with retractions.

Every minute until the watermark has passed a session, then with each late point. Sessions that merge take
back what they had said, and what has been said always sums up to what is known.
"""

import tidegate as tg
from pipelines.paper import example


def sums(points: tg.Stream) -> tg.Stream:
    """The sum of each burst of points, refined as it grows."""
    return (
        points.window(tg.Sessions("1m"), allowed_lateness="1h")
        .trigger(tg.AfterWatermark(early=tg.AlignedDelay("1m"), late=tg.AfterCount(1), on_time="if_new"))
        .accumulate(tg.ACCUMULATING_AND_RETRACTING)
        .group_by()
        .agg(total=tg.sum("value"))
    )


pipeline = tg.Pipeline("paper-figure-14", sums(example.points(tg.Marks())).write_json("figure-14"))
figure = example.figure(
    "Figure 14: sessions of one minute, retracting",
    example.streaming(*example.WATERMARK),
    sums,
    *example.WATERMARK,
)
