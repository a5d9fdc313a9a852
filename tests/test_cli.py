import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidegate
from tidegate.cli import main

PIPELINE = """
import polars as pl
import tidegate as tg

scores = tg.read_json(
    "scores",
    schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
    event_time="at",
    watermark=tg.BoundedDelay("10s"),
)
panes = scores.window(tg.FixedWindows("1m")).group_by("team").agg(total=tg.sum("score"))
pipeline = tg.Pipeline("scores", panes.write_json("totals"))
"""
EVENT = '{"team": "x", "score": 1, "at": 1700000000000}\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a pipeline and one file of input; the working folder of the test."""
    (tmp_path / "in" / "scores").mkdir(parents=True)
    (tmp_path / "in" / "scores" / "a.json").write_text(EVENT)
    (tmp_path / "cli_pipeline.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    path, modules = sys.path[:], set(sys.modules)
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def run(*arguments: str, pipeline: str = "cli_pipeline.py", output: str = "out") -> int:
    return main(["run", pipeline, "--input", "in", "--output", output, *arguments])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What a failed command said: one line, on standard error."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("tidegate: ")
    assert "Traceback" not in captured.err
    return captured.err


def test_a_run_ends_with_a_summary(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--drain") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for part in ("scores: 1 record", "1 file", "1 on time", "0 too late", str(place / "out" / "totals")):
        assert part in captured.out
    assert len(list((place / "out" / "totals").iterdir())) == 1
    assert run("--drain") == 0
    assert "nothing new" in capsys.readouterr().out


def test_the_same_from_a_module(place: Path) -> None:
    assert run(pipeline="cli_pipeline:pipeline") == 0


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("missing.py", "there is no file missing.py"),
        ("missing_module", "there is no module 'missing_module'"),
        ("missing.module:pipeline", "there is no module 'missing.module'"),
        ("cli_pipeline.py:other", "has no pipeline 'other'; it has the pipelines pipeline"),
        ("cli_pipeline:other", "has no pipeline 'other'"),
        ("empty.py", "empty.py has no pipeline"),
        ("syntax.py", "syntax.py cannot be imported: line 1: SyntaxError"),
        ("raises.py", "raises.py cannot be imported: line 2 of raises.py: ValueError: what a pity"),
        ("leaves.py", "leaves.py cannot be imported"),
        ("unknown.py", "event_time"),
    ],
)
@pytest.mark.parametrize("command", ["run", "explain"])
def test_a_pipeline_that_cannot_be_had(
    place: Path, capsys: pytest.CaptureFixture[str], command: str, pipeline: str, message: str
) -> None:
    (place / "empty.py").write_text("")
    (place / "syntax.py").write_text("def (:\n")
    (place / "raises.py").write_text("\nraise ValueError('what a pity')\n")
    (place / "leaves.py").write_text("raise SystemExit(0)\n")
    (place / "unknown.py").write_text(PIPELINE.replace('event_time="at"', 'event_time="when"'))
    assert (run(pipeline=pipeline) if command == "run" else main(["explain", pipeline])) == 2
    assert message in one_line(capsys)
    assert not (place / "out").exists()


def test_no_such_input_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "cli_pipeline.py", "--input", "missing", "--output", "out"]) == 2
    assert "there is no folder missing; give the folder of the input files with --input" in one_line(capsys)


def test_an_empty_input_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "in" / "scores" / "a.json").unlink()
    assert run() == 2
    assert "there are no json files in" in one_line(capsys)


