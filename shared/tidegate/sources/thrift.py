"""Thrift's compact protocol, in which the metadata of Parquet is written.

See https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

Fields = Mapping[int, Any]
"""A struct: its fields by their numbers."""

NUMBER = 6
"""The kind of an integer of 64 bits."""

LIST = 9
"""The kind of a list."""

_NESTING = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 10, 11, 12
_NUMBERS = (4, 5, NUMBER)


class Raw(NamedTuple):
    """A field as it is written, behind its head."""

    kind: int
    data: bytes


class Thrift:
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

    def raw(self) -> dict[int, Raw]:
        """A struct whose fields are left as they are written."""
        fields: dict[int, Raw] = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._zigzag()
            start = self.place
            if kind not in (_TRUE, _FALSE):
                self._value(kind, 0)
            fields[number] = Raw(kind, self._data[start : self.place])
        return fields

    def raw_list(self) -> list[dict[int, Raw]]:
        """A list of structs whose fields are left as they are written."""
        head = self._byte()
        count = self._count(head)
        if count and head & 15 != _STRUCT:
            raise ValueError("its metadata has a list of an unknown kind")
        return [self.raw() for _ in range(count)]

    def raw_texts(self) -> list[bytes]:
        """A list of texts or bytes."""
        head = self._byte()
        texts: list[bytes] = []
        for _ in range(self._count(head)):
            length = self._varint()
            texts.append(self._data[self.place : self.place + length])
            self._skip(length)
        return texts

    def integer(self) -> int:
        """A number of 16 to 64 bits."""
        return self._zigzag()

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _NUMBERS:
            return self._zigzag()
        if kind == _BINARY:
            self._skip(self._varint())
            return None
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, _SET):
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
        count = self._count(head)
        if depth > _NESTING:
            raise ValueError("its metadata is nested too deeply")
        return [self._value(head & 15, depth + 1) for _ in range(count)]

    def _count(self, head: int) -> int:
        """The length of a list that begins with this byte."""
        return head >> 4 if head >> 4 < 15 else self._varint()

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


def written(fields: Mapping[int, Raw]) -> bytes:
    """A struct.

    Example:
        >>> data = written({1: number(5), 20: number(-1)})
        >>> Thrift(data, 0).struct()
        {1: 5, 20: -1}
    """
    parts: list[bytes] = []
    before = 0
    for place in sorted(fields):
        kind, data = fields[place]
        step = place - before
        parts += [bytes([step << 4 | kind])] if 0 < step < 16 else [bytes([kind]), _zigzag(place)]
        parts.append(data)
        before = place
    return b"".join([*parts, b"\0"])


def number(value: int) -> Raw:
    """An integer of 64 bits."""
    return Raw(NUMBER, _zigzag(value))


def integer(field: Raw) -> int:
    """The integer of a field.

    Raises:
        ValueError: It has something else.

    Example:
        >>> integer(number(-3))
        -3
    """
    if field.kind not in _NUMBERS:
        raise ValueError("a field of its metadata is no number")
    return Thrift(field.data, 0).integer()


def structs(values: list[bytes]) -> Raw:
    """A list of structs that are written already.

    Example:
        >>> Thrift(written({4: structs([written({1: number(7)})] * 20)}), 0).struct()[4][19]
        {1: 7}
    """
    head = (
        bytes([len(values) << 4 | _STRUCT])
        if len(values) < 15
        else bytes([240 | _STRUCT]) + _varint(len(values))
    )
    return Raw(LIST, head + b"".join(values))


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 ^ value >> 63)


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])
