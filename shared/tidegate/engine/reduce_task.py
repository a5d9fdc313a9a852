"""The reduce side of an epoch: state, watermark, triggers, panes.

In this order (SEMANTICS of the epoch): the epoch's elements join their windows, the watermark advances,
the trigger is evaluated once for every touched or due window, fired panes go out, expired windows leave
the state. All of it is expressions over one frame with a row for each key and window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tidegate.accumulation import DISCARDING
from tidegate.engine import slices
from tidegate.engine.columns import (
    ADDED,
    CLOSED,
    INDEX,
    PANE_TIME,
    PENDING,
    TRIGGER,
    accumulators,
    keeps_time,
)
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.emission import LAST, Times, emit
from tidegate.engine.frames import constant, evaluated, parted
from tidegate.engine.state import join_epoch, state_schema
from tidegate.grouping import Grouping
from tidegate.panes import TIMING, Timing
from tidegate.plan import Stage
from tidegate.timestamps import MAX
from tidegate.triggers import Moment, alarm
from tidegate.windows import END, START, SlidingWindows

__all__ = ["ReduceOutput", "Times", "reduce_epoch"]

_STEPS = "__steps"
"""Whether the trigger fires, which nearly always gives a pane."""

_FIRES = "__fires"
_EXPIRED = "__expired"
_FINISHED = "__finished"


@dataclass
class ReduceOutput:
    """What a reduce task gives.

    Attributes:
        state: The state that is left.
        rows: The panes after the stage's steps, as the sink takes them, with their own event times.
        due: The lowest watermark at which a window of the state has something to do.
        alarm: The lowest processing time at which one has; `MAX` if none has.
        hold: The earliest event time of a pane that a window of the state owes for elements that came in
            time; `MAX` if none does.
        counters: Counts of this task.
    """

    state: pl.DataFrame
    rows: pl.DataFrame
    due: int
    alarm: int
    hold: int
    counters: dict[str, int]
    dead: DeadLetters


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
    sliding = isinstance(grouping.windowing.window_fn, SlidingWindows)
    if sliding:
        windows, held = slices.join_epoch(state, partials, grouping, times.before)
    else:
        windows, held = join_epoch(state, partials, grouping), state.clear()
    quiet, fired = _judge(windows, grouping, times)
    if sliding:
        fired = slices.with_content(fired, held, grouping)
    emission = emit(fired, grouping, times)
    left = pl.concat([quiet, _after_firing(emission.windows, grouping)])
    labels = emission.inserts.get_column(TIMING)
    counters = {f"panes_{each.value}": int((labels == each.value).sum()) for each in Timing}
    counters["dropped_closed"] = int(windows.get_column(ADDED).filter(windows.get_column(CLOSED)).sum())
    rows, dead = pl.concat([emission.retractions, emission.inserts]), emission.dead
    for step in stage.steps:
        outcome = step.apply(rows)
        rows = outcome.frame
        dead.add_rejected_panes(outcome.rejected)
    counters["dead_letters"] = len(dead)
    expired = left.get_column(_EXPIRED)
    kept = left.filter(~expired) if expired.any() else left
    due, rings, hold = _next(kept, grouping, times)
    kept = kept[[name for name in windows.columns if name != ADDED]]
    if sliding:
        kept = slices.with_slices(kept, held, grouping, times.after)
    return ReduceOutput(kept, rows, due, rings, hold, counters, dead)


def _judge(windows: pl.DataFrame, grouping: Grouping, times: Times) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Asks the trigger for the windows that were touched or are due, and steps its state.

    Returns:
        The windows that do not fire and those that do, with whether they expire and whether they are closed.
    """
    windowing, end = grouping.windowing, pl.col(END)
    rings = alarm(windowing.trigger, TRIGGER, end, times.before) <= times.now
    asked = (pl.col(ADDED) > 0) | ((end > times.before) & (end <= times.after)) | rings
    marked = evaluated(
        windows.lazy()
        .with_columns(windowing.end(START, END).alias(END))
        .with_columns(
            (windowing.expiry(end) < times.after).alias(_EXPIRED), (~pl.col(CLOSED) & asked).alias(_STEPS)
        )
    )
    concerned, idle = parted(marked, marked.get_column(_STEPS) | marked.get_column(_EXPIRED))
    idle = idle.hstack([constant(name, False, pl.Boolean(), idle.height) for name in (_FIRES, LAST)])
    if not concerned.height:
        return idle, idle.clear()
    stepped = evaluated(_stepped(concerned, grouping, times).select(idle.columns))
    fired, waiting = parted(stepped, stepped.get_column(_FIRES))
    return pl.concat([idle, waiting]), fired


