"""Flights out of New York: how many, and how late, for each carrier and day of departure.

A flight happens when it departs (its event time) and is reported once it has landed, so reports come out
of order by as long as flights take: an hour to Boston, eleven to Honolulu, and up to twenty by way of another
airport. `python -m pipelines.demo` runs this on the 328,063 flights of 2013.
"""

import polars as pl

import tidegate as tg

landed = tg.read_json(
    "flights",
    schema={"departed": pl.Datetime("ms"), "carrier": pl.String, "arr_delay": pl.Int64},
    event_time="departed",
    # Most flights take longer than this: those in the air as a day ends come late, and refine what was said.
    watermark=tg.BoundedDelay("1h"),
)

carrier_days = (
    # Where in event time: the day of departure, in UTC. No flight took a day, so none is too late.
    landed.window(tg.FixedWindows("1d"), allowed_lateness="1d")
    # When in processing time: as the day's first flights land, once the day is over, and with each late one.
    .trigger(tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1)))
    # How refinements relate: each pane is about all flights of its day so far.
    .accumulate(tg.ACCUMULATING)
    # What is computed. Minutes; the delay is null for a flight that came by way of another airport.
    .group_by("carrier")
    .agg(flights=tg.count(), mean_delay=tg.mean("arr_delay"), max_delay=tg.max("arr_delay"))
)

pipeline = tg.Pipeline("flights", carrier_days.write_json("carrier-days"))
