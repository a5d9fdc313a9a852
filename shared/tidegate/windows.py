"""Where in event time: windows are half-open intervals `[start, end)` of microseconds.

A window function says which windows an element belongs to (Dataflow Model, VLDB 2015, section 2.2.1). There
are three kinds. *Aligned* windows are the same for all keys and do not overlap, so that their start decides
their end: fixed, global and calendar windows. *Sliding* windows overlap, and share slices. *Placed* windows
begin and end where an element says, and may merge: sessions, and those of users (`custom_windows`).
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import Outcome
from tidegate.limits import WINDOWS_PER_ELEMENT
from tidegate.timestamps import MAX, MIN, Duration, duration_text, microseconds

START = "__start"
"""The hidden column with a window's start, Int64 microseconds."""

END = "__end"
"""The hidden column with a window's end, Int64 microseconds."""


class WindowFn(Protocol):
    """What all window functions have."""

    def describe(self) -> str:
        """One line that changes whenever the windows do; part of the plan's fingerprint."""
        ...


@runtime_checkable
class AlignedWindows(WindowFn, Protocol):
    """Windows that do not overlap and are the same for all keys."""

    def start(self, event_time: pl.Expr) -> pl.Expr:
        """The window's start (Int64 microseconds) of each event time (Int64 microseconds)."""
        ...

    def end(self, start: pl.Expr) -> pl.Expr:
        """The window's end (Int64 microseconds), which its start decides."""
        ...


@runtime_checkable
class PlacedWindows(WindowFn, Protocol):
    """Windows that begin and end where their elements say; those of one key may merge."""

    @property
    def merges(self) -> bool:
        """Whether windows of one key can become one."""
        ...

    def place(self, elements: pl.DataFrame, event_time: str) -> Outcome:
        """The elements with the columns `START` and `END`: a list of windows, or one window, for each.

        Args:
            elements: With their hidden columns.
            event_time: The column with their event time, Int64 microseconds.
        """
        ...

    def merged(self, windows: pl.DataFrame) -> pl.DataFrame:
        """The window that each window becomes.

        Args:
            windows: The columns `key` (a number for each key), `START` and `END`, ordered by key and start; a
                window may be there more than once.

        Returns:
            `START` and `END`, row by row.
        """
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

    @property
    def length(self) -> int:
        """The size in microseconds."""
        return microseconds(self.size)

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


