"""Random programs, elements, and cuts of them into files, epochs and tasks."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.oracle.built import engine_trigger
from tests.oracle.naive import Mark, Policy, Program
from tests.oracle.naive_aggregates import AGGREGATES, Row
from tests.oracle.naive_triggers import Spec
from tests.oracle.naive_windows import MAX
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
        bounded: Behind how many groups the bounded sources of a union are finished, if not with all others.
    """

    arrivals: list[list[list[Row] | Mark]]
    nows: list[int]
    limits: Limits
    second: frozenset[int] = frozenset()
    bounded: int | None = None


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


def delays(unit: int) -> st.SearchStrategy[Policy]:
    """Watermarks by event times, never idle."""
    return st.sampled_from([Policy(delay=each * unit) for each in (2, 0, 10, 20, 50)])


TIMEOUTS = st.sampled_from([each * SECOND for each in (3, 1, 10, 30)])
PRODUCERS = ("web", "app")


@st.composite
def policies(draw: st.DrawFn, unit: int) -> Policy:
    """Where the watermark of a source comes from."""
    policy = draw(delays(unit))
    kind = draw(st.sampled_from(["delay", "delay", "idle", "marks", "marks", "idle marks", "perfect"]))
    if kind == "perfect":
        return Policy("perfect")
    if "marks" in kind:
        policy = Policy("marks", producers=draw(st.sampled_from([(), PRODUCERS, PRODUCERS[:1]])))
    timeout = draw(TIMEOUTS) if "idle" in kind else None
    return replace(policy, timeout=timeout, ordered=draw(st.sampled_from([False, False, False, True])))


def sources(unit: int) -> st.SearchStrategy[tuple[Policy, ...]]:
    """One source or two; half of them as plain as can be."""
    plain, any_ = delays(unit), policies(unit)
    return st.one_of(st.tuples(plain), st.tuples(any_), st.tuples(plain, plain), st.tuples(any_, any_))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """What a pipeline does."""
    spec = draw(windows())
    unit = unit_of(spec)
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
        policies=draw(sources(unit)),
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


def mark(number: int, base: int, unit: int, marked: list[int]) -> Mark:
    """The mark of a number, of one of the sources that have some."""
    drawn = []
    for choices in (range(SPREAD), NUANCES, marked, (*PRODUCERS, *PRODUCERS, "else"), range(20)):
        number, place = divmod(number, len(choices))
        drawn.append(choices[place])
    at, nuance, source, producer, odd = drawn
    moment = {19: None, 18: AHEAD, 17: MAX, 16: MAX}.get(odd, base + at * unit + nuance)
    return Mark(source, producer, moment)


MARKS = st.lists(st.integers(0, SPREAD * len(NUANCES) * 2 * 5 * 20 - 1), max_size=3)


def base_of(program: Program) -> int:
    """About when elements are: where clocks change, or where the watermark of idle sources comes to."""
    if program.windows[0] == "calendar":
        return ZONES[program.windows[2]] * SECOND
    idle = any(each.kind == "delay" and each.timeout is not None for each in program.policies)
    return START - 20 * unit_of(program.windows) if idle else 0


@st.composite
def cuts(draw: st.DrawFn, program: Program) -> Cut:
    """Elements whose time goes on from group to group, so that there are early, on-time and late ones."""
    unit, base = unit_of(program.windows), base_of(program)
    pace = draw(st.sampled_from([3, 0, 1, 6, 12])) * unit
    marked = [number for number, each in enumerate(program.policies) if each.kind == "marks"]
    arrivals: list[list[list[Row] | Mark]] = []
    for group in draw(st.lists(st.one_of(FILES, FILES, FILES, st.just(())), min_size=2, max_size=4)):
        first = base + (len(arrivals) - 2) * pace - 4 * unit
        files: list[list[Row] | Mark] = [
            [row(number, first, unit) for number in numbers] for numbers in group
        ]
        marks = [mark(each, first, unit, marked) for each in draw(MARKS)] if marked else []
        arrivals.append([*marks[1:], *files, *marks[:1]])
    steps = draw(st.lists(st.sampled_from([0, 0, 1, 3, 7, 30, -2]), max_size=10))
    cut = Cut(
        arrivals=arrivals,
        nows=[START + sum(steps[:number]) * SECOND for number in range(len(steps) + 1)],
        limits=draw(LIMITS),
    )
    return draw(of_two(cut, program)) if len(program.policies) > 1 else cut


@st.composite
def of_two(draw: st.DrawFn, cut: Cut, program: Program) -> Cut:
    """Which files are the second source's, and when the bounded ones are finished, which get none then."""
    files = sum(map(len, cut.arrivals))
    # A bit for each file: one number is drawn faster than many.
    bits = draw(st.integers(0, 2**files - 1))
    second = {number for number in range(files) if bits >> number & 1}
    unbounded = [number for number, each in enumerate(program.policies) if each.kind != "perfect"]
    if len(unbounded) == 2 or draw(st.booleans()):
        return replace(cut, second=frozenset(second))
    bounded = draw(st.integers(1, len(cut.arrivals))) if unbounded else len(cut.arrivals)
    behind = set(range(sum(map(len, cut.arrivals[:bounded])), files))
    second = second | behind if unbounded == [1] else second - behind
    return replace(cut, second=frozenset(second), bounded=bounded)


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
        return program, steady(program, draw(cuts(program)))
    gap = 10 * SECOND
    policy = Policy(delay=draw(st.sampled_from([50, 5, 12])) * SECOND)
    program = replace(program, keys=(), windows=("sessions", gap), lateness=20 * gap, policies=(policy,))
    few = st.lists(ROWS, min_size=1, max_size=2)
    files = draw(st.lists(few, min_size=4, max_size=5))
    arrivals = [[[row(number, 0, 5 * SECOND) for number in numbers]] for numbers in files]
    steps = draw(st.lists(st.sampled_from([3, 0, 1, 7, 30]), min_size=5, max_size=8))
    nows = [START + sum(steps[:number]) * SECOND for number in range(len(steps) + 1)]
    return program, Cut(arrivals, nows, draw(ONE_CALL))


def steady(program: Program, cut: Cut) -> Cut:
    """The same with ranges of key groups that stay as they are, if the program's panes come by the clock.

    A segment that is cut keeps the alarm of the whole in each part until that is read, which may be an epoch
    too many: it writes nothing, and takes the moment of the next one.
    """
    again = program.again is not None and _by_clock(program.again.trigger)
    idle = any(each.timeout is not None for each in program.policies)
    by_clock = _by_clock(program.trigger) or again or idle
    if not by_clock or cut.limits.small == Limits().small:
        return cut
    return replace(cut, limits=replace(cut.limits, small=0, tasks=2, task_bytes=1))


def _by_clock(trigger: object) -> bool:
    """Whether a trigger or a part of one fires in processing time."""
    if not isinstance(trigger, tuple):
        return False
    return trigger[0] in ("delay", "aligned") or any(map(_by_clock, trigger))


@st.composite
def permutations(draw: st.DrawFn) -> tuple[Program, Cut]:
    """A program that loses nothing and keeps the whole, and what comes, in any order."""
    program = draw(programs())
    plain = tuple(Policy(delay=each.delay) for each in program.policies)
    program = replace(
        program,
        policies=plain,
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
