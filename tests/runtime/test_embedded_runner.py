import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.runtime.conftest import EXPRESSIONS, FUNCTIONS
from tests.runtime.events import output_of, panes_of, write_files
from tests.runtime.runs import opened, run
from tests.runtime.stopping import Stopping
from tidegate.epochs.manifest import Manifest
from tidegate.errors import IncompatiblePipeline, UsageError
from tidegate.sinks.sink import Sink
from tidegate.testing.faults import Crash
from tidegate.timestamps import MAX

Write = Callable[..., str]


def test_a_folder_of_files(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 5)
    manifest = run(write_pipeline(), tmp_path)
    assert manifest.totals["files"] == 5
    assert manifest.totals["records"] == 101
    assert manifest.totals["dead_letters"] == 1
    assert (tmp_path / "out" / "totals").is_dir()
    assert not list((tmp_path / "out").rglob("*#*"))


def test_the_input_folder_may_hold_the_files_itself(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 3)
    below = run(write_pipeline(), tmp_path, "first", drain=True)
    (tmp_path / "in" / "scores").rename(tmp_path / "files")
    (tmp_path / "in").rmdir()
    (tmp_path / "files").rename(tmp_path / "in")
    (tmp_path / "in" / "folder").mkdir()
    (tmp_path / "in" / "folder" / "deeper.json").write_text("not read")
    itself = run(write_pipeline(), tmp_path, "second", drain=True)
    assert itself.totals == below.totals
    assert output_of(tmp_path / "first" / "totals") == output_of(tmp_path / "second" / "totals")


