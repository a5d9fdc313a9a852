"""The reduce side of an epoch: state, watermark, triggers, panes.

In this order (SEMANTICS of the epoch): the epoch's elements join their windows, the watermark advances,
the trigger is evaluated once for every touched or due window, fired panes go out, expired windows leave
the state. All of it is expressions over one frame with a row for each key and window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from tidegate.accumulation import DISCARDING
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.frames import ENGINE
from tidegate.engine.state import ADDED, CLOSED, INDEX, PENDING, START, TRIGGER, join_epoch, state_schema
from tidegate.expressions import row_by_row
from tidegate.grouping import Grouping
from tidegate.panes import (
    EMITTED_AT,
    IS_LAST,
    MOMENT,
    OP,
    TIMING,
    WINDOW_END,
    WINDOW_START,
    Op,
    Timing,
    timing,
)
from tidegate.panes import INDEX as PANE_INDEX
from tidegate.plan import Stage
from tidegate.timestamps import MAX, MIN
from tidegate.triggers import Moment, alarm

_END = "__end"
_STEPS = "__steps"
"""Whether the trigger fires, which nearly always gives a pane."""

_FIRES = "__fires"
_EXPIRED = "__expired"
_FINISHED = "__finished"


@dataclass(frozen=True)
class Times:
    """The moments that an epoch is frozen with, in microseconds.

    Attributes:
        before: The watermark before the epoch.
        after: The watermark at the epoch's end.
        now: Processing time.
    """

    before: int
    after: int
    now: int


@dataclass
class ReduceOutput:
    """What a reduce task gives.

    Attributes:
        state: The state that is left.
        rows: The panes after the stage's steps, as the sink takes them.
        due: The lowest watermark at which a window of the state has something to do.
        alarm: The lowest processing time at which one has; `MAX` if none has.
        counters: Counts of this task.
    """

    state: pl.DataFrame
    rows: pl.DataFrame
    due: int
    alarm: int
    counters: dict[str, int]
    dead: DeadLetters = field(default_factory=DeadLetters)


def reduce_epoch(
    stage: Stage, grouping: Grouping, state: pl.DataFrame, partials: Sequence[pl.DataFrame], times: Times
) -> ReduceOutput:
    """One epoch of one range of key groups.

    Args:
        stage: The reduce stage, for the steps behind the grouping.
        grouping: Its grouping.
        state: The range's state before the epoch.
        partials: What the map tasks combined for the range, in the order of the tasks.
        times: The epoch's moments.
    """
    judged = _judge(join_epoch(state, partials, grouping), grouping, times)
    fired = judged.filter(pl.col(_FIRES))
    # A value may not fit into its column, as a sum beyond 64 bits: that pane is rejected, and no other.
    outcome = row_by_row(fired, lambda part: _panes(part, grouping, times))
    panes, dead = outcome.frame, DeadLetters()
    dead.add_rejected_panes(outcome.rejected)
    labels = panes.get_column(TIMING)
    counters = {f"panes_{each.value}": int((labels == each.value).sum()) for each in Timing}
    counters["dropped_closed"] = int(judged.filter(pl.col(CLOSED)).get_column(ADDED).sum())
    left = _left(judged, grouping, times)
    rows = panes
    for step in stage.steps:
        outcome = step.apply(rows)
        rows = outcome.frame
        dead.add_rejected_panes(outcome.rejected)
    counters["dead_letters"] = len(dead)
    return ReduceOutput(
        left, rows, _due(left, grouping, times), _alarm(left, grouping, times), counters, dead
    )


def _judge(joined: pl.DataFrame, grouping: Grouping, times: Times) -> pl.DataFrame:
    """Adds to each window its end, and whether it fires, expires and finishes; steps the trigger's state."""
    windowing = grouping.windowing
    end = windowing.window_fn.end(pl.col(START))
    step = windowing.trigger.step(
        TRIGGER,
        Moment(pl.col(ADDED), pl.col(_END), times.before, times.after, times.now, pl.col(PENDING)),
    )
    schema = state_schema(grouping)
    due = (pl.col(_END) > times.before) & (pl.col(_END) <= times.after)
    rings = alarm(windowing.trigger, TRIGGER, pl.col(_END), times.before) <= times.now
    asked = (pl.col(ADDED) > 0) | due | rings
    # A window that expires with elements unfired gives them in a closing pane: nothing is lost silently.
    closing = ~pl.col(CLOSED) & pl.col(_EXPIRED) & (pl.col(PENDING) > 0)
    judged = joined.lazy().with_columns(end.alias(_END))
    for layer in step.layers:
        judged = judged.with_columns(**layer)
    return (
        judged.with_columns((windowing.expiry(pl.col(_END)) < times.after).alias(_EXPIRED))
        .with_columns((~pl.col(CLOSED) & asked & step.ready).alias(_STEPS))
        .with_columns(((pl.col(_STEPS) & step.shows) | closing).alias(_FIRES))
        .with_columns(
            (pl.col(_STEPS) & step.finished).alias(_FINISHED),
            *(
                value.cast(schema[name]).alias(name)
                for name, value in step.after(pl.col(_STEPS), pl.lit(False)).items()
            ),
        )
        .collect(engine=ENGINE)
    )


