"""Windows, an element at a time: `Spec` says which there are, `assign` which ones an element belongs to."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

MIN = -62_135_596_800_000_000
MAX = 253_402_300_799_999_999
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Window = tuple[int, int]
Spec = tuple[Any, ...]
"""Windows: `("fixed", size, offset)`, `("sliding", size, every, offset)`, `("sessions", gap)`, `("global",)`,
`("calendar", "day" | "week" | "month", time zone)`; lengths are microseconds."""


def assign(spec: Spec, moment: int) -> list[Window]:
    """The windows of an element, cut at the bounds of time; a session's is the one before it merges."""
    return [(max(start, MIN), min(end, MAX)) for start, end in _whole(spec, moment)]


def _whole(spec: Spec, moment: int) -> list[Window]:
    kind, *settings = spec
    if kind == "global":
        return [(MIN, MAX)]
    if kind == "sessions":
        return [(moment, moment + settings[0])]
    if kind == "calendar":
        return [calendar(*settings, moment)]
    size, every, offset = settings if kind == "sliding" else (settings[0], *settings)
    last = moment - (moment - offset) % every
    return [(start, start + size) for start in range(last, moment - size, -every)]


def calendar(unit: str, zone: str, moment: int) -> Window:
    """The day, the week (from Monday) or the month that it is in a time zone."""
    day = (EPOCH + moment * MICROSECOND).astimezone(ZoneInfo(zone)).date()
    first = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[unit]
    span = {"day": 1, "week": 7, "month": 31}[unit]
    after = first + timedelta(days=span)
    after = after.replace(day=1) if unit == "month" else after

    def begins(date: Any) -> int:
        return (datetime(date.year, date.month, date.day, tzinfo=ZoneInfo(zone)) - EPOCH) // MICROSECOND

    return begins(first), begins(after)


def groups(windows: list[Window]) -> list[list[Window]]:
    """Windows that overlap one another, directly or through others; those that touch do not."""
    found: list[list[Window]] = []
    for window in sorted(set(windows)):
        if found and window[0] < max(end for _, end in found[-1]):
            found[-1].append(window)
        else:
            found.append([window])
    return found


def hull(windows: list[Window]) -> Window:
    """The window from the first start to the last end."""
    return min(start for start, _ in windows), max(end for _, end in windows)


def iso(moment: int) -> str:
    """ISO 8601 in UTC, with no, three or six digits of a second."""
    exact = (
        "seconds" if moment % 1_000_000 == 0 else "milliseconds" if moment % 1_000 == 0 else "microseconds"
    )
    return (EPOCH + moment * MICROSECOND).isoformat(timespec=exact).replace("+00:00", "Z")