def test_the_same_folder_twice(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(output="in") == 2
    assert "three folders" in one_line(capsys)


def test_drain_and_follow(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--drain", "--follow") == 2
    assert "--drain" in one_line(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "cli_pipeline.py"],
        ["run", "cli_pipeline.py", "--input", "in"],
        ["unknown"],
        ["run", "cli_pipeline.py", "--input", "in", "--output", "out", "--max-files-per-epoch", "0"],
        ["run", "cli_pipeline.py", "--input", "in", "--output", "out", "--max-files-per-epoch", "many"],
        ["run", "cli_pipeline.py", "--input", "in", "--output", "out", "--workers", "-1"],
    ],
)
def test_arguments_that_do_not_fit(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    for part in ("usage: tidegate", "run", "replay", "explain", "compile"):
        assert part in captured.err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tidegate {tidegate.__version__}\n"


def test_the_summary_says_what_drain_would_do(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    hint = "(if no file will ever follow, --drain gives their last panes and finishes the stream)"
    assert hint in capsys.readouterr().out


def test_a_finished_stream(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--drain") == 0
    capsys.readouterr()
    (place / "in" / "scores" / "b.json").write_text(EVENT)
    assert run() == 2
    assert "finished with --drain, and scores/b.json is new; start over with" in one_line(capsys)


def test_output_that_is_gone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--drain") == 0
    shutil.rmtree(place / "out")
    capsys.readouterr()
    assert run("--drain") == 0
    text = capsys.readouterr().out
    assert f"(`tidegate replay` writes it again; to start over, remove {place / 'out.state'} too)" in text


def test_output_that_is_gone_when_there_is_something_new(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "in" / "scores" / "bad.json").write_text("no record\n")
    assert run() == 0
    shutil.rmtree(place / "out")
    (place / "in" / "scores" / "b.json").write_text(EVENT)
    capsys.readouterr()
    assert run() == 0
    text = capsys.readouterr().out
    assert "missing  dead-letters/scores/epoch-0000000001-" in text
    assert "to start over, remove" in text


def test_a_file_in_the_place_of_the_sinks_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "out").mkdir()
    (place / "out" / "totals").touch()
    assert run("--drain") == 1
    assert "cannot be written: Not a directory; mend that and run again" in one_line(capsys)


def test_a_place_that_cannot_be_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(output="/proc/nothing") == 2
    assert "/proc/nothing" in one_line(capsys)


def test_a_changed_pipeline_on_old_state(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    capsys.readouterr()
    (place / "changed.py").write_text(PIPELINE.replace('"1m"', '"2m"'))
    assert run(pipeline="changed.py") == 1
    assert "Three ways on: undo that part of the change" in one_line(capsys)


def replay(*arguments: str, pipeline: str = "cli_pipeline.py") -> int:
    return main(["replay", pipeline, "--input", "in", "--output", "out", *arguments])


def test_a_changed_pipeline_is_replayed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    (place / "changed.py").write_text(PIPELINE.replace('"1m"', '"2m"'))
    assert run(pipeline="changed.py") == 1
    capsys.readouterr()
    assert replay(pipeline="changed.py") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for part in (
        "scores: 1 record of 1 file in 1 epoch",
        f"output   {place / 'out' / 'totals'}",
        f"state    1 open window, watermark 2023-11-14T22:13:10Z, in {place / 'out.state'}",
        f"replaced {place / 'out.before-replay'} and {place / 'out.state.before-replay'} keep what was there",
    ):
        assert part in captured.out
    assert run("--drain", pipeline="changed.py") == 0
    assert "1 on time" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "say what to replay: folders, by --input and --output, or a deployment, by --stack"),
        (("--input", "in"), "say what to replay"),
        (("--stack", "s", "--drain"), "leave out the folders, --workers and --drain"),
        (("--stack", "s", "--output", "out"), "leave out the folders, --workers and --drain"),
    ],
)
def test_a_replay_is_of_folders_or_of_a_deployment(
    place: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...], said: str
) -> None:
    assert main(["replay", "cli_pipeline.py", *given]) == 2
    assert said in one_line(capsys)


