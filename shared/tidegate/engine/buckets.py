"""Buckets: state cut by event time, so that an epoch touches the part in which something happens.

A bucket holds the windows that begin in some span of event time. Spans follow each other, and of every
`BUCKETS` of them the first share a bucket, the second ones, and so on, so that their number has a bound.
"""

import polars as pl

from tidegate.calendar_windows import CalendarWindows
from tidegate.grouping import Grouping
from tidegate.windows import START, FixedWindows, Sessions, WindowFn

BUCKETS = 64
"""Buckets of one range of key groups at most."""

_WINDOWS_AT_LEAST = 8
"""Windows of one key whose rows are no work worth avoiding."""

_WAITING = 8
"""Into about how many buckets the windows fall that wait for late elements."""


def bucket(grouping: Grouping) -> pl.Expr:
    """The bucket of a row of state, Int64, from the start of its window.

    Windows that are made of slices lie in one with these, which begin elsewhere.
    """
    windowing = grouping.windowing
    length = None if grouping.keeps_slices else _length(windowing.window_fn)
    if length is None:
        return pl.lit(0, dtype=pl.Int64)
    return pl.col(START) // max(_WINDOWS_AT_LEAST * length, windowing.allowed_lateness // _WAITING) % BUCKETS


def _length(window_fn: WindowFn) -> int | None:
    """About how long windows are, microseconds; None if nobody knows, as of custom ones."""
    if isinstance(window_fn, FixedWindows | CalendarWindows | Sessions):
        return window_fn.length
    return None
