"""Elements in their windows: what came for expired ones is dropped and counted, the rest is combined."""

from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from tidegate.engine.columns import (
    ADDED,
    WINDOWS,
    content,
    window_bounds,
)
from tidegate.engine.frames import PLANS, constant, evaluated, parted
from tidegate.engine.key_groups import with_key_groups
from tidegate.engine.merging import with_merged_windows
from tidegate.engine.pane_times import PANE_TIME, keeps_time
from tidegate.engine.slices import late_elements, open_slices
from tidegate.engine.state import partial_schema, places
from tidegate.expressions import Outcome, row_by_row
from tidegate.grouping import Grouping
from tidegate.panes import MOMENT
from tidegate.sinks.late import WATERMARK, LateSink
from tidegate.sinks.late import WINDOWS as LATE_WINDOWS
from tidegate.sources.source import EVENT_TIME
from tidegate.timestamps import MIN
from tidegate.windows import END, START, AlignedWindows, PlacedWindows, SlidingWindows

_OPEN = "__open"
"""Whether an element's window had not expired."""

_GIVEN = "__given_"
"""Where the name of a column begins that holds what another column was before a key took its name."""


@dataclass(frozen=True)
class Combined:
    """What elements come to.

    Attributes:
        partials: One row of accumulators for each key and window.
        dropped: How many times an element was dropped for a window that had expired.
        late: These elements, as the late sink has them; empty without one.
    """

    partials: pl.DataFrame
    dropped: int
    late: bytes


def with_inputs(elements: pl.DataFrame, grouping: Grouping) -> Outcome:
    """The elements with what the grouping derives from each, and with windows that they place."""
    outcome = Outcome(elements)
    if grouping.inputs:
        inputs = [*grouping.inputs, *_given(grouping)]
        # All at once, so that none sees another.
        outcome = row_by_row(elements, lambda part: part.with_columns(*inputs))
    window_fn = grouping.windowing.window_fn
    if isinstance(window_fn, PlacedWindows):
        placed = window_fn.place(outcome.frame, EVENT_TIME)
        outcome = Outcome(placed.frame, [*outcome.rejected, *placed.rejected])
    return outcome


def combine_elements(
    elements: pl.DataFrame, grouping: Grouping, watermark: int, behind: int = MIN
) -> Combined:
    """One row of accumulators for each key and window of these elements.

    Args:
        elements: With the grouping's inputs.
        grouping: The grouping.
        watermark: The watermark before the epoch; elements of windows that had expired by then are dropped.
        behind: The same of the grouping behind this one. An element before it gives no pane its event time,
            for the pane would be late there with all that it holds.
    """
    window_fn = grouping.windowing.window_fn
    if isinstance(window_fn, SlidingWindows):
        # Which of a slice's windows an element is late for is asked where they are known.
        times = pl.col(EVENT_TIME)
        sliced = elements.lazy().with_columns(
            window_fn.slice(times).alias(START), pl.when(times >= behind).then(times).alias(PANE_TIME)
        )
        # Between two windows there may be times that lie in none.
        inside = evaluated(sliced.filter(window_fn.count(pl.col(START)) > 0))
        kept, dropped = open_slices(_combined(inside, grouping), grouping, watermark)
        late = b""
        if dropped and grouping.late:
            late = _shown(late_elements(inside, grouping, watermark), grouping.late, watermark)
        return Combined(kept, dropped, late)
    windowed = _windowed(elements, grouping)
    if keeps_time(grouping):
        timely = (pl.col(END) > watermark) & (pl.col(EVENT_TIME) >= behind)
        windowed = windowed.with_columns(pl.when(timely).then(EVENT_TIME).alias(PANE_TIME))
    is_open = grouping.windowing.expiry(pl.col(END)) >= watermark
    marked = evaluated(windowed.with_columns(is_open.alias(_OPEN)))
    kept, expired = parted(marked, marked.get_column(_OPEN))
    late = b""
    if expired.height and grouping.late:
        each_one = constant(WINDOWS, 1, pl.Int64(), expired.height)
        late = _shown(expired.hstack([each_one]), grouping.late, watermark)
    if grouping.merges_ahead:
        kept = with_merged_windows(kept, grouping)
    return Combined(_combined(kept, grouping), expired.height, late)


def _given(grouping: Grouping) -> list[pl.Expr]:
    """The columns that the late sink shows and that keys take the names of, as they are before."""
    shown = {name for name, _ in grouping.late.columns} if grouping.late else set()
    replaced = [each.meta.output_name() for each in grouping.derived]
    return [pl.col(name).alias(f"{_GIVEN}{name}") for name in replaced if name in shown]


def _shown(elements: pl.DataFrame, sink: LateSink, watermark: int) -> bytes:
    """Elements with the expired windows that they came for, as the late sink has them."""
    found = {name: f"{_GIVEN}{name}" for name, _ in sink.columns}
    found = {name: given if given in elements.columns else name for name, given in found.items()}
    rows = elements.select(
        *(pl.col(found[name]).alias(shown) for name, shown in sink.columns),
        *window_bounds(),
        pl.col(WINDOWS).alias(LATE_WINDOWS),
        pl.lit(watermark, dtype=pl.Int64).cast(MOMENT).alias(WATERMARK),
    )
    return sink.encode(rows)


def _windowed(elements: pl.DataFrame, grouping: Grouping) -> pl.LazyFrame:
    """A row for each element and window, with its start and end."""
    window_fn = grouping.windowing.window_fn
    if isinstance(window_fn, AlignedWindows):
        start, end = window_fn.start(pl.col(EVENT_TIME)), window_fn.end(pl.col(START))
        return elements.lazy().with_columns(start.alias(START)).with_columns(end.alias(END))
    if isinstance(elements.schema[START], pl.List):
        return elements.lazy().filter(pl.col(START).list.len() > 0).explode(START, END)
    return elements.lazy()


def _combined(elements: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    keys = [name for name in places(grouping) if name in elements.columns]
    combined = elements.lazy().group_by(keys, maintain_order=True).agg(_partials(grouping))
    return evaluated(with_key_groups(combined, grouping.keys).select(list(partial_schema(grouping))))


@lru_cache(maxsize=PLANS)
def _partials(grouping: Grouping) -> tuple[pl.Expr, ...]:
    columns = [each.partial.cast(each.dtype).alias(each.name) for each in content(grouping)]
    return (*columns, pl.len().cast(pl.Int64).alias(ADDED))
