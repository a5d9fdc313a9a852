"""The state that segments hold, whole: what an epoch reads a part of."""

from collections.abc import Sequence

import polars as pl

from tidegate.engine.layers import live, newest, read_layers
from tidegate.engine.state import state_schema
from tidegate.grouping import Grouping
from tidegate.references import KeyRange, Segment
from tidegate.stores.ports import Objects


def read_segments(
    objects: Objects, segments: Sequence[Segment], wanted: KeyRange, grouping: Grouping
) -> pl.DataFrame:
    """The state of a range of key groups."""
    parts = [part for part in (each.within(wanted) for each in segments) if part]
    rows = [live(newest(read_layers(objects, each.layers, grouping), grouping)) for each in parts]
    return pl.concat([pl.DataFrame(schema=state_schema(grouping)), *rows])
