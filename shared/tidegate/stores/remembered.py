"""A store of objects that is not asked twice for what never changes."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from tidegate.errors import ObjectNotFound
from tidegate.stores.ports import ObjectInfo, Objects, Version, Wanted


class RememberedObjects:
    """Another store of objects, of which some never change, and are remembered once they were read.

    It is for one piece of work that is over soon. Nothing is forgotten, and between two pieces of work
    somebody may remove all objects and begin anew, with others of the same names.

    Args:
        objects: The store itself.
        keeps: Whether the object with this key never changes once it is there.
    """

    def __init__(self, objects: Objects, keeps: Callable[[str], bool]) -> None:
        self._objects = objects
        self._keeps = keeps
        self._remembered: dict[str, bytes] = {}

    def remember(self, key: str, data: bytes) -> None:
        """Takes the content of an object from somebody who knows it."""
        self._remembered[key] = data

    def remembered(self, key: str) -> bytes | None:
        """The content of an object if it is remembered."""
        return self._remembered.get(key)

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        if version is not None or not self._keeps(key):
            return self._objects.get(key, version)
        if key not in self._remembered:
            self._remembered[key] = self._objects.get(key)
        return self._remembered[key]

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        """See `Objects.get_ranges`."""
        if version is not None:
            return self._objects.get_ranges(key, ranges, version)
        (parts,) = self.get_many([(key, ranges)])
        return parts

    def get_many(self, wanted: Sequence[Wanted]) -> list[list[bytes]]:
        """See `Objects.get_many`; the store is asked once, for all that is missing."""
        missing = [each for each in wanted if each[0] not in self._remembered]
        answers = iter(self._objects.get_many(missing))
        found: list[list[bytes]] = []
        for key, ranges in wanted:
            data = self._remembered.get(key)
            if data is None:
                found.append(next(answers))
                continue
            found.append([data] if ranges is None else [data[at : at + length] for at, length in ranges])
        for (key, ranges), parts in zip(wanted, found, strict=True):
            if ranges is None and self._keeps(key):
                self._remembered[key] = parts[0]
        return found

    def get_versions(self, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
        """See `Objects.get_versions`."""
        return self._objects.get_versions(wanted)

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`."""
        return self._objects.metadata(key, version)

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        self._objects.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        created = self._objects.put_if_absent(key, data)
        if created and self._keeps(key):
            self._remembered[key] = data
        return created

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        return self._objects.list(folder)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`."""
        self._objects.delete(keys)
