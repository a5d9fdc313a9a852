"""State that released versions wrote: today's code reads all of it, and goes on from it."""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest

import tidegate as tg
from tests.compat.fixture import HERE, PLACE, restore
from tests.compat.record import FANNED_OUT, WAVES
from tests.compat.recorded import PIPELINES
from tests.engine.segments import read_segments
from tidegate.engine.shuffle import fetch
from tidegate.engine.state import partial_schema
from tidegate.epochs import paths
from tidegate.epochs.head import Head
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest, read_manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import TaskResult
from tidegate.errors import IncompatiblePipeline, UsageError
from tidegate.limits import KEY_GROUPS
from tidegate.plan import Plan, compile_plan
from tidegate.references import KeyRange
from tidegate.runtime.embedded import open_runner
from tidegate.runtime.folders import Folders
from tidegate.runtime.replay import Replayed, replay
from tidegate.stores.embedded import LocalObjects, SqliteTable

VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "fixture.json").is_file())
ROOT = HERE.parents[1]

every_version = pytest.mark.parametrize("version", VERSIONS)
every_pipeline = pytest.mark.parametrize("name", PIPELINES)


def run(name: str, base: Path, *, drain: bool = False, limits: Limits | None = None) -> Manifest:
    folders = Folders.of(base / "in", base / "out", None)
    plan = compile_plan(PIPELINES[name])
    with open_runner(plan, f"{PLACE}:{name}", folders, limits=limits or Limits(), workers=1) as runner:
        manifest = runner.run(drain=drain)
    assert manifest is not None
    return manifest


def run_replay(name: str, base: Path, *, skip_missing: bool = False) -> Replayed:
    plan, folders = compile_plan(PIPELINES[name]), Folders.of(base / "in", base / "out", None)
    return replay(plan, f"{PLACE}:{name}", folders, skip_missing=skip_missing, workers=1)


def rows(name: str, base: Path) -> list[str]:
    """All panes and dead letters with their epochs, sorted."""
    found = []
    for folder in (base / "out" / name, base / "out" / "dead-letters" / name):
        for path in folder.glob("*"):
            read = pl.read_parquet if path.suffix == ".parquet" else pl.read_ndjson
            epoch = path.name.split("-")[1]
            found += [f"{folder.name} {epoch} {row}" for row in read(path).to_dicts()]
    return sorted(found)


def fresh(version: str, name: str, base: Path, waves: int) -> None:
    """Today's code from the beginning, on files that arrive as they did then; what came later is drained."""
    restore(version, base)
    for folder in ("out", "out.state"):
        shutil.rmtree(base / folder)
    (base / "in").rename(base / "waiting")
    for wave in range(waves):
        for path in sorted((base / "waiting").rglob(f"{wave}*.*")):
            place = base / "in" / path.relative_to(base / "waiting")
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
        run(name, base, limits=FANNED_OUT if wave == 1 else Limits())


def test_there_is_a_fixture_of_every_version() -> None:
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    missing = {*released, tg.__version__} - set(VERSIONS)
    assert not missing, f"make them: python -m tests.compat.record {' '.join(sorted(missing))}"


@every_version
@every_pipeline
def test_a_run_goes_on(version: str, name: str, tmp_path: Path) -> None:
    """The epoch that was under way is committed, what comes later is processed, the stream is drained."""
    (tmp_path / "then").mkdir()
    (tmp_path / "now").mkdir()
    restore(version, tmp_path / "then")
    run(name, tmp_path / "then")
    fresh(version, name, tmp_path / "now", WAVES)
    assert rows(name, tmp_path / "then") == rows(name, tmp_path / "now")
    for place in ("then", "now"):
        restore(version, tmp_path / place, later=True)
        run(name, tmp_path / place, drain=True)
    found = rows(name, tmp_path / "then")
    assert found == rows(name, tmp_path / "now")
    assert len(found) > 10


