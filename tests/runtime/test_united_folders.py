"""A pipeline over two folders: each source reads its own, and messages name it."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.events import NOON, age, output_of, panes_of
from tests.runtime.runs import opened, run
from tests.runtime.test_control_plane import Deployed, Uploads
from tidegate.cli import main
from tidegate.errors import IncompatiblePipeline, UsageError
from tidegate.frontier import UnionFrontier
from tidegate.plan import compile_plan
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.replay import replay
from tidegate.stores.ports import ObjectInfo
from tidegate.timestamps import MAX, MIN

Write = Callable[..., str]

UNION = """
import polars as pl
import tidegate as tg

clicks = tg.read_json(
    "clicks",
    schema={"user": pl.String, "n": pl.Int64, "at": pl.Datetime("ms")},
    event_time="at",
    watermark=tg.BoundedDelay("10s"),
)
views = tg.read_csv(
    "views",
    schema={"user": pl.String, "n": pl.Int64, "at": pl.Datetime("ms")},
    event_time="at",
    watermark=tg.BoundedDelay("20s"),
).with_columns(n=pl.col("n") * 100)
both = tg.union(clicks, views)
panes = both.window(tg.FixedWindows("1m"), allowed_lateness="1h").group_by("user").agg(n=tg.sum("n"))
pipeline = tg.Pipeline("both", panes.write_json("totals"))
"""
FUNCTIONS = UNION.replace(
    '.with_columns(n=pl.col("n") * 100)', '.map(lambda row: row | {"n": row["n"] * 100})'
)


def write_both(folder: Path, count: int, first: int = 0) -> Counter[str]:
    """Files of either source, some of their records broken; what each user's numbers come to."""
    chance, expected = random.Random(count), Counter[str]()  # noqa: S311
    for number in range(first, first + count):
        lines = {"clicks": [], "views": ["user,n,at"]}
        for source, times in (("clicks", 1), ("views", 100)):
            for _ in range(10):
                user, value = chance.choice("xyz"), chance.randrange(1, 9)
                moment = (NOON + number * 30 + chance.randrange(-60, 30)) * 1_000
                expected[user] += value * times
                row = {"user": user, "n": value, "at": moment}
                lines[source].append(json.dumps(row) if source == "clicks" else f"{user},{value},{moment}")
        for source, suffix in (("clicks", "json"), ("views", "csv")):
            path = folder / source / f"{number:03}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in [*lines[source], "broken"]))
            age(path, NOON + 3_600 + number)
    return expected