def test_files_may_lie_deeper_below_the_prefix(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores" / "2024" / "01", 2)
    write_files(tmp_path / "in" / "scores" / "2024" / "02", 2)
    assert run(write_pipeline(), tmp_path).totals["files"] == 4


def test_a_folder_of_the_prefix_is_read_also_if_it_is_empty(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in", 3)
    (tmp_path / "in" / "note.txt").touch()
    (tmp_path / "in" / "scores").mkdir()
    with opened(write_pipeline(), tmp_path) as runner:
        with pytest.raises(
            UsageError, match=r"in/scores, which the pipeline reads; move the 3 that lie in \S*/in "
        ):
            runner.run()
        assert runner.table.query("", 10) == []


def test_names_that_do_not_fit_are_ignored_and_counted(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 1)
    for name in ("a.csv", "b.json.tmp", ".hidden.json", "_SUCCESS", "c.json.part"):
        (tmp_path / "in" / "scores" / name).write_text("{}")
    with opened(write_pipeline(), tmp_path) as runner:
        manifest = runner.run()
        assert manifest is not None
        assert manifest.totals["files"] == 1
        assert runner.ignored == 5


def test_a_folder_without_files(write_pipeline: Write, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    reference = write_pipeline()
    with opened(reference, tmp_path) as runner:
        with pytest.raises(
            UsageError, match=r"no json files in \S*/in, nor is there a folder scores in it; put"
        ):
            runner.run()
        (tmp_path / "in" / "scores").mkdir()
        with pytest.raises(
            UsageError, match=r"json files in \S*in/scores, which .*; put the files there, or"
        ):
            runner.run()
    # Nothing was begun, so the pipeline can still be changed.
    write_files(tmp_path / "in" / "scores", 1)
    run(write_pipeline(EXPRESSIONS.replace("1m", "2m")), tmp_path)


def test_two_runs_over_the_same_files_give_the_same_bytes(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 8)
    run(write_pipeline(), tmp_path, "first", files=3)
    run(write_pipeline(), tmp_path, "second", files=3)
    first = output_of(tmp_path / "first")
    assert first == output_of(tmp_path / "second")
    assert any(name.startswith("dead-letters/") for name in first)


def test_another_run_continues(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    write_files(tmp_path / "in" / "scores", 6)
    later = tmp_path / "in" / "scores" / "005.json"
    later.rename(tmp_path / "005.json")
    first = run(reference, tmp_path)
    assert first.totals["files"] == 5
    again = run(reference, tmp_path)
    assert again.epoch == first.epoch
    (tmp_path / "005.json").rename(later)
    continued = run(reference, tmp_path, drain=True)
    assert continued.totals["files"] == 6
    assert continued.frontier.watermark == MAX
    names = [path.name for path in (tmp_path / "out" / "totals").iterdir()]
    assert len(names) == len(set(names)) == 3


def test_draining_gives_every_window_its_last_pane(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 3)
    manifest = run(write_pipeline(), tmp_path, drain=True)
    assert manifest.segments == ()
    last = [pane for pane in panes_of(tmp_path / "out" / "totals") if pane["pane_is_last"]]
    assert last


@pytest.mark.parametrize("change", ["written again", "removed"])
def test_a_file_that_changes_after_it_was_accepted(
    write_pipeline: Write, tmp_path: Path, change: str
) -> None:
    write_files(tmp_path / "in" / "scores", 3)
    changed = tmp_path / "in" / "scores" / "001.json"
    with opened(write_pipeline(), tmp_path, files=1) as runner:
        watched: list[Manifest] = []

        def meddle(manifest: Manifest) -> None:
            watched.append(manifest)
            if manifest.epoch == 1 and change == "removed":
                changed.unlink()
            elif manifest.epoch == 1:
                changed.write_text('{"team": "new", "score": 5, "at": 1700000041000}\n')

        runner.watch = meddle
        manifest = runner.run()
    assert manifest is not None
    letters = panes_of(tmp_path / "out" / "dead-letters" / "scores", "file", "line", "reason")
    (letter,) = (each for each in letters if each["file"] == "scores/001.json")
    assert letter["line"] == 0
    assert ("was changed" if change == "written again" else "there is no file") in str(letter["reason"])
    # What replaced it is an input of its own, which the next run takes.
    if change == "written again":
        assert run(write_pipeline(), tmp_path).totals["files"] == 4


def test_a_finished_stream_takes_no_file(write_pipeline: Write, tmp_path: Path) -> None:
    """All that is in it would be dropped, for it would come after the end of time."""
    reference, folder = write_pipeline(), tmp_path / "in" / "scores"
    write_files(folder, 2)
    drained = run(reference, tmp_path, drain=True)
    assert run(reference, tmp_path, drain=True).epoch == drained.epoch
    (folder / "new.json").write_text('{"team": "x", "score": 1, "at": 1700000000000}\n')
    message = r"finished with --drain, and scores/new.json is new; start over with new state and output"
    with opened(reference, tmp_path) as runner:
        for drain in (False, True):
            with pytest.raises(UsageError, match=message):
                runner.run(drain=drain)
        assert runner.table.query("pending#", 10) == []
    (folder / "new.json").unlink()
    assert run(reference, tmp_path).epoch == drained.epoch


def test_without_windows_a_stream_goes_on_after_a_drain(write_pipeline: Write, tmp_path: Path) -> None:
    text = EXPRESSIONS.replace("panes.write_json", "double.write_json")
    reference, folder = write_pipeline(text), tmp_path / "in" / "scores"
    write_files(folder, 2)
    run(reference, tmp_path, drain=True)
    (folder / "new.json").write_text('{"team": "new", "score": 1, "at": 1700000000000}\n')
    assert run(reference, tmp_path).totals["files"] == 3
    assert [row for row in panes_of(tmp_path / "out" / "totals", "team") if row["team"] == "new"]


def test_output_that_was_removed_is_missed(write_pipeline: Write, tmp_path: Path) -> None:
    reference, folder = write_pipeline(), tmp_path / "in" / "scores"
    write_files(folder, 2)
    run(reference, tmp_path)
    shutil.rmtree(tmp_path / "out")
    with opened(reference, tmp_path) as runner:
        runner.run()
        assert runner.missing
    # What is new is processed all the same: the output may have been moved on by whoever reads it.
    write_files(folder / "more", 1)
    with opened(reference, tmp_path) as runner:
        manifest = runner.run()
        assert manifest is not None
        assert manifest.totals["files"] == 3
        assert runner.missing
    shutil.rmtree(tmp_path / "out.state")
    shutil.rmtree(tmp_path / "out")
    assert run(reference, tmp_path).totals["files"] == 3


def test_a_second_run_on_the_same_state_is_refused(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 1)
    reference = write_pipeline()
    with (
        opened(reference, tmp_path) as first,
        pytest.raises(UsageError, match="another run uses the state"),
        opened(reference, tmp_path),
    ):
        pass
    assert first is not None
    run(reference, tmp_path)


CHANGED = EXPRESSIONS.replace("tg.count()", 'tg.max("score")')


def everything(base: Path) -> dict[str, tuple[bytes, int]]:
    """All files below a folder, and when they were changed; the lock is opened for writing by every run."""
    return {
        path.relative_to(base).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in base.rglob("*")
        if path.is_file() and path.name != ".lock" and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(("epochs", "stopped"), [(0, True), (1, False), (1, True), (2, False)])
def test_a_changed_pipeline_is_refused_before_any_write(
    write_pipeline: Write, tmp_path: Path, epochs: int, stopped: bool
) -> None:
    """Input, output, state and table stay as they are to the byte, also what a killed writer left."""
    reference, folder = write_pipeline(), tmp_path / "in" / "scores"
    changed = write_pipeline(CHANGED, "changed_pipeline.py")
    for number in range(epochs):
        write_files(folder / str(number), 2)
        run(reference, tmp_path)
    if stopped:
        write_files(folder / "stopped", 2)
        with opened(reference, tmp_path) as runner, pytest.raises(Crash):
            runner.invoker = Stopping(runner.invoker)
            runner.run()
    write_files(folder / "new", 1)
    (tmp_path / "out.state" / "scores" / "half-written#1").touch()
    before = everything(tmp_path)
    for use in (
        lambda runner: runner.run(),
        lambda runner: runner.run(drain=True),
        lambda runner: runner.follow(stop=lambda: False),
    ):
        with (
            pytest.raises(IncompatiblePipeline, match=r"It was: .*count\(\).* It is: .*max\(col"),
            opened(changed, tmp_path) as runner,
        ):
            use(runner)
        assert everything(tmp_path) == before
    assert run(reference, tmp_path).totals["files"] == 2 * epochs + 2 * stopped + 1


SPELLED_OTHERWISE = (
    EXPRESSIONS.replace('FixedWindows("1m")', 'FixedWindows("60s")')
    .replace('tg.sum("score")', 'tg.sum(pl.col("score"))')
    .replace('"team": pl.String,', '"team": pl.String(),')
)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        (EXPRESSIONS, {"files": 1}),
        (EXPRESSIONS, {"small": 0, "tasks": 3, "task_bytes": 1}),
        (SPELLED_OTHERWISE, {}),
        (EXPRESSIONS.replace('write_json("totals")', 'write_json("elsewhere")'), {}),
        (EXPRESSIONS.replace("write_json", "write_parquet"), {}),
    ],
    ids=["smaller epochs", "another layout", "another spelling", "another sink", "another format"],
)
def test_a_change_that_state_allows_goes_on(
    write_pipeline: Write, tmp_path: Path, text: str, limits: dict[str, int]
) -> None:
    """In the middle of an epoch. Before and after it there are the rows of a pipeline that never changed."""
    reference, changed = write_pipeline(), write_pipeline(text, "changed_pipeline.py")
    folder = tmp_path / "in" / "scores"
    write_files(folder / "first", 3)
    for output in ("expected", "out"):
        run(reference, tmp_path, output)
    write_files(folder / "second", 4)
    for output in ("expected", "out"):
        with opened(reference, tmp_path, output) as runner, pytest.raises(Crash):
            runner.invoker = Stopping(runner.invoker)
            runner.run()
    write_files(folder / "third", 5)
    for other, output in ((reference, "expected"), (changed, "out")):
        assert run(other, tmp_path, output, drain=True, **limits).totals["files"] == 12
    sinks = [tmp_path / "out" / name for name in ("totals", "elsewhere")]
    found = [row for sink in sinks for row in rows_of(sink)]
    assert sorted(found) == sorted(rows_of(tmp_path / "expected" / "totals"))
    assert len(found) > 10


def rows_of(folder: Path) -> list[str]:
    """The rows of a sink in one way to write them, whatever its format."""
    texts = [Sink("json", "any").encode(pl.read_parquet(path)) for path in folder.glob("*.parquet")]
    texts += [path.read_bytes() for path in folder.glob("*.json")]
    return [line.decode() for text in texts for line in text.splitlines()]


def test_functions_may_change_inside(write_pipeline: Write, tmp_path: Path) -> None:
    """They count by module and name; what they do is the user's to keep."""
    text = FUNCTIONS.replace(".map(lambda row: row |", ".map(lambda row:  row |")
    assert text != FUNCTIONS
    write_files(tmp_path / "in" / "scores", 2)
    reference = write_pipeline(FUNCTIONS)
    run(reference, tmp_path)
    write_pipeline(text.replace("* 2", "* 3"))
    assert run(reference, tmp_path, drain=True).totals["files"] == 2


def test_state_without_its_output_and_the_reverse(write_pipeline: Write, tmp_path: Path) -> None:
    """Old output under the names of a new run is not taken for its own."""
    write_files(tmp_path / "in" / "scores", 2)
    run(write_pipeline(), tmp_path, drain=True)
    (tmp_path / "out.state").rename(tmp_path / "old.state")
    other = write_pipeline(EXPRESSIONS.replace("tg.count()", 'tg.max("score")'), "other_pipeline.py")
    with opened(other, tmp_path) as runner, pytest.raises(Exception, match="holds something else"):
        runner.run(drain=True)


def test_functions_and_expressions_give_the_same_panes(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 6)
    counted = []
    for name, text in (("expressions", EXPRESSIONS), ("functions", FUNCTIONS)):
        manifest = run(write_pipeline(text, f"{name}_pipeline.py"), tmp_path, name, drain=True, files=2)
        counted.append(manifest.totals)
    assert counted[0] == counted[1]
    assert output_of(tmp_path / "expressions") == output_of(tmp_path / "functions")
    assert len(panes_of(tmp_path / "functions" / "totals")) > 20


def test_a_name_that_is_no_text_is_told(write_pipeline: Write, tmp_path: Path) -> None:
    write_files(tmp_path / "in" / "scores", 1)
    (tmp_path / "in" / "scores" / os.fsdecode(b"latin-\xe9.json")).write_text('{"team": "x"}\n')
    with opened(write_pipeline(), tmp_path) as runner, pytest.raises(UsageError, match=r"latin-.*UTF-8"):
        runner.run()
