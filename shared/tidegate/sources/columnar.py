"""Parquet files: columns by name, cast only where no value can change.

A column may have another type than the schema says if every value of it is one of the schema's type:
narrower integers and floats, dates for datetimes, dictionaries for texts, nulls. A `Datetime` may have any
unit and time zone: the moment counts, in UTC, and digits beyond the unit are cut off as in texts. Floats that
are not finite and datetimes outside the years 1 to 9999 make their row a dead letter, as in other formats.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO

import polars as pl
from polars import selectors

from tidegate.limits import BATCH_BYTES, INFLATED_FREELY, ZSTD_RATIO
from tidegate.sources import iso8601
from tidegate.sources.compression import misnamed
from tidegate.sources.parquet_pages import VALUE_BYTES, page_sizes
from tidegate.sources.records import (
    DEAD_LETTER_TEXT_BYTES,
    LINE,
    DeadLetter,
    Records,
    UnreadableFile,
    check_dead_letters,
    readable,
)
from tidegate.sources.row_groups import ParquetFile, RowGroup
from tidegate.sources.stored import Stored
from tidegate.sources.values import FLOATS, INTEGERS

_OPENING = 4
"""Bytes of a file that say whether it is compressed."""

_FAILURES = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError)


def read_parquet(
    stored: Stored, schema: Mapping[str, pl.DataType], max_bytes: int, batch_bytes: int = BATCH_BYTES
) -> Iterator[Records]:
    """The records of a Parquet file, or of the row groups that begin in a range of it.

    They come in batches of whole row groups, and of those only the columns of the schema are got.

    Raises:
        UnreadableFile: It is damaged, lacks a column, has one of a type that does not fit, or has more rows
            than fit into `max_bytes`, more than a file of its size can have, or too many of a batch that
            cannot be read.
    """
    try:
        file = ParquetFile(stored, batch_bytes)
    except ValueError as error:
        if not stored.opens:
            # Whoever reads the file's beginning says so.
            return
        (start,) = stored.get([(0, _OPENING)])
        raise UnreadableFile(misnamed(start) or f"damaged Parquet: {error}") from None
    names = {name.encode() for name in schema}
    mine = [group for group in file.groups if stored.has(group.place)]
    sizes = _Sizes(stored.size if stored.is_whole else sum(group.stored for group in mine), max_bytes)
    for groups in _batches(mine, batch_bytes, empty=stored.opens and not file.groups):
        data = file.excerpt(groups, names)
        for page in _pages(data):
            sizes.add("pages", page)
        rows = _check(data, schema)
        if rows != sum(group.rows for group in groups):
            raise UnreadableFile("damaged Parquet: its row groups have other rows than it says")
        sizes.add("values", rows * len(schema) * VALUE_BYTES)
        try:
            found = pl.read_parquet(BytesIO(data), columns=list(schema), hive_partitioning=False)
        except _FAILURES as error:
            raise UnreadableFile(f"damaged Parquet: {_first_line(error)}") from None
        # A text of a page's dictionary may stand in any number of rows.
        sizes.add("texts", sum(map(_texts_size, found)))
        del data
        first = groups[0].first if groups else 0
        yield _records(found, first, schema, partial(_row_texts, file, groups, first, sizes))


class _Sizes:
    """What a file, or a part of it, takes in memory, held to the limits.

    Args:
        stored: Its bytes as they are stored.
        max_bytes: What it may take at most.
    """

    def __init__(self, stored: int, max_bytes: int) -> None:
        self._stored = stored
        self._max_bytes = max_bytes
        self._found: Counter[str] = Counter()

    def add(self, kind: str, size: int) -> None:
        """Counts so many bytes more of pages, of values, or of texts.

        Raises:
            UnreadableFile: That is too much for any file, or for this one.
        """
        self._found[kind] += size
        if self._found[kind] > self._max_bytes:
            raise UnreadableFile(f"the file has more than {self._max_bytes:,} bytes of content")
        if self._found[kind] > self.most:
            raise UnreadableFile(
                f"a compression bomb: its {self._stored:,} bytes give more than {ZSTD_RATIO:,} times as "
                "many; write the rows into several files"
            )

    @property
    def most(self) -> int:
        """What so many bytes may give."""
        return max(INFLATED_FREELY, ZSTD_RATIO * self._stored)


def _batches(groups: Sequence[RowGroup], batch_bytes: int, *, empty: bool) -> Iterator[list[RowGroup]]:
    """Row groups that are read at once; one batch of none, if there is to be an empty one."""
    batch: list[RowGroup] = []
    size = 0
    for each in groups:
        if batch and size + each.size > batch_bytes:
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each.size
    if batch or empty:
        yield batch


def _pages(data: bytes) -> Iterator[int]:
    try:
        yield from page_sizes(data)
    except ValueError as error:
        raise UnreadableFile(f"damaged Parquet: {error}") from None


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


def _check(data: bytes, schema: Mapping[str, pl.DataType]) -> int:
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


def _row_texts(
    file: ParquetFile, groups: Sequence[RowGroup], first: int, sizes: _Sizes, lines: Sequence[int]
) -> list[str]:
    """Rows of these row groups with all of their columns; empty ones where they cannot be had."""
    low = min(lines) - 1
    try:
        data = file.excerpt(groups, None)
        if sum(page_sizes(data)) > sizes.most:
            return [""] * len(lines)
        lazy = pl.scan_parquet(BytesIO(data), hive_partitioning=False)
        rows = lazy.slice(low - first, max(lines) - low).collect()
        rows = rows[[line - 1 - low for line in lines]]
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
