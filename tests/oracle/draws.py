"""Random programs, elements, and cuts of them into files, epochs and tasks."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.oracle.built import engine_trigger
from tests.oracle.naive import Program
from tests.oracle.naive_aggregates import AGGREGATES, Row
from tests.oracle.naive_triggers import Spec
from tests.oracle.naive_windows import Spec as WindowSpec
from tidegate.accumulation import ACCUMULATING_AND_RETRACTING as RETRACTING
from tidegate.accumulation import Accumulation
from tidegate.epochs.layout import Limits
from tidegate.errors import PipelineError

SECOND = 1_000_000
HOUR = 3_600 * SECOND
START = 1_750_000_000 * SECOND
AHEAD = START + 5 * 24 * HOUR

ZONES = {
    "UTC": 0,
    "Europe/Berlin": 1_729_900_800,
    "America/New_York": 1_741_392_000,
    "Asia/Beirut": 1_743_206_400,
    "America/Havana": 1_730_505_600,
    "Pacific/Apia": 1_325_116_800,
}
"""Time zones, each with a moment near which its clocks change.

At 3 in the morning back, at 2 forward, at midnight, to midnight, and by a whole day.
"""


@dataclass(frozen=True)
class Cut:
    """How the input is cut into epochs and tasks.

    Attributes:
        arrivals: Groups of files; a group arrives after an epoch.
        nows: Processing time of the epochs.
        second: The numbers of the files that are the second source's.
    """

    arrivals: list[list[list[Row]]]
    nows: list[int]
    limits: Limits
    second: frozenset[int] = frozenset()


def buildable(spec: Spec) -> bool:
    """Whether the engine takes a trigger: one that never has its turn is refused at all times."""
    try:
        engine_trigger(spec)
    except PipelineError:
        return False
    return True


moments = st.sampled_from([each * SECOND for each in (0, 1, 3, 10, 10, 60)])
counts = st.sampled_from([("count", number) for number in (1, 1, 2, 2, 3, 5)])
leaves = st.one_of(
    counts,
    moments.map(lambda delay: ("delay", delay)),
    st.sampled_from([("aligned", each * SECOND) for each in (1, 7, 10, 60)]),
    st.sampled_from([("watermark", None, None, "always"), ("watermark", None, None, "if_new"), ("never",)]),
)


def around_the_watermark(inner: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    part = st.one_of(st.none(), inner, inner)
    return st.tuples(st.just("watermark"), part, part, st.sampled_from(["always", "always", "if_new"]))


triggers = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda each: ("repeat", each)),
        around_the_watermark(inner),
        st.tuples(st.sampled_from(["any", "all", "each", "or_finally"]), inner, inner),
    ),
    max_leaves=4,
)
knots = st.one_of(counts, counts.map(lambda each: ("repeat", each)), leaves, around_the_watermark(counts))
composites = st.tuples(st.sampled_from(["each", "or_finally", "all", "any"]), knots, knots)
lasting = st.one_of(
    composites.map(lambda each: ("repeat", each)),
    triggers.map(lambda each: ("repeat", each)),
    around_the_watermark(triggers).filter(lambda spec: spec[2] is not None),
    around_the_watermark(counts).filter(lambda spec: spec[2] is not None),
).filter(buildable)
"""They never close a window."""

useful = st.one_of(lasting, composites, around_the_watermark(triggers), triggers).filter(buildable)
"""Most of them go on firing; some close their windows, or never fire."""


@st.composite
def windows(draw: st.DrawFn) -> WindowSpec:
    """Windows of some seconds, or of the calendar."""
    kind = draw(st.sampled_from(["fixed", "sliding", "sessions", "sessions", "global", "calendar"]))
    if kind == "global":
        return ("global",)
    if kind == "calendar":
        unit = st.sampled_from(["day", "week", "month"])
        return kind, draw(unit), draw(st.sampled_from(sorted(ZONES)))
    size = draw(st.sampled_from([2, 1, 3, 5, 5, 10, 60])) * SECOND
    if kind == "sessions":
        return kind, size
    period = size if kind == "fixed" else draw(st.sampled_from([1, 2, 3, 7])) * SECOND
    offset = draw(st.sampled_from([0, 0, SECOND]) | st.integers(0, period - 1)) % period
    return (kind, size, offset) if kind == "fixed" else (kind, size, period, offset)


def unit_of(spec: WindowSpec) -> int:
    """How far apart elements are, so that windows have some and sessions end now and then."""
    if spec[0] == "calendar":
        return 11 * HOUR
    return spec[1] // 2 if spec[0] == "sessions" else SECOND


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """What a pipeline does."""
    spec = draw(windows())
    unit = unit_of(spec)
    delay = st.sampled_from([2 * unit, 0, 10 * unit, 20 * unit, 50 * unit])
    return Program(
        keys=draw(st.sampled_from([("k",), ("k",), ("k",), (), (), ("k", "n")])),
        aggregates=tuple(
            draw(st.lists(st.sampled_from(sorted(AGGREGATES)), min_size=1, max_size=4, unique=True))
        ),
        trigger=draw(useful),
        accumulation=draw(st.sampled_from([each.value for each in (*Accumulation, RETRACTING)])),
        windows=spec,
        lateness=draw(st.sampled_from([5 * unit, 20 * unit, 0, 1, unit, 20 * unit, 900_000_000 * SECOND])),
        timestamp=draw(st.sampled_from(["end_of_window", "end_of_window", "earliest", "latest"])),
        delays=draw(st.one_of(st.tuples(delay), st.tuples(delay), st.tuples(delay, delay))),
    )


VALUES = [None, *range(-5, 10)]
TEXTS = [None, "", "ä", "z", "Z"]
KEYS = ["a", "a", "a", "a", "b", "", None]
NUMBERS = [0, -1, None]
NUANCES = [0, 0, 0, 0, 0, 0, -1, -1, 234_567]
"""Microseconds beside the edge of a window."""
SPREAD = 16


def row(number: int, base: int, unit: int) -> Row:
    """The element of a number, up to `SPREAD` units after a moment.

    One number is drawn for each, not one for each of its columns: that is most of the time of a test.
    """
    drawn = []
    for choices in (range(SPREAD), NUANCES, KEYS, VALUES, TEXTS, NUMBERS, range(40)):
        number, place = divmod(number, len(choices))
        drawn.append(choices[place])
    at, nuance, key, value, text, small, odd = drawn
    moment = {39: None, 38: AHEAD}.get(odd, base + at * unit + nuance)
    return {"k": key, "n": small, "v": value, "f": value and (value * 3 + 1) / 4, "s": text, "at": moment}


ROWS = st.integers(0, SPREAD * len(NUANCES) * len(KEYS) * len(VALUES) * len(TEXTS) * len(NUMBERS) * 40 - 1)
FILES = st.sampled_from([[6], [3], [4], [9], [2, 5], [1, 1], [1, 2, 6]]).flatmap(
    lambda sizes: st.tuples(*(st.lists(ROWS, min_size=size, max_size=size) for size in sizes))
)


@st.composite
def cuts(draw: st.DrawFn, program: Program) -> Cut:
    """Elements whose time goes on from group to group, so that there are early, on-time and late ones."""
    unit = unit_of(program.windows)
    base = ZONES[program.windows[2]] * SECOND if program.windows[0] == "calendar" else 0
    pace = draw(st.sampled_from([3, 0, 1, 6, 12])) * unit
    arrivals: list[list[list[Row]]] = []
    for group in draw(st.lists(st.one_of(FILES, FILES, FILES, st.just(())), min_size=2, max_size=4)):
        first = base + (len(arrivals) - 2) * pace - 4 * unit
        arrivals.append([[row(number, first, unit) for number in numbers] for numbers in group])
    files = sum(map(len, arrivals))
    # A bit for each file: one number is drawn faster than many.
    second = draw(st.integers(0, 2**files - 1)) if len(program.delays) > 1 else 0
    steps = draw(st.lists(st.sampled_from([0, 0, 1, 3, 7, 30, -2]), max_size=10))
    return Cut(
        arrivals=arrivals,
        nows=[START + sum(steps[:number]) * SECOND for number in range(len(steps) + 1)],
        limits=draw(LIMITS),
        second=frozenset(number for number in range(files) if second >> number & 1),
    )


FAN_OUT = st.builds(
    Limits,
    files=st.sampled_from([100, 2, 1]),
    small=st.sampled_from([0, 200]),
    tasks=st.integers(1, 4),
    task_bytes=st.sampled_from([1, 100, 1_000]),
)
ONE_CALL = st.builds(Limits, files=st.sampled_from([100, 2, 1]))
LIMITS = st.one_of(ONE_CALL, ONE_CALL, ONE_CALL, FAN_OUT)
"""Mostly one task does all of an epoch, for the sake of time."""


@st.composite
def cases(draw: st.DrawFn) -> tuple[Program, Cut]:
    """A program and what comes; now and then sessions of one key, which meet with all that they know."""
    program = draw(programs())
    if draw(st.integers(0, 3)):
        return program, draw(cuts(program))
    gap = 10 * SECOND
    delay = draw(st.sampled_from([50, 5, 12])) * SECOND
    program = replace(program, keys=(), windows=("sessions", gap), lateness=20 * gap, delays=(delay,))
    few = st.lists(ROWS, min_size=1, max_size=2)
    files = draw(st.lists(few, min_size=4, max_size=5))
    arrivals = [[[row(number, 0, 5 * SECOND) for number in numbers]] for numbers in files]
    steps = draw(st.lists(st.sampled_from([3, 0, 1, 7, 30]), min_size=5, max_size=8))
    nows = [START + sum(steps[:number]) * SECOND for number in range(len(steps) + 1)]
    return program, Cut(arrivals, nows, draw(ONE_CALL))


@st.composite
def permutations(draw: st.DrawFn) -> tuple[Program, Cut]:
    """A program that loses nothing and keeps the whole, and what comes, in any order."""
    program = replace(
        draw(programs()),
        lateness=900_000_000 * SECOND,
        trigger=draw(lasting),
        accumulation=draw(st.sampled_from(["accumulating", "accumulating_and_retracting"])),
    )
    cut = draw(cuts(program))
    rows = draw(st.permutations([row for group in cut.arrivals for file in group for row in file]))
    arrivals: list[list[list[Row]]] = []
    while rows:
        size = draw(st.integers(1, 8))
        arrivals, rows = [*arrivals, [rows[:size]]], rows[size:]
    return program, replace(cut, arrivals=arrivals)
