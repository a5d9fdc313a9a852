"""The ports on one machine: local files through obstore, rows in SQLite. No cloud, no server."""

import errno
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from threading import RLock
from typing import Literal, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from tidegate.errors import ObjectNotFound, TidegateError
from tidegate.stores.ports import Add, Delete, InTurn, ObjectInfo, Put, Range, Row, Write
from tidegate.stores.rows import changed, check_expected

_UNFINISHED = re.compile(r".+#\d+")
"""What obstore calls a file while it writes it, before it links it under its name."""

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
"""What SQLite says when the disk is full: of the file, and of the index of its write-ahead log."""

T = TypeVar("T")

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


_GONE = (errno.ENOENT, errno.EEXIST)
"""What is said of a folder that was removed since somebody looked: that it is not there, and by who makes it
that it is there and no folder."""

_TRIES = 20
"""How often a file is written at most whose folder is removed each time."""

_FOLDERS = 1_000
"""Folders that a store remembers to lie below its root, at most."""


class LocalObjects(InTurn):
    """Files below a folder.

    Many are read one after the other, for threads take longer than local files do.
    A file's version is its time of change and its size. Links that lead out of the folder are not
    followed, nor are links to folders. A key is the path of a file as it is listed: one with empty parts, `.`
    or `..`, which a file system would take for the name of another file, names none.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._root.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(self._root, mkdir=True)
        self._inside: set[Path] = set()

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        return self._read(key, version, BufferedReader.read)

    def _read(self, key: str, version: str | None, read: Callable[[BufferedReader], T]) -> T:
        """What is read of a file, which must have this version before and after."""
        path = self._path(key)
        try:
            found = None if version is None else _version(path.stat())
            with path.open("rb") as file:
                data = read(file)
            changed_meanwhile = version is not None and _version(path.stat()) != found
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectNotFound(f"there is no file {path}") from None
        except OSError as error:
            raise _failed(path, "read", error) from None
        if found != version or changed_meanwhile:
            raise ObjectNotFound(f"the file {path} was changed (its version was {version}, and is {found})")
        return data

    def get_ranges(self, key: str, ranges: Sequence[Range], version: str | None = None) -> list[bytes]:
        """See `Objects.get_ranges`."""
        return self._read(key, version, lambda file: [_part(file, *each) for each in ranges])

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`; a file has none."""
        return self._read(key, version, lambda file: {})

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        self._write(key, data, "overwrite")

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        try:
            self._write(key, data, "create")
        except AlreadyExistsError:
            return False
        return True

    def _write(self, key: str, data: bytes, mode: Literal["create", "overwrite"]) -> None:
        path = self._path(key)
        for further in reversed(range(_TRIES)):
            try:
                if not path.parent.exists():
                    # obstore does so as well, but only after it has failed, and that takes a millisecond.
                    path.parent.mkdir(parents=True, exist_ok=True)
                self._store.put(key, data, mode=mode)
                return
            except AlreadyExistsError:
                raise
            except ValueError:
                raise self._no_name(key) from None
            except (BaseError, OSError) as error:
                # Who removed the last file of a folder may have removed the folder just now.
                if not further or _number(error) not in _GONE:
                    raise _failed(path, "written", error) from None

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`; an empty folder name lists the files of the root itself, and no deeper."""
        found = [self._info(entry) for entry in self._files(self._path(folder), deep=bool(folder))]
        return sorted((each for each in found if each), key=lambda info: info.key)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`; folders go with the last file in them, for each listing would walk them."""
        files = [self._path(key) for key in keys]
        for file in files:
            _remove(file)
        for folder in {file.parent for file in files}:
            self._remove_empty(folder)

    def _remove_empty(self, folder: Path) -> None:
        """Removes a folder and those above it, as far as nothing is in them; the root stays."""
        while folder != self._root:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                # Something is in it, or it is not ours to remove: an empty folder does no harm.
                return
            self._inside.discard(folder)
            folder = folder.parent

    def clear_unfinished(self, folder: str) -> None:
        """Removes what writers that were killed left half-written; only while nobody writes."""
        for path in self._path(folder).rglob("*"):
            if _UNFINISHED.fullmatch(path.name) and path.is_file():
                _remove(path)

    def _path(self, key: str) -> Path:
        path = self._root / key
        try:
            inside = not key or (_is_plain(key) and self._leads_inside(path))
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise _failed(path, "read", error) from None
            inside = False
        if not inside:
            raise self._no_name(key)
        return path

    def _no_name(self, key: str) -> ObjectNotFound:
        return ObjectNotFound(f"{key!r} is no name of a file below {self._root}")

    def _leads_inside(self, path: Path) -> bool:
        """Whether a path stays below the root when its links are followed."""
        if path == self._root:
            return True
        folder = path.parent
        if folder not in self._inside:
            if not self._leads_inside(folder):
                return False
            # Each folder is looked at once, or seldom: every epoch has some of its own.
            if len(self._inside) >= _FOLDERS:
                self._inside.clear()
            self._inside.add(folder)
        return not path.is_symlink() or path.resolve().is_relative_to(self._root)

    def _files(self, folder: Path, *, deep: bool) -> "Iterator[os.DirEntry[str]]":
        """The entries that are files; folders that are links are not entered."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _failed(folder, "read", error) from None
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if deep:
                    yield from self._files(Path(entry.path), deep=True)
            elif not _UNFINISHED.fullmatch(entry.name) and self._is_inside(entry):
                yield entry

    def _is_inside(self, entry: "os.DirEntry[str]") -> bool:
        """Whether an entry is a file that lies below the root, also where it is a link."""
        return entry.is_file() and (
            not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(self._root)
        )

    def _info(self, entry: "os.DirEntry[str]") -> ObjectInfo | None:
        """What a listing says about a file; None if it is gone by now."""
        try:
            status = entry.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(Path(entry.path), "read", error) from None
        key = entry.path[len(str(self._root)) + 1 :]
        return ObjectInfo(key, status.st_size, _version(status), status.st_mtime_ns // 1_000)


class SqliteTable:
    """Rows in one SQLite file, in write-ahead mode; safe between threads and processes.

    Raises:
        TidegateError: The file cannot be used: the disk is full, another program locks it, it is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(path.parent, "written", error) from None
        self._path = path
        self._lock = RLock()
        with self._locked():
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=60, check_same_thread=False
            )
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._connection.execute(
                    "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID"
                )
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        with self._locked():
            return self._row(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """See `Table.get_many`."""
        with self._locked():
            found = {key: self._row(key) for key in keys}
        return {key: row for key, row in found.items() if row is not None}

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        """See `Table.query`."""
        order = "DESC" if last else "ASC"
        # Keys are ASCII, so the character after all of them bounds the prefix.
        statement = f"SELECT key, body FROM rows WHERE key >= ? AND key < ? ORDER BY key {order} LIMIT ?"  # noqa: S608
        with self._locked():
            rows = self._connection.execute(statement, (prefix, f"{prefix}\x7f", limit)).fetchall()
        found = [(key, json.loads(body)) for key, body in rows]
        return found[::-1] if last else found

    def write(self, *writes: Write) -> None:
        """See `Table.write`."""
        with self._locked():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._apply(writes)
                self._connection.execute("COMMIT")
            except BaseException:
                # On some errors, such as a full disk, SQLite has rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One use of the connection."""
        with self._lock:
            try:
                yield
            except sqlite3.ProgrammingError:
                raise
            except sqlite3.DatabaseError as error:
                reason = str(error)
                if getattr(error, "sqlite_errorname", "") in _FULL:
                    reason = os.strerror(errno.ENOSPC)
                raise TidegateError(
                    f"{self._path} cannot be used: {reason}; mend that and run again"
                ) from None

    def _apply(self, writes: Sequence[Put | Delete | Add]) -> None:
        for write in writes:
            found = None if isinstance(write, Delete) else self._row(write.key)
            if isinstance(write, Put):
                check_expected(write, found)
            row = changed(write, found)
            if row is None:
                self._connection.execute("DELETE FROM rows WHERE key = ?", (write.key,))
            else:
                body = json.dumps(dict(row), sort_keys=True)
                self._connection.execute("INSERT OR REPLACE INTO rows VALUES (?, ?)", (write.key, body))

    def _row(self, key: str) -> Row | None:
        found = self._connection.execute("SELECT body FROM rows WHERE key = ?", (key,)).fetchone()
        return None if found is None else json.loads(found[0])


def _is_plain(key: str) -> bool:
    """Whether a key says its file's path in the one way in which it is listed."""
    parts = key.split("/")
    if "\0" in key or not {"", ".", ".."}.isdisjoint(parts) or _UNFINISHED.fullmatch(parts[-1]):
        return False
    try:
        os.fsencode(key)
    except UnicodeEncodeError:
        return False
    return True


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _failed(path, "removed", error) from None


def _number(error: BaseError | OSError) -> int | None:
    """The system's number of an error, which obstore has in its text."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _failed(path: Path, doing: str, error: BaseError | OSError) -> TidegateError:
    """The error for a file that cannot be used; obstore's own goes on for pages, with the reason inside."""
    number = _number(error)
    reason = os.strerror(number) if number else str(error).split("\n", maxsplit=1)[0]
    return TidegateError(f"{path} cannot be {doing}: {reason}; mend that and run again")


def _part(file: BufferedReader, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"
