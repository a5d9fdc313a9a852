"""`python -m bench.report FIGURES.json`: the tables of `docs/benchmarks.md`, and its pictures as SVG.

The figures are those that `python -m bench --json` and `python -m bench.peers --json` write.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_WIDTH, _ROW, _TOP, _LEFT, _RIGHT = 760, 26, 64, 190, 90
_INK, _GRID, _BAR, _MARK = "#1f2933", "#dfe4ea", "#8fb8de", "#b42318"


@dataclass(frozen=True)
class Bar:
    """A line of a chart.

    Attributes:
        mark: The number to reach, drawn across the bar; None if nothing is set.
    """

    label: str
    value: float
    mark: float | None = None


def chart(title: str, subtitle: str, bars: Sequence[Bar], digits: int = 2) -> str:
    """A bar chart as SVG; the same figures always give the same text."""
    height = _TOP + _ROW * len(bars) + 16
    size = {"viewBox": f"0 0 {_WIDTH} {height}", "width": str(_WIDTH), "height": str(height)}
    picture = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", **size)
    picture.set("font-family", "sans-serif")
    picture.set("font-size", "13")
    ElementTree.SubElement(picture, "rect", width="100%", height="100%", fill="white")
    _text(picture, 16, 26, title, size=16)
    _text(picture, 16, 46, subtitle)
    highest = max([*(bar.value for bar in bars), *(bar.mark or 0 for bar in bars)])
    scale = (_WIDTH - _LEFT - _RIGHT) / highest
    for number, bar in enumerate(bars):
        top, end = _TOP + _ROW * number, _LEFT + bar.value * scale
        box = {"x": str(_LEFT), "y": str(top), "width": f"{end - _LEFT:.1f}", "height": str(_ROW - 8)}
        ElementTree.SubElement(picture, "rect", box, fill=_BAR)
        _text(picture, _LEFT - 8, top + 14, bar.label, anchor="end")
        after = end
        if bar.mark is not None:
            x = _LEFT + bar.mark * scale
            across = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": str(top - 3), "y2": str(top + _ROW - 5)}
            ElementTree.SubElement(picture, "line", across | {"stroke": _MARK, "stroke-width": "2"})
            # Not across the mark.
            after = max(end, x) if abs(x - end) < 60 else end
        _text(picture, after + 6, top + 14, f"{bar.value:,.{digits}f}")
    ElementTree.SubElement(
        picture, "line", x1=str(_LEFT), x2=str(_LEFT), y1=str(_TOP - 4), y2=str(height - 16), stroke=_INK
    )
    ElementTree.indent(picture)
    return ElementTree.tostring(picture, encoding="unicode") + "\n"


def _text(
    picture: ElementTree.Element, x: float, y: float, text: str, *, size: int = 13, anchor: str = "start"
) -> None:
    where = {"x": f"{x:.1f}", "y": f"{y:.1f}", "fill": _INK, "text-anchor": anchor, "font-size": str(size)}
    ElementTree.SubElement(picture, "text", where).text = text


def tables(figures: dict[str, Any]) -> str:
    """The results as tables in Markdown."""
    lines = [
        "| workload | rows | CPU ratio | to reach | wall ratio | memory ratio | CPU s | DuckDB | wall s "
        "| DuckDB | peak MB | DuckDB | rows a CPU second |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in figures["workloads"]:
        ours, batch = each["tidegate"], each["duckdb"]
        cells = [
            f"`{each['name']}`: {each['title']}",
            f"{each['rows']:,}",
            f"**{ours['cpu'] / batch['cpu']:.2f}**",
            "" if each["to_reach"] is None else f"{each['to_reach']:.1f}",
            *(f"{ours[part] / batch[part]:.2f}" for part in ("wall", "peak")),
            *(f"{side[part]:.2f}" for part in ("cpu", "wall") for side in (ours, batch)),
            *(f"{side['peak']:.0f}" for side in (ours, batch)),
            f"{each['rows'] / ours['cpu']:,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def peer_tables(figures: dict[str, Any]) -> str:
    """What the same sum took other engines, as a table in Markdown."""
    lines = [
        "| engine | wall, as multiples of ours | CPU | wall s | CPU s | peak MB | events a CPU second |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    ours = figures["peers"]["tidegate"]
    for name, each in figures["peers"].items():
        ratios = " | ".join(f"{each[part] / ours[part]:.1f}" for part in ("wall", "cpu"))
        rate = f"{figures['events'] / each['cpu']:,.0f}"
        lines.append(
            f"| {name} | {ratios} | {each['wall']:.2f} | {each['cpu']:.2f} | {each['peak']:.0f} | {rate} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables, and writes the picture where it is told."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--svg", type=Path, required=True, help="the picture")
    options = parser.parse_args(arguments)
    figures = json.loads(options.figures.read_text())
    if "peers" in figures:
        print(peer_tables(figures))
        bars = [Bar(name, figures["events"] / each["cpu"]) for name, each in figures["peers"].items()]
        title = "Events a CPU second, start-up included"
        picture = chart(title, f"the window sum of {figures['events']:,} JSON events", bars, digits=0)
    else:
        print(tables(figures))
        bars = [
            Bar(each["name"], each["tidegate"]["cpu"] / each["duckdb"]["cpu"], each["to_reach"])
            for each in figures["workloads"]
        ]
        subtitle = "start-up included; the lines are the numbers to reach; less is better"
        picture = chart("CPU seconds as multiples of DuckDB's batch query", subtitle, bars)
    options.svg.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