@every_version
@every_pipeline
def test_what_was_stored_is_read(version: str, name: str, tmp_path: Path) -> None:
    restore(version, tmp_path)
    plan, folder = compile_plan(PIPELINES[name]), tmp_path / "out.state"
    state, results, kinds = LocalObjects(folder), 0, set[str]()
    for path in sorted((folder / name / "epochs").rglob("*.json")):
        key = path.relative_to(folder).as_posix()
        if path.name == "record.json":
            record = EpochRecord.decode(key, path.read_bytes())
            assert record.fingerprint == plan.fingerprint()
            assert record.meaning == plan.meaning()
            read_manifest(state, record.previous)
        elif path.name == "manifest.json":
            read_state(plan, state, Manifest.decode(key, path.read_bytes()))
        else:
            result = TaskResult.decode(key, path.read_bytes())
            kinds.add(result.stage)
            results += 1
            if plan.grouping and result.shuffle:
                (partials,) = fetch(state, [(result.shuffle, piece) for piece in result.pieces[:1]])
                assert dict(partials.schema) == partial_schema(plan.grouping)
    assert kinds == ({"epoch", "map", "reduce"} if plan.grouping else {"epoch", "map"})
    assert results >= WAVES
    table = SqliteTable(folder / name / "table.sqlite")
    row = table.get(paths.HEAD)
    table.close()
    assert row is not None
    assert Head.of(row).fingerprint == plan.fingerprint()


def read_state(plan: Plan, state: LocalObjects, manifest: Manifest) -> None:
    if plan.grouping:
        assert read_segments(state, manifest.segments, KeyRange(0, KEY_GROUPS), plan.grouping).height
    else:
        assert manifest.segments == ()


@every_version
def test_one_source_more_is_refused_with_what_changed(version: str, tmp_path: Path) -> None:
    """And nothing is touched: the pipeline as it was goes on."""
    restore(version, tmp_path)
    stream, folders = PIPELINES["rows"].output.stream, Folders.of(tmp_path / "in", tmp_path / "out", None)
    watermark = tg.BoundedDelay("10s")
    more = tg.read_json("more", schema=stream.schema, event_time="joined", watermark=watermark)
    united = compile_plan(tg.Pipeline("rows", tg.union(stream, more).write_json("rows")))
    before = rows("rows", tmp_path)
    with (
        pytest.raises(IncompatiblePipeline, match=r"It is: read_json\('more', .*; union"),
        open_runner(united, f"{PLACE}:rows", folders, limits=Limits(), workers=1) as runner,
    ):
        runner.run()
    assert rows("rows", tmp_path) == before
    assert run("rows", tmp_path).epoch == WAVES


@every_version
@every_pipeline
def test_a_replay_gives_the_same_panes(version: str, name: str, tmp_path: Path) -> None:
    restore(version, tmp_path)
    before = rows(name, tmp_path)
    run_replay(name, tmp_path)
    assert rows(name, tmp_path) == before
    run(name, tmp_path, drain=True)


@every_pipeline
def test_a_replay_where_0_1_0_swept_records(name: str, tmp_path: Path) -> None:
    """Names and epochs of the first wave are gone; what is in the folder is known again by its version."""
    restore("0.1.0", tmp_path)
    before = rows(name, tmp_path)
    shutil.rmtree(tmp_path / "out.state" / name / "epochs" / "0000000001")
    run_replay(name, tmp_path)
    assert rows(name, tmp_path) == before
    assert run(name, tmp_path).epoch == WAVES


def test_a_replay_where_0_1_0_swept_records_and_a_file_is_gone(tmp_path: Path) -> None:
    restore("0.1.0", tmp_path)
    shutil.rmtree(tmp_path / "out.state" / "fixed" / "epochs" / "0000000001")
    (tmp_path / "in" / "scores" / "0-1.json").unlink()
    with pytest.raises(UsageError, match=r"1 were accepted by version 0\.1\.0, which kept no names"):
        run_replay("fixed", tmp_path)
    assert not (tmp_path / "out.replay").exists()
    replayed = run_replay("fixed", tmp_path, skip_missing=True)
    assert (replayed.missing, replayed.unnamed) == ((), 1)
    assert replayed.manifest is not None
    assert replayed.manifest.totals["files"] == 2 * WAVES - 1
    # It is still known as accepted, if it should come back.
    restore("0.1.0", tmp_path / "other")
    shutil.copy2(tmp_path / "other" / "in" / "scores" / "0-1.json", tmp_path / "in" / "scores")
    assert run("fixed", tmp_path).totals["files"] == 2 * WAVES - 1
