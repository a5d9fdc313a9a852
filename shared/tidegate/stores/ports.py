"""The ports: the only ways by which Tidegate reaches the outside world.

Each port has three adapters (memory, embedded, AWS) and one conformance suite in `tidegate.testing` that
all of them pass. Nothing but `tidegate.runtime` imports an adapter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegate.errors import ObjectNotFound

Value = str | int
Row = Mapping[str, Value]

Range = tuple[int, int]
"""A part of an object: its offset and its length."""

Wanted = tuple[str, Sequence[Range] | None]
"""What is read of an object: its key and the parts, or None for the whole of it."""

Version = tuple[str, str]
"""An object's key, and the version of it."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says about an object.

    Attributes:
        key: Its name, with `/` between parts.
        size: In bytes.
        version: Changes whenever the object's content is replaced (an ETag).
        modified: When it was written, microseconds since 1970.
    """

    key: str
    size: int
    version: str
    modified: int


class Objects(Protocol):
    """A store of named byte strings, strongly consistent for reads after writes and for listings."""

    def get(self, key: str, version: str | None = None) -> bytes:
        """The whole object.

        Args:
            key: Its name.
            version: If given, the object must still have this version.

        Raises:
            ObjectNotFound: There is none, or not in this version any more.
        """
        ...

    def get_ranges(self, key: str, ranges: Sequence[Range], version: str | None = None) -> list[bytes]:
        """Parts of an object, each given as offset and length (at least 1).

        Args:
            key: Its name.
            ranges: The parts, which lie inside of it.
            version: If given, each part is one of this version.

        Raises:
            ObjectNotFound: There is none, or not in this version any more.
        """
        ...

    def get_many(self, wanted: Sequence[Wanted]) -> list[list[bytes]]:
        """Parts of many objects, or the whole of them; where the store is far away, many at a time.

        Args:
            wanted: What is read of each; of an object that is read whole the answer is one part.

        Returns:
            The parts of each, in the order in which they are wanted.

        Raises:
            ObjectNotFound: One of them is not there.

        Example:
            >>> objects.get_many([("a", None), ("b", [(0, 4), (8, 2)])])
            [[b'all of a'], [b'four', b'of']]
        """
        ...

    def get_versions(self, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
        """Many objects whole, as they must still be; where the store is far away, many at a time.

        Args:
            wanted: What is read.

        Returns:
            The content of each, in the order in which they are wanted; for one that is not there any more,
            or not in this version, the error that `get` would raise, so that the others are of use.

        Example:
            >>> objects.get_versions([("a", "1"), ("b", "7")])
            [b'all of a', ObjectNotFound("there is no object 'b' of version 7")]
        """
        ...

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """What whoever wrote an object said about it; bound to its version, as its content is.

        Args:
            key: Its name.
            version: If given, the metadata of this version.

        Returns:
            The values by their names, which are in lower case; nothing in memory and in folders, where
            objects have none.

        Raises:
            ObjectNotFound: There is none, or not in this version any more.

        Example:
            >>> objects.metadata("scores/a.json")
            {'tidegate-producer': 'web', 'tidegate-watermark': '2026-01-31T12:00:00Z'}
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Writes an object whole, in place of any that was there; readers never see a part of it."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Writes an object only if there is none; of any number of racing writers one succeeds.

        Returns:
            Whether this call wrote it. After a write whose outcome stayed unknown it may say False for
            its own success: who needs to know reads the object and compares.
        """
        ...

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """The objects whose keys begin with `folder/`, at any depth, sorted by key in code point order."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects; one that is not there is no error."""
        ...


def in_turn(objects: Objects, wanted: Sequence[Wanted]) -> list[list[bytes]]:
    """What `Objects.get_many` answers, with one call of the store after the other."""
    return [
        [objects.get(key)] if ranges is None else objects.get_ranges(key, ranges) for key, ranges in wanted
    ]


class InTurn:
    """For stores that gain nothing by being asked for many objects at a time."""

    def get_many(self: Objects, wanted: Sequence[Wanted]) -> list[list[bytes]]:
        """See `Objects.get_many`."""
        return in_turn(self, wanted)

    def get_versions(self: Objects, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
        """See `Objects.get_versions`."""
        return versions_in_turn(self, wanted)


def versions_in_turn(objects: Objects, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
    """What `Objects.get_versions` answers, with one call of the store after the other."""
    return [_version(objects, *each) for each in wanted]


def _version(objects: Objects, key: str, version: str) -> bytes | ObjectNotFound:
    try:
        return objects.get(key, version)
    except ObjectNotFound as error:
        return error


@dataclass(frozen=True)
class Put:
    """Writes a row whole.

    Attributes:
        key: The row's key.
        row: Its new content.
        expected: What must be there for the write to happen: None for no row, some attributes for a row
            that has exactly these values in them, `ANYTHING` if it does not matter.
    """

    key: str
    row: Row
    expected: "Row | Anything | None" = None


@dataclass(frozen=True)
class Delete:
    """Removes a row; one that is not there is no error."""

    key: str


@dataclass(frozen=True)
class Add:
    """Adds to a number in a row, which begins at 0 if it or its row is not there."""

    key: str
    attribute: str
    amount: int


@dataclass(frozen=True)
class Anything:
    """As `expected` of a `Put`: whatever is there may be replaced."""


ANYTHING = Anything()

Write = Put | Delete | Add


class Table(Protocol):
    """Rows of small values under sorted keys. All reads are consistent, for all of them decide something."""

    def get(self, key: str) -> Row | None:
        """The row, or None."""
        ...

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """The rows that there are under any number of keys, each by its key."""
        ...

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        """The rows whose keys begin with the prefix, sorted by key: the first or last `limit` of them."""
        ...

    def write(self, *writes: Write) -> None:
        """All of the writes, or none of them; each names another row, and there are at most 100.

        Raises:
            ConditionFailed: A `Put` did not find the row that it expects; nothing was written.
        """
        ...


QUEUE_DELAY = 15 * 60 * 1_000_000
"""Microseconds that a queue on AWS holds a message back at most, and that a function runs there at most."""


class Alarms(Protocol):
    """Calls for a coordinator at a processing time at which nothing may arrive.

    An alarm is a hint: it may come late, early or twice. The truth is the head's.
    """

    def set(self, moment: int, now: int) -> None:
        """Has intake called at a moment, or soon after it.

        Args:
            moment: When, microseconds since 1970.
            now: What time it is.
        """
        ...


class Clock(Protocol):
    """Processing time."""

    def now(self) -> int:
        """Microseconds since 1970."""
        ...
