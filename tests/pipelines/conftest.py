"""The real data, downloaded once into `.demo/`."""

from pathlib import Path

import polars as pl
import pytest

from pipelines import flights_data


@pytest.fixture(scope="session")
def archive() -> Path:
    return flights_data.download(flights_data.cache_folder())


@pytest.fixture(scope="session")
def flights(archive: Path) -> pl.DataFrame:
    return flights_data.read_flights(archive)


@pytest.fixture(scope="session")
def zones(archive: Path) -> dict[str, str]:
    return flights_data.read_zones(archive)


@pytest.fixture(scope="session")
def stream(flights: pl.DataFrame, zones: dict[str, str]) -> pl.DataFrame:
    return flights_data.landings(flights, zones)
