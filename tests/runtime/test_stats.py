"""What `tidegate stats` says of a run, and to whom it has nothing to say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runtime.runs import run
from tidegate.cli import USAGE, main
from tidegate.epochs.costs import Costs
from tidegate.epochs.manifest import Manifest
from tidegate.runtime.stats import Stats
from tidegate.stores.embedded import LocalObjects
from tidegate.stores.memory import MemoryObjects

EVENT = '{"team":"x","score":1,"at":"2026-01-01T12:00:00"}\n'


@pytest.fixture
def reference(write_pipeline: Callable[..., str], tmp_path: Path) -> str:
    """A pipeline that has run three epochs of a file each."""
    (tmp_path / "in" / "scores").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "in" / "scores" / f"{number}.json").write_text(EVENT * (number + 1))
    name = write_pipeline()
    run(name, tmp_path, files=1)
    return name


def stats(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    """What the command prints, in lines of words."""
    assert main(["stats", *arguments]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_each_epoch_has_a_line(reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = stats(capsys, reference, "--output", str(tmp_path / "out"))
    assert lines[0] == ["scores:", "3", "epochs", "of", "3"]
    assert lines[2] == [
        "epoch",
        "files",
        "records",
        "input",
        "CPU",
        "s",
        "wall",
        "s",
        "requests",
        "calls",
        "transitions",
        "USD",
    ]
    assert [line[:4] for line in lines[3:6]] == [
        [f"{epoch}", "1", f"{epoch}", f"{epoch * len(EVENT)}"] for epoch in (1, 2, 3)
    ]


def test_stages_are_in_the_order_of_an_epoch_with_their_sum(
    reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(reference, tmp_path, "fanned", small=0, task_bytes=1)
    lines = stats(capsys, reference, "--output", str(tmp_path / "fanned"))
    start = lines.index(["this", "epoch", "by", "stage"]) + 2
    head, *stages = lines[start : start + 6]
    assert [each[0] for each in stages] == ["plan", "map", "reduce", "commit", "all"]
    assert head[-2:] == ["calls", "transitions"]
    for column in (-2, -1):
        assert int(stages[-1][column]) == sum(int(each[column]) for each in stages[:-1]) > 4
    assert "lists" not in head, "nothing was listed"


def test_columns_of_zeros_are_left_out(reference: str, tmp_path: Path) -> None:
    last = Stats.of(LocalObjects(tmp_path / "out.state"), "here", "scores", 1).manifests[-1]
    stages = {"plan": {"calls": 1}, "commit": {"state.bytes_written": 7}}
    printed = Stats([replace(last, costs=Costs(stages, {}, 1))]).text().splitlines()
    start = printed.index("this epoch by stage") + 2
    assert [each.split() for each in printed[start : start + 4]] == [
        ["stage", "written", "calls"],
        ["plan", "0", "B", "1"],
        ["commit", "7", "B", "0"],
        ["all", "7", "B", "1"],
    ]


def test_the_last_epochs_and_all_of_them(
    reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = stats(capsys, reference, "--output", str(tmp_path / "out"), "--epochs", "2")
    assert lines[0] == ["scores:", "2", "epochs", "of", "3"]
    assert [line[0] for line in lines[3:5]] == ["2", "3"]
    calls = [line[-2] for line in lines if line[:1] == ["all"] and len(line) > 5]
    assert calls == ["4", "6"], "of these two, and of all three"


def test_what_it_would_cost_on_aws_is_said_with_what_is_not_in_it(
    reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", reference, "--state", str(tmp_path / "out.state")]) == 0
    printed = capsys.readouterr().out
    assert "Step Functions 0.000225" in printed, "9 transitions"
    assert "without the time of functions, whose memory is not known here" in printed


def test_epochs_of_a_version_that_counted_nothing(reference: str, tmp_path: Path) -> None:
    state = LocalObjects(tmp_path / "out.state")
    last = Stats.of(state, "here", "scores", 3).manifests[-1]
    assert (
        "these epochs are of a version that counted nothing" in Stats([replace(last, costs=Costs())]).text()
    )
    later = Stats([replace(last, epoch=8)]).text()
    assert "all 3 epochs since epoch 6 (older versions counted nothing) by stage" in later


def test_epochs_that_were_swept_are_left_out(reference: str, tmp_path: Path) -> None:
    state = LocalObjects(tmp_path / "out.state")
    first = Stats.of(state, "here", "scores", 3).manifests[0]
    state.delete([first.key])
    left: list[Manifest] = list(Stats.of(state, "here", "scores", 3).manifests)
    assert [each.epoch for each in left] == [2, 3]


def test_a_pipeline_that_never_ran(
    write_pipeline: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("--output", "--state"):
        assert main(["stats", write_pipeline(), place, str(tmp_path / "empty")]) == USAGE
        assert "run" in capsys.readouterr().err.split("`tidegate ")[1]
    assert not (tmp_path / "empty.state").exists(), "looking makes no folder"
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_bucket_without_the_pipeline(
    reference: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tidegate.cli.bucket", lambda environment, name: MemoryObjects())
    assert main(["stats", reference, "--bucket", "theirs"]) == USAGE
    assert "no epoch of a pipeline 'scores' is committed in s3://theirs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["", "a b", "ab", "s3://theirs", "theirs/state", "Theirs", ".theirs", "theirs.", "a" * 64, "theirs\n"],
)
def test_what_no_bucket_can_be_called(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["stats", "never_loaded.py", "--bucket", name])
    assert ended.value.code == USAGE
    said = capsys.readouterr().err
    assert f"{name!r} is no name of a bucket" in said
    assert "without s3://" in said
