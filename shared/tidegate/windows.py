"""Where in event time: windows are half-open intervals `[start, end)` of microseconds.

A window function says which windows an element belongs to, as expressions over a frame's event-time
column (Dataflow Model, VLDB 2015, section 2.2.1). One that merges windows (sessions) or gives an element
several (sliding windows) belongs in this file beside these.
"""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN, Duration, duration_text, microseconds


class WindowFn(Protocol):
    """Assigns an element to its window by its event time."""

    def start(self, event_time: pl.Expr) -> pl.Expr:
        """The window's start (Int64 microseconds) of each event time (Int64 microseconds)."""
        ...

    def end(self, start: pl.Expr) -> pl.Expr:
        """The window's end (Int64 microseconds), which its start decides."""
        ...

    def describe(self) -> str:
        """One line that changes whenever the windows do; part of the plan's fingerprint."""
        ...


@dataclass(frozen=True)
class FixedWindows:
    """Windows of one size, one after the other: `[offset + k * size, offset + (k + 1) * size)`.

    Args:
        size: The length of a window, such as `"2m"`.
        offset: Shifts the grid, which is anchored at 1970-01-01T00:00:00Z; shorter than `size`.

    Raises:
        PipelineError: One of them is no duration, the size is zero, or the offset is not shorter than it.

    Example:
        >>> FixedWindows("2m").describe()
        'FixedWindows(size=2m, offset=0s)'
    """

    size: Duration
    offset: Duration = "0s"

    def __post_init__(self) -> None:
        size = microseconds(self.size, "FixedWindows(size=...)")
        if size == 0:
            raise PipelineError("FixedWindows", "the size is zero", "Give a size such as '2m'.")
        if microseconds(self.offset, "FixedWindows(offset=...)") >= size:
            raise PipelineError(
                "FixedWindows",
                f"the offset {self.offset} is not shorter than the size {self.size}",
                "Give an offset below the size.",
            )

    def start(self, event_time: pl.Expr) -> pl.Expr:
        """The start of the window that holds each event time, never before `MIN`."""
        size, offset = microseconds(self.size), microseconds(self.offset)
        # Polars' integer `//` rounds down, also below zero, so that times before 1970 fall right.
        grid = (event_time - offset) // size * size + offset
        return grid.clip(lower_bound=MIN)

    def end(self, start: pl.Expr) -> pl.Expr:
        """The end of the window, never after `MAX`."""
        size, offset = microseconds(self.size), microseconds(self.offset)
        # The first window may be cut short at MIN: its end stays on the grid.
        grid = (start - offset) // size * size + offset
        return (grid + size).clip(upper_bound=MAX)

    def describe(self) -> str:
        """The class with its settings in their shortest form."""
        size, offset = microseconds(self.size), microseconds(self.offset)
        return f"FixedWindows(size={duration_text(size)}, offset={duration_text(offset)})"


@dataclass(frozen=True)
class GlobalWindows:
    """One window for all of event time; it ends only when the watermark comes to `MAX`.

    Its panes have no `window_start` and no `window_end` (null), for there is neither.
    """

    def start(self, event_time: pl.Expr) -> pl.Expr:
        """`MIN` for every element."""
        return pl.when(event_time.is_not_null()).then(pl.lit(MIN, dtype=pl.Int64))

    def end(self, start: pl.Expr) -> pl.Expr:
        """`MAX` for every element."""
        return pl.when(start.is_not_null()).then(pl.lit(MAX, dtype=pl.Int64))

    def describe(self) -> str:
        """The class alone: it has no settings."""
        return "GlobalWindows()"
