"""The Dataflow Model paper's figures 6 to 12 and 14: every pane, and the pictures."""

import importlib
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from pipelines.paper import example
from tidegate.cli import main
from tidegate.plan import compile_plan
from tidegate.testing import Pane
from tidegate.testing.figure import Figure
from tidegate.timestamps import from_datetime

FIGURES = ("06", "07", "08", "09", "10", "11", "12", "14")
DOCS = Path(__file__).parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def module(number: str) -> ModuleType:
    return importlib.import_module(f"pipelines.paper.figure_{number}")


def figure(number: str) -> Figure:
    drawn = module(number).figure
    assert isinstance(drawn, Figure)
    return drawn


def signed(pane: Pane) -> str:
    return f"{'-' if pane.op == 'retract' else '+'}{pane.values['total']}"


def at(pane: Pane) -> str:
    """Processing time, to the second; the last point comes a tenth of one before the full minute."""
    return f"{pane.emitted_at + timedelta(milliseconds=500):%H:%M:%S}"


def told(panes: Sequence[Pane]) -> list[str]:
    """`window's start` (if it has one), sign, sum and time."""
    return [
        " ".join(
            [*([f"{pane.window.start:%H:%M:%S}"] if pane.window.start else []), f"{signed(pane)} @{at(pane)}"]
        )
        for pane in panes
    ]


EXPECTED = {
    "06": ["+51 @12:10:00"],
    "07": ["+12 @12:06:00", "+22 @12:07:00", "+33 @12:08:00", "+51 @12:09:00"],
    "08": ["+12 @12:06:00", "+10 @12:07:00", "+11 @12:08:00", "+18 @12:09:00"],
    "09": ["+12 @12:05:40", "+7 @12:06:26", "+11 @12:07:06", "+12 @12:08:19", "+9 @12:09:00"],
    "10": [
        "12:00:00 +14 @12:10:00",
        "12:02:00 +22 @12:10:00",
        "12:04:00 +3 @12:10:00",
        "12:06:00 +12 @12:10:00",
    ],
    "11": [
        "12:00:00 +5 @12:06:00",
        "12:02:00 +7 @12:06:00",
        "12:02:00 +14 @12:07:00",
        "12:04:00 +3 @12:07:00",
        "12:02:00 +22 @12:08:00",
        "12:06:00 +3 @12:08:00",
        "12:00:00 +14 @12:09:00",
        "12:06:00 +12 @12:09:00",
    ],
    "12": [
        "12:00:00 +5 @12:05:59",
        "12:02:00 +22 @12:07:30",
        "12:04:00 +3 @12:07:40",
        "12:00:00 +14 @12:08:19",
        "12:06:00 +12 @12:09:21",
    ],
    "14": [
        # The watermark comes to 12:02 a second before the minute, and so past the session of the 5.
        "12:00:26 +5 @12:05:59",
        "12:02:24 +7 @12:06:00",
        "12:03:39 +10 @12:07:00",
        # The 8 joins two sessions at 12:07:06, and the watermark passes 12:05:19 before the next minute.
        "12:02:24 -7 @12:07:40",
        "12:03:39 -10 @12:07:40",
        "12:02:24 +25 @12:07:40",
        "12:06:39 +3 @12:08:00",
        "12:00:26 -5 @12:08:19",
        "12:02:24 -25 @12:08:19",
        "12:00:26 +39 @12:08:19",
        "12:06:39 -3 @12:09:00",
        "12:06:39 +12 @12:09:00",
    ],
}


@pytest.mark.parametrize("number", FIGURES)
def test_a_figure_has_the_papers_panes(number: str) -> None:
    panes = figure(number).panes()
    assert told(panes) == EXPECTED[number]
    assert (panes.dropped, panes.dead_letters) == (0, [])


@pytest.mark.parametrize("number", FIGURES)
def test_what_was_said_in_the_end_sums_up_to_all_points(number: str) -> None:
    panes = figure(number).panes()
    if number == "14":
        assert sum(int(signed(pane)) for pane in panes) == 51
    elif number in ("08", "09"):
        assert sum(pane.values["total"] for pane in panes) == 51
    else:
        assert sum({pane.window: pane.values["total"] for pane in panes}.values()) == 51


