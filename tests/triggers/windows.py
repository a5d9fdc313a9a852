"""Windows that have a trigger and nothing else, evaluated as the engine evaluates them."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from tidegate.triggers import Moment, Trigger, alarm

SECOND = 1_000_000
END = 100 * SECOND
PATH = "t"

DTYPES = {bool: pl.Boolean(), int: pl.Int64()}


def initial(trigger: Trigger, rows: int) -> pl.DataFrame:
    """The state of so many windows that no element has touched."""
    state = {name: each.initial for name, each in trigger.state(PATH).items()} or {"none": 0}
    return pl.DataFrame(
        {name: [value] * rows for name, value in state.items()},
        schema={name: DTYPES[type(value)] for name, value in state.items()},
    )


def evaluate(
    trigger: Trigger,
    windows: pl.DataFrame,
    before: int,
    watermark: int,
    now: int,
    asked: pl.Expr | None = None,
) -> pl.DataFrame:
    """One epoch.

    Args:
        trigger: The trigger.
        windows: The state, and `added`, `end` and `pending`.
        before: The watermark before the epoch.
        watermark: The watermark at its end.
        now: Its processing time.
        asked: Which windows are asked to fire; those that the engine asks, if not given. It asks none that
            has its column `open` false.

    Returns:
        The windows with the state after the epoch, and whether each fired (`fires`), gave a pane
        (`shows`) and `finished`, and its next `alarm`.
    """
    step = trigger.step(
        PATH, Moment(pl.col("added"), pl.col("end"), before, watermark, now, pl.col("pending"))
    )
    if asked is None:
        touched, due = pl.col("added") > 0, pl.col("end").is_between(before, watermark, closed="right")
        rings = alarm(trigger, PATH, pl.col("end"), before) <= now
        asked = pl.col("open") & (touched | due | rings)
    frame = windows.lazy().with_columns(asked=asked)
    for layer in step.layers:
        frame = frame.with_columns(**layer)
    return (
        frame.with_columns(fires=pl.col("asked") & step.ready)
        .with_columns(
            shows=pl.col("fires") & step.shows,
            finished=pl.col("fires") & step.finished,
            **step.after(pl.col("fires"), pl.lit(False)),
        )
        .with_columns(alarm=alarm(trigger, PATH, pl.col("end"), watermark))
        .select(*windows.columns, "fires", "shows", "finished", "alarm")
        .collect()
    )


class Window:
    """One window, told what each epoch brings."""

    def __init__(self, trigger: Trigger, end: int = END) -> None:
        self.trigger = trigger
        self.end = end
        self.watermark = 0
        self.now = 0
        self.pending = 0
        self.alarm: int | None = None
        self.state = initial(trigger, 1)

    def epoch(self, added: int = 0, *, watermark: int | None = None, now: int | None = None) -> str:
        """`x` if the trigger gives a pane, `o` if it fires without one, else `.`; capital if it finishes."""
        before, self.watermark = self.watermark, self.watermark if watermark is None else watermark
        self.now = self.now if now is None else now
        self.pending += added
        windows = self.state.with_columns(
            added=pl.lit(added), end=pl.lit(self.end), pending=pl.lit(self.pending)
        )
        row = evaluate(self.trigger, windows, before, self.watermark, self.now, asked=pl.lit(True))
        self.state = row.select(self.state.columns)
        fires, shows, finished, self.alarm = row.select("fires", "shows", "finished", "alarm").row(0)
        self.pending = 0 if shows else self.pending
        mark = "x" if shows else "o" if fires else "."
        return mark.upper() if finished else mark

    def merge(self, others: Sequence["Window"], end: int) -> None:
        """The window becomes one with others, and with the row of an epoch's elements."""
        columns = self.trigger.state(PATH)
        nothing = pl.DataFrame({name: [None] for name in self.state.columns}, schema=self.state.schema)
        rows = pl.concat([self.state, *(each.state for each in others), nothing])
        merged: dict[str, Any] = {
            name: each.merge(pl.col(name)).fill_null(each.value) for name, each in columns.items()
        }
        self.state = rows.select(**merged) if merged else self.state
        self.pending += sum(each.pending for each in others)
        self.end = end


def play(trigger: Trigger, epochs: str) -> str:
    """What the trigger does in each epoch, asked in all of them, until it finishes.

    One character an epoch, and a second from one to the next: a digit is how many elements come, `.` none;
    `|` is the epoch in which the watermark passes the window's end.
    """
    window, line = Window(trigger), ""
    for second, epoch in enumerate(epochs):
        added = int(epoch) if epoch.isdigit() else 0
        line += window.epoch(added, watermark=END if epoch == "|" else None, now=second * SECOND)
        if line[-1].isupper():
            break
    return line
