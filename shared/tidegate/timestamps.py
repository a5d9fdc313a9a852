"""Event time and processing time: integer microseconds since 1970, in UTC.

`MIN` and `MAX` bound event time to the years 1 to 9999. `MAX` is the watermark of a finished source.
"""

import re
from datetime import UTC, datetime, timedelta

from tidegate.errors import PipelineError

MIN = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z."""

MAX = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_DURATION = re.compile(r"(\d+)(us|ms|s|m|h|d|w)")

Duration = str | timedelta
"""A length of time: `"90s"`, `"2m"`, `"1h30m"`, `"500ms"`, or a `timedelta`."""


def microseconds(duration: Duration, step: str = "duration") -> int:
    """The length of a duration in microseconds.

    Args:
        duration: Text of whole numbers with the units `us ms s m h d w`, largest first or not, or a
            `timedelta`. It may be zero and is never negative.
        step: How messages name what the duration was given for, such as `FixedWindows(size=...)`.

    Raises:
        PipelineError: It is no duration, it is negative, or longer than all of time.

    Example:
        >>> microseconds("1m30s")
        90000000
    """
    if isinstance(duration, timedelta):
        length = duration // MICROSECOND
    else:
        text = duration.replace(" ", "") if isinstance(duration, str) else ""
        parts = _DURATION.findall(text)
        if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
            mend = "Write a text with its units, such as '10s', '2m', '1h30m' or '500ms'."
            raise PipelineError(step, f"{duration!r} is not a duration", mend)
        length = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if length < 0:
        raise PipelineError(step, f"{duration!r} is negative", "Give a duration of zero or more.")
    if length > MAX - MIN:
        raise PipelineError(step, f"{duration!r} is more than 9,999 years", "Give a shorter duration.")
    return length


def duration_text(length: int) -> str:
    """The shortest text of a duration in microseconds, such as `2m`; the inverse of `microseconds`."""
    if length == 0:
        return "0s"
    text = ""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, length = divmod(length, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text


def from_datetime(moment: datetime) -> int:
    """Microseconds since 1970 of a moment; one without a time zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // MICROSECOND


def iso(moment: int) -> str:
    """ISO 8601 text in UTC of microseconds since 1970, as short as it is exact.

    Example:
        >>> iso(0), iso(1_500_000)
        ('1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500000Z')
    """
    return (EPOCH + moment * MICROSECOND).isoformat().replace("+00:00", "Z")
