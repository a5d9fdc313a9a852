"""The ports in memory: for tests, and the model that the other adapters are compared with."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from threading import RLock

from tidegate.errors import ObjectNotFound
from tidegate.stores.ports import InTurn, ObjectInfo, Put, Range, Row, Write
from tidegate.stores.rows import changed, check_expected


class MemoryObjects(InTurn):
    """Objects in a dictionary; safe between threads."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = RLock()

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        data = self._objects.get(key)
        if data is None or (version is not None and _version(data) != version):
            raise ObjectNotFound(
                f"there is no object {key!r}" + (f" of version {version}" if version else "")
            )
        return data

    def get_ranges(self, key: str, ranges: Sequence[Range], version: str | None = None) -> list[bytes]:
        """See `Objects.get_ranges`."""
        data = self.get(key, version)
        return [data[offset : offset + length] for offset, length in ranges]

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`; there is none."""
        self.get(key, version)
        return {}

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        with self._lock:
            self._objects[key] = bytes(data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        with self._lock:
            if key in self._objects:
                return False
            self._objects[key] = bytes(data)
            return True

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        with self._lock:
            found = [(key, data) for key, data in self._objects.items() if key.startswith(f"{folder}/")]
        return [ObjectInfo(key, len(data), _version(data), 0) for key, data in sorted(found)]

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`."""
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)


class ManualClock:
    """A clock that stands until it is set."""

    def __init__(self, moment: int) -> None:
        self.moment = moment

    def now(self) -> int:
        """See `Clock.now`."""
        return self.moment


class MemoryAlarms:
    """Alarms that nobody hears; whoever wants to know looks which were set.

    Attributes:
        moments: What they were set to, microseconds since 1970.
    """

    def __init__(self) -> None:
        self.moments: list[int] = []

    def set(self, moment: int, now: int) -> None:
        """See `Alarms.set`."""
        self.moments.append(moment)


class MemoryTable:
    """Rows in a dictionary; safe between threads."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._lock = RLock()

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        with self._lock:
            return self._rows.get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """See `Table.get_many`."""
        with self._lock:
            return {key: self._rows[key] for key in keys if key in self._rows}

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        """See `Table.query`."""
        with self._lock:
            keys = sorted(self._rows)
            start = bisect_left(keys, prefix)
            found = [key for key in keys[start:] if key.startswith(prefix)]
            chosen = found[max(0, len(found) - limit) :] if last else found[:limit]
            return [(key, self._rows[key]) for key in chosen]

    def write(self, *writes: Write) -> None:
        """See `Table.write`."""
        with self._lock:
            for write in writes:
                if isinstance(write, Put):
                    check_expected(write, self._rows.get(write.key))
            for write in writes:
                row = changed(write, self._rows.get(write.key))
                if row is None:
                    self._rows.pop(write.key, None)
                else:
                    self._rows[write.key] = row


def _version(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
