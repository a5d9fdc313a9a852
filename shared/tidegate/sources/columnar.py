"""Parquet files: columns by name, cast only where no value can change.

A column may have another type than the schema says if every value of it is one of the schema's type:
narrower integers and floats, dates for datetimes, dictionaries for texts, nulls. A `Datetime` may have any
unit and time zone: the moment counts, in UTC, and digits beyond the unit are cut off as in texts. Floats that
are not finite and datetimes outside the years 1 to 9999 make their row a dead letter, as in other formats.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO

import polars as pl
from polars import selectors

from tidegate.limits import BATCH_BYTES, INFLATED_FREELY, ZSTD_RATIO
from tidegate.sources import iso8601
from tidegate.sources.parquet_pages import VALUE_BYTES, page_sizes, row_groups
from tidegate.sources.records import (
    DEAD_LETTER_TEXT_BYTES,
    LINE,
    DeadLetter,
    Records,
    UnreadableFile,
    check_dead_letters,
    readable,
)
from tidegate.sources.values import FLOATS, INTEGERS

_FAILURES = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError)


def read_parquet(
    data: bytes, schema: Mapping[str, pl.DataType], max_bytes: int, batch_bytes: int = BATCH_BYTES
) -> Iterator[Records]:
    """The records of a Parquet file, in batches of whole row groups.

    Raises:
        UnreadableFile: It is damaged, lacks a column, has one of a type that does not fit, or has more rows
            than fit into `max_bytes`, more than a file of its size can have, or too many of a batch that
            cannot be read.
    """
    _check_pages(data, max_bytes)
    rows = _check(data, schema, max_bytes)
    texts = 0
    for first, count in _spans(data, rows, batch_bytes):
        try:
            stored = _read(data, list(schema), first, count, rows)
        except _FAILURES as error:
            raise UnreadableFile(f"damaged Parquet: {_first_line(error)}") from None
        # A text of a page's dictionary may stand in any number of rows.
        texts += sum(map(_texts_size, stored))
        _check_size(data, texts, max_bytes)
        yield _records(stored, first, schema, partial(_row_texts, data, rows))


def _spans(data: bytes, rows: int, batch_bytes: int) -> Iterator[tuple[int, int]]:
    """The first row of each batch and its number of rows."""
    try:
        groups = row_groups(data)
    except ValueError as error:
        raise UnreadableFile(f"damaged Parquet: {error}") from None
    if sum(count for count, _ in groups) != rows or any(count < 0 for count, _ in groups):
        # Whatever the footer means by that: Polars reads such a file as it always did.
        groups = [(rows, 0)]
    first = count = size = 0
    for more, taking in groups:
        if count and size + taking > batch_bytes:
            yield first, count
            first, count, size = first + count, 0, 0
        count, size = count + more, size + taking
    yield first, count


def _read(data: bytes, columns: list[str] | None, first: int, count: int, rows: int) -> pl.DataFrame:
    """Some rows of the file, and of them these columns."""
    if count == rows:
        return pl.read_parquet(BytesIO(data), columns=columns, hive_partitioning=False)
    lazy = pl.scan_parquet(BytesIO(data), hive_partitioning=False)
    return (lazy if columns is None else lazy.select(columns)).slice(first, count).collect()


def _records(
    stored: pl.DataFrame,
    first: int,
    schema: Mapping[str, pl.DataType],
    texts: Callable[[Sequence[int]], list[str]],
) -> Records:
    """Rows of the file from one row on as records."""
    columns = [_typed(stored[name], dtype) for name, dtype in schema.items()]
    places = pl.int_range(first + 1, first + stored.height + 1, dtype=pl.UInt64, eager=True).alias(LINE)
    frame = pl.DataFrame([*columns, places])
    reasons: dict[int, str] = {}
    for typed, name in zip(columns, schema, strict=True):
        check_dead_letters(typed.null_count() - stored[name].null_count())
        for row in (stored[name].is_not_null() & typed.is_null()).arg_true():
            reasons.setdefault(row, f"{name}: the value does not fit into {typed.dtype}")
    if not reasons:
        return Records(frame, [], texts)
    bad = sorted(reasons)
    check_dead_letters(len(bad))
    lines = [first + row + 1 for row in bad]
    dead = [
        DeadLetter(line, reasons[row], text) for line, row, text in zip(lines, bad, texts(lines), strict=True)
    ]
    return Records(frame.filter(~pl.col(LINE).is_in(lines)), dead, texts)


def _check_pages(data: bytes, max_bytes: int) -> None:
    size = 0
    pages = page_sizes(data)
    while True:
        try:
            page = next(pages, None)
        except ValueError as error:
            raise UnreadableFile(f"damaged Parquet: {error}") from None
        if page is None:
            return
        size += page
        _check_size(data, size, max_bytes)


def _check_size(data: bytes, size: int, max_bytes: int) -> None:
    """Refuses what takes so many bytes in memory, if that is too many for any file or for this one."""
    if size > max_bytes:
        raise UnreadableFile(f"the file has more than {max_bytes:,} bytes of content")
    if size > max(INFLATED_FREELY, ZSTD_RATIO * len(data)):
        raise UnreadableFile(
            f"a compression bomb: its {len(data):,} bytes give more than {ZSTD_RATIO:,} times as many; "
            "write the rows into several files"
        )


def _check(data: bytes, schema: Mapping[str, pl.DataType], max_bytes: int) -> int:
    """The number of rows, if the columns are there and fit."""
    try:
        found = pl.read_parquet_schema(BytesIO(data))
        rows = pl.scan_parquet(BytesIO(data), hive_partitioning=False).select(pl.len()).collect().item()
    except _FAILURES as error:
        raise UnreadableFile(f"damaged Parquet: {_first_line(error)}") from None
    for name, dtype in schema.items():
        if name not in found:
            raise UnreadableFile(f"there is no column {name}; the file has {', '.join(found)}")
        if not _lossless(found[name], dtype):
            raise UnreadableFile(f"{name}: the file has {found[name]}, which is not always a {dtype}")
    _check_size(data, rows * len(schema) * VALUE_BYTES, max_bytes)
    return int(rows)


def _texts_size(column: pl.Series) -> int:
    if column.dtype == pl.String():
        return int(column.str.len_bytes().sum())
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        return int(column.cat.len_bytes().sum())
    return 0


def _lossless(source: pl.DataType, target: pl.DataType) -> bool:
    if source == target or source == pl.Null():
        return True
    if source in INTEGERS and target in INTEGERS:
        return INTEGERS[target][0] <= INTEGERS[source][0] and INTEGERS[source][1] <= INTEGERS[target][1]
    if source in INTEGERS and target in FLOATS:
        return INTEGERS[source][1] <= (2**24 if target == pl.Float32() else 2**53)
    if isinstance(target, pl.Datetime):
        return isinstance(source, pl.Datetime) or source == pl.Date()
    if target == pl.String():
        return isinstance(source, pl.Categorical | pl.Enum)
    return source == pl.Float32() and target == pl.Float64()


def _typed(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The column in its type; null where a value does not fit."""
    if isinstance(dtype, pl.Datetime) and column.dtype != pl.Null():
        return _moments(column, dtype.time_unit).cast(dtype)
    if dtype == pl.Date() and column.dtype != pl.Null():
        days = column.to_physical()
        return days.set(~days.is_between(iso8601.FIRST_DAY, iso8601.LAST_DAY), None).cast(dtype)
    typed = column.cast(dtype)
    return typed.set(~typed.is_finite(), None) if dtype in FLOATS else typed


