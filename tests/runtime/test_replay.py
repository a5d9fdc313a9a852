"""A replay gives what the pipeline would have given from the beginning, or leaves all as it is."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.runtime.conftest import EXPRESSIONS, FUNCTIONS
from tests.runtime.events import NOON, age, output_of, panes_of, write_files
from tests.runtime.replays import OTHER, arrive, everything, run_in_waves, run_replay
from tests.runtime.runs import opened, run
from tests.runtime.stopping import Stopping
from tidegate.epochs import intake, paths
from tidegate.epochs.intake import InputObject
from tidegate.epochs.layout import Limits
from tidegate.errors import IncompatiblePipeline, UsageError
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.embedded import open_runner
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.replay import replay
from tidegate.stores.embedded import SqliteTable
from tidegate.testing.faults import Crash
from tidegate.timestamps import MAX

Write = Callable[..., str]


# What it gives


@pytest.mark.parametrize("text", [EXPRESSIONS, FUNCTIONS], ids=["expressions", "functions"])
def test_a_pipeline_that_did_not_change_gives_the_same_bytes(
    write_pipeline: Write, tmp_path: Path, text: str
) -> None:
    reference = write_pipeline(text)
    run_in_waves(reference, tmp_path)
    before = output_of(tmp_path / "out")
    assert any(name.startswith("dead-letters/") for name in before)
    replayed = run_replay(reference, tmp_path)
    assert output_of(tmp_path / "out") == before
    assert replayed.manifest is not None
    assert (replayed.manifest.epoch, replayed.manifest.totals["files"]) == (3, 9)
    assert output_of(tmp_path / "out.before-replay") == before
    assert not (tmp_path / "out.replay").exists()
    assert not (tmp_path / "out.state.replay").exists()


def test_a_changed_pipeline_gives_what_it_would_have_given(write_pipeline: Write, tmp_path: Path) -> None:
    run_in_waves(write_pipeline(), tmp_path)
    old = output_of(tmp_path / "out")
    other = write_pipeline(OTHER, "other_pipeline.py")
    run_in_waves(other, tmp_path, "fresh")
    with pytest.raises(IncompatiblePipeline):
        run(other, tmp_path)
    run_replay(other, tmp_path)
    assert output_of(tmp_path / "out") == output_of(tmp_path / "fresh") != old
    # And it goes on: what is new is new, what was accepted is not accepted again.
    write_files(tmp_path / "in" / "scores" / "more", 2)
    for output in ("out", "fresh"):
        assert run(other, tmp_path, output, drain=True).totals["files"] == 11
    assert output_of(tmp_path / "out") == output_of(tmp_path / "fresh")


def test_what_is_new_comes_with_the_next_run(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    run_in_waves(reference, tmp_path)
    write_files(tmp_path / "in" / "scores" / "more", 1)
    replayed = run_replay(reference, tmp_path)
    assert replayed.manifest is not None
    assert replayed.manifest.totals["files"] == 9
    assert run(reference, tmp_path).totals["files"] == 10


def test_with_drain_the_folder_is_read_to_its_end(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    run_in_waves(reference, tmp_path)
    write_files(tmp_path / "in" / "scores" / "more", 1)
    replayed = run_replay(reference, tmp_path, drain=True)
    assert replayed.manifest is not None
    assert replayed.manifest.totals["files"] == 10
    assert replayed.manifest.frontier.watermark == MAX
    assert run(reference, tmp_path).epoch == replayed.manifest.epoch


def test_a_finished_stream_is_finished_again(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    run_in_waves(reference, tmp_path)
    run(reference, tmp_path, drain=True)
    before = output_of(tmp_path / "out")
    replayed = run_replay(reference, tmp_path)
    assert output_of(tmp_path / "out") == before
    assert replayed.manifest is not None
    assert replayed.manifest.frontier.watermark == MAX


def test_only_one_pipeline_of_shared_folders_is_touched(write_pipeline: Write, tmp_path: Path) -> None:
    text = EXPRESSIONS.replace('"scores", panes', '"neighbour", panes').replace("totals", "totals-too")
    neighbour, reference = write_pipeline(text, "neighbour.py"), write_pipeline()
    run_in_waves(neighbour, tmp_path)
    run_in_waves(reference, tmp_path)
    theirs = ("out/totals-too", "out/dead-letters/neighbour", "out.state/neighbour")
    before = everything(tmp_path, *theirs)
    assert len(before) > 10
    run_replay(write_pipeline(OTHER, "other_pipeline.py"), tmp_path)
    assert everything(tmp_path, *theirs) == before
    assert not (tmp_path / "out.before-replay" / "totals-too").exists()
    # What is kept of one is not in the way of the other.
    run_replay(neighbour, tmp_path)


def test_where_rows_go_may_change(write_pipeline: Write, tmp_path: Path) -> None:
    run_in_waves(write_pipeline(), tmp_path)
    before = output_of(tmp_path / "out" / "totals")
    run_replay(write_pipeline(EXPRESSIONS.replace('"totals"', '"sums/all"'), "other_pipeline.py"), tmp_path)
    assert output_of(tmp_path / "out" / "sums" / "all") == before
    assert output_of(tmp_path / "out" / "totals") == before


def test_output_that_was_removed_is_written_again(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    run_in_waves(reference, tmp_path)
    before = output_of(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    run_replay(reference, tmp_path)
    assert output_of(tmp_path / "out") == before


# Whatever the pipeline and the waves are


@pytest.fixture
def swept_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epoch is followed by a sweep, which removes all that it may however young it is."""
    monkeypatch.setattr("tidegate.runtime.embedded.SWEPT_AFTER", 0)


