"""State: what is kept between epochs, one row for each key and window that is still open.

A state data set is carried from epoch to epoch as immutable segments, each valid for a range of key
groups (the state streams of D-Streams, SOSP 2013, section 3.3). It is cut by key group and not by task, so
any number of tasks works on the same state. This module knows the columns and joins state with what an
epoch adds.
"""

from collections.abc import Sequence

import polars as pl

from tidegate.engine.codec import decode_state
from tidegate.engine.frames import ENGINE
from tidegate.engine.key_groups import GROUP, in_range
from tidegate.grouping import Grouping
from tidegate.references import KeyRange, Segment
from tidegate.stores.ports import Objects
from tidegate.triggers import StateColumn

START = "__start"
"""The window's start, Int64 microseconds."""

ADDED = "__added"
"""Elements that the epoch added; not stored."""

PENDING = "__pending"
"""Elements since the last pane, Int64."""

INDEX = "__index"
"""The index of the next pane, Int64."""

CLOSED = "__closed"
"""Whether the trigger has finished, so that the window takes no more elements."""

TRIGGER = "__trigger"
"""Where the names of the trigger's state columns begin."""


def trigger_state(grouping: Grouping) -> dict[str, StateColumn]:
    """The trigger's state columns."""
    return grouping.windowing.trigger.state(TRIGGER)


def state_schema(grouping: Grouping) -> dict[str, pl.DataType]:
    """The columns of a state segment."""
    accumulators = {each.name: each.dtype for value in grouping.aggregates for each in value.accumulators}
    triggers: dict[str, pl.DataType] = {
        name: pl.Boolean() if isinstance(each.initial, bool) else pl.Int64()
        for name, each in trigger_state(grouping).items()
    }
    own: dict[str, pl.DataType] = {PENDING: pl.Int64(), INDEX: pl.Int64(), CLOSED: pl.Boolean()}
    return {GROUP: pl.UInt16(), **grouping.keys, START: pl.Int64(), **accumulators, **own, **triggers}


def partial_schema(grouping: Grouping) -> dict[str, pl.DataType]:
    """The columns of what a map task shuffles: key group, key, window, accumulators and element count."""
    accumulators = {each.name: each.dtype for value in grouping.aggregates for each in value.accumulators}
    return {GROUP: pl.UInt16(), **grouping.keys, START: pl.Int64(), **accumulators, ADDED: pl.Int64()}


def read_segments(
    objects: Objects, segments: Sequence[Segment], wanted: KeyRange, grouping: Grouping
) -> pl.DataFrame:
    """The state of a range of key groups.

    Raises:
        CorruptObject: A segment is not what was written.
    """
    schema = state_schema(grouping)
    frames = [pl.DataFrame(schema=schema)]
    for segment in segments:
        valid = segment.range.intersect(wanted)
        if valid:
            data = segment.ref.verify(objects.get(segment.ref.key))
            frames.append(decode_state(segment.ref.key, data, schema).filter(in_range(valid)))
    return pl.concat(frames)


def combine(frames: Sequence[pl.DataFrame], grouping: Grouping) -> pl.DataFrame:
    """Frames of partials as one, with one row for each key and window."""
    if len(frames) < 2:
        return frames[0] if frames else pl.DataFrame(schema=partial_schema(grouping))
    accumulators = [
        each.merge.alias(each.name) for value in grouping.aggregates for each in value.accumulators
    ]
    return (
        pl.concat([frame.lazy() for frame in frames])
        .group_by(GROUP, *grouping.keys, START, maintain_order=True)
        .agg(*accumulators, pl.col(ADDED).sum())
        .select(list(partial_schema(grouping)))
        .collect(engine=ENGINE)
    )


def join_epoch(state: pl.DataFrame, partials: Sequence[pl.DataFrame], grouping: Grouping) -> pl.DataFrame:
    """State after the epoch's elements joined it, with the column `ADDED`; old rows come first."""
    schema = state_schema(grouping)
    fresh = {PENDING: pl.col(ADDED), INDEX: pl.lit(0, dtype=pl.Int64), CLOSED: pl.lit(False)}
    triggers = trigger_state(grouping)
    fresh |= {name: pl.lit(None, dtype=schema[name]) for name in triggers}
    columns = [*schema, ADDED]
    old = state.lazy().with_columns(pl.lit(0, dtype=pl.Int64).alias(ADDED)).select(columns)
    new = [frame.lazy().with_columns(**fresh).select(columns) for frame in partials]
    if not new:
        return old.collect(engine=ENGINE)
    accumulators = [
        each.merge.alias(each.name) for value in grouping.aggregates for each in value.accumulators
    ]
    # At most one of the joined rows comes from the old state; the others hold initial values, which are
    # the smallest, so that the maximum is the old row's value wherever there is an old row.
    carried = [pl.col(name).max() for name in (INDEX, CLOSED)]
    # A trigger sees the epoch's elements when it is evaluated: here their rows hold null.
    stepped = [each.merge(pl.col(name)).fill_null(each.value).alias(name) for name, each in triggers.items()]
    return (
        pl.concat([old, *new])
        .group_by(GROUP, *grouping.keys, START, maintain_order=True)
        .agg(*accumulators, pl.col(PENDING).sum(), *carried, *stepped, pl.col(ADDED).sum())
        .select(columns)
        .collect(engine=ENGINE)
    )
