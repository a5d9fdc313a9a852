"""A figure of what a pipeline does, as in the Dataflow Model paper (VLDB 2015, section 2.4).

Event time goes across, processing time up. An element is a circle where it happened and came; a pane is a box
over its window, from what its window emitted before up to its emission; the watermark is a line, and dotted
the ideal one, of a world where everything is known at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any
from xml.etree import ElementTree

from tidegate.testing.test_stream import Build, Pane, Panes, TestStream

Span = tuple[datetime, datetime]

_MINUTE = timedelta(minutes=1)
_ACROSS, _UP = 84.0, 96.0
"""Pixels a minute of event time, and of processing time."""

_LEFT, _TOP, _RIGHT, _BOTTOM = 92.0, 58.0, 28.0, 104.0
_RADIUS = 12.0

_INK, _GRID, _RETRACTED = "#1f2933", "#dfe4ea", "#b42318"
_WATERMARK, _IDEAL = "#0b6e4f", "#7b8794"
_FILLS = {"early": "#dbe9f9", "on_time": "#d8f0dd", "late": "#ffe3c2"}
_TAKEN_BACK = {"stroke": _RETRACTED, "stroke-dasharray": "4 3", "stroke-width": "1.5"}
_BOLD = {"font-weight": "bold"}
_NAMES = {"early": "early pane", "on_time": "on-time pane", "late": "late pane"}


@dataclass(frozen=True)
class Point:
    """An element of a figure: what is written in its circle, when it happened and when it came."""

    value: int
    event_time: datetime
    arrived_at: datetime


@dataclass(frozen=True)
class Level:
    """A move of the watermark: where to, in event time, and when, in processing time."""

    watermark: datetime
    reached_at: datetime


@dataclass(frozen=True)
class Axes:
    """What a figure shows of event time and of processing time."""

    event_time: Span
    processing_time: Span

    @property
    def width(self) -> float:
        """Of the whole picture, in pixels."""
        return self.x(self.event_time[1]) + _RIGHT

    @property
    def height(self) -> float:
        """Of the whole picture, in pixels."""
        return self.y(self.processing_time[0]) + _BOTTOM

    def x(self, event_time: datetime) -> float:
        """Where a moment of event time is, pixels from the left; what is outside is at the edge."""
        inside = min(max(event_time, self.event_time[0]), self.event_time[1])
        return _LEFT + (inside - self.event_time[0]) / _MINUTE * _ACROSS

    def y(self, processing_time: datetime) -> float:
        """Where a moment of processing time is, pixels from the top; what is outside is at the edge."""
        inside = min(max(processing_time, self.processing_time[0]), self.processing_time[1])
        return _TOP + (self.processing_time[1] - inside) / _MINUTE * _UP


@dataclass(frozen=True)
class Figure:
    """A test stream, what a piece of pipeline makes of it, and how that is drawn.

    Attributes:
        title: Above the picture.
        axes: What it shows.
        points: The script's elements.
        levels: The script's moves of the watermark, as far as they are to be shown.
        script: What happens.
        build: The piece of pipeline.
        value: The column of the panes that is written into their boxes.

    Example:
        >>> figure.svg()[:4]  # doctest: +SKIP
        '<svg'
    """

    title: str
    axes: Axes
    points: Sequence[Point]
    levels: Sequence[Level]
    script: TestStream
    build: Build
    value: str

    def panes(self) -> Panes:
        """What the piece of pipeline makes of the script."""
        return self.script.run(self.build)

    def svg(self) -> str:
        """The picture as SVG; the same figure always gives the same text."""
        return _Picture(self).text()


@dataclass(frozen=True)
class _Box:
    """Where a pane is drawn, in pixels, with the panes that are taken back for it."""

    pane: Pane
    retracted: tuple[Pane, ...]
    left: float
    right: float
    top: float
    bottom: float


class _Picture:
    """A figure that is being drawn, from the back to the front."""

    def __init__(self, figure: Figure) -> None:
        self._figure, self._axes = figure, figure.axes
        size = {"width": f"{self._axes.width:g}", "height": f"{self._axes.height:g}"}
        view = f"0 0 {self._axes.width:g} {self._axes.height:g}"
        self._svg = ElementTree.Element(
            "svg",
            {"xmlns": "http://www.w3.org/2000/svg", "viewBox": view, "font-family": "sans-serif", **size},
        )
        self._labels: list[ElementTree.Element] = []
        self._left, self._right = (self._axes.x(each) for each in self._axes.event_time)
        self._bottom, self._top = (self._axes.y(each) for each in self._axes.processing_time)

    def text(self) -> str:
        """The picture as SVG."""
        self._rectangle(0, 0, self._axes.width, self._axes.height, fill="white")
        self._scales()
        boxes = list(self._boxes())
        taken_back = [_identity(pane) for box in boxes for pane in box.retracted]
        for box in boxes:
            self._pane(box, taken_back=_identity(box.pane) in taken_back)
        self._watermark()
        for point in self._figure.points:
            self._point(point)
        for box in boxes:
            self._label(box)
        self._legend({box.pane.timing for box in boxes}, bool(taken_back))
        ElementTree.indent(self._svg)
        for part in self._svg.iter("tspan"):
            # White space between the parts of a label would be drawn.
            part.tail = None
        for label in self._labels:
            label.text = None
        return ElementTree.tostring(self._svg, encoding="unicode") + "\n"

    def _scales(self) -> None:
        axes = self._axes
        self._write(self._left, 30, self._figure.title, size=17, anchor="start", **_BOLD)
        for moment in _minutes(axes.event_time):
            x = axes.x(moment)
            self._line([(x, self._top), (x, self._bottom)], _GRID)
            self._write(x, self._bottom + 20, f"{moment:%H:%M}", size=13)
        for moment in _minutes(axes.processing_time):
            y = axes.y(moment)
            self._line([(self._left, y), (self._right, y)], _GRID)
            self._write(self._left - 8, y + 4, f"{moment:%H:%M}", size=13, anchor="end")
        corner = self._left, self._bottom
        self._line([(self._left, self._top), corner, (self._right, self._bottom)], _INK, 1.5)
        self._write((self._left + self._right) / 2, self._bottom + 42, "event time", size=15)
        middle = (self._top + self._bottom) / 2
        self._write(24, middle, "processing time", size=15, transform=f"rotate(-90 24 {middle:g})")

    def _boxes(self) -> Iterator[_Box]:
        """The panes that are given, each with those that are taken back for it."""
        drawn: list[_Box] = []
        for _, together in groupby(self._figure.panes(), key=lambda pane: pane.step):
            panes = list(together)
            for pane in panes:
                if pane.op == "retract":
                    continue
                left, right = self._across(pane)
                taken = [each for each in panes if each.op == "retract"]
                taken = [each for each in taken if _overlap(self._across(each), (left, right))]
                before = [box.top for box in drawn if _overlap((box.left, box.right), (left, right))]
                came = [self._axes.y(each.arrived_at) for each in self._figure.points if _holds(pane, each)]
                bottom, top = min(before) if before else max(came), self._axes.y(pane.emitted_at)
                drawn.append(_Box(pane, tuple(taken), left, right, top, bottom))
        yield from drawn

    def _across(self, pane: Pane) -> tuple[float, float]:
        start, end = pane.window
        return self._axes.x(start or self._axes.event_time[0]), self._axes.x(end or self._axes.event_time[1])

    def _pane(self, box: _Box, *, taken_back: bool) -> None:
        width, height = box.right - box.left, box.bottom - box.top
        style = {"fill": _FILLS[box.pane.timing], "stroke": "#9aa5b1", **(_TAKEN_BACK if taken_back else {})}
        self._rectangle(box.left, box.top, width, height, opacity="0.85", **style)
        self._line([(box.left, box.top), (box.right, box.top)], _INK, 3)

    def _watermark(self) -> None:
        axes = self._axes
        self._line(
            [(axes.x(each), axes.y(each)) for each in (axes.processing_time[0], axes.event_time[1])],
            _IDEAL,
            1.5,
            dashes="2 5",
        )
        self._line(self._path(), _WATERMARK, 3, dashes="9 5")

    def _path(self) -> list[tuple[float, float]]:
        """The corners of the watermark's line: it stays, and moves at once."""
        if not self._figure.levels:
            return []
        path, x = [(self._left, self._bottom)], self._left
        for level in self._figure.levels:
            y = self._axes.y(level.reached_at)
            path += [(x, y), (self._axes.x(level.watermark), y)]
            x = self._axes.x(level.watermark)
        return [*path, (x, self._top)]

    def _point(self, point: Point) -> None:
        reached = [each.watermark for each in self._figure.levels if each.reached_at <= point.arrived_at]
        x, y = self._axes.x(point.event_time), self._axes.y(point.arrived_at)
        fill = _FILLS["late"] if point.event_time < max(reached, default=point.event_time) else "white"
        circle = {"cx": f"{x:g}", "cy": f"{y:g}", "r": f"{_RADIUS:g}", "fill": fill, "stroke": _INK}
        ElementTree.SubElement(self._svg, "circle", {**circle, "stroke-width": "1.5"})
        self._write(x, y + 5, str(point.value), size=14)

    def _label(self, box: _Box) -> None:
        """What a pane says: what it takes back, and its value."""
        parts = [(f"\u2212{pane.values[self._figure.value]}", _RETRACTED) for pane in box.retracted]
        value = box.pane.values[self._figure.value]
        parts.append((f"+{value}" if parts else f"{value}", _INK))
        width = 15.5 * sum(len(text) for text, _ in parts) + 7 * (len(parts) - 1)
        x, y = self._place(box, width)
        halo = {"stroke": "white", "stroke-width": "4", "paint-order": "stroke"}
        element = self._write(x, y + 7, "", size=20, **_BOLD, **halo)
        self._labels.append(element)
        for number, (text, colour) in enumerate(parts):
            gap = {"dx": "7"} if number else {}
            ElementTree.SubElement(element, "tspan", {"fill": colour, **gap}).text = text

    def _place(self, box: _Box, width: float) -> tuple[float, float]:
        """The middle of a label, as high in its box as it can be with little in its way."""
        least, most = box.left + width / 2 + 4, box.right - width / 2 - 4
        middle = (box.left + box.right) / 2
        across = [middle, *(box.left + part * (box.right - box.left) for part in (0.35, 0.65, 0.2, 0.8))]
        places = [
            (min(max(x, least), max(most, middle)), box.top + down)
            for down in (17, 35, 53)
            if down == 17 or box.top + down < box.bottom - 12
            for x in across
        ]
        return min(places, key=lambda place: self._in_the_way(place, width))

    def _in_the_way(self, place: tuple[float, float], width: float) -> int:
        """How many circles and pieces of the watermark's line a label would cover."""
        x, y = place
        half, high = width / 2, 10.0
        covered = 0
        for point in self._figure.points:
            beside = abs(x - self._axes.x(point.event_time)) >= half + _RADIUS
            covered += not beside and abs(y - self._axes.y(point.arrived_at)) < high + _RADIUS
        for (x0, y0), (x1, y1) in pairwise(self._path()):
            beside = max(x0, x1) < x - half or min(x0, x1) > x + half
            covered += not beside and min(y0, y1) <= y + high and max(y0, y1) >= y - high
        return covered

    def _legend(self, timings: set[str], retracted: bool) -> None:
        x, y = self._left, self._bottom + 78
        for timing, fill in _FILLS.items():
            if timing in timings:
                self._rectangle(x, y - 12, 22, 15, fill=fill, stroke="#9aa5b1")
                self._line([(x, y - 12), (x + 22, y - 12)], _INK, 3)
                x = self._named(x + 29, y, _NAMES[timing])
        if retracted:
            self._rectangle(x, y - 12, 22, 15, fill="white", **_TAKEN_BACK)
            x = self._named(x + 29, y, "taken back later")
        if self._figure.levels:
            self._line([(x, y - 5), (x + 34, y - 5)], _WATERMARK, 3, dashes="9 5")
            x = self._named(x + 41, y, "watermark")
        self._line([(x, y - 5), (x + 34, y - 5)], _IDEAL, 1.5, dashes="2 5")
        self._named(x + 41, y, "ideal watermark")

    def _named(self, x: float, y: float, name: str) -> float:
        """A name in the legend; returns where the next entry begins."""
        self._write(x, y, name, size=12, anchor="start")
        return x + 6.7 * len(name) + 14

    def _write(
        self, x: float, y: float, text: str, *, size: int, anchor: str = "middle", **style: str
    ) -> ElementTree.Element:
        place = {"x": f"{x:g}", "y": f"{y:g}", "font-size": str(size), "text-anchor": anchor}
        element = ElementTree.SubElement(self._svg, "text", {"fill": _INK, **place, **style})
        element.text = text
        return element

    def _rectangle(self, x: float, y: float, width: float, height: float, **style: str) -> None:
        place = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}"}
        ElementTree.SubElement(self._svg, "rect", {**place, **style})

    def _line(
        self, places: Sequence[tuple[float, float]], colour: str, width: float = 1, dashes: str = ""
    ) -> None:
        attributes = {
            "points": " ".join(f"{x:g},{y:g}" for x, y in places),
            "fill": "none",
            "stroke": colour,
            "stroke-width": f"{width:g}",
        }
        if dashes:
            attributes["stroke-dasharray"] = dashes
        ElementTree.SubElement(self._svg, "polyline", attributes)


def _minutes(span: Span) -> Iterator[datetime]:
    """The full minutes of a span, both ends included."""
    moment = span[0].replace(second=0, microsecond=0)
    while moment <= span[1]:
        if moment >= span[0]:
            yield moment
        moment += _MINUTE


def _identity(pane: Pane) -> tuple[Any, ...]:
    """What a pane and the one that takes it back have in common."""
    return pane.key, pane.window, pane.index, pane.timing


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def _holds(pane: Pane, point: Point) -> bool:
    """Whether a point is in a pane's window, and came before the pane."""
    start, end = pane.window
    inside = (start is None or start <= point.event_time) and (end is None or point.event_time < end)
    return inside and point.arrived_at <= pane.emitted_at
