"""Windows of the calendar: days, weeks, months and more, as they are in a time zone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN

UNITS: Final = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}
"""The units with Polars' names for one of them."""

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


@dataclass(frozen=True)
class CalendarWindows:
    """Hours, days, weeks, months, quarters or years of a time zone, one behind the other.

    Days begin at local midnight, so that some have 23 or 25 hours. Weeks begin on Monday (ISO 8601). Where
    clocks are set forward over a bound, it lies where they would have shown it, which is the moment of the
    change if that was due at the bound; where they show a bound twice, the first time counts. Polars' copy of
    the IANA time zone database decides.

    Args:
        unit: `hour`, `day`, `week`, `month`, `quarter` or `year`.
        tz: A time zone, such as `"Europe/Berlin"`.

    Raises:
        PipelineError: The unit or the time zone is unknown.

    Example:
        >>> CalendarWindows("day", tz="Europe/Berlin").describe()
        'CalendarWindows(day, tz=Europe/Berlin)'
    """

    unit: Literal["hour", "day", "week", "month", "quarter", "year"]
    tz: str = "UTC"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise PipelineError(
                "CalendarWindows", f"the unit {self.unit!r} is unknown", f"Give one of {', '.join(UNITS)}."
            )
        try:
            known = bool(self.tz and pl.select(self._local(pl.lit(0))).height)
        except (pl.exceptions.PolarsError, TypeError):
            known = False
        if not known:
            raise PipelineError(
                "CalendarWindows",
                f"the time zone {self.tz!r} is unknown",
                "Give a name of the IANA database, such as 'Europe/Berlin'.",
            )

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
        moment, unit = pl.col("moment"), UNITS[self.unit]
        bound = self._local(moment).dt.truncate(unit)
        start, following = self._moment(bound), self._moment(bound.dt.offset_by(unit))
        # Clocks that are set back over a bound show times before it once more, when it has long begun.
        start = pl.when(following <= moment).then(following).otherwise(start)
        start = pl.when(start > moment).then(self._moment(bound.dt.offset_by(f"-{unit}"))).otherwise(start)
        return moments.to_frame("moment").select(start.clip(lower_bound=MIN)).to_series()

    def _ends_of(self, starts: pl.Series) -> pl.Series:
        unit = UNITS[self.unit]
        end = self._moment(self._local(pl.col("start")).dt.truncate(unit).dt.offset_by(unit))
        return starts.to_frame("start").select(end.clip(upper_bound=MAX)).to_series()

    def _local(self, moment: pl.Expr) -> pl.Expr:
        """What clocks show at a moment, Int64 microseconds."""
        utc = moment.cast(pl.Datetime("us", "UTC"))
        return utc.dt.convert_time_zone(self.tz).dt.replace_time_zone(None)

    def _moment(self, local: pl.Expr) -> pl.Expr:
        """When clocks show a time first, or would have shown it."""
        shown = local.dt.replace_time_zone(self.tz, ambiguous="earliest", non_existent="null")
        # A day before the change they still went as before it.
        before = (local.to_physical() - _DAY).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(self.tz)
        offset = (before.dt.base_utc_offset() + before.dt.dst_offset()).dt.total_microseconds()
        return pl.coalesce(shown.dt.epoch("us"), local.to_physical() - offset)


def _by_value(values: pl.Series, function: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """A function of single values, called once for each that there is."""
    known = pl.DataFrame({"value": values.unique()})
    known = known.with_columns(function(known.get_column("value")).alias("result"))
    found = pl.DataFrame({"value": values}).join(
        known, on="value", how="left", nulls_equal=True, maintain_order="left"
    )
    return found.get_column("result").alias(values.name)