def _moments(column: pl.Series, unit: str) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        per_unit = iso8601.PER_SECOND[column.dtype.time_unit]
        moments = column.to_physical()
    else:
        per_unit = iso8601.PER_SECOND["ms"]
        days = column.to_physical().cast(pl.Int64)
        moments = days * 86_400_000
    wanted = iso8601.PER_SECOND[unit]
    first, last = iso8601.bounds(unit)
    if per_unit >= wanted:
        moments = moments // (per_unit // wanted)
        return moments.set(~moments.is_between(first, last), None)
    factor = wanted // per_unit
    # Compared before the product, which would wrap around unseen.
    fitting = moments.is_between(-(-first // factor), last // factor)
    return moments.set(~fitting, None) * factor


def _row_texts(data: bytes, height: int, lines: Sequence[int]) -> list[str]:
    first = min(lines)
    try:
        rows = _read(data, None, first - 1, max(lines) - first + 1, height)
        rows = rows[[line - first for line in lines]]
        # Cut here, as one long text of a page's dictionary may stand in all of these rows.
        longest = min(DEAD_LETTER_TEXT_BYTES, INFLATED_FREELY // (len(lines) * rows.width) + 20)
        rows = rows.with_columns((selectors.categorical() | selectors.enum()).cast(pl.String)).with_columns(
            selectors.string().str.head(longest), selectors.binary().bin.head(longest)
        )
    except _FAILURES:
        return [""] * len(lines)
    try:
        named = rows.to_dicts()
    except _FAILURES:
        # A date that Python has no type for: its number is better than nothing.
        named = rows.select(pl.all().to_physical()).to_dicts()
    return [readable(json.dumps(row, ensure_ascii=False, default=str).encode()) for row in named]


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", maxsplit=1)[0][:200]
