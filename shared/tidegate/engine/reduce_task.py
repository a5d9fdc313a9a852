"""The reduce side of an epoch: state, watermark, triggers, panes.

In this order (SEMANTICS of the epoch): the epoch's elements join their windows, the watermark advances,
the trigger is evaluated once for every touched or due window, fired panes go out, expired windows leave
the state. All of it is expressions over one frame with a row for each key and window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tidegate.accumulation import DISCARDING
from tidegate.engine import slices, unmerging
from tidegate.engine.columns import (
    ADDED,
    CLOSED,
    INDEX,
    PENDING,
    SLICE,
    TRIGGER,
    content,
    identities,
    is_empty,
)
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.emission import LAST, Times, emit
from tidegate.engine.frames import constant, evaluated, parted
from tidegate.engine.key_groups import GROUP
from tidegate.engine.layers import changes
from tidegate.engine.outlook import Outlook, outlooks
from tidegate.engine.pairs import matches
from tidegate.engine.pane_times import without_times_taken_back
from tidegate.engine.state import join_epoch, places, state_schema
from tidegate.grouping import Grouping, Windowing
from tidegate.panes import TIMING, Timing
from tidegate.plan import Stage
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
        changes: What a layer over the state before says to make that of it.
        outlook: What the state is due for, for each of its buckets.
        rows: The panes after the stage's steps, as the sink takes them, with their own event times.
        counters: Counts of this task.
    """

    state: pl.DataFrame
    changes: pl.DataFrame
    outlook: dict[int, Outlook]
    rows: pl.DataFrame
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
    concerned, others = _split(state, partials, grouping, times)
    if sliding:
        windows, held = slices.join_epoch(concerned, partials, grouping, times.before)
    elif grouping.unmerges:
        windows, held = unmerging.join_epoch(concerned, partials, grouping)
    else:
        windows, held = join_epoch(concerned, partials, grouping), concerned.clear()
    windows = without_times_taken_back(windows, grouping)
    quiet, fired = _judge(windows, grouping, times)
    if sliding:
        fired = slices.with_content(fired, held, grouping)
    emission = emit(fired, grouping, times)
    told = unmerging.without_parted(emission.windows) if grouping.unmerges else emission.windows
    left = pl.concat([quiet, _after_firing(told, grouping)])
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
    kept = kept[[name for name in windows.columns if name != ADDED]]
    if sliding:
        kept = slices.with_slices(kept, held, grouping, times.after)
    elif grouping.unmerges:
        kept = unmerging.with_slices(kept, held, grouping)
    after = pl.concat([others, kept])
    # Where windows of a key have nothing to do with each other, all of those that it concerns change.
    changed = changes(concerned, kept, grouping, compared=grouping.keeps_slices or grouping.windowing.merges)
    return ReduceOutput(after, changed, outlooks(after, grouping, times), rows, counters, dead)


def _split(
    state: pl.DataFrame, partials: Sequence[pl.DataFrame], grouping: Grouping, times: Times
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of state that the epoch's elements or its moments concern, and the others."""
    if not state.height:
        return state, state
    concerned = evaluated(state.lazy().select(_is_due(grouping, times))).to_series()
    # Windows merge with others of their key, or are made of its slices.
    by_key = grouping.keeps_slices or grouping.windowing.merges
    by = list(grouping.keys) if by_key else places(grouping)[1:]
    fresh = [frame for frame in partials if frame.height]
    if grouping.keeps_slices and concerned.any():
        concerned = matches(state, state.filter(concerned), by)
    if fresh and not concerned.all():
        touched = matches(state, pl.concat([frame.select(GROUP, *by) for frame in fresh]), by)
        concerned |= touched
    return parted(state, concerned)


def _is_due(grouping: Grouping, times: Times) -> pl.Expr:
    """Whether the watermark or the clock has something to do with a row of state."""
    windowing = grouping.windowing
    end = windowing.end(START, END)
    due = _calls(windowing, end, times) | _expires(windowing, end, times)
    return due & ~pl.col(SLICE) if grouping.keeps_slices else due


def _calls(windowing: Windowing, end: pl.Expr, times: Times) -> pl.Expr:
    """Whether the watermark passes a window's end, or the clock comes to its trigger's alarm."""
    rings = alarm(windowing.trigger, TRIGGER, end, times.before) <= times.now
    return ((end > times.before) & (end <= times.after)) | rings


def _expires(windowing: Windowing, end: pl.Expr, times: Times) -> pl.Expr:
    """Whether the watermark passes the moment to which a window is kept."""
    return windowing.expiry(end) < times.after


def _judge(windows: pl.DataFrame, grouping: Grouping, times: Times) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Asks the trigger for the windows that were touched or are due, and steps its state.

    Returns:
        The windows that do not fire and those that do, with whether they expire and whether they are closed.
    """
    windowing, end = grouping.windowing, pl.col(END)
    asked = (pl.col(ADDED) > 0) | _calls(windowing, end, times)
    marked = evaluated(
        windows.lazy()
        .with_columns(windowing.end(START, END).alias(END))
        .with_columns(
            _expires(windowing, end, times).alias(_EXPIRED), (~pl.col(CLOSED) & asked).alias(_STEPS)
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
    # Panes are counted: a window that was taken back has given none.
    given = (~is_empty(grouping)).cast(pl.Int64)
    updates = [pl.lit(0, dtype=pl.Int64).alias(PENDING), pl.col(INDEX) + given]
    if grouping.windowing.accumulation is DISCARDING:
        updates += [value.alias(name) for name, value in identities(content(grouping)).items()]
    return fired.with_columns(updates)
