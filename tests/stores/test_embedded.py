import errno
import os
import resource
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import ConditionFailed, ObjectNotFound, TidegateError
from tidegate.stores.embedded import LocalObjects, SqliteTable
from tidegate.stores.ports import Add, Objects, Put, Table
from tidegate.testing.objects import ObjectsConformance, race
from tidegate.testing.table import TableConformance


class TestLocalObjects(ObjectsConformance):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return LocalObjects(tmp_path / "root")


class TestSqliteTable(TableConformance):
    @pytest.fixture
    def table(self, tmp_path: Path) -> Iterator[Table]:
        with closing(SqliteTable(tmp_path / "below" / "table.sqlite")) as table:
            yield table


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (tmp_path / "root" / "folder").mkdir(parents=True)
    return tmp_path / "root"


def test_what_is_remembered_of_folders_does_not_grow_with_their_number(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each epoch has folders of its own."""
    monkeypatch.setattr("tidegate.stores.embedded._FOLDERS", 5)
    objects = LocalObjects(root)
    for number in range(30):
        objects.put(f"epochs/{number}/record.json", b"%d" % number)
        assert len(objects._inside) <= 5
    assert [objects.get(f"epochs/{number}/record.json") for number in (0, 29)] == [b"0", b"29"]


HOSTILE = [
    "../secret",
    "folder/../../secret",
    "folder/../../outside/secret",
    "..",
    "folder/..",
    "/etc/passwd",
    "//etc/passwd",
    "folder/\0",
    "\0",
    "folder/../folder/a",
]


@pytest.mark.parametrize("key", HOSTILE)
def test_no_key_leads_out_of_the_root(root: Path, key: str) -> None:
    objects = LocalObjects(root)
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(ObjectNotFound, match="is no name of a file below"):
        objects.get(key)
    with pytest.raises(ObjectNotFound):
        objects.get_ranges(key, [(0, 1)])
    with pytest.raises(ObjectNotFound):
        objects.get_ranges(key, [(0, 1)], "version")
    with pytest.raises(ObjectNotFound):
        objects.put(key, b"overwritten")
    with pytest.raises(ObjectNotFound):
        objects.put_if_absent(key, b"overwritten")
    with pytest.raises(ObjectNotFound):
        objects.delete([key])
    with pytest.raises(ObjectNotFound):
        list(objects.list(key))
    assert sorted(root.parent.rglob("*")) == before
    assert (root.parent / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize(
    "key",
    [
        "folder//a",
        "folder/./a",
        "./folder/a",
        "folder/a/",
        "folder/a/.",
        "folder/\ud800",
        "folder/a#1",
        "folder/##00",
        "x" * 300,
        "x/" * 3_000,
    ],
)
def test_a_file_has_one_key(root: Path, key: str) -> None:
    """The file system takes these for names too: of another key's file, or of none that it could have."""
    (root / "folder" / "a").write_bytes(b"of folder/a")
    objects = LocalObjects(root)
    for call in (
        lambda: objects.get(key),
        lambda: objects.get_ranges(key, [(0, 1)]),
        lambda: objects.put(key, b"overwritten"),
        lambda: objects.put_if_absent(key, b"overwritten"),
        lambda: objects.delete([key]),
    ):
        with pytest.raises(ObjectNotFound, match="is no name of a file below"):
            call()
    assert objects.get("folder/a") == b"of folder/a"


@pytest.mark.parametrize("key", ["folder/line\nfeed", "folder/\udcff"])
def test_a_name_that_can_be_read_but_not_written(root: Path, key: str) -> None:
    objects = LocalObjects(root)
    (root / key).write_bytes(b"x")
    assert [info.key for info in objects.list("folder")] == [key]
    assert objects.get(key) == b"x"
    assert objects.get_ranges(key, [(0, 1)]) == [b"x"]
    with pytest.raises(ObjectNotFound, match="is no name of a file below"):
        objects.put(key, b"y")


def test_an_absolute_key_below_the_root_is_no_key(root: Path) -> None:
    with pytest.raises(ObjectNotFound):
        LocalObjects(root).get(str(root / "folder" / "a"))


def test_links_out_of_the_root_are_not_listed(root: Path) -> None:
    (root / "folder" / "a").write_bytes(b"x")
    (root / "folder" / "link.json").symlink_to(root.parent / "secret")
    (root / "folder" / "link").symlink_to(root.parent / "outside")
    (root / "folder" / "broken").symlink_to(root / "missing")
    (root / "folder" / "round").symlink_to(root / "folder")
    assert [info.key for info in LocalObjects(root).list("folder")] == ["folder/a"]


@pytest.mark.parametrize("key", ["folder/link.json", "folder/link/secret"])
def test_links_out_of_the_root_are_not_followed(root: Path, key: str) -> None:
    (root / "folder" / "link.json").symlink_to(root.parent / "secret")
    (root / "folder" / "link").symlink_to(root.parent / "outside")
    objects = LocalObjects(root)
    with pytest.raises(ObjectNotFound):
        objects.get(key)
    with pytest.raises(ObjectNotFound):
        objects.get_ranges(key, [(0, 1)])


def test_a_link_to_a_file_inside_is_a_file(root: Path) -> None:
    (root / "folder" / "a").write_bytes(b"x")
    (root / "folder" / "b").symlink_to(root / "folder" / "a")
    objects = LocalObjects(root)
    assert [info.key for info in objects.list("folder")] == ["folder/a", "folder/b"]
    assert objects.get("folder/b") == b"x"


def test_what_a_killed_writer_left_is_invisible_and_can_be_cleared(root: Path) -> None:
    (root / "folder" / "a").write_bytes(b"x")
    (root / "folder" / "a#1").write_bytes(b"ha")
    (root / "folder" / "below").mkdir()
    (root / "folder" / "below" / "b.json#12").write_bytes(b"half")
    (root / "folder" / "c#x").write_bytes(b"no leftover")
    objects = LocalObjects(root)
    assert [info.key for info in objects.list("folder")] == ["folder/a", "folder/c#x"]
    objects.clear_unfinished("folder")
    left = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert left == ["folder/a", "folder/c#x"]


def test_clearing_a_folder_that_is_not_there(root: Path) -> None:
    LocalObjects(root).clear_unfinished("missing")


def test_a_leftover_does_not_hinder_the_next_writer(root: Path) -> None:
    (root / "folder" / "a#1").write_bytes(b"half")
    objects = LocalObjects(root)
    assert objects.put_if_absent("folder/a", b"whole")
    objects.put("folder/a", b"other")
    assert objects.get("folder/a") == b"other"


def test_folders_go_with_the_last_file_in_them(root: Path) -> None:
    objects = LocalObjects(root)
    for key in ("epochs/1/results/a", "epochs/1/results/b", "epochs/1/record", "epochs/2/record"):
        objects.put(key, b"")
    objects.delete(["epochs/1/results/a"])
    assert (root / "epochs/1/results").is_dir()
    objects.delete(["epochs/1/record", "epochs/1/results/b", "epochs/3/results/missing"])
    assert [each.name for each in (root / "epochs").iterdir()] == ["2"]
    objects.delete(["epochs/2/record"])
    assert not (root / "epochs").exists()
    objects.put("epochs/1/results/a", b"again")
    assert objects.get("epochs/1/results/a") == b"again"


def test_a_folder_that_goes_while_a_file_is_written_into_it(root: Path) -> None:
    """Each writer removes the folder, where the other one has just looked whether it is there."""

    def write(name: str) -> None:
        objects = LocalObjects(root)
        for number in range(200):
            key = f"epochs/1/results/{name}-{number}"
            assert objects.put_if_absent(key, b"x")
            assert objects.get(key) == b"x"
            objects.delete([key])

    race(*(partial(write, name) for name in "abc"))
    assert not (root / "epochs").exists()


def test_a_folder_that_goes_while_another_makes_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, first = os.mkdir, [True]

    def is_there_for_a_moment(path: Path, *more: Any) -> None:
        if first and first.pop():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        make(path, *more)

    objects = LocalObjects(root)
    monkeypatch.setattr(os, "mkdir", is_there_for_a_moment)
    assert objects.put_if_absent("new/a", b"x")
    assert (root / "new" / "a").read_bytes() == b"x"


def test_the_root_stays_without_any_file(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "new")
    objects.put("a", b"")
    objects.delete(["a"])
    assert (tmp_path / "new").is_dir()


def test_the_folder_without_a_name_is_the_root_alone(root: Path) -> None:
    (root / "b").write_bytes(b"x")
    (root / "a").write_bytes(b"x")
    (root / "folder" / "c").write_bytes(b"x")
    assert [info.key for info in LocalObjects(root).list("")] == ["a", "b"]


def test_a_file_of_the_same_size_has_another_version_once_it_changes(root: Path) -> None:
    objects = LocalObjects(root)
    path = root / "folder" / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1_000_000_000))
    (before,) = objects.list("folder")
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1_000_000_001))
    (after,) = objects.list("folder")
    assert before.version != after.version
    assert (before.modified, after.modified) == (1_000_000, 1_000_000)


