"""A pane: one emission of one window of one key, and the columns that every output row has.

Timing follows from the watermark alone: `early` while the watermark is before the window's end, `on_time`
in the epoch in which it passes the end, `late` after it. A window whose first element came behind the
watermark is therefore `late` from its first pane on.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import HIDDEN

WINDOW_START = "window_start"
WINDOW_END = "window_end"
TIMING = "pane_timing"
INDEX = "pane_index"
IS_LAST = "pane_is_last"
OP = "op"
EMITTED_AT = "emitted_at"

EVENT_TIME = "__pane_event_time"
"""The hidden column with a pane's own event time, Int64 microseconds; sinks do not write it."""

PANE_COLUMNS = (WINDOW_START, WINDOW_END, TIMING, INDEX, IS_LAST, OP, EMITTED_AT)
"""The columns that a pane has beside its key and its values; no step of a pipeline may take these names."""

MOMENT = pl.Datetime("us", "UTC")

PANE_SCHEMA: dict[str, pl.DataType] = {
    WINDOW_START: MOMENT,
    WINDOW_END: MOMENT,
    TIMING: pl.String(),
    INDEX: pl.Int64(),
    IS_LAST: pl.Boolean(),
    OP: pl.String(),
    EMITTED_AT: MOMENT,
}


def schema_of_panes(
    keys: Mapping[str, pl.DataType], values: Mapping[str, pl.DataType]
) -> dict[str, pl.DataType]:
    """The columns of panes: the keys, the window, the values, and what is said of the emission."""
    window = {name: PANE_SCHEMA[name] for name in (WINDOW_START, WINDOW_END)}
    return {**keys, **window, **values, **PANE_SCHEMA}


def check_value_names(names: Collection[str], keys: Collection[str]) -> None:
    """Refuses names of values, or keys, that cannot stand in one pane.

    Raises:
        PipelineError: The name belongs to the system, or is a value's and a key's.
    """
    for name in (*names, *keys):
        if name in PANE_COLUMNS and name in keys:
            mend = f"Give the key another name, such as group_by({name.split('_')[0]}=pl.col({name!r}))."
            raise PipelineError("agg", f"the name {name} belongs to the system", mend)
        if name in PANE_COLUMNS or name.startswith(HIDDEN):
            raise PipelineError("agg", f"the name {name} belongs to the system", "Choose another name.")
    for name in names:
        if name in keys:
            raise PipelineError("agg", f"{name} is already a key column", "Choose another name.")


class Timing(StrEnum):
    """Where a pane lies relative to the watermark's passing of its window's end."""

    EARLY = "early"
    ON_TIME = "on_time"
    LATE = "late"


class Op(StrEnum):
    """What a pane does to a table of results."""

    INSERT = "insert"
    """It adds its row."""

    RETRACT = "retract"
    """It takes back the row of an earlier pane, which it repeats."""


class Timestamp(StrEnum):
    """A pane's own event time, for what groups panes again."""

    END_OF_WINDOW = "end_of_window"
    """The last microsecond of the window."""

    EARLIEST = "earliest"
    """The first event time of its elements that were not late; the end of the window if all were."""

    LATEST = "latest"
    """The last one."""


def timing(end: pl.Expr, before: int, after: int) -> pl.Expr:
    """The timing of panes that fire in an epoch, from their windows' end.

    Args:
        end: The windows' end, Int64 microseconds.
        before: The watermark before the epoch.
        after: The watermark at the epoch's end.
    """
    return (
        pl.when(end > after)
        .then(pl.lit(Timing.EARLY.value))
        .when(end > before)
        .then(pl.lit(Timing.ON_TIME.value))
        .otherwise(pl.lit(Timing.LATE.value))
    )
