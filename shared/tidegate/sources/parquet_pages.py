"""How much a Parquet file's pages inflate to, from the headers that a reader allocates memory by.

A page's header says how large it is once it is uncompressed and how many values it has, and readers take that
much memory before they look at its data: a gigabyte for a file of 31 kB. Polars offers no limit, and ends the
whole process where a number is below zero, hence this look at the file before Polars has it. It reads no
data: only the footer, in Thrift's compact protocol, and the pages' headers.

See the Parquet format, https://parquet.apache.org/docs/file-format/metadata/, for the numbers of the fields.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Fields = Mapping[int, Any]
"""A struct of Thrift: its fields by their numbers."""

VALUE_BYTES = 8
"""What a value of most types takes in memory."""

_MAGIC = b"PAR1"
_NESTING = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_NUMBERS = (4, 5, 6)
_UNFIT = (LookupError, TypeError, AttributeError)
"""What a struct raises that is no metadata of Parquet: a field is missing, or is of another kind."""


def page_sizes(data: bytes) -> Iterator[int]:
    """The bytes that each page of every column takes uncompressed, or its values if that is more.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        for group in _footer(data)[4]:
            for column in group[1]:
                yield from _pages_of(data, column[3])
    except _UNFIT:
        raise ValueError("its footer or the header of a page cannot be read") from None


def row_groups(data: bytes) -> list[tuple[int, int]]:
    """The rows of each row group, and the bytes that they take before compression.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        return [(int(group[3]), int(group[2])) for group in _footer(data)[4]]
    except _UNFIT:
        raise ValueError("its footer cannot be read") from None


def _footer(data: bytes) -> Fields:
    length = int.from_bytes(data[-8:-4], "little")
    if len(data) < 12 or data[-4:] != _MAGIC or length > len(data) - 12:
        raise ValueError("it has no footer")
    return _Thrift(data, len(data) - 8 - length).struct()


def _pages_of(data: bytes, column: Fields) -> Iterator[int]:
    # As Polars has it: the dictionary's page comes first, if there is one.
    place = int(column.get(11, column[9]))
    end = place + int(column[7])
    if not 0 <= place <= end <= len(data):
        raise ValueError("a column lies outside of the file")
    left = int(column[5])
    while place < end:
        thrift = _Thrift(data, place)
        try:
            header = thrift.struct()
            size, stored = int(header[2]), int(header[3])
        except (*_UNFIT, ValueError):
            if left <= 0:
                return
            raise
        values = _values_of(header)
        if size < 0 or stored < 0:
            raise ValueError("a page has a size below zero")
        yield max(size, values * VALUE_BYTES)
        left -= values if 7 not in header else 0
        if left < 0:
            raise ValueError("a column has more values than it says")
        place = thrift.place + stored


def _values_of(header: Fields) -> int:
    """The values that a page's header promises: data of the first or second version, or a dictionary."""
    counts = [header[number][1] for number in (5, 7, 8) if number in header]
    numbers = [value for number in (5, 7, 8) for value in header.get(number, {}).values()]
    if any(isinstance(value, int) and value < 0 for value in numbers):
        raise ValueError("a page has a number below zero")
    return sum(map(int, counts))


class _Thrift:
    """Reads Thrift's compact protocol; bytes that end too early raise an `IndexError`."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self.place = place

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """A struct."""
        if depth > _NESTING:
            raise ValueError("its metadata is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._zigzag()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _NUMBERS:
            return self._zigzag()
        if kind == _BINARY:
            self._skip(self._varint())
            return None
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _MAP:
            return self._map(depth)
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _DOUBLE:
            return self._skip(8)
        raise ValueError("its metadata has a value of an unknown kind")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        if depth > _NESTING:
            raise ValueError("its metadata is nested too deeply")
        return [self._value(head & 15, depth + 1) for _ in range(count)]

    def _map(self, depth: int) -> None:
        count = self._varint()
        kinds = self._byte() if count else 0
        if depth > _NESTING:
            raise ValueError("its metadata is nested too deeply")
        for _ in range(count):
            self._value(kinds >> 4, depth + 1)
            self._value(kinds & 15, depth + 1)

    def _byte(self) -> int:
        self.place += 1
        return self._data[self.place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("its metadata has a number of too many bytes")

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _skip(self, length: int) -> None:
        self.place += length
        if self.place > len(self._data):
            raise IndexError