def test_files_that_come_and_go_while_they_are_listed(root: Path) -> None:
    objects = LocalObjects(root)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(20):
                (root / "folder" / f"f{number}").write_bytes(b"x")
            for number in range(20):
                (root / "folder" / f"f{number}").unlink()

    def look() -> None:
        try:
            for _ in range(100):
                keys = [info.key for info in objects.list("folder")]
                assert keys == sorted(keys)
        finally:
            stop.set()

    race(churn, look)


@pytest.fixture
def small_disk() -> Iterator[int]:
    """How many bytes a file may have: the nearest to a full disk that a test can have."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield 1_000_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("write", [LocalObjects.put, LocalObjects.put_if_absent])
def test_a_disk_that_takes_no_more_is_told_in_one_line(
    root: Path, small_disk: int, write: Callable[[LocalObjects, str, bytes], object]
) -> None:
    with pytest.raises(TidegateError) as raised:
        write(LocalObjects(root), "folder/a", bytes(small_disk + 1))
    path = root / "folder" / "a"
    assert str(raised.value) == f"{path} cannot be written: File too large; mend that and run again"
    assert not path.exists()


def test_a_file_where_a_folder_must_be(root: Path) -> None:
    (root / "file").write_bytes(b"x")
    objects = LocalObjects(root)
    for call in (
        lambda: objects.put("file/a", b"x"),
        lambda: objects.put_if_absent("file/a", b"x"),
        lambda: objects.delete(["file/a"]),
    ):
        with pytest.raises(TidegateError, match=r"root/file/a cannot be .*: Not a directory; mend that"):
            call()
    for read in (lambda: objects.get("file/a"), lambda: objects.get_ranges("file/a", [(0, 1)])):
        with pytest.raises(ObjectNotFound, match=r"there is no file .*root/file/a"):
            read()


def test_a_folder_cannot_be_removed_as_a_file(root: Path) -> None:
    with pytest.raises(TidegateError, match=r"root/folder cannot be removed: .*; mend that and run again"):
        LocalObjects(root).delete(["folder"])


def test_two_tables_on_one_file_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "table.sqlite"
    with closing(SqliteTable(path)) as first, closing(SqliteTable(path)) as second:
        first.write(Put("row", {"n": 1}))
        assert second.get("row") == {"n": 1}
        with pytest.raises(ConditionFailed):
            second.write(Put("row", {"n": 2}))

        def add(table: SqliteTable) -> None:
            for _ in range(20):
                table.write(Add("counter", "n", 1))

        race(lambda: add(first), lambda: add(second), lambda: add(first), lambda: add(second))
        assert first.get("counter") == {"n": 80}


def test_rows_outlive_the_connection(tmp_path: Path) -> None:
    with closing(SqliteTable(tmp_path / "table.sqlite")) as table:
        table.write(Put("row", {"n": 2**63}))
    with closing(SqliteTable(tmp_path / "table.sqlite")) as table:
        assert table.get("row") == {"n": 2**63}


def test_a_table_that_takes_no_more_is_told_in_one_line(tmp_path: Path, small_disk: int) -> None:
    path = tmp_path / "table.sqlite"
    with closing(SqliteTable(path)) as table:
        table.write(Put("row", {"n": 1}))
        with pytest.raises(TidegateError) as raised:
            table.write(Put("large", {"text": "x" * (small_disk + 1)}))
        assert str(raised.value).startswith(f"{path} cannot be used: ")
        assert str(raised.value).endswith("; mend that and run again")
        # Nothing of it is left, and the table goes on.
        assert table.get("large") is None
        table.write(Put("row", {"n": 2}, expected={"n": 1}))
        assert table.get("row") == {"n": 2}


def test_a_table_that_another_program_locks(tmp_path: Path) -> None:
    path = tmp_path / "table.sqlite"
    with closing(SqliteTable(path)) as table, closing(sqlite3.connect(path, isolation_level=None)) as other:
        table._connection.execute("PRAGMA busy_timeout=1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            TidegateError, match=r"table.sqlite cannot be used: database is locked; mend that"
        ):
            table.write(Put("row", {"n": 1}))


def test_a_damaged_table(tmp_path: Path) -> None:
    path = tmp_path / "table.sqlite"
    path.write_bytes(b"no table" * 1_000)
    with pytest.raises(
        TidegateError, match=r"table.sqlite cannot be used: file is not a database; mend that"
    ):
        SqliteTable(path)
