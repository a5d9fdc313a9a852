"""The row groups of a Parquet file, read a few at a time and not the file as a whole.

A file's footer says where the columns of each row group lie. Some row groups with a footer of their own are a
Parquet file again, an *excerpt*, which any reader reads; so what is in memory follows from the row groups,
and several tasks can read one file. A row group belongs to the task in whose range of bytes it begins, as in
Hadoop's `ParquetInputFormat`.

See the Parquet format, https://parquet.apache.org/docs/file-format/metadata/, for the numbers of the fields.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tidegate.sources.parquet_pages import MAGIC, UNFIT
from tidegate.sources.stored import Stored, in_memory
from tidegate.sources.thrift import Raw, Thrift, integer, number, structs, written

_TAIL = 64 * 1024
"""Bytes of a file's end that are asked for at once: the footer, mostly."""

_ROWS, _GROUPS = 3, 4
"""Fields of the footer."""

_COLUMNS, _BYTES, _GROUP_ROWS = 1, 2, 3
"""Fields of a row group, which keeps these and how it is sorted."""

_SORTED = 4

_FILE, _PLACE, _METADATA = 1, 2, 3
"""Fields of a column of a row group, which keeps these: no indexes, which lie elsewhere."""

_PATH, _STORED, _PAGES, _DICTIONARY = 3, 7, 9, 11
"""Fields of the metadata of a column."""

_ELSEWHERE = (10, 14, 15)
"""Those of the index and the Bloom filter."""


@dataclass(frozen=True)
class Column:
    """A column of a row group.

    Attributes:
        name: Its own, or of the column in which it is nested.
        place: Where its pages lie.
        length: How many bytes they take as they are stored.
        fields: As the footer has them, and its metadata's.
    """

    name: bytes
    place: int
    length: int
    fields: dict[int, Raw]
    metadata: dict[int, Raw]


@dataclass(frozen=True)
class RowGroup:
    """A row group.

    Attributes:
        first: How many rows of the file come before.
        rows: How many it has.
        size: What they take before compression, in bytes.
        fields: As the footer has them.
    """

    first: int
    rows: int
    size: int
    columns: tuple[Column, ...]
    fields: dict[int, Raw]

    @property
    def place(self) -> int:
        """The byte of the file with which it begins."""
        return min((each.place for each in self.columns), default=0)

    @property
    def stored(self) -> int:
        """The bytes that it takes in the file."""
        return sum(each.length for each in self.columns)


class ParquetFile:
    """A stored Parquet file and its footer.

    Args:
        stored: The file; a small one of which all is read is got as a whole.
        at_once: Bytes that may be got at once.

    Raises:
        ValueError: The file is damaged.
    """

    def __init__(self, stored: Stored, at_once: int) -> None:
        if stored.data is None and stored.is_whole and 0 < stored.size <= at_once:
            (data,) = stored.get([(0, stored.size)])
            stored = in_memory(data)
        self.stored = stored
        try:
            self._footer = Thrift(self._footer_bytes(), 0).raw()
            self.groups = tuple(self._groups())
        except UNFIT:
            raise ValueError("its footer cannot be read") from None

    def excerpt(self, groups: Sequence[RowGroup], names: Collection[bytes] | None) -> bytes:
        """A Parquet file of some of the row groups.

        Args:
            groups: Which.
            names: The columns whose content is there; of others only that there are such. None for all.
        """
        if self.stored.data is not None and len(groups) == len(self.groups):
            return self.stored.data
        columns = (each for group in groups for each in group.columns if each.length)
        wanted = [each for each in columns if names is None or each.name in names]
        parts = self.stored.get([(each.place, each.length) for each in wanted]) if wanted else ()
        places: dict[int, int] = {}
        place = len(MAGIC)
        for each, part in zip(wanted, parts, strict=True):
            places[id(each)] = place
            place += len(part)
        moved = structs([_moved(group, places) for group in groups])
        rows = number(sum(group.rows for group in groups))
        footer = written({**self._footer, _GROUPS: moved, _ROWS: rows})
        return b"".join([MAGIC, *parts, footer, len(footer).to_bytes(4, "little"), MAGIC])

    def _footer_bytes(self) -> bytes:
        size = self.stored.size
        tail = self._last(min(_TAIL, size)) if size else b""
        length = int.from_bytes(tail[-8:-4], "little")
        if size < 12 or tail[-4:] != MAGIC or length > size - 12:
            raise ValueError("it has no footer")
        if length + 8 > len(tail):
            tail = self._last(length + 8)
        return tail[len(tail) - 8 - length : -8]

    def _last(self, length: int) -> bytes:
        (data,) = self.stored.get([(self.stored.size - length, length)])
        return data

    def _groups(self) -> Iterator[RowGroup]:
        first = left = 0
        for fields in Thrift(self._footer[_GROUPS].data, 0).raw_list():
            columns = tuple(map(_column, Thrift(fields[_COLUMNS].data, 0).raw_list()))
            rows, size = integer(fields[_GROUP_ROWS]), integer(fields[_BYTES])
            group = RowGroup(first, rows, size, columns, fields)
            for each in columns:
                if each.length < 0 or not 0 <= each.place <= self.stored.size - each.length:
                    raise ValueError("a column lies outside of the file")
            left += group.stored
            if rows < 0 or left > self.stored.size:
                raise ValueError("a row group has fewer rows than none, or columns that overlap")
            yield group
            first += rows


def _column(fields: dict[int, Raw]) -> Column:
    metadata = Thrift(fields[_METADATA].data, 0).raw()
    # As Polars has it: the dictionary's page comes first, if there is one.
    place = integer(metadata.get(_DICTIONARY, metadata[_PAGES]))
    name = Thrift(metadata[_PATH].data, 0).raw_texts()[0]
    return Column(name, place, integer(metadata[_STORED]), fields, metadata)


def _moved(group: RowGroup, places: dict[int, int]) -> bytes:
    """The row group with its columns at other places; those that have none are empty."""
    columns: list[bytes] = []
    for each in group.columns:
        metadata = {key: raw for key, raw in each.metadata.items() if key not in _ELSEWHERE}
        place = places.get(id(each), len(MAGIC))
        if id(each) not in places:
            metadata[_STORED] = number(0)
        by = place - each.place
        for key in (_PAGES, _DICTIONARY):
            if key in metadata:
                metadata[key] = number(integer(metadata[key]) + by)
        fields = {key: raw for key, raw in each.fields.items() if key == _FILE}
        columns.append(
            written(
                {
                    **fields,
                    _PLACE: number(place),
                    _METADATA: each.fields[_METADATA]._replace(data=written(metadata)),
                }
            )
        )
    kept = {key: raw for key, raw in group.fields.items() if key in (_BYTES, _GROUP_ROWS, _SORTED)}
    return written({**kept, _COLUMNS: structs(columns)})
