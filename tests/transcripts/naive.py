"""The naive implementation in the words of the transcripts."""

from typing import Any

from tests.oracle.naive_grouping import Element, Grouping, Groups, Times, shown
from tests.oracle.naive_triggers import Spec
from tests.oracle.naive_windows import MAX, MIN
from tests.transcripts.transcript import Case, element, instance, micros, pane, sources, watermarks
from tidegate.timestamps import microseconds

VALUES = {
    "sum": "total",
    "count": "number",
    "min": "least",
    "max": "most",
    "mean": "average",
}


def _watermark(early: Spec | None = None, late: Spec | None = None, on_time: str = "always") -> Spec:
    return "watermark", early, late, on_time


WORDS: dict[str, Any] = {
    "FixedWindows": lambda size, offset="0s": ("fixed", microseconds(size), microseconds(offset)),
    "SlidingWindows": lambda size, every, offset="0s": (
        "sliding",
        *(microseconds(each) for each in (size, every, offset)),
    ),
    "Sessions": lambda gap: ("sessions", microseconds(gap)),
    "GlobalWindows": lambda: ("global",),
    "CalendarWindows": lambda unit, tz="UTC": ("calendar", unit, tz),
    "AfterWatermark": _watermark,
    "AfterCount": lambda count: ("count", count),
    "AfterProcessingTime": lambda delay: ("delay", microseconds(delay)),
    "AlignedDelay": lambda period: ("aligned", microseconds(period)),
    "Never": lambda: ("never",),
    "Repeatedly": lambda trigger: ("repeat", trigger),
    "AfterAny": lambda *triggers: ("any", *triggers),
    "AfterAll": lambda *triggers: ("all", *triggers),
    "AfterEach": lambda *triggers: ("each", *triggers),
    "OrFinally": lambda trigger, until: ("or_finally", trigger, until),
}
DEFAULT_TRIGGER = "AfterWatermark(late=AfterCount(1))"


def grouping(case: Case) -> Grouping:
    """What a case computes."""
    return Grouping(
        keys=("key",),
        aggregates=(VALUES[case.get("value", "sum")],),
        trigger=instance(case.get("trigger", DEFAULT_TRIGGER), WORDS),
        windows=instance(case["window"], WORDS),
        lateness=microseconds(case.get("lateness", "0s")),
        accumulation=case.get("accumulation", "discarding"),
        timestamp=case.get("timestamp", "end_of_window"),
    )


class Player:
    """Plays a case, one step after the other."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.groups = Groups(grouping(case))
        self.watermarks = dict.fromkeys(sources(case), MIN)
        self.closed = False
        self.now = micros("12:00:00")

    def step(self, step: dict[str, Any]) -> list[str]:
        """One epoch; returns its panes."""
        self.now = micros(step["now"]) if "now" in step else self.now
        before = self.watermark
        for source, moment in watermarks(step, self.case).items():
            self.watermarks[source] = max(moment, self.watermarks[source])
        self.closed = self.closed or step.get("drain") == "true"
        elements = [
            Element({"key": key, "v": value, "at": at}, at)
            for key, value, at in map(element, step.get("add", ()))
        ]
        panes = self.groups.epoch(elements, Times(before, self.watermark, self.now))
        return [self._text(shown(each, self.groups.grouping, self.now)) for each in panes]

    @property
    def watermark(self) -> int:
        """The least of the sources'; the end of time once they are finished."""
        return MAX if self.closed else min(self.watermarks.values())

    def _text(self, row: dict[str, Any]) -> str:
        return pane(row | {"value": row[self.groups.grouping.aggregates[0]]}, self.case)
