"""The tables and pictures of the benchmarks' figures."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.report import Bar, chart, main

SVG = "{http://www.w3.org/2000/svg}"


def measured(wall: float, cpu: float, peak: float) -> dict[str, float]:
    return {"wall": wall, "cpu": cpu, "peak": peak}


def test_a_table_gives_ratios_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workload = {
        "name": "sum",
        "title": "a sum",
        "rows": 1_000,
        "to_reach": 2.0,
        "tidegate": measured(3.0, 4.0, 300.0),
        "duckdb": measured(2.0, 1.0, 100.0),
    }
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"workloads": [workload]}))

    main([str(figures), "--svg", str(tmp_path / "picture.svg")])

    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| `sum`: a sum | 1,000 | **4.00** | 2.0 | 1.50 | 3.00 |")
    assert (tmp_path / "picture.svg").read_text().startswith("<svg")


def test_engines_are_multiples_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = {"tidegate": measured(2.0, 2.0, 100.0), "other": measured(30.0, 50.0, 100.0)}
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"events": 1_000, "peers": peers}))

    main([str(figures), "--svg", str(tmp_path / "picture.svg")])

    assert "| other | 15.0 | 25.0 |" in capsys.readouterr().out


def test_bars_are_as_long_as_their_values_and_the_mark_lies_among_them() -> None:
    picture = ElementTree.fromstring(chart("title", "", [Bar("a", 2.0, mark=1.0), Bar("b", 4.0)]))  # noqa: S314 - ours

    _background, first, second = picture.findall(f"{SVG}rect")
    mark = picture.findall(f"{SVG}line")[0]
    length = float(first.attrib["width"])
    assert float(second.attrib["width"]) == pytest.approx(2 * length, abs=0.2)
    assert float(mark.attrib["x1"]) - float(first.attrib["x"]) == pytest.approx(length / 2, abs=0.1)
