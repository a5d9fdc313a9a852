"""The demo on the flights of January; `make demo` replays the year."""

import io
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from pipelines import demo, flights_data
from tidegate.errors import TidegateError


@pytest.fixture(scope="module")
def january(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.filter(pl.col("month") == 1)


@pytest.fixture(autouse=True)
def replays_january(
    january: pl.DataFrame, zones: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo in a folder of its own, as if the year had one month."""
    stream = flights_data.landings(january, zones)
    files = flights_data.write_uploads(stream, tmp_path / "uploads", "1d", "3h")
    monkeypatch.setattr(flights_data, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(flights_data, "uploads", lambda folder: files)
    monkeypatch.setattr(flights_data, "download", lambda folder: folder)
    monkeypatch.setattr(flights_data, "read_flights", lambda archive: january)


def test_it_shows_the_panes_and_agrees_with_the_batch_query(
    january: pl.DataFrame, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert demo.main() == 0
    # A second time: from fresh state, the same.
    assert demo.main() == 0
    panes = demo.read_panes(tmp_path / "cache" / "replay" / "output" / "carrier-days")
    assert set(panes["pane_timing"]) == {"early", "on_time", "late"}
    last, expected = demo.last_panes(panes), demo.batch(january)
    assert last.select(expected.columns).equals(expected)
    refined = demo.most_refined(panes)
    assert list(refined["pane_timing"]) == ["early", "on_time", "late"]
    assert refined["flights"].is_sorted()
    assert demo.worst_days(last)["carrier"].n_unique() == demo.SHOWN_CARRIERS
    captured = capsys.readouterr()
    assert captured.err == ""
    first, second = captured.out.split("Tidegate: a year of flights")[1:]
    assert "0 dropped as too late, 0 dead letters" in first
    assert f"{expected['flights'].sum():,} flights" in first
    assert first.split("\nlook")[0].split("Last panes")[1] == second.split("\nlook")[0].split("Last panes")[1]


def test_last_panes_that_differ_are_said_aloud(january: pl.DataFrame) -> None:
    expected = demo.batch(january)
    wrong = expected.with_columns(pl.col("flights") + 1)
    with pytest.raises(TidegateError, match="differ"):
        demo.show_comparison(Console(file=io.StringIO()), wrong, expected)


def test_a_failed_download_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path) -> list[Path]:
        raise flights_data.FlightsUnavailable("no network")

    monkeypatch.setattr(flights_data, "uploads", fail)
    assert demo.main() == 1
    assert capsys.readouterr().err == "demo: no network\n"


def test_two_demos_at_once_do_not_meet(capsys: pytest.CaptureFixture[str]) -> None:
    with demo.alone(flights_data.cache_folder()):
        assert demo.main() == 1
    assert "another demo is running" in capsys.readouterr().err