def test_the_points_and_the_watermark_are_the_papers() -> None:
    assert [point.value for point in example.POINTS] == [5, 7, 3, 4, 3, 8, 3, 9, 8, 1]
    assert sum(point.value for point in example.POINTS) == 51
    (late,) = (
        point
        for point in example.POINTS
        if any(
            each.reached_at <= point.arrived_at and point.event_time < each.watermark
            for each in example.WATERMARK
        )
    )
    assert late.value == 9


@pytest.mark.parametrize("number", ["06", "10"])
def test_a_batch_is_a_run_over_a_folder(number: str, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "points"
    folder.mkdir(parents=True)
    for name, point in enumerate(reversed(example.POINTS)):
        row = {"value": point.value, "at": from_datetime(point.event_time) // 1000}
        (folder / f"{name}.json").write_text(json.dumps(row))
    reference = f"pipelines.paper.figure_{number}:pipeline"
    assert main(["run", reference, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    (file,) = (tmp_path / "out" / f"figure-{number}").iterdir()
    totals = [json.loads(line)["total"] for line in file.read_text().splitlines()]
    assert totals == ([51] if number == "06" else [14, 22, 3, 12])


def test_each_pipeline_is_one_of_its_own() -> None:
    plans = [compile_plan(module(number).pipeline) for number in FIGURES]
    assert len({plan.name for plan in plans}) == len({plan.sink.prefix for plan in plans}) == len(FIGURES)


# The pictures


def texts(svg: str) -> list[str]:
    """What is written in a picture: each text element, its parts with a space between."""
    root = ElementTree.fromstring(svg)  # noqa: S314 (it is our own)
    return [" ".join(part for part in each.itertext() if part.strip()) for each in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("number", FIGURES)
def test_a_picture_shows_every_point_and_every_pane(number: str) -> None:
    written = texts(figure(number).svg())
    for point in example.POINTS:
        assert str(point.value) in written
    root = ElementTree.fromstring(figure(number).svg())  # noqa: S314
    assert len(root.findall(f"{SVG}circle")) == len(example.POINTS)
    labels = [each for each in root.iter(f"{SVG}text") if each.find(f"{SVG}tspan") is not None]
    given = [pane for pane in figure(number).panes() if pane.op == "insert"]
    assert len(labels) == len(given)
    for label, pane in zip(labels, given, strict=True):
        assert "".join(label.itertext()).endswith(str(pane.values["total"]))


def test_retractions_are_marked() -> None:
    written = texts(figure("14").svg())
    for label in ("\u22127 \u221210 +25", "\u22125 \u221225 +39", "\u22123 +12", "taken back later"):
        assert label in written
    assert "taken back later" not in texts(figure("12").svg())


def test_the_watermark_is_a_line_and_the_ideal_one_is_dotted() -> None:
    for number in FIGURES:
        written = texts(figure(number).svg())
        assert ("watermark" in written) is (number in ("06", "10", "12", "14"))
        assert "ideal watermark" in written
    (nine,) = (point for point in example.POINTS if point.value == 9)
    filled = [
        each.get("fill")
        for each in ElementTree.fromstring(figure("12").svg()).iter(f"{SVG}circle")  # noqa: S314
        if each.get("cx") == f"{example.AXES.x(nine.event_time):g}"
    ]
    assert filled == ["#ffe3c2"]


def test_the_documentation_shows_what_is_drawn_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["figures", "--output", str(tmp_path / "figures")]) == 0
    drawn = {path.name: path.read_text() for path in (tmp_path / "figures").iterdir()}
    assert sorted(drawn) == [f"figure_{number}.svg" for number in FIGURES]
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / "figures" / name) for name in sorted(drawn)
    ]
    kept = {path.name: path.read_text() for path in (DOCS / "figures").iterdir()}
    assert kept == drawn, "draw them again: tidegate figures --output docs/figures"
    page = (DOCS / "paper.md").read_text()
    for name in drawn:
        assert f"(figures/{name})" in page


def test_a_package_without_figures_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for package in ("pipelines.flights", "json"):
        assert main(["figures", package, "--output", str(tmp_path)]) == 2
        assert f"no module of {package} has a `figure`" in capsys.readouterr().err
    assert main(["figures", "no_such_package", "--output", str(tmp_path)]) == 2
    assert "there is no module 'no_such_package'" in capsys.readouterr().err