@dataclass
class Story:
    """Waves of files, how they are cut into epochs, and where the process is stopped."""

    chance: random.Random
    base: Path
    waves: list[tuple[list[str], int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        files = self.chance.randrange(6, 40)
        write_files(self.base / "all", files, events=self.chance.choice([1, 5, 12]))
        names = [f"{number:03}" for number in range(files)]
        self.chance.shuffle(names)
        while names:
            size = self.chance.randrange(1, 15)
            wave, names = names[:size], names[size:]
            stopped = bool(names) and self.chance.random() < 0.3
            self.waves.append((wave, self.chance.choice([1, 2, 1_000]), stopped))

    def tell(self, plan: Plan, output: str, waves: slice) -> None:
        shutil.rmtree(self.base / "in", ignore_errors=True)
        for number, (names, files, stopped) in enumerate(self.waves):
            arrive(self.base, *names)
            if number not in range(*waves.indices(len(self.waves))):
                continue
            with open_runner(plan, "", self.folders(output), limits=Limits(files=files)) as runner:
                if stopped:
                    runner.invoker = Stopping(runner.invoker)
                try:
                    runner.run()
                except Crash:
                    continue

    def folders(self, output: str) -> Folders:
        return Folders.of(self.base / "in", self.base / output, None)


def random_plan(chance: random.Random) -> Plan:
    stream = tg.read_json(
        "scores",
        schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay(chance.choice(["0s", "20s", "2m"])),
    )
    if chance.random() < 0.5:
        stream = stream.filter(pl.col("score") > chance.randrange(-1, 3))
    if chance.random() < 0.15:
        return compile_plan(tg.Pipeline("scores", stream.write_json("totals")))
    if chance.random() < 0.7:
        windowed = stream.window(
            tg.FixedWindows(chance.choice(["10s", "1m", "3m"])), chance.choice(["0s", "1m", "9m"])
        ).trigger(
            tg.AfterWatermark(early=tg.AfterCount(chance.randrange(1, 5)), late=tg.AfterCount(1)),
        )
    else:
        windowed = stream.window(tg.GlobalWindows()).trigger(
            tg.Repeatedly(tg.AfterCount(chance.randrange(1, 9)))
        )
    panes = (
        windowed.accumulate(chance.choice([tg.ACCUMULATING, tg.DISCARDING]))
        .group_by(chance.choice(["team", "score"]))
        .agg(total=tg.sum("score"), games=tg.count())
    )
    return compile_plan(tg.Pipeline("scores", panes.write_json("totals")))


@pytest.mark.usefixtures("swept_at_once")
@pytest.mark.parametrize("seed", range(12))
def test_any_pipeline_and_any_waves(tmp_path: Path, seed: int) -> None:
    """Epochs of all sizes, processes that are stopped in the middle of one, records that were swept."""
    chance = random.Random(seed)  # noqa: S311
    first, second = random_plan(chance), random_plan(chance)
    story = Story(chance, tmp_path)
    half = slice(0, max(1, len(story.waves) * 2 // 3))
    for plan, output in ((first, "first"), (second, "second")):
        story.tell(plan, output, half)
    before, wanted = output_of(tmp_path / "first"), output_of(tmp_path / "second")
    replay(first, "", story.folders("first"))
    after = output_of(tmp_path / "first")
    assert {name: after.get(name) for name in before} == before
    for name in ("first", "first.state"):
        shutil.rmtree(tmp_path / f"{name}.before-replay", ignore_errors=True)
    replay(second, "", story.folders("first"))
    after = output_of(tmp_path / "first")
    assert {name: after.get(name) for name in wanted} == wanted
    *_, (_, _, stopped) = story.waves[half]
    if not stopped:
        # Otherwise the replay has committed what was frozen, and the other one has not yet.
        for output in ("first", "second"):
            story.tell(second, output, slice(half.stop, None))
        assert output_of(tmp_path / "first") == output_of(tmp_path / "second")


@pytest.mark.usefixtures("swept_at_once")
def test_records_that_were_swept(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    write_files(tmp_path / "in" / "scores", 60)
    plan, folders = (
        compile_plan(load_pipeline(reference)),
        Folders.of(tmp_path / "in", tmp_path / "out", None),
    )
    with open_runner(plan, reference, folders, limits=Limits(files=1)) as runner:
        runner.run()
    records = sorted((tmp_path / "out.state").rglob("record.json"))
    assert len(records) < 25
    before = output_of(tmp_path / "out")
    assert len(before) > 50
    run_replay(reference, tmp_path)
    assert output_of(tmp_path / "out") == before
    table = SqliteTable(tmp_path / "out.state" / "scores" / "table.sqlite")
    assert len(table.query(paths.SEEN, 100)) == 60
    table.close()


# What it refuses


def unchanged(base: Path, message: str, reference: str, **options: Any) -> None:
    """A replay is refused, and nothing at all is different afterwards."""
    before = everything(base, ".")
    with pytest.raises(UsageError, match=message):
        run_replay(reference, base, **options)
    assert everything(base, ".") == before


def test_without_state_there_is_nothing_to_replay(write_pipeline: Write, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    unchanged(tmp_path, r"there is no state of a pipeline 'scores' in .*; a first run", write_pipeline())
    assert not (tmp_path / "out").exists()


def test_while_another_run_uses_the_state(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    run_in_waves(reference, tmp_path)
    with Folders.of(tmp_path / "in", tmp_path / "out", None).locked():
        unchanged(tmp_path, "another run uses the state", reference)


def test_files_of_another_source(write_pipeline: Write, tmp_path: Path) -> None:
    run_in_waves(write_pipeline(), tmp_path)
    for text in (
        EXPRESSIONS.replace('    "scores",', '    "games",'),
        EXPRESSIONS.replace("_json", "_csv", 1),
    ):
        other = write_pipeline(text, "other_pipeline.py")
        unchanged(tmp_path, r"built from scores/000.json, and the pipeline reads .*another name", other)


def test_what_an_earlier_replay_replaced_is_not_overwritten(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    run_in_waves(reference, tmp_path)
    run_replay(reference, tmp_path)
    unchanged(tmp_path, r"still kept in \S*out.before-replay/totals", reference)


def test_files_that_are_gone_or_changed(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    run_in_waves(reference, tmp_path)
    (tmp_path / "in" / "scores" / "001.json").unlink()
    age(tmp_path / "in" / "scores" / "004.json", NOON)
    message = r"2 \(such as scores/001.json, scores/004.json\) are gone from \S*in or were changed; put them"
    unchanged(tmp_path, message, reference)
    replayed = run_replay(reference, tmp_path, skip_missing=True)
    assert replayed.missing == ("scores/001.json", "scores/004.json")
    letters = panes_of(tmp_path / "out" / "dead-letters" / "scores", "file", "line")
    assert [each["file"] for each in letters if each["line"] == 0] == list(replayed.missing)
    # What was changed is an input of its own.
    assert run(reference, tmp_path).totals["files"] == 10


def test_files_that_lie_in_the_input_folder_itself(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    write_files(tmp_path / "in", 3)
    run(reference, tmp_path)
    before = output_of(tmp_path / "out")
    (tmp_path / "in" / "scores").mkdir()
    run_replay(reference, tmp_path)
    assert output_of(tmp_path / "out") == before


def test_where_nothing_was_committed_yet(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline()
    write_files(tmp_path / "in" / "scores", 2)
    with opened(reference, tmp_path) as runner:
        listed = runner.folders.listing(runner.plan.outline())
        files = [InputObject(each.key, each.version, each.size) for each in listed]
        intake.accept(runner.table, files, now=1)
    replayed = run_replay(reference, tmp_path)
    assert (replayed.manifest, replayed.finished_earlier) == (None, False)
    assert run(reference, tmp_path).totals["files"] == 2