def _stepped(concerned: pl.DataFrame, grouping: Grouping, times: Times) -> pl.LazyFrame:
    """The windows after the trigger's step, with whether they fire and whether that is their last pane."""
    schema = state_schema(grouping)
    moment = Moment(pl.col(ADDED), pl.col(END), times.before, times.after, times.now, pl.col(PENDING))
    step = grouping.windowing.trigger.step(TRIGGER, moment)
    judged = concerned.lazy()
    for layer in step.layers:
        judged = judged.with_columns(**layer)
    # A window that expires with elements unfired gives them in a closing pane: nothing is lost silently.
    closing = ~pl.col(CLOSED) & pl.col(_EXPIRED) & (pl.col(PENDING) > 0)
    return (
        judged.with_columns((pl.col(_STEPS) & step.ready).alias(_STEPS))
        .with_columns(((pl.col(_STEPS) & step.shows) | closing).alias(_FIRES))
        .with_columns(
            (pl.col(_STEPS) & step.finished).alias(_FINISHED),
            *(
                value.cast(schema[name]).alias(name)
                for name, value in step.after(pl.col(_STEPS), pl.lit(False)).items()
            ),
        )
        .with_columns((pl.col(_EXPIRED) | pl.col(_FINISHED)).alias(LAST), pl.col(CLOSED) | pl.col(_FINISHED))
    )


def _after_firing(fired: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Windows that fired count on; if they discard, they begin anew."""
    if not fired.height:
        return fired
    updates = [pl.lit(0, dtype=pl.Int64).alias(PENDING), pl.col(INDEX) + 1]
    if grouping.windowing.accumulation is DISCARDING:
        updates += [each.identity.cast(each.dtype).alias(each.name) for each in accumulators(grouping)]
        if keeps_time(grouping):
            updates.append(pl.lit(None, dtype=pl.Int64).alias(PANE_TIME))
    return fired.with_columns(updates)


def _next(windows: pl.DataFrame, grouping: Grouping, times: Times) -> tuple[int, int, int]:
    """When windows that stay have something to do next: due, alarm and hold of `ReduceOutput`."""
    if not windows.height:
        return MAX, MAX, MAX
    end, is_open = pl.col(END), ~pl.col(CLOSED)
    ends = pl.when(end > times.after).then(end).otherwise(grouping.windowing.expiry(end) + 1)
    rings = alarm(grouping.windowing.trigger, TRIGGER, end, times.after)
    owed = pl.lit(None, dtype=pl.Int64)
    if times.behind is not None:
        event_time = end - 1
        if keeps_time(grouping):
            event_time = pl.col(PANE_TIME).fill_null(event_time)
        # A pane that would be late for the stage behind in any case holds nothing back.
        owes = is_open & (pl.col(PENDING) > 0) & (event_time >= times.behind)
        owed = pl.when(owes).then(event_time).min()
    moments = windows.lazy().select(
        ends.min().alias("due"), pl.when(is_open).then(rings).min().alias("alarm"), owed.alias("hold")
    )
    due, rung, hold = (MAX if each is None else int(each) for each in evaluated(moments).row(0))
    return due, rung, hold
