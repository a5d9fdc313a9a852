"""Random programs that group their panes again."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.oracle.draws import (
    HOUR,
    LIMITS,
    ONE_CALL,
    ROWS,
    SECOND,
    START,
    ZONES,
    Cut,
    around_the_watermark,
    cases,
    counts,
    programs,
    row,
    steady,
    useful,
)
from tests.oracle.naive import Policy, Program
from tests.oracle.naive_aggregates import AGGREGATES
from tests.oracle.naive_regrouping import Regrouping
from tests.oracle.naive_windows import Spec as WindowSpec

RETRACTING = "accumulating_and_retracting"

WHOLE_NUMBERS = ("total", "number", "most", "least", "present", "double", "kinds", "opening", "closing")
"""Aggregates of the first grouping that the second one may read."""

LINEAR = ("number", "present", "total", "weight", "double", "ones")
"""Aggregates that say what came since the last pane also where more was taken back than inserted."""

AT_ONCE = ("watermark", ("count", 1), ("count", 1), "always")
often = st.one_of(
    st.sampled_from([AT_ONCE, AT_ONCE, ("repeat", ("count", 1)), ("repeat", ("count", 2))]),
    st.tuples(st.just("watermark"), counts, counts, st.sampled_from(["always", "if_new"])),
)
"""Triggers that fire early and late, and so have something to take back."""

mixed = st.one_of(often, often, around_the_watermark(counts), useful)


def length_of(spec: WindowSpec) -> int:
    """How far apart the panes of windows are, about."""
    if spec[0] == "sliding":
        return spec[2]
    if spec[0] == "calendar":
        return {"day": 24, "week": 7 * 24, "month": 30 * 24}[spec[1]] * HOUR
    return SECOND if spec[0] == "global" else spec[1]


@st.composite
def windows(draw: st.DrawFn, first: WindowSpec) -> WindowSpec:
    """Windows of the panes of others, of any kind."""
    unit = max(length_of(first), 2)
    kind = draw(st.sampled_from(["sessions", "fixed", "sliding", "sessions", "fixed", "calendar", "global"]))
    if kind == "global" or (kind == "calendar" and first == ("global",)):
        # The last day of time is no day to begin a calendar with.
        return ("global",)
    if kind == "calendar":
        zone = first[2] if first[0] == "calendar" else draw(st.sampled_from(sorted(ZONES)))
        return kind, draw(st.sampled_from(["day", "week", "month"])), zone
    size = draw(st.sampled_from([2, 1, 3, 5, 10])) * unit
    if kind == "sessions":
        return kind, draw(st.sampled_from([3 * unit // 2, size + 1, size, unit // 2]))
    period = size if kind == "fixed" else draw(st.sampled_from([1, 2, 3])) * unit
    offset = draw(st.sampled_from([0, 0, unit // 2, 1])) % period
    return (kind, size, offset) if kind == "fixed" else (kind, size, period, offset)


@st.composite
def regroupings(draw: st.DrawFn, first: Program) -> Regrouping:
    """How the panes of a program are grouped again."""
    spec, unit = draw(windows(first.windows)), length_of(first.windows)
    taken_back = first.accumulation == RETRACTING
    accumulations = ["accumulating", "discarding"]
    if taken_back and spec[0] == "sessions":
        accumulations = ["accumulating"]
    accumulation = draw(st.sampled_from([RETRACTING, RETRACTING, *accumulations]))
    known = LINEAR if taken_back and accumulation == "discarding" else sorted(AGGREGATES)
    return Regrouping(
        keys=draw(st.sampled_from([(), ("k",), (), ("k",), ("n",), ("k", "n")])),
        aggregates=tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))),
        trigger=draw(mixed),
        accumulation=accumulation,
        windows=spec,
        lateness=draw(st.sampled_from([5 * unit, 20 * unit, 0, 1, unit, 900_000_000 * SECOND])),
        timestamp=draw(st.sampled_from(["end_of_window", "end_of_window", "earliest", "latest"])),
        value=draw(st.sampled_from([each for each in first.aggregates if each in WHOLE_NUMBERS])),
        above=draw(st.sampled_from([None, 0, None, -1])),
        splits=draw(st.booleans()),
    )


@st.composite
def restless(draw: st.DrawFn) -> tuple[Program, Cut]:
    """A program whose panes change often, in epochs of an element or two."""
    unit = draw(st.sampled_from([3, 2, 5])) * SECOND
    spec = draw(st.sampled_from([("sessions", unit), ("fixed", unit, 0), ("sliding", 2 * unit, unit, 0)]))
    program = replace(
        draw(programs()),
        keys=draw(st.sampled_from([("k",), (), ("k", "n")])),
        trigger=draw(often),
        windows=spec,
        timestamp=draw(st.sampled_from(["latest", "end_of_window", "earliest"])),
        lateness=draw(st.sampled_from([100, 100, 2])) * unit,
        policies=(Policy(delay=draw(st.sampled_from([2, 0, 10])) * unit),),
    )
    few = st.lists(ROWS, min_size=1, max_size=3)
    files = draw(st.lists(few, min_size=4, max_size=7))
    pace = draw(st.sampled_from([0, 1, 2]))
    arrivals = [
        [[row(number, place * pace * SECOND, SECOND) for number in numbers]]
        for place, numbers in enumerate(files)
    ]
    steps = draw(st.lists(st.sampled_from([3, 0, 1, 7, 30]), max_size=10))
    nows = [START + sum(steps[:number]) * SECOND for number in range(len(steps) + 1)]
    return program, Cut(arrivals, nows, draw(st.one_of(ONE_CALL, LIMITS)))


@st.composite
def regrouped_cases(draw: st.DrawFn) -> tuple[Program, Cut]:
    """A program with two groupings, whose first one discards or retracts, and what comes."""
    program, cut = draw(st.one_of(restless(), restless(), cases()))
    accumulation = draw(st.sampled_from([RETRACTING, RETRACTING, RETRACTING, "discarding"]))
    aggregates = program.aggregates
    if not set(aggregates) & set(WHOLE_NUMBERS):
        aggregates = (*aggregates, draw(st.sampled_from(["total", "most"])))
    program = replace(program, accumulation=accumulation, aggregates=aggregates)
    program = replace(program, again=draw(regroupings(program)))
    return program, steady(program, cut)
