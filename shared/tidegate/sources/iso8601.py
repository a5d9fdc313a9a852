"""ISO 8601 dates and times as integers since 1970 in UTC: one by one, and a column at a time.

A date is `YYYY-MM-DD`. A time is a date, then `T` or a space, `HH:MM:SS`, a fraction of any length after a
point, and an offset: `Z`, `+HH:MM`, `+HHMM` or `+HH`. Without an offset it is UTC, and a date alone is its
midnight. Digits of the fraction beyond the unit are cut off. A leap second (`:60`) is none.

`parse_datetime` and `parse_date` are the meaning. The columns' functions give the same value or null, and
null for a text that is not null says no more than: ask the function for one text.
"""

import re
from datetime import date

import polars as pl

PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units of a `Datetime`, by how many make a second."""

_DIGITS = {"ms": 3, "us": 6, "ns": 9}
_DAY = 86_400
_UNIX_DAY = date(1970, 1, 1).toordinal()
FIRST_DAY = date.min.toordinal() - _UNIX_DAY
"""0001-01-01 in days since 1970."""
LAST_DAY = date.max.toordinal() - _UNIX_DAY
"""9999-12-31 in days since 1970."""

_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_OFFSET = r"[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?"
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DATETIME = re.compile(rf"([0-9-]{{10}})(?:[Tt ]({_CLOCK})(?:\.([0-9]+))?([Zz]|{_OFFSET})?)?")
_DATES = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DATETIMES = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[Tt ]{_CLOCK}(?:\.[0-9]+)?(?:[Zz]|{_OFFSET})?)?$"


def bounds(unit: str) -> tuple[int, int]:
    """The first and the last moment of a `Datetime` in its unit: years 1 to 9999, and what 64 bits hold.

    Example:
        >>> bounds("ms")
        (-62135596800000, 253402300799999)
    """
    per_second = PER_SECOND[unit]
    first, end = FIRST_DAY * _DAY * per_second, (LAST_DAY + 1) * _DAY * per_second
    return max(first, -(2**63)), min(end - 1, 2**63 - 1)


def in_bounds(moment: int, unit: str) -> int:
    """The moment itself.

    Raises:
        ValueError: It lies outside `bounds`.
    """
    first, last = bounds(unit)
    if not first <= moment <= last:
        problem = "does not fit into nanoseconds" if unit == "ns" else "lies outside the years 1 to 9999"
        raise ValueError(problem)
    return moment


def parse_date(text: str) -> int:
    """Days since 1970 of `YYYY-MM-DD`.

    Raises:
        ValueError: The text is no date.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("is no date YYYY-MM-DD")
    year, month, day = map(int, match.groups())
    try:
        return date(year, month, day).toordinal() - _UNIX_DAY
    except ValueError:
        raise ValueError("is no day of the calendar") from None


def parse_datetime(text: str, unit: str) -> int:
    """The moment of an ISO 8601 text, in `unit` (`ms`, `us` or `ns`) since 1970 in UTC.

    Raises:
        ValueError: The text is no ISO 8601 date or time, or outside `bounds`.

    Example:
        >>> parse_datetime("1970-01-01T01:00:00.0019+01:00", "ms")
        1
    """
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise ValueError("is no ISO 8601 time")
    day, clock, fraction, offset = match.groups(default="")
    seconds = parse_date(day) * _DAY
    if clock:
        seconds += int(clock[:2]) * 3_600 + int(clock[3:5]) * 60 + int(clock[6:])
    if offset and offset not in "Zz":
        away = int(offset[1:3]) * 3_600 + int(offset[3:].lstrip(":") or 0) * 60
        seconds += away if offset[0] == "-" else -away
    digits = _DIGITS[unit]
    return in_bounds(seconds * PER_SECOND[unit] + int(fraction[:digits].ljust(digits, "0")), unit)


def dates(texts: pl.Series) -> pl.Series:
    """Days since 1970 (Int32) of a column of texts; null where `parse_date` must decide."""
    days = _days(texts)
    return _only(days, texts.str.contains(_DATES) & (days >= FIRST_DAY))


def datetimes(texts: pl.Series, unit: str) -> pl.Series:
    """The moments (Int64, in `unit`) of a column of texts; null where `parse_datetime` must decide."""
    seconds = _days(texts).cast(pl.Int64) * _DAY
    for start, factor in ((11, 3_600), (14, 60), (17, 1)):
        part = texts.str.slice(start, 2).cast(pl.Int8, strict=False)
        seconds += part.fill_null(0).cast(pl.Int64) * factor
    tail = texts.str.slice(19)
    if tail.str.contains("[+-]").any():
        seconds -= _offsets(tail)
    # In seconds first: a product beyond 64 bits would wrap around unseen.
    first, last = (moment // PER_SECOND[unit] for moment in bounds(unit))
    possible = texts.str.contains(_DATETIMES) & (seconds > first) & (seconds < last)
    return _only(seconds * PER_SECOND[unit] + _fractions(tail, _DIGITS[unit]), possible)


def _days(texts: pl.Series) -> pl.Series:
    return texts.str.head(10).str.to_date("%Y-%m-%d", strict=False).to_physical()


def _offsets(tail: pl.Series) -> pl.Series:
    """Seconds ahead of UTC; 0 without an offset."""
    known = tail.drop_nulls()
    if len(known) and known[0].endswith("+00:00") and known.str.ends_with("+00:00").all():
        return pl.zeros(len(tail), dtype=pl.Int64, eager=True)
    offset = tail.str.extract(r"([+-][0-9:]+)$").str.replace(":", "", literal=True)
    hours = offset.str.slice(1, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = offset.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    sign = offset.str.starts_with("-").fill_null(False).cast(pl.Int64) * -2 + 1
    return (hours * 3_600 + minutes * 60) * sign


def _fractions(tail: pl.Series, digits: int) -> pl.Series:
    """The fraction of the second as a whole number of this many digits; 0 without a fraction."""
    if tail.str.starts_with(".").all():
        # The common case is that all have these digits at least; the pattern takes three times as long.
        values = tail.str.slice(1, digits).cast(pl.Int64, strict=False)
        if values.null_count() == 0:
            return values
    fraction = tail.str.extract(rf"^\.([0-9]{{1,{digits}}})")
    lengths = fraction.str.len_bytes()
    if lengths.min() == lengths.max() and lengths.null_count() == 0:
        factor: int = 10 ** (digits - int(lengths[0] or digits))
        return fraction.cast(pl.Int64, strict=False) * factor
    return fraction.str.pad_end(digits, "0").cast(pl.Int64, strict=False).fill_null(0)


def _only(values: pl.Series, certain: pl.Series) -> pl.Series:
    return values.set(~certain.fill_null(False), None)
