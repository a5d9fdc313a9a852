import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.runtime.events import NOON, age, write_files
from tests.runtime.runs import opened, run
from tidegate.epochs.manifest import Manifest
from tidegate.errors import UsageError
from tidegate.runtime import embedded
from tidegate.runtime.embedded import EmbeddedRunner

Write = Callable[..., str]


@contextmanager
def following(runner: EmbeddedRunner) -> Iterator[list[Manifest]]:
    """Follows in a thread; gives what it committed."""
    stop = threading.Event()
    watched: list[Manifest] = []
    runner.watch = watched.append
    errors: list[BaseException] = []

    def follow() -> None:
        try:
            runner.follow(stop=stop.is_set)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def files_of(watched: list[Manifest]) -> int:
    return sum(manifest.counters["files"] for manifest in watched)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "POLL", 0.02)


@pytest.mark.usefixtures("quick")
def test_following_takes_files_as_they_come(write_pipeline: Write, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "scores"
    write_files(folder, 2)
    with opened(write_pipeline(), tmp_path) as runner, following(runner) as watched:
        assert eventually(lambda: files_of(watched) == 2)
        # A rename keeps the time of change, which says nothing.
        write_files(tmp_path / "elsewhere", 1)
        (tmp_path / "elsewhere" / "000.json").rename(folder / "renamed.json")
        assert eventually(lambda: files_of(watched) == 3)
        (folder / "late.json.tmp").write_text('{"team":"x","score":1,"at":0}\n')
        age(folder / "late.json.tmp", NOON)
        time.sleep(0.2)
        assert files_of(watched) == 3
        (folder / "late.json.tmp").rename(folder / "late.json")
        assert eventually(lambda: files_of(watched) == 4)
        assert runner.ignored == 0


@pytest.mark.usefixtures("quick")
def test_following_waits_for_writers(write_pipeline: Write, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "scores"
    folder.mkdir(parents=True)
    with opened(write_pipeline(), tmp_path) as runner, following(runner) as watched:
        with (folder / "open.json").open("w") as file:
            file.write('{"team":"x","score":1,"at":1700000000000}\n')
            file.flush()
            age(folder / "open.json", NOON)
            time.sleep(0.3)
            assert watched == []
            file.write('{"team":"x","score":2,"at":1700000000000}\n')
            file.flush()
            age(folder / "open.json", NOON)
        assert eventually(lambda: files_of(watched) == 1)
        assert watched[0].counters["records"] == 2


@pytest.mark.usefixtures("quick")
def test_following_waits_until_a_file_is_quiet(write_pipeline: Write, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "scores"
    folder.mkdir(parents=True)
    with opened(write_pipeline(), tmp_path) as runner, following(runner) as watched:
        written = time.time()
        for _ in range(4):
            with (folder / "grows.json").open("a") as file:
                file.write('{"team":"x","score":1,"at":1700000000000}\n')
            written = time.time()
            time.sleep(0.2)
            assert watched == []
        assert eventually(lambda: files_of(watched) == 1)
        assert time.time() - written >= embedded.SETTLED / 1_000_000 - 0.05
        assert watched[0].counters["records"] == 4


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("changed", [NOON, 4_000_000_000])
def test_following_goes_by_what_it_sees_and_not_by_the_time_of_a_change(
    write_pipeline: Write, tmp_path: Path, changed: int
) -> None:
    """Another machine's clock may have set it, or a copy that keeps it and goes on."""
    path = tmp_path / "in" / "scores" / "grows.json"
    path.parent.mkdir(parents=True)
    with opened(write_pipeline(), tmp_path) as runner, following(runner) as watched:
        for _ in range(3):
            with path.open("a") as file:
                file.write('{"team":"x","score":1,"at":1700000000000}\n')
            age(path, changed)
            written = time.time()
            time.sleep(0.5)
            assert watched == []
        assert eventually(lambda: files_of(watched) == 1)
        assert time.time() - written >= embedded.SETTLED / 1_000_000 - 0.05
        assert watched[0].counters["records"] == 3


@pytest.mark.usefixtures("quick")
def test_following_a_finished_stream_ends_with_the_first_new_file(
    write_pipeline: Write, tmp_path: Path
) -> None:
    reference, folder = write_pipeline(), tmp_path / "in" / "scores"
    write_files(folder, 1)
    run(reference, tmp_path, drain=True)
    (folder / "new.json").write_text("{}\n")
    with opened(reference, tmp_path) as runner:
        with pytest.raises(UsageError, match=r"finished with --drain, and scores/new.json is new"):
            runner.follow()
        assert runner.table.query("pending#", 10) == []


def test_looking_at_a_file_survives_its_writers(tmp_path: Path) -> None:
    """The look is a lease, and whoever opens the file meanwhile breaks it: the signal must do no harm."""
    path = tmp_path / "file"
    path.touch()
    look = (
        "import pathlib, time; from tidegate.runtime import embedded\n"
        f"path, end = pathlib.Path({str(path)!r}), time.monotonic() + 0.7\n"
        "while time.monotonic() < end: embedded._is_being_written(path)\n"
    )
    looking = subprocess.Popen([sys.executable, "-c", look])
    while looking.poll() is None:
        with path.open("a"):
            pass
    assert looking.returncode == 0


BY_CLOCK = """
import polars as pl
import tidegate as tg

events = tg.read_json("scores", schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
                      event_time="at", watermark=tg.BoundedDelay("10s"))
early = tg.AfterWatermark(early=tg.AfterProcessingTime("300ms"))
totals = events.window(tg.FixedWindows("1d")).trigger(early).group_by("team").agg(total=tg.sum("score"))
pipeline = tg.Pipeline("by-clock", totals.write_json("totals"))
"""


@pytest.mark.usefixtures("quick")
def test_an_early_pane_comes_by_the_clock_while_nothing_arrives(
    write_pipeline: Write, tmp_path: Path
) -> None:
    write_files(tmp_path / "in" / "scores", 1)
    with opened(write_pipeline(BY_CLOCK), tmp_path) as runner, following(runner) as watched:
        assert eventually(lambda: any(manifest.counters.get("panes_early") for manifest in watched))
        assert [manifest.counters["files"] for manifest in watched] == [1, 0]
        asked = [len(watched), *(watched[-1].counters.values())]
        time.sleep(0.5)
        assert [len(watched), *(watched[-1].counters.values())] == asked, "and then nothing more"
