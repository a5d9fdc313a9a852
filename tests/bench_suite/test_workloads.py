"""Every benchmark gives DuckDB's answer. Nothing is timed here."""

from pathlib import Path

import polars as pl
import pytest

from bench.__main__ import main
from bench.process import Failed
from bench.side_by_side import Bench
from bench.workloads import WORKLOADS


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_the_answer_is_that_of_duckdb(name: str, folder: Path) -> None:
    # Nexmark has 10,000 events a second: the windows are to be several.
    rows = 250_000 if name in {"q5", "q7", "q11"} else 10_000

    Bench(WORKLOADS[name], folder, rows=rows, files=3).run(runs=1)


def test_an_answer_that_lacks_a_row_is_found(folder: Path) -> None:
    bench = Bench(WORKLOADS["q2"], folder, rows=10_000, files=3)
    bench.run(runs=1)
    answer = next((folder / "out" / "answer").rglob("*.parquet"))
    pl.read_parquet(answer).slice(1).write_parquet(answer)

    with pytest.raises(Failed, match="q2: 1 rows differ"):
        bench.check(folder / "out" / "answer", bench.workload.answer)


def test_the_table_says_what_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["q2", "--events", "10000", "--files", "2", "--runs", "1", "--folder", str(tmp_path)]

    code = main([*arguments, "--json", str(tmp_path / "figures.json")])

    assert code == 0
    assert "1 answers agree" in capsys.readouterr().out
