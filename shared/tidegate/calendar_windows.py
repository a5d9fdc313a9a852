"""Windows of the calendar: days, weeks, months and more, as they are in a time zone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from zoneinfo import ZoneInfo

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN

UNITS: Final = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}
"""The units with Polars' names for one of them."""

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_ABOUT: Final = {
    "hour": _HOUR,
    "day": _DAY,
    "week": 7 * _DAY,
    "month": 30 * _DAY,
    "quarter": 91 * _DAY,
    "year": 365 * _DAY,
}
_MOST_BOUNDS = 32
"""More bounds than clocks were ever set over at once: a day, in hours."""


@dataclass(frozen=True)
class CalendarWindows:
    """Hours, days, weeks, months, quarters or years of a time zone, one behind the other.

    Days begin at local midnight, so that some have 23 or 25 hours. Weeks begin on Monday (ISO 8601). Where
    clocks are set forward over a bound, it lies where they would have shown it, which is the moment of the
    change if that was due at the bound; where they show a bound twice, the first time counts. Polars' copy of
    the IANA time zone database decides.

    Args:
        unit: `hour`, `day`, `week`, `month`, `quarter` or `year`.
        tz: A time zone, such as `"Europe/Berlin"`, or a `ZoneInfo` with a key.

    Raises:
        PipelineError: The unit or the time zone is unknown.

    Example:
        >>> CalendarWindows("day", tz="Europe/Berlin").describe()
        'CalendarWindows(day, tz=Europe/Berlin)'
    """

    unit: Literal["hour", "day", "week", "month", "quarter", "year"]
    tz: str | ZoneInfo = "UTC"

    def __post_init__(self) -> None:
        if isinstance(self.tz, ZoneInfo):
            object.__setattr__(self, "tz", self.tz.key)
        if not isinstance(self.unit, str) or self.unit not in UNITS:
            raise PipelineError(
                "CalendarWindows", f"the unit {self.unit!r} is unknown", f"Give one of {', '.join(UNITS)}."
            )
        try:
            known = bool(isinstance(self.tz, str) and self.tz and pl.select(self._local(pl.lit(0))).height)
        except (pl.exceptions.PolarsError, TypeError):
            known = False
        if not known:
            raise PipelineError(
                "CalendarWindows",
                f"the time zone {self.tz!r} is unknown",
                "Give a name of the IANA database, such as 'Europe/Berlin'.",
            )

    @property
    def length(self) -> int:
        """About how long a window is, microseconds."""
        return _ABOUT[self.unit]

    def start(self, event_time: pl.Expr) -> pl.Expr:
        """The start of the window that holds each event time, never before `MIN`."""
        return event_time.map_batches(self._starts, return_dtype=pl.Int64, is_elementwise=True)

    def end(self, start: pl.Expr) -> pl.Expr:
        """The end of the window, never after `MAX`."""
        return start.map_batches(
            lambda starts: _by_value(starts, self._ends_of), return_dtype=pl.Int64, is_elementwise=True
        )

    def describe(self) -> str:
        """The class with its unit and zone."""
        return f"CalendarWindows({self.unit}, tz={self.tz})"

    def _starts(self, moments: pl.Series) -> pl.Series:
        """The same as `_starts_of`, for many moments in few hours.

        Most hours lie in one window from their first to their last microsecond.
        """
        hours = moments // _HOUR * _HOUR
        first = _by_value(hours, self._starts_of)
        last = _by_value(hours, lambda each: self._starts_of(each + (_HOUR - 1)))
        cut = (first != last).fill_null(False)
        if cut.any():
            first[cut.arg_true()] = self._starts_of(moments.filter(cut))
        return first

    def _starts_of(self, moments: pl.Series) -> pl.Series:
        """The latest bound that is not after each moment."""
        moment, bound, start, following = (pl.col(name) for name in ("moment", "bound", "start", "following"))
        following_bound = self._after(bound, 1)
        frame = moments.to_frame("moment").with_columns(
            self._local(moment).dt.truncate(UNITS[self.unit]).alias("bound")
        )
        # Clocks that are set back over bounds show times before them once more, when they have long begun;
        # and those that are set forward show times behind bounds that they would have shown later.
        for _ in range(_MOST_BOUNDS):
            frame = frame.with_columns(
                self._moment(bound).alias("start"), self._moment(following_bound).alias("following")
            )
            moved = (
                pl.when(following <= moment)
                .then(following_bound)
                .when(start > moment)
                .then(self._after(bound, -1))
            )
            frame = frame.with_columns(moved.alias("moved"))
            if frame.get_column("moved").null_count() == frame.height:
                break
            frame = frame.with_columns(pl.coalesce("moved", bound).alias("bound"))
        return frame.select(start.clip(lower_bound=MIN).alias("moment")).to_series()

    def _ends_of(self, starts: pl.Series) -> pl.Series:
        """The first bound after each start."""
        start, bound, end = pl.col("start"), pl.col("bound"), pl.col("end")
        frame = starts.to_frame("start").with_columns(
            self._local(start).dt.truncate(UNITS[self.unit]).alias("bound"),
            pl.lit(None, dtype=pl.Int64).alias("end"),
        )
        for number in range(1, _MOST_BOUNDS):
            following = self._after(bound, number)
            at = self._moment(following)
            frame = frame.with_columns(pl.min_horizontal(end, pl.when(at > start).then(at)).alias("end"))
            # Behind a bound that clocks skip there may be one that they show before it would have been.
            shown = self._shown(following).is_not_null() & end.is_not_null()
            if frame.select((shown | start.is_null()).all()).item():
                break
        return frame.select(end.clip(upper_bound=MAX).alias("start")).to_series()

    def _after(self, bound: pl.Expr, number: int) -> pl.Expr:
        return bound.dt.offset_by(f"{number}{UNITS[self.unit].removeprefix('1')}")

    def _local(self, moment: pl.Expr) -> pl.Expr:
        """What clocks show at a moment, Int64 microseconds."""
        utc = moment.cast(pl.Datetime("us", "UTC"))
        return utc.dt.convert_time_zone(str(self.tz)).dt.replace_time_zone(None)

    def _moment(self, local: pl.Expr) -> pl.Expr:
        """When clocks show a time first, or would have shown it."""
        # A day before the change they still went as before it.
        before = (
            (local.to_physical() - _DAY).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(str(self.tz))
        )
        offset = (before.dt.base_utc_offset() + before.dt.dst_offset()).dt.total_microseconds()
        return pl.coalesce(self._shown(local).dt.epoch("us"), local.to_physical() - offset)

    def _shown(self, local: pl.Expr) -> pl.Expr:
        """When clocks show a time first; null if they skip it."""
        return local.dt.replace_time_zone(str(self.tz), ambiguous="earliest", non_existent="null")


def _by_value(values: pl.Series, function: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """A function of single values, called once for each that there is; of null it is null."""
    # Polars 2.1 puts nulls where a condition around this is not true, and says of such a series that it is
    # sorted as it was before: then it finds several nulls that are unique.
    known = pl.DataFrame({"value": values.drop_nulls().unique()})
    known = known.with_columns(function(known.get_column("value")).alias("result"))
    found = pl.DataFrame({"value": values}).join(known, on="value", how="left", maintain_order="left")
    return found.get_column("result").alias(values.name)
