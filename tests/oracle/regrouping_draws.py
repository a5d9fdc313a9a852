"""Random programs that group their panes again."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.oracle.draws import HOUR, SECOND, ZONES, Cut, cases, steady, useful
from tests.oracle.naive import Program
from tests.oracle.naive_aggregates import AGGREGATES
from tests.oracle.naive_regrouping import Regrouping
from tests.oracle.naive_windows import Spec as WindowSpec

WHOLE_NUMBERS = ("total", "number", "most", "least", "present", "double", "kinds", "opening", "closing")
"""Aggregates of the first grouping that the second one may read."""

LINEAR = ("number", "present", "total", "weight", "double", "ones")
"""Aggregates that say what came since the last pane also where more was taken back than inserted."""

MERGES_BEHIND_RETRACTIONS = False


def length_of(spec: WindowSpec) -> int:
    """How far apart the panes of windows are, about."""
    if spec[0] == "sliding":
        return spec[2]
    if spec[0] == "calendar":
        return {"day": 24, "week": 7 * 24, "month": 30 * 24}[spec[1]] * HOUR
    return SECOND if spec[0] == "global" else spec[1]


@st.composite
def windows(draw: st.DrawFn, first: WindowSpec, kinds: tuple[str, ...]) -> WindowSpec:
    """Windows of the panes of others."""
    unit = max(length_of(first), 2)
    kind = draw(st.sampled_from(kinds))
    if kind == "global":
        return ("global",)
    if kind == "calendar":
        zone = first[2] if first[0] == "calendar" else draw(st.sampled_from(sorted(ZONES)))
        return kind, draw(st.sampled_from(["day", "week", "month"])), zone
    size = draw(st.sampled_from([2, 1, 3, 5, 10])) * unit
    if kind == "sessions":
        return kind, draw(st.sampled_from([size, size + 1, unit // 2, 3 * unit // 2]))
    period = size if kind == "fixed" else draw(st.sampled_from([1, 2, 3])) * unit
    offset = draw(st.sampled_from([0, 0, unit // 2, 1])) % period
    return (kind, size, offset) if kind == "fixed" else (kind, size, period, offset)


@st.composite
def regroupings(draw: st.DrawFn, first: Program, values: list[str]) -> Regrouping:
    """How the panes of a program are grouped again."""
    retracting = first.accumulation == "accumulating_and_retracting"
    kinds: tuple[str, ...] = ("fixed", "fixed", "sliding", "global", "calendar", "sessions", "sessions")
    if retracting and not MERGES_BEHIND_RETRACTIONS:
        kinds = kinds[:-2]
    spec = draw(windows(first.windows, kinds))
    accumulation = draw(
        st.sampled_from(
            ["accumulating_and_retracting", "accumulating_and_retracting", "accumulating", "discarding"]
        )
    )
    if retracting and spec[0] == "sessions" and accumulation == "discarding":
        accumulation = "accumulating"
    known = LINEAR if retracting and accumulation == "discarding" else sorted(AGGREGATES)
    unit = length_of(first.windows)
    return Regrouping(
        keys=draw(st.sampled_from([("k",), ("k",), (), ("n",), ("k", "n")])),
        aggregates=tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))),
        trigger=draw(useful),
        accumulation=accumulation,
        windows=spec,
        lateness=draw(st.sampled_from([5 * unit, 20 * unit, 0, 1, unit, 900_000_000 * SECOND])),
        timestamp=draw(st.sampled_from(["end_of_window", "end_of_window", "earliest", "latest"])),
        value=draw(st.sampled_from(values)),
        above=draw(st.sampled_from([None, None, 0, 2])),
        splits=draw(st.booleans()),
    )


@st.composite
def regrouped_cases(draw: st.DrawFn) -> tuple[Program, Cut]:
    """A program with two groupings, whose first one discards or retracts, and what comes."""
    program, cut = draw(cases())
    accumulation = draw(
        st.sampled_from(["accumulating_and_retracting", "accumulating_and_retracting", "discarding"])
    )
    aggregates = program.aggregates
    values = [each for each in aggregates if each in WHOLE_NUMBERS]
    if not values:
        values, aggregates = ["total"], (*aggregates, "total")
    program = replace(program, accumulation=accumulation, aggregates=aggregates)
    program = replace(program, again=draw(regroupings(program, values)))
    return program, steady(program, cut)