def totals(folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for pane in panes_of(folder):
        found[str(pane["user"])] += int(str(pane["n"]))
    return found


@pytest.mark.parametrize("text", [UNION, FUNCTIONS], ids=["expressions", "functions"])
@pytest.mark.parametrize("files", [1, 3, 1_000])
def test_two_folders(write_pipeline: Write, tmp_path: Path, text: str, files: int) -> None:
    expected = write_both(tmp_path / "in", 4)
    manifest = run(write_pipeline(text), tmp_path, drain=True, files=files)
    assert totals(tmp_path / "out" / "totals") == expected
    assert (manifest.totals["files"], manifest.totals["dead_letters"]) == (8, 8)
    assert manifest.totals["dropped_late"] == 0
    assert isinstance(manifest.frontier, UnionFrontier)
    assert set(manifest.frontier.sources) == {"clicks", "views"}


def test_files_that_arrive_in_waves_and_their_replay(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline(UNION)
    expected = write_both(tmp_path / "all", 6)
    for wave in (["clicks/000.json", "clicks/001.json"], ["views/000.csv", "clicks/002.json"], None):
        names = wave or [path.relative_to(tmp_path / "all") for path in (tmp_path / "all").rglob("*.*")]
        for name in names:
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tmp_path / "all" / name, tmp_path / "in" / name)
        last = run(reference, tmp_path, files=2)
    assert last.frontier.watermark > MIN
    run(reference, tmp_path, drain=True)
    assert totals(tmp_path / "out" / "totals") == expected
    before = output_of(tmp_path / "out")
    folders = Folders.of(tmp_path / "in", tmp_path / "out", None)
    replay(compile_plan(load_pipeline(reference)), reference, folders, workers=1)
    assert output_of(tmp_path / "out") == before


def test_while_one_folder_is_not_there_nothing_is_complete(write_pipeline: Write, tmp_path: Path) -> None:
    write_both(tmp_path / "in", 4)
    (tmp_path / "in" / "views").rename(tmp_path / "views")
    reference = write_pipeline(UNION)
    manifest = run(reference, tmp_path)
    assert (manifest.totals["files"], manifest.frontier.watermark) == (4, MIN)
    assert not (tmp_path / "out" / "totals").exists()
    (tmp_path / "views").rename(tmp_path / "in" / "views")
    assert run(reference, tmp_path).frontier.watermark > MIN
    assert {pane["pane_timing"] for pane in panes_of(tmp_path / "out" / "totals")} == {"on_time"}


def test_a_file_in_the_folder_of_the_other_source_is_ignored(
    write_pipeline: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_both(tmp_path / "in", 1)
    for name in ("clicks/wrong.csv", "views/wrong.json", "beside.json"):
        (tmp_path / "in" / name).write_text("{}")
    folders = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert main(["run", write_pipeline(UNION), *folders]) == 0
    out = capsys.readouterr().out
    assert "of 2 files" in out
    assert "ignored  2 files whose names do not end as those of json or csv files\n" in out


def test_without_any_file_both_folders_are_named(write_pipeline: Write, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("{}")
    with (
        opened(write_pipeline(UNION), tmp_path) as runner,
        pytest.raises(UsageError, match=r"no json files in \S*in/clicks nor csv files in \S*in/views, which"),
    ):
        runner.run()


def test_output_in_the_folder_of_one_source_is_refused(write_pipeline: Write, tmp_path: Path) -> None:
    (tmp_path / "in" / "views").mkdir(parents=True)
    outline = compile_plan(load_pipeline(write_pipeline(UNION))).outline()
    with pytest.raises(UsageError, match=r"in/views, which the pipeline reads"):
        Folders.of(tmp_path / "in", tmp_path / "in" / "views" / "out", tmp_path / "state").check(outline)


# Sources that end


HISTORY = UNION.replace('watermark=tg.BoundedDelay("20s")', "watermark=tg.Perfect()")


def test_a_bounded_folder_beside_one_that_goes_on(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline(HISTORY)
    write_both(tmp_path / "in", 4)
    first = run(reference, tmp_path, files=2)
    assert isinstance(first.frontier, UnionFrontier)
    assert first.frontier.sources["views"].watermark == MAX
    assert MIN < first.frontier.watermark == first.frontier.sources["clicks"].watermark < MAX
    assert panes_of(tmp_path / "out" / "totals")
    (tmp_path / "in" / "clicks" / "more.json").write_text(
        json.dumps({"user": "x", "n": 1, "at": (NOON + 900) * 1_000})
    )
    assert run(reference, tmp_path).frontier.watermark == (NOON + 890) * 1_000_000
    (tmp_path / "in" / "views" / "more.csv").write_text("user,n,at\n")
    with pytest.raises(
        UsageError, match=r"finished when its input ended, as Perfect\(\) says, and views/more.csv is new"
    ):
        run(reference, tmp_path)
    (tmp_path / "in" / "views" / "more.csv").unlink()
    before = output_of(tmp_path / "out")
    folders = Folders.of(tmp_path / "in", tmp_path / "out", None)
    replayed = replay(compile_plan(load_pipeline(reference)), reference, folders, workers=1)
    assert output_of(tmp_path / "out") == before
    assert replayed.manifest is not None
    assert replayed.manifest.frontier.watermark == (NOON + 890) * 1_000_000


def test_what_ends_in_part_is_neither_followed_nor_deployed(
    write_pipeline: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_both(tmp_path / "in", 1)
    with (
        opened(write_pipeline(HISTORY), tmp_path) as runner,
        pytest.raises(UsageError, match=r"Perfect\(\) watermark says that the input ends"),
    ):
        runner.follow()
    reference = write_pipeline(HISTORY, "united/scores.py")
    assert main(["compile", str(Path(reference).parent), "--output", str(tmp_path / "plans")]) == 2
    assert "has a Perfect() watermark, and uploads never end by themselves" in capsys.readouterr().err


# Changes


def test_one_source_more_is_another_pipeline_to_be_replayed(write_pipeline: Write, tmp_path: Path) -> None:
    expected = write_both(tmp_path / "in", 3)
    alone = write_pipeline(UNION.replace("tg.union(clicks, views)", "clicks"), "alone.py")
    run(alone, tmp_path)
    reference = write_pipeline(UNION)
    with pytest.raises(IncompatiblePipeline, match=r"It is: .*read_csv\('views'"):
        run(reference, tmp_path)
    folders = Folders.of(tmp_path / "in", tmp_path / "out", None)
    replay(compile_plan(load_pipeline(reference)), reference, folders, drain=True, workers=1)
    assert totals(tmp_path / "out" / "totals") == expected


def test_one_source_less_is_refused_with_its_files(write_pipeline: Write, tmp_path: Path) -> None:
    write_both(tmp_path / "in", 1)
    run(write_pipeline(UNION), tmp_path)
    alone = write_pipeline(UNION.replace("tg.union(clicks, views)", "clicks"), "alone.py")
    folders = Folders.of(tmp_path / "in", tmp_path / "out", None)
    with pytest.raises(UsageError, match=r"built from views/000.csv, and the pipeline reads json files"):
        replay(compile_plan(load_pipeline(alone)), alone, folders, workers=1)


# On AWS


def test_uploads_of_both_sources_are_accepted_and_found_again_when_their_events_are_lost(
    write_pipeline: Write,
) -> None:
    def uploaded(key: str) -> ObjectInfo:
        return ObjectInfo(key, 1, "v", NOON * 1_000_000)

    outline = compile_plan(load_pipeline(write_pipeline(UNION))).outline()
    deployed = Deployed(outline=outline)
    for key, taken in (
        ("clicks/a.json", True),
        ("views/a.csv", True),
        ("views/a.json", False),
        ("x.json", False),
    ):
        assert deployed.control.accept("in", key, "v", 1) is taken
    lost = ["clicks/b.json", "views/b.csv", "views/b.json", "others/b.json", "clicks/a.json"]
    deployed.uploads = Uploads([uploaded(key) for key in lost])
    assert deployed.control.reconcile() == {"accepted": 2}
