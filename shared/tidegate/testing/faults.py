"""What can go wrong at a call of the ports: the process ends, stalls, or does not learn what it did.

`Interference` counts the calls of all ports that it is given and does something at one of them, so that a
test can visit every call of a scenario in turn. What a process does after one call and before the next
leaves no trace outside of it; so a crash before each call covers the crashes after each call too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.errors import ConditionFailed
from tidegate.stores.ports import Anything, InTurn, ObjectInfo, Objects, Put, Row, Table, Write


class Crash(BaseException):
    """The process ends here. No `except Exception` of the code under test may take notice of it."""


def crash() -> None:
    """Ends the process.

    Raises:
        Crash: Always.
    """
    raise Crash


@dataclass
class Interference:
    """What happens at one call.

    Attributes:
        at: The number of the call, from 1; nothing ever happens at 0.
        before: What is done before the call reaches the store: `crash`, or another process's work while
            this one stalls.
        unknown: Instead of that the call is done, and answers as a retry does that meets its own success:
            `put_if_absent` with False, a conditional write with `ConditionFailed`.
        watch: Is called before every call; a test may keep what the stores hold then.
        trace: The calls so far.
    """

    at: int = 0
    before: Callable[[], None] = crash
    unknown: bool = False
    watch: Callable[[], None] = lambda: None
    trace: list[str] = field(default_factory=list)

    def reaches(self, call: str) -> bool:
        """Counts a call; returns whether its outcome stays unknown."""
        self.watch()
        self.trace.append(call)
        if len(self.trace) != self.at:
            return False
        if not self.unknown:
            self.before()
        return self.unknown


class FaultyObjects(InTurn):
    """A store of objects with interference.

    Args:
        objects: The store behind it.
        interference: Shared with the other ports of the scenario.
        name: Stands before its keys in the trace.
    """

    def __init__(self, objects: Objects, interference: Interference, name: str) -> None:
        self._objects = objects
        self._interference = interference
        self._name = name

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        self._reaches("get", key)
        return self._objects.get(key, version)

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        """See `Objects.get_ranges`."""
        self._reaches("get_ranges", key)
        return self._objects.get_ranges(key, ranges, version)

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`."""
        self._reaches("metadata", key)
        return self._objects.metadata(key, version)

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`; done twice if its outcome stays unknown."""
        if self._reaches("put", key):
            self._objects.put(key, data)
        self._objects.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        unknown = self._reaches("put_if_absent", key)
        return self._objects.put_if_absent(key, data) and not unknown

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        self._reaches("list", folder)
        return self._objects.list(folder)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`; done twice if its outcome stays unknown."""
        if self._reaches("delete", ", ".join(keys)):
            self._objects.delete(keys)
        self._objects.delete(keys)

    def _reaches(self, call: str, key: str) -> bool:
        return self._interference.reaches(f"{self._name} {call} {key}")


class FaultyTable:
    """A table with interference; the arguments are those of `FaultyObjects`."""

    def __init__(self, table: Table, interference: Interference) -> None:
        self._table = table
        self._interference = interference

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        self._interference.reaches(f"table get {key}")
        return self._table.get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """See `Table.get_many`."""
        self._interference.reaches(f"table get_many {', '.join(keys)}")
        return self._table.get_many(keys)

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        """See `Table.query`."""
        self._interference.reaches(f"table query {prefix}")
        return self._table.query(prefix, limit, last=last)

    def write(self, *writes: Write) -> None:
        """See `Table.write`."""
        unknown = self._interference.reaches(f"table write {', '.join(each.key for each in writes)}")
        self._table.write(*writes)
        if unknown and any(
            isinstance(each, Put) and not isinstance(each.expected, Anything) for each in writes
        ):
            raise ConditionFailed("the write was done, and tried again")
