"""A store of objects with a cache in a folder, for objects that never change."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from tidegate.stores.ports import ObjectInfo, Objects

_CHECKSUM = 16
"""Bytes of the checksum before those of a file."""


class CachedObjects:
    """Another store of objects, of which some are written once, and kept once they were written or read.

    What is kept is a copy: whatever becomes of it (a full disk, a damaged file), the store itself is asked.
    It is this process's own and bounded, and what was not used for longest leaves first.

    Args:
        objects: The store itself.
        folder: Where a folder for the cache is made, such as `/tmp`.
        size: How much is kept, bytes.
        keeps: Whether the object with this key never changes once it is there.
    """

    def __init__(self, objects: Objects, folder: Path, size: int, keeps: Callable[[str], bool]) -> None:
        self._objects = objects
        self._folder = Path(mkdtemp(prefix="tidegate-cache-", dir=folder))
        self._size = size
        self._keeps = keeps
        self._kept: OrderedDict[tuple[str, int, int], int] = OrderedDict()

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        return self._objects.get(key, version)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """See `Objects.get_ranges`."""
        if not self._keeps(key):
            return self._objects.get_ranges(key, ranges)
        found = {each: self._find(key, each) for each in ranges}
        missing = [each for each, data in found.items() if data is None]
        if missing:
            for each, data in zip(missing, self._objects.get_ranges(key, missing), strict=True):
                self._keep((key, *each), data)
                found[each] = data
        return [data for data in map(found.get, ranges) if data is not None]

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        self._objects.put(key, data)
        if self._keeps(key):
            self._keep((key, 0, len(data)), data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        return self._objects.put_if_absent(key, data)

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        return self._objects.list(folder)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`."""
        self._objects.delete(keys)

    def _find(self, key: str, wanted: tuple[int, int]) -> bytes | None:
        offset, length = wanted
        for part in [part for part in self._kept if part[0] == key]:
            _, start, size = part
            if start <= offset and offset + length <= start + size:
                data = self._load(part)
                if data is not None:
                    return data[offset - start : offset - start + length]
        return None

    def _load(self, part: tuple[str, int, int]) -> bytes | None:
        try:
            stored = self._path(part).read_bytes()
        except OSError:
            stored = b""
        data = stored[_CHECKSUM:]
        if len(data) != part[2] or _checksum(data) != stored[:_CHECKSUM]:
            self._drop(part)
            return None
        self._kept.move_to_end(part)
        return data

    def _keep(self, part: tuple[str, int, int], data: bytes) -> None:
        if len(data) > self._size or part in self._kept:
            return
        while sum(self._kept.values()) + len(data) > self._size:
            self._drop(next(iter(self._kept)))
        try:
            self._path(part).write_bytes(_checksum(data) + data)
        except OSError:
            # No room is no reason to fail: the next reader asks the store.
            self._path(part).unlink(missing_ok=True)
            return
        self._kept[part] = len(data)

    def _drop(self, part: tuple[str, int, int]) -> None:
        self._kept.pop(part, None)
        with suppress(OSError):
            self._path(part).unlink(missing_ok=True)

    def _path(self, part: tuple[str, int, int]) -> Path:
        return self._folder / _checksum(repr(part).encode()).hex()


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM).digest()