@dataclass(frozen=True)
class SlidingWindows:
    """Windows of one size that begin at regular times: `[offset + k * every, offset + k * every + size)`.

    An element lies in as many of them as overlap there. Elements are combined once, in slices between two
    bounds of windows, and windows are made of slices ("No pane, no gain", Li et al., SIGMOD Record 2005; two
    slices a period suffice, "On-the-fly sharing", Krishnamurthy et al., SIGMOD 2006).

    Args:
        size: The length of a window, such as `"1h"`.
        every: The time from one window's start to the next one's, such as `"1m"`. If it is longer than
            `size`, elements between two windows are in none.
        offset: Shifts the grid, which is anchored at 1970-01-01T00:00:00Z; shorter than `every`.

    Raises:
        PipelineError: One of them is no duration, size or period are zero, the offset is not shorter than the
            period, or an element would lie in too many windows.

    Example:
        >>> SlidingWindows("1h", every="1m").describe()
        'SlidingWindows(size=1h, every=1m, offset=0s)'
    """

    size: Duration
    every: Duration
    offset: Duration = "0s"

    def __post_init__(self) -> None:
        for name, given in (("size", self.size), ("every", self.every)):
            if microseconds(given, f"SlidingWindows({name}=...)") == 0:
                raise PipelineError("SlidingWindows", f"{name} is zero", "Give a length such as '1m'.")
        if microseconds(self.offset, "SlidingWindows(offset=...)") >= self.period:
            raise PipelineError(
                "SlidingWindows",
                f"the offset {self.offset} is not shorter than the time {self.every} between two windows",
                "Give an offset below it.",
            )
        number = -(-self.length // self.period)
        if number > WINDOWS_PER_ELEMENT:
            raise PipelineError(
                "SlidingWindows",
                f"an element would lie in {number:,} windows, and {WINDOWS_PER_ELEMENT:,} are possible",
                "Let them begin less often, or make them shorter.",
            )

    @property
    def length(self) -> int:
        """The size in microseconds."""
        return microseconds(self.size)

    @property
    def period(self) -> int:
        """The time between two windows in microseconds."""
        return microseconds(self.every)

    def last(self, moment: pl.Expr) -> pl.Expr:
        """The start of the last window that begins at or before each moment (Int64 microseconds).

        Starts are not cut at `MIN`, where several windows would become one.
        """
        offset = microseconds(self.offset)
        return (moment - offset) // self.period * self.period + offset

    def slice(self, event_time: pl.Expr) -> pl.Expr:
        """The start of the slice that holds each event time: it lies in the same windows all along."""
        last, bound = self.last(event_time), self.length % self.period
        return pl.when(event_time - last < bound).then(last).otherwise(last + bound)

    def cell(self, start: pl.Expr) -> pl.Expr:
        """The number of a slice among those that there can be, from its start; they follow each other."""
        if self.length % self.period == 0:
            return (start - microseconds(self.offset)) // self.period
        last = self.last(start)
        return (last - microseconds(self.offset)) // self.period * 2 + (start > last).cast(pl.Int64)

    @property
    def cells(self) -> int:
        """How many slices a window has at most."""
        whole, rest = divmod(self.length, self.period)
        return 2 * whole + 1 if rest else whole

    def count(self, start: pl.Expr) -> pl.Expr:
        """In how many windows a slice lies, from its start; the last one is `last(start)`."""
        return -((start - self.last(start) - self.length) // self.period)

    def end(self, start: pl.Expr) -> pl.Expr:
        """The end of the window, never after `MAX`."""
        return (start + self.length).clip(upper_bound=MAX)

    def describe(self) -> str:
        """The class with its settings in their shortest form."""
        size, every, offset = map(duration_text, (self.length, self.period, microseconds(self.offset)))
        return f"SlidingWindows(size={size}, every={every}, offset={offset})"


@dataclass(frozen=True)
class Sessions:
    """Periods of activity of a key, which end where nothing happens for a time.

    An element alone has the window `[event time, event time + gap)`. Windows of one key that overlap merge;
    those that merely touch stay apart.

    Args:
        gap: The time without an element that ends a session, such as `"10m"`.

    Raises:
        PipelineError: It is no duration, or zero.

    Example:
        >>> Sessions("600s").describe()
        'Sessions(gap=10m)'
    """

    gap: Duration
    merges: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        if microseconds(self.gap, "Sessions(gap=...)") == 0:
            raise PipelineError("Sessions", "the gap is zero", "Give a gap such as '10m'.")

    @property
    def length(self) -> int:
        """The gap in microseconds: no session is shorter."""
        return microseconds(self.gap)

    def place(self, elements: pl.DataFrame, event_time: str) -> Outcome:
        """From the event time to a gap after it, never after `MAX`."""
        start = pl.col(event_time)
        end = (start + microseconds(self.gap)).clip(upper_bound=MAX)
        return Outcome(elements.with_columns(start.alias(START), end.alias(END)))

    def merged(self, windows: pl.DataFrame) -> pl.DataFrame:
        """The session of each window."""
        return merge_overlapping(windows)

    def describe(self) -> str:
        """The class with its gap in its shortest form."""
        return f"Sessions(gap={duration_text(microseconds(self.gap))})"


def merge_overlapping(windows: pl.DataFrame) -> pl.DataFrame:
    """The window that each window becomes if those of one key that overlap merge.

    Args:
        windows: A column with a number for each key, then starts and ends, ordered by key and start.

    Returns:
        Starts and ends, row by row, under the same names.

    Example:
        >>> windows = pl.DataFrame({"key": [0, 0, 0], "start": [0, 5, 20], "end": [10, 15, 30]})
        >>> merge_overlapping(windows).rows()
        [(0, 15), (0, 15), (20, 30)]
    """
    key, start, end = windows.columns
    begins, reaches = "__begins", "__reaches"
    # An end of a later key is above those of all keys before it, so that one running maximum serves all.
    above = pl.col(key).cast(pl.Int128) * 2**64
    reach = (above + pl.col(end).to_physical()).cum_max() - above
    first = (pl.col(key) != pl.col(key).shift()) | (pl.col(start).to_physical() >= pl.col(reaches).shift())
    last = pl.col(begins).shift(-1).fill_null(True)
    return (
        windows.lazy()
        .with_columns(reach.cast(pl.Int64).alias(reaches))
        .with_columns(first.fill_null(True).alias(begins))
        .select(
            pl.when(begins).then(start).forward_fill().alias(start),
            pl.when(last).then(reaches).backward_fill().cast(windows.schema[end]).alias(end),
        )
        .collect(engine="in-memory")
    )
