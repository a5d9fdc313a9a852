"""A store of objects that is not asked twice for what never changes."""

from collections.abc import Callable, Iterable, Sequence

from tidegate.stores.ports import ObjectInfo, Objects


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
        return self._objects.get_ranges(key, ranges, version)

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
