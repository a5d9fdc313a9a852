"""Stores whose requests and bytes are counted, as S3 and DynamoDB count them, whatever lies below.

Below a cache, so that what is found there is no request. What a request costs does not depend on its success:
one that finds nothing, or whose condition fails, counts like any other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from tidegate.errors import ObjectNotFound
from tidegate.stores.ports import Add, Delete, ObjectInfo, Objects, Row, Table, Version, Wanted, Write

Count = Callable[[str, int], None]
"""Adds to the number under a name, which is `<store>.<what>`, such as `state.get` and `state.bytes_read`."""

_COALESCED = 1024 * 1024
"""Bytes between two ranges that obstore reads in one request at most (its default)."""

_LISTED_TOGETHER = 1_000
"""Keys that S3 lists in one request."""

_DELETED_TOGETHER = 1_000
"""Keys that S3 removes in one request."""

_READ_TOGETHER = 100
"""Rows that DynamoDB reads in one request."""

_READ_UNIT = 4_096
"""Bytes that a consistent read gives for one unit."""

_WRITE_UNIT = 1_024
"""Bytes of a row that are written for one unit, and for two in a transaction, which all writes are here."""


class MeteredObjects:
    """Another store of objects; counts `get`, `put`, `list`, `delete`, `bytes_read` and `bytes_written`.

    Args:
        objects: The store itself.
        name: Which one, such as `state`.
        count: Is told of each request.
    """

    def __init__(self, objects: Objects, name: str, count: Count) -> None:
        self._objects = objects
        self._name = name
        self._count = count

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        self._add("get", 1)
        data = self._objects.get(key, version)
        self._add("bytes_read", len(data))
        return data

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        """See `Objects.get_ranges`; ranges near each other are one request, unless a version is asked for."""
        spans = list(ranges) if version is not None else _coalesced(ranges)
        self._add("get", len(spans))
        parts = self._objects.get_ranges(key, ranges, version)
        self._add("bytes_read", sum(length for _, length in spans))
        return parts

    def get_many(self, wanted: Sequence[Wanted]) -> list[list[bytes]]:
        """See `Objects.get_many`; each object counts as if it were asked for alone."""
        spans = [None if ranges is None else _coalesced(ranges) for _, ranges in wanted]
        self._add("get", sum(1 if each is None else len(each) for each in spans))
        found = self._objects.get_many(wanted)
        for parts, each in zip(found, spans, strict=True):
            self._add("bytes_read", sum(map(len, parts) if each is None else (length for _, length in each)))
        return found

    def get_versions(self, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
        """See `Objects.get_versions`; each object counts as if it were asked for alone."""
        self._add("get", len(wanted))
        found = self._objects.get_versions(wanted)
        self._add("bytes_read", sum(len(each) for each in found if isinstance(each, bytes)))
        return found

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`; at the price of a get."""
        self._add("get", 1)
        return self._objects.metadata(key, version)

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        self._add("put", 1)
        self._add("bytes_written", len(data))
        self._objects.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`; one that finds an object there looks at it, at the price of a get."""
        self._add("put", 1)
        self._add("bytes_written", len(data))
        written = self._objects.put_if_absent(key, data)
        if not written:
            self._add("get", 1)
        return written

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        found = list(self._objects.list(folder))
        self._add("list", max(1, -(-len(found) // _LISTED_TOGETHER)))
        return found

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`."""
        self._add("delete", -(-len(keys) // _DELETED_TOGETHER))
        self._objects.delete(keys)

    def _add(self, what: str, number: int) -> None:
        self._count(f"{self._name}.{what}", number)


class MeteredTable:
    """Another table; counts `table.read` and `table.write`, and the units of capacity that they take.

    A row's size is taken without the pipeline's name, and a row that is removed as a small one.

    Args:
        table: The table itself.
        count: Is told of each request.
    """

    def __init__(self, table: Table, count: Count) -> None:
        self._table = table
        self._count = count

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        row = self._table.get(key)
        self._read(1, [0 if row is None else _size(key, row)])
        return row

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """See `Table.get_many`; each row is rounded up by itself."""
        wanted = list(dict.fromkeys(keys))
        rows = self._table.get_many(wanted)
        sizes = [_size(key, rows[key]) if key in rows else 0 for key in wanted]
        self._read(-(-len(wanted) // _READ_TOGETHER), sizes)
        return rows

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        """See `Table.query`; its rows are rounded up together."""
        found = self._table.query(prefix, limit, last=last)
        self._read(1, [sum(_size(key, row) for key, row in found)])
        return found

    def write(self, *writes: Write) -> None:
        """See `Table.write`."""
        self._count("table.write", 1)
        sizes = [0 if isinstance(each, Delete | Add) else _size(each.key, each.row) for each in writes]
        self._count("table.write_units", sum(2 * _units(size, _WRITE_UNIT) for size in sizes))
        self._table.write(*writes)

    def _read(self, requests: int, sizes: Iterable[int]) -> None:
        self._count("table.read", requests)
        self._count("table.read_units", sum(_units(size, _READ_UNIT) for size in sizes))


def _coalesced(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans that obstore asks for, each as offset and length, when it is to give these ranges."""
    spans: list[tuple[int, int]] = []
    for offset, length in sorted(ranges):
        if spans and offset - sum(spans[-1]) <= _COALESCED:
            start = spans[-1][0]
            spans[-1] = (start, max(sum(spans[-1]), offset + length) - start)
        else:
            spans.append((offset, length))
    return spans


def _size(key: str, row: Mapping[str, str | int]) -> int:
    """The bytes of a row: its names and its values."""
    return len(key.encode()) + sum(len(name) + len(str(value).encode()) for name, value in row.items())


def _units(size: int, unit: int) -> int:
    return max(1, -(-size // unit))
