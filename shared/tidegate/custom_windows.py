"""Windows that a user's functions place and merge."""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from tidegate.errors import PipelineError, TidegateError
from tidegate.expressions import FAILURES, Outcome, first_line, hidden, row_by_row
from tidegate.timestamps import MAX, MIN
from tidegate.windows import END, START

Assign = Callable[[pl.DataFrame, pl.Series], pl.DataFrame]
Merge = Callable[[pl.DataFrame], pl.DataFrame]

_MOMENT = pl.Datetime("us", "UTC")
_WINDOWS = pl.List(pl.Int64())
_MEND = "Mend it, give the windows another name, and begin anew with `tidegate replay`"


@dataclass(frozen=True, eq=False)
class CustomWindows:
    """Windows that begin and end where functions say.

    Args:
        assign: From the stream's columns and the event times (a `Datetime` in UTC) of any number of rows to
            the columns `start` and `end`, a row for a row: `Datetime` if each has one window, or lists of
            them. A row with an empty list is in no window, and one that is given a window several times is
            in it once; if several of its windows merge, the row counts once for each of them. It must look at
            each row by itself, for which rows share a frame is chance. A row that it fails on, or for which
            it gives no window `start < end`, becomes a dead letter.
        merge: From windows to the windows that they become, for windows that can grow together; None if they
            never do. It is given the columns `key` (a number for each key), `start` and `end`, ordered by
            key and start, and gives `start` and `end`, a row for a row. It must not matter in which order
            windows merge: merging some of them before is the same as merging all. `merge_overlapping` is one.
        name: A name for both functions that changes whenever what they do does, for nobody can see that of
            functions: state belongs to it.

    Raises:
        PipelineError: One of them is no function, or the name is missing.

    Example:
        Windows that end where a column says:

        >>> def until_checkout(events: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
        ...     day = event_time.dt.truncate("1d")
        ...     return events.select(start=day, end=day + pl.duration(days=pl.col("nights")))
        >>> CustomWindows(until_checkout, name="stays/1").describe()
        "CustomWindows('stays/1')"

        Sessions whose gap is a matter of the row:

        >>> def active(events: pl.DataFrame, event_time: pl.Series) -> pl.DataFrame:
        ...     gap = pl.duration(minutes=pl.col("gap"))
        ...     return events.select(start=event_time, end=event_time + gap)
        >>> CustomWindows(active, merge=merge_overlapping, name="activity/1").describe()
        "CustomWindows('activity/1', merging)"
    """

    assign: Assign
    merge: Merge | None = None
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise PipelineError(
                "CustomWindows",
                "it has no name",
                "Give name='...', and another one whenever the functions change: state belongs to it.",
            )
        for each in (self.assign, *((self.merge,) if self.merge is not None else ())):
            if not callable(each):
                raise PipelineError(
                    self.describe(), f"{each!r} cannot be called", "Give a function of frames."
                )

    @property
    def merges(self) -> bool:
        """Whether there is a `merge`."""
        return self.merge is not None

    def place(self, elements: pl.DataFrame, event_time: str) -> Outcome:
        """The elements with lists of starts and ends; those for which `assign` fails are rejected."""
        return row_by_row(elements, lambda part: self._placed(part, event_time))

    def merged(self, windows: pl.DataFrame) -> pl.DataFrame:
        """The window of each window, as `merge` gives it.

        Raises:
            TidegateError: It fails, or gives something else.
        """
        if self.merge is None:
            raise TypeError(f"{self.describe()} does not merge")
        shown = windows.select("key", pl.col(START, END).cast(_MOMENT)).rename({START: "start", END: "end"})
        try:
            found = self._microseconds(self.merge(shown), shown.height)
            whole = found.select((pl.col(START) < pl.col(END)).all()).item()
        except MemoryError:
            raise
        except FAILURES as error:
            raise TidegateError(
                f"{self.describe()}: merge failed with {type(error).__name__}: {first_line(error)}. {_MEND}"
            ) from None
        if not whole or found.select(pl.any_horizontal(pl.all().is_null()).any()).item():
            raise TidegateError(
                f"{self.describe()}: merge gave a window that does not end after its start. {_MEND}"
            )
        return found

    def describe(self) -> str:
        """The class with the functions' name."""
        return f"CustomWindows({self.name!r}{', merging' if self.merges else ''})"

    def _placed(self, part: pl.DataFrame, event_time: str) -> pl.DataFrame:
        if not part.height:
            empty = pl.lit(None, dtype=_WINDOWS)
            return part.with_columns(empty.alias(START), empty.alias(END))
        times = part.get_column(event_time).cast(_MOMENT)
        try:
            found = self._microseconds(self.assign(part.drop(hidden(part.columns)), times), part.height)
            if not isinstance(found.schema[START], pl.List):
                found = found.select(pl.concat_list(START).alias(START), pl.concat_list(END).alias(END))
            _check(found)
            found = _distinct(found)
        except MemoryError:
            raise
        except FAILURES as error:
            raise ValueError(f"{self.describe()}: {type(error).__name__}: {first_line(error)}") from None
        return part.with_columns(found.get_columns())

    def _microseconds(self, given: pl.DataFrame, height: int) -> pl.DataFrame:
        """The columns `start` and `end` of a function's answer."""
        found = given.select(pl.col("start").alias(START), pl.col("end").alias(END))
        if found.height != height:
            raise ValueError(f"it gave {found.height} rows for {height}")
        for name, dtype in found.schema.items():
            single = dtype.inner if isinstance(dtype, pl.List) else dtype
            if not isinstance(single, pl.Datetime):
                raise ValueError(f"it gave a {dtype} as {name.strip('_')}, which is no Datetime")
        return found.select(_epoch(name, dtype) for name, dtype in found.schema.items())


def _epoch(name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.List):
        return pl.col(name).list.eval(pl.element().dt.epoch("us"))
    return pl.col(name).dt.epoch("us")


def _distinct(found: pl.DataFrame) -> pl.DataFrame:
    """Each row's windows, those that it has several times once."""
    if not found.select((pl.col(START).list.len() > 1).any()).item():
        return found
    each = found.with_row_index("row").explode(START, END).unique(maintain_order=True)
    # A row without any has lists again in which nothing is.
    return each.group_by("row", maintain_order=True).agg(pl.col(START, END).drop_nulls()).drop("row")


def _check(found: pl.DataFrame) -> None:
    pairs = found.select(pl.col(START).list.len() == pl.col(END).list.len()).to_series()
    if not pairs.fill_null(False).all():
        raise ValueError("it gave no window, or starts without ends")
    each = found.filter(pl.col(START).list.len() > 0).explode(START, END)
    start, end = pl.col(START), pl.col(END)
    good = ((start < end) & (start >= MIN) & (end <= MAX)).fill_null(False)
    if not each.select(good.all()).item():
        wrong = each.filter(~good).select(start.cast(_MOMENT), end.cast(_MOMENT)).rows()[0]
        raise ValueError(f"it gave the window from {wrong[0]} to {wrong[1]}")