def test_a_replay_with_drain(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    (place / "in" / "scores" / "b.json").write_text(EVENT)
    capsys.readouterr()
    assert replay("--drain", "--workers", "1") == 0
    assert "scores: 2 records of 2 files in 3 epochs" in capsys.readouterr().out


def test_a_replay_of_what_is_not_there(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay() == 2
    assert "there is no state of a pipeline 'scores'" in one_line(capsys)
    assert run() == 0
    (place / "in" / "scores" / "a.json").unlink()
    capsys.readouterr()
    assert replay() == 2
    assert "1 (such as scores/a.json) are gone from" in one_line(capsys)
    assert replay("--skip-missing") == 0
    text = capsys.readouterr().out
    assert "dead     1 dead letter" in text
    assert "skipped  1 file, gone or changed, now dead letters: scores/a.json" in text


def test_a_pipeline_that_is_called_as_a_file_of_ours(place: Path) -> None:
    """The state of `lock` had the place of the file that a run locks."""
    for name in ("lock", "replay", "out.replay"):
        (place / "cli_pipeline.py").write_text(PIPELINE.replace('Pipeline("scores"', f'Pipeline("{name}"'))
        assert run(output=f"out-{name}") == 0


def test_damaged_state(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    capsys.readouterr()
    (manifest,) = (place / "out.state" / "scores" / "epochs").rglob("manifest.json")
    manifest.write_bytes(b"!" + manifest.read_bytes()[1:])
    assert run("--drain") == 1
    assert manifest.name in one_line(capsys)


def test_output_of_another_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "out" / "totals").mkdir(parents=True)
    (place / "out" / "totals" / "epoch-0000000002-00000.json").write_text("older\n")
    assert run("--drain") == 1
    assert "holds something else" in one_line(capsys)


def test_a_task_that_fails_in_a_worker_process(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "functions.py").write_text(
        PIPELINE.replace("scores.window", "scores.map(lambda row: row).window")
    )
    assert run(pipeline="functions.py") == 0
    capsys.readouterr()
    (manifest,) = (place / "out.state" / "scores" / "epochs").rglob("manifest.json")
    manifest.write_bytes(b"damaged")
    assert run("--drain", pipeline="functions.py") == 1
    assert manifest.name in one_line(capsys)


def test_explain(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "cli_pipeline.py"]) == 0
    text = capsys.readouterr().out
    assert "FixedWindows(size=1m" in text
    assert "write_json('totals')" in text


def test_compile(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "some_pipelines").mkdir()
    (place / "some_pipelines" / "__init__.py").touch()
    (place / "some_pipelines" / "scores.py").write_text(PIPELINE)
    assert main(["compile", "some_pipelines", "--output", "plans"]) == 0
    assert [path.name for path in (place / "plans").iterdir()] == ["some_pipelines.scores.pipeline.json"]
    assert "some_pipelines.scores.pipeline.json" in capsys.readouterr().out
    assert main(["compile", "missing", "--output", "plans"]) == 2
    assert "there is no folder missing" in one_line(capsys)
    (place / "some_pipelines" / "broken.py").write_text("1 / 0\n")
    assert main(["compile", "some_pipelines", "--output", "plans"]) == 2


def test_what_would_never_emit_on_aws_is_not_compiled(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "perfect_pipelines").mkdir()
    text = PIPELINE.replace('tg.BoundedDelay("10s")', "tg.Perfect()")
    (place / "perfect_pipelines" / "scores.py").write_text(text)
    assert main(["compile", "perfect_pipelines", "--output", "plans"]) == 2
    message = (
        "perfect_pipelines.scores:pipeline has a Perfect() watermark, and uploads never end by themselves"
    )
    assert message in one_line(capsys)
    assert list((place / "plans").iterdir()) == []


# In a process of its own


def started(place: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tidegate", "run", "cli_pipeline.py", "--input", "in", "--output", "out"]
    return subprocess.Popen(
        [*command, *arguments], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_following_with_a_summary(place: Path, signal_: signal.Signals) -> None:
    os.utime(place / "in" / "scores" / "a.json", (1_700_000_100, 1_700_000_100))
    with started(place, "--follow") as process:
        deadline = time.monotonic() + 30
        while not list((place / "out.state").rglob("manifest.json")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        # The manifest is there a little before the epoch is committed and told.
        time.sleep(0.5)
        process.send_signal(signal_)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "1 file" in output
    assert errors.strip() == f"following {place / 'in'}; Ctrl-C stops"


def test_a_signal_ends_a_run_with_one_line(place: Path) -> None:
    (place / "cli_pipeline.py").write_text(
        PIPELINE.replace("scores.window", "scores.map(slow).window").replace(
            "panes =",
            "import time\n\ndef slow(row):\n    open('begun', 'w').close()\n    time.sleep(60)\n\npanes =",
        )
    )
    with started(place) as process:
        deadline = time.monotonic() + 30
        while not (place / "begun").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "tidegate: stopped; run the same command again to go on\n"


def test_a_reader_that_has_seen_enough(place: Path) -> None:
    with started(place) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("path", "mode"),
    [("out", 0o555), ("out.state", 0o555), ("in/scores/a.json", 0o000), ("in/scores", 0o000)],
)
def test_without_the_right_to_write_or_read(place: Path, path: str, mode: int) -> None:
    target = place / path
    if not target.exists():
        target.mkdir()
    target.chmod(mode)
    command = [sys.executable, "-m", "tidegate", "run", "cli_pipeline.py", "--drain"]
    command += ["--input", "in", "--output", "out"]
    if os.geteuid() == 0:
        # Nothing is forbidden to root, unless it gives up that right.
        if not shutil.which("setpriv"):
            pytest.skip("root needs setpriv to be forbidden anything")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    target.chmod(0o755)
    assert done.returncode in (1, 2), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("tidegate: ")
    assert path.rsplit("/", maxsplit=1)[-1] in done.stderr


def test_the_papers_figures_are_drawn_at_the_repositorys_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["figures", "--output", "out"]) == 2
    assert "come with Tidegate's repository; run this at its root" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