def _panes(fired: pl.DataFrame, grouping: Grouping, times: Times) -> pl.DataFrame:
    """The panes of the windows that fire, ordered by window and key."""
    # The global window has neither start nor end to show.
    bounded = (pl.col(START) != MIN) | (pl.col(_END) != MAX)
    ordered = fired.lazy().sort(START, *grouping.keys, nulls_last=False)
    panes = ordered.select(
        *grouping.keys,
        pl.when(bounded).then(pl.col(START)).cast(MOMENT).alias(WINDOW_START),
        pl.when(bounded).then(pl.col(_END)).cast(MOMENT).alias(WINDOW_END),
        *(each.result.cast(each.dtype).alias(each.name) for each in grouping.aggregates),
        timing(pl.col(_END), times.before, times.after).alias(TIMING),
        pl.col(INDEX).alias(PANE_INDEX),
        (pl.col(_EXPIRED) | pl.col(_FINISHED)).alias(IS_LAST),
        pl.lit(Op.INSERT.value).alias(OP),
        pl.lit(times.now, dtype=pl.Int64).cast(MOMENT).alias(EMITTED_AT),
    )
    return panes.collect(engine=ENGINE)


def _left(judged: pl.DataFrame, grouping: Grouping, times: Times) -> pl.DataFrame:
    """The state after the epoch: fired windows count on, expired ones are gone."""
    fires = pl.col(_FIRES)
    updates = [
        pl.when(fires).then(0).otherwise(pl.col(PENDING)).cast(pl.Int64).alias(PENDING),
        (pl.col(INDEX) + fires.cast(pl.Int64)).alias(INDEX),
        (pl.col(CLOSED) | pl.col(_FINISHED)).alias(CLOSED),
    ]
    if grouping.windowing.accumulation is DISCARDING:
        updates += [
            pl.when(fires).then(each.identity).otherwise(pl.col(each.name)).cast(each.dtype).alias(each.name)
            for value in grouping.aggregates
            for each in value.accumulators
        ]
    left = judged.lazy().filter(~pl.col(_EXPIRED)).with_columns(updates)
    return left.select(list(state_schema(grouping))).collect(engine=ENGINE)


def _due(state: pl.DataFrame, grouping: Grouping, times: Times) -> int:
    """The lowest watermark at which a window ends or expires; `MAX` if there is none."""
    end = grouping.windowing.window_fn.end(pl.col(START))
    ends = pl.when(end > times.after).then(end).otherwise(grouping.windowing.expiry(end) + 1)
    lowest = state.select(ends.min()).item()
    return MAX if lowest is None else int(lowest)


def _alarm(state: pl.DataFrame, grouping: Grouping, times: Times) -> int:
    """The lowest processing time at which a window asks to be evaluated; `MAX` if there is none."""
    windowing = grouping.windowing
    rings = alarm(windowing.trigger, TRIGGER, windowing.window_fn.end(pl.col(START)), times.after)
    lowest = state.lazy().filter(~pl.col(CLOSED)).select(rings.min()).collect(engine=ENGINE).item()
    return MAX if lowest is None else int(lowest)
