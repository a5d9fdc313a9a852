"""Objects in S3, through obstore: map and reduce functions need no boto3."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import S3Store

from tidegate.errors import ObjectNotFound, TidegateError
from tidegate.stores.ports import ObjectInfo, Range, Version, Wanted, in_turn, versions_in_turn

if TYPE_CHECKING:
    # obstore has these types in its stubs only.
    from obstore import GetOptions, GetResult

Answer = TypeVar("Answer")
Asked = TypeVar("Asked")

_ATTEMPTS = 8
"""How often a create is tried that meets another one under way."""

_AT_A_TIME = 32
"""Objects that are asked for at the same time: while one answers, 20 ms or so, the others do, too."""


class S3Objects:
    """Objects of one bucket.

    Args:
        bucket: Its name.
        settings: What obstore's `S3Store` takes beside it, such as `region` or, on an emulator, `endpoint`.
    """

    def __init__(self, bucket: str, **settings: Any) -> None:
        self._bucket = bucket
        self._store = S3Store(bucket, **settings)

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`; the version is an S3 version id, or an ETag in quotes."""
        return self._get(key, version, _of(version))

    def _get(self, key: str, version: str | None, options: "GetOptions") -> bytes:
        return self._ask(key, version, options, lambda found: bytes(found.bytes()))

    def _ask(
        self,
        key: str,
        version: str | None,
        options: "GetOptions",
        read: Callable[["GetResult"], Answer],
    ) -> Answer:
        with self._reached(key, "read"):
            if key != key.strip("/"):
                raise ValueError("obstore drops a slash at its ends, and would read another object")
            try:
                return read(self._store.get(key, options=options))
            except (FileNotFoundError, NotFoundError, PreconditionError):
                raise ObjectNotFound(
                    f"there is no object s3://{self._bucket}/{key}"
                    + (f" of version {version}" if version else "")
                ) from None

    def get_ranges(self, key: str, ranges: Sequence[Range], version: str | None = None) -> list[bytes]:
        """See `Objects.get_ranges`; what lies less than a megabyte apart is one request."""
        if version is not None:
            return [self._part(key, version, *each) for each in ranges]
        starts, lengths = [offset for offset, _ in ranges], [length for _, length in ranges]
        with self._reached(key, "read"):
            try:
                return [bytes(part) for part in self._store.get_ranges(key, starts=starts, lengths=lengths)]
            except (FileNotFoundError, NotFoundError):
                raise ObjectNotFound(f"there is no object s3://{self._bucket}/{key}") from None

    def get_many(self, wanted: Sequence[Wanted]) -> list[list[bytes]]:
        """See `Objects.get_many`."""
        return _together(wanted, lambda some: in_turn(self, some))

    def get_versions(self, wanted: Sequence[Version]) -> list[bytes | ObjectNotFound]:
        """See `Objects.get_versions`."""
        return _together(wanted, lambda some: versions_in_turn(self, some))

    def _part(self, key: str, version: str, offset: int, length: int) -> bytes:
        # obstore's own call for ranges takes no version.
        options = _of(version)
        options["range"] = (offset, offset + length)
        return self._get(key, version, options)

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`; what was uploaded as `x-amz-meta-NAME` is called `name`."""
        options = _of(version)
        options["head"] = True
        return self._ask(key, version, options, lambda found: _users(found.attributes))

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        with self._reached(key, "written"):
            self._store.put(key, data, use_multipart=False)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        for _ in range(_ATTEMPTS):
            with self._reached(key, "written"):
                try:
                    self._store.put(key, data, mode="create", use_multipart=False)
                except (AlreadyExistsError, PreconditionError):
                    # S3 answers 412 if the object is there, and 409 if another create is under way, which
                    # may yet fail; obstore says the same for both. Only an object that is there settles it.
                    if self._exists(key):
                        return False
                else:
                    return True
        raise TidegateError(
            f"s3://{self._bucket}/{key} could not be created in {_ATTEMPTS} attempts; run it again"
        )

    def _exists(self, key: str) -> bool:
        try:
            self._store.head(key)
        except (FileNotFoundError, NotFoundError):
            return False
        return True

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        with self._reached(f"{folder}/", "listed"):
            found = [
                ObjectInfo(
                    key=meta["path"],
                    size=meta["size"],
                    version=meta["e_tag"] or "",
                    modified=int(meta["last_modified"].timestamp() * 1_000_000),
                )
                for batch in self._store.list(folder)
                for meta in batch
            ]
        return sorted(found, key=lambda info: info.key)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`."""
        if keys:
            with self._reached(keys[0], "removed"):
                self._store.delete(list(keys))

    @contextmanager
    def _reached(self, key: str, doing: str) -> Iterator[None]:
        # obstore's errors go on for pages; their first line says what happened.
        try:
            yield
        except ValueError as error:
            # Parts that are empty, `.` or `..`, characters that control, half surrogate pairs.
            raise ObjectNotFound(f"the key {key!r} cannot be addressed: {error}") from None
        except (BaseError, OSError) as error:
            reason = str(error).split("\n", maxsplit=1)[0]
            raise TidegateError(
                f"s3://{self._bucket}/{key} cannot be {doing}: {reason}; check the bucket, the rights on it "
                "and the network, and run it again"
            ) from None


def _together(wanted: Sequence[Asked], ask: Callable[[Sequence[Asked]], list[Answer]]) -> list[Answer]:
    """The answers of a store that takes its time, asked for many at a time."""
    if len(wanted) < 2:
        return ask(wanted)
    with ThreadPoolExecutor(min(len(wanted), _AT_A_TIME)) as pool:
        return [answer for (answer,) in pool.map(lambda each: ask([each]), wanted)]


def _of(version: str | None) -> "GetOptions":
    """How obstore is asked for a version."""
    if version is None:
        return {}
    return {"if_match": version} if version.startswith('"') else {"version": version}


def _users(attributes: Mapping[str, str]) -> dict[str, str]:
    """The metadata that users gave; `Content-Type` and what else S3 itself knows begins with a capital."""
    return {name: value for name, value in attributes.items() if name == name.lower()}
