import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.epochs.manifest import Manifest
from tidegate.errors import UsageError
from tidegate.frontier import Frontier
from tidegate.outline import Outline, SourceOutline
from tidegate.runtime.folders import Folders

OUTLINE = Outline("p", "f", (), (SourceOutline("json", "scores"),), "totals", 1)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "in").mkdir()
    return Folders.of(tmp_path / "in", tmp_path / "out", None)


def test_state_lies_beside_the_output(tmp_path: Path, folders: Folders) -> None:
    assert folders == Folders(tmp_path / "in", tmp_path / "out", tmp_path / "out.state")
    elsewhere = Folders.of(tmp_path / "in", tmp_path / "out", tmp_path / "elsewhere")
    assert elsewhere.state == tmp_path / "elsewhere"


def test_the_input_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*missing; give .* --input"):
        Folders.of(tmp_path / "missing", tmp_path / "out", None)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="there is no folder"):
        Folders.of(tmp_path / "file", tmp_path / "out", None)


@pytest.mark.parametrize(
    ("output", "state"), [("in", None), ("out", "in"), ("out", "out"), ("in/../out", "out")]
)
def test_three_folders(tmp_path: Path, folders: Folders, output: str, state: str | None) -> None:
    with pytest.raises(UsageError, match="three folders"):
        Folders.of(tmp_path / "in", tmp_path / output, tmp_path / state if state else None)


def test_a_link_is_the_folder_behind_it(tmp_path: Path, folders: Folders) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(UsageError, match="three folders"):
        Folders.of(tmp_path / "in", tmp_path / "link", None)


def test_a_file_is_no_folder(tmp_path: Path, folders: Folders) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file is a file; give a folder"):
        Folders.of(tmp_path / "in", tmp_path / "file", None)


def test_output_below_the_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in" / "scores").mkdir(parents=True)
    with pytest.raises(UsageError, match="which the pipeline reads"):
        Folders.of(tmp_path / "in", tmp_path / "in" / "scores", tmp_path / "state").check(OUTLINE)
    with pytest.raises(UsageError, match="which the pipeline reads"):
        Folders.of(tmp_path / "in", tmp_path / "out", tmp_path / "in" / "scores" / "state").check(OUTLINE)
    Folders.of(tmp_path / "in", tmp_path / "in" / "results", None).check(OUTLINE)


def test_late_elements_below_the_source_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    place = Folders.of(tmp_path / "in", tmp_path / "in" / "data", tmp_path / "state")
    outline = replace(OUTLINE, sources=(SourceOutline("json", "data/late"),), late=("late",))
    with pytest.raises(UsageError, match=r"in/data/late lies in \S*, which the pipeline reads"):
        place.check(outline)
    place.check(replace(outline, late=("too-late",)))


def test_one_run_at_a_time(folders: Folders) -> None:
    with (
        folders.locked(),
        pytest.raises(UsageError, match=r"another run uses the state in .*out.state"),
        folders.locked(),
    ):
        pass
    with folders.locked():
        pass


LEFT_BEHIND = """
import os, signal, sys, time
from pathlib import Path
from tidegate.runtime.folders import Folders

with Folders(*map(Path, sys.argv[1:])).locked():
    if os.fork() == 0:
        time.sleep(0.3)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""A run that is killed while it starts a worker, which has the run's files open for a moment more."""


def test_what_a_killed_run_leaves_behind_is_waited_for(folders: Folders) -> None:
    given = [str(each) for each in (folders.input, folders.output, folders.state)]
    killed = subprocess.run([sys.executable, "-c", LEFT_BEHIND, *given], check=False)
    assert killed.returncode == -signal.SIGKILL
    with folders.locked():
        pass


@pytest.mark.parametrize("place", ["/proc/nothing/here", "/dev/null/below"])
def test_a_place_that_cannot_be_written(folders: Folders, place: str) -> None:
    blocked = Folders(folders.input, Path(place), folders.state)
    with pytest.raises(UsageError, match=f"{place.rsplit('/', maxsplit=1)[0]}.* cannot be"), blocked.locked():
        pass


def test_output_of_a_manifest_that_is_gone(folders: Folders) -> None:
    names = ("totals/epoch-1.json", "totals/epoch-2.json")
    manifest = Manifest("p", 2, "f", 0, Frontier(), (), "", (), names, {}, {})
    assert folders.missing(None) == ()
    assert folders.missing(manifest) == names
    (folders.output / "totals").mkdir(parents=True)
    (folders.output / names[0]).touch()
    assert folders.missing(manifest) == names[1:]


def test_what_killed_writers_left_is_cleared_where_tidegate_writes(folders: Folders) -> None:
    ours = [
        folders.state / "p" / "epochs" / "1" / "record.json#1",
        folders.output / "totals" / "epoch-1.json#2",
        folders.output / "dead-letters" / "p" / "epoch-1.json#1",
        folders.output / "late" / "scores" / "epoch-1.json#1",
    ]
    theirs = [
        folders.input / "scores#1",
        folders.output / "other" / "notes#1",
        folders.state / "q" / "notes#1",
    ]
    for path in (*ours, *theirs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folders.clear_unfinished(replace(OUTLINE, late=("late/scores",)))
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)
