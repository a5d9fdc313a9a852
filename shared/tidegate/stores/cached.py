"""A store of objects with a cache in a folder, for objects that never change."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from tidegate.errors import CorruptObject, ObjectNotFound
from tidegate.stores.ports import ObjectInfo, Objects, Range, Version, Wanted

Done = TypeVar("Done")

_CHECKSUM = 16
"""Bytes of the checksum before those of a file."""

Part = tuple[str, int, int]
"""What is kept: bytes of the object with this key, from an offset on, so many."""


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
        self._kept: OrderedDict[Part, int] = OrderedDict()
        self._of_key: dict[str, dict[Part, None]] = {}
        self._held = 0

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        return self._objects.get(key, version)

    def get_ranges(self, key: str, ranges: Sequence[Range], version: str | None = None) -> list[bytes]:
        """See `Objects.get_ranges`."""
        if version is not None:
            return self._objects.get_ranges(key, ranges, version)
        (parts,) = self.get_many([(key, ranges)])
        return parts

    def get_many(self, wanted: Sequence[Wanted]) -> list[list[bytes]]:
        """See `Objects.get_many`; the store is asked once, for all that is missing."""
        found = [self._find(key, ranges or ()) for key, ranges in wanted]
        asked: list[Wanted] = [
            (key, None if ranges is None else [each for each in dict.fromkeys(ranges) if each not in parts])
            for (key, ranges), parts in zip(wanted, found, strict=True)
        ]
        answers = iter(self._objects.get_many([each for each in asked if each[1] != []]))
        answer: list[list[bytes]] = []
        for (key, ranges), parts, (_, missing) in zip(wanted, found, asked, strict=True):
            if ranges is None or missing is None:
                answer.append(next(answers))
                continue
            for each, data in zip(missing, next(answers) if missing else (), strict=True):
                parts[each] = data
                if self._keeps(key):
                    self._keep((key, *each), data)
            answer.append([parts[each] for each in ranges])
        return answer

    def get_versions(self, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
        """See `Objects.get_versions`."""
        return self._objects.get_versions(wanted)

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`."""
        return self._objects.metadata(key, version)

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        self._objects.put(key, data)
        self._written(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        created = self._objects.put_if_absent(key, data)
        if created:
            self._written(key, data)
        return created

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        return self._objects.list(folder)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`."""
        self._objects.delete(keys)

    def trusting(self, work: Callable[[], Done]) -> Done:
        """Does a piece of work, and once more without what is kept if that is not what the work expects.

        Somebody may have removed all objects and begun anew, with others of the same names.

        Raises:
            CorruptObject: The store itself has something else.
        """
        try:
            return work()
        except CorruptObject:
            if not self._kept:
                raise
            for part in tuple(self._kept):
                self._drop(part)
            return work()

    def _find(self, key: str, wanted: Sequence[Range]) -> dict[Range, bytes]:
        """Those of the wanted parts that lie in what is kept."""
        found: dict[Range, bytes] = {}
        for part in tuple(self._of_key.get(key, ())):
            _, start, size = part
            inside = [each for each in wanted if start <= each[0] and each[0] + each[1] <= start + size]
            data = self._load(part) if inside else None
            if data is not None:
                found |= {(at, length): data[at - start : at - start + length] for at, length in inside}
        return found

    def _load(self, part: Part) -> bytes | None:
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

    def _written(self, key: str, data: bytes) -> None:
        for part in tuple(self._of_key.get(key, ())):
            self._drop(part)
        if self._keeps(key):
            self._keep((key, 0, len(data)), data)

    def _keep(self, part: Part, data: bytes) -> None:
        if len(data) > self._size or part in self._kept:
            return
        while self._held + len(data) > self._size:
            self._drop(next(iter(self._kept)))
        try:
            self._path(part).write_bytes(_checksum(data) + data)
        except OSError:
            # No room is no reason to fail: the next reader asks the store.
            self._path(part).unlink(missing_ok=True)
            return
        self._kept[part] = len(data)
        self._of_key.setdefault(part[0], {})[part] = None
        self._held += len(data)

    def _drop(self, part: Part) -> None:
        self._held -= self._kept.pop(part)
        del self._of_key[part[0]][part]
        if not self._of_key[part[0]]:
            del self._of_key[part[0]]
        with suppress(OSError):
            self._path(part).unlink(missing_ok=True)

    def _path(self, part: Part) -> Path:
        return self._folder / _checksum(repr(part).encode()).hex()


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM).digest()
