"""The engine against the naive implementation, over random pipelines, data and cuts into epochs.

`HYPOTHESIS_EXAMPLES=20000 python -m pytest tests/oracle` soaks.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.oracle.driver import World
from tests.oracle.naive import Naive, Program
from tests.oracle.naive_aggregates import AGGREGATES, Row, comparable
from tests.oracle.naive_triggers import Spec
from tests.oracle.naive_windows import Spec as WindowSpec
from tidegate.accumulation import Accumulation
from tidegate.aggregates import Aggregate
from tidegate.epochs.record import Limits
from tidegate.triggers import Trigger
from tidegate.windows import WindowFn

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "300"))
SECOND = 1_000_000
START = 1_750_000_000 * SECOND

SCHEMA = {
    "k": pl.String,
    "n": pl.Int32,
    "v": pl.Int64,
    "f": pl.Float64,
    "s": pl.String,
    "at": pl.Datetime("us"),
}

ENGINE_AGGREGATES: dict[str, Aggregate] = {
    "number": tg.count(),
    "present": tg.count("v"),
    "total": tg.sum("v"),
    "weight": tg.sum("f"),
    "least": tg.min("v"),
    "most": tg.max("v"),
    "last_name": tg.max("s"),
    "average": tg.mean("v"),
    "double": tg.sum(pl.col("v") * 2),
    "ones": tg.sum(pl.lit(1)),
    "opening": tg.first("v"),
    "closing": tg.last("v"),
    "names": tg.collect("s"),
    "kinds": tg.count_distinct("s"),
    "spread": tg.var("v"),
    "deviation": tg.std("v"),
    "middle": tg.quantile("v", 0.5),
    "best": tg.top(2, by="v", column="s"),
    "some": tg.any(pl.col("v") > 5),
    "every": tg.all(pl.col("v") > 0),
}


@dataclass(frozen=True)
class Cut:
    """How the input is cut into epochs and tasks.

    Attributes:
        arrivals: Groups of files; a group arrives after an epoch.
        nows: Processing time of the epochs.
    """

    arrivals: list[list[list[Row]]]
    nows: list[int]
    limits: Limits


def engine_trigger(spec: Spec) -> Trigger:
    kind, *parts = spec
    if kind == "count":
        return tg.AfterCount(*parts)
    if kind == "repeat":
        return tg.Repeatedly(engine_trigger(parts[0]))
    early, late = (each and engine_trigger(each) for each in parts[:2])
    return tg.AfterWatermark(early=early, late=late)


def engine_windows(spec: WindowSpec) -> WindowFn:
    kind, *settings = spec
    lengths = [f"{each}us" for each in settings]
    if kind == "fixed":
        return tg.FixedWindows(lengths[0], offset=lengths[1])
    if kind == "sliding":
        return tg.SlidingWindows(lengths[0], every=lengths[1], offset=lengths[2])
    return tg.Sessions(*lengths) if kind == "sessions" else tg.GlobalWindows()


def pipeline(
    program: Program, before: Callable[[tg.Stream], tg.Stream] = lambda stream: stream
) -> tg.Pipeline:
    """The engine's pipeline for a program, with steps before its window."""
    events = tg.read_json(
        "events", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay(f"{program.delay}us")
    )
    stream = (
        before(events)
        .window(
            engine_windows(program.windows),
            allowed_lateness=f"{program.lateness}us",
            timestamp=program.timestamp,
        )
        .trigger(engine_trigger(program.trigger), allow_unsafe_trigger=True)
        .accumulate(Accumulation(program.accumulation))
        .group_by(*program.keys)
        .agg(**{name: ENGINE_AGGREGATES[name] for name in program.aggregates})
    )
    return tg.Pipeline("oracle", stream.write_json("panes"))


counts = st.sampled_from([1, 1, 2, 2, 3, 5]).map(lambda number: ("count", number))
triggers = st.recursive(
    counts | st.just(("watermark", None, None)),
    lambda inner: st.one_of(
        inner.map(lambda each: ("repeat", each)),
        st.tuples(st.just("watermark"), st.none() | inner, st.none() | inner),
    ),
    max_leaves=3,
)


aggregates = st.lists(st.sampled_from(list(AGGREGATES)), min_size=1, max_size=5, unique=True)


SIZES = [1, 2, 5, 5, 10, 10, 60]
lengths = st.sampled_from([each * SECOND for each in SIZES])


@st.composite
def windows(draw: st.DrawFn) -> WindowSpec:
    kind = draw(st.sampled_from(["fixed", "fixed", "sliding", "sessions", "sessions", "global"]))
    if kind == "global":
        return ("global",)
    size = draw(lengths)
    if kind == "sessions":
        return kind, size
    period = size if kind == "fixed" else draw(st.sampled_from([SECOND, 2 * SECOND, 3 * SECOND, 7 * SECOND]))
    offset = draw(st.sampled_from([0, 0, SECOND]) | st.integers(0, period - 1)) % period
    return (kind, size, offset) if kind == "fixed" else (kind, size, period, offset)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    return Program(
        keys=draw(st.sampled_from([("k",), ("k",), ("k",), (), (), ("k", "n")])),
        aggregates=tuple(draw(aggregates)),
        trigger=draw(triggers),
        accumulation=draw(st.sampled_from([each.value for each in Accumulation])),
        windows=draw(windows()),
        lateness=draw(st.sampled_from([0, 0, 1, SECOND, 5 * SECOND, 5 * SECOND, 900_000_000 * SECOND])),
        timestamp=draw(st.sampled_from(["end_of_window", "end_of_window", "earliest", "latest"])),
        delay=draw(st.sampled_from([0, 0, 0, 2 * SECOND, 50 * SECOND])),
    )


AHEAD = START + 5 * 86_400 * SECOND


def rows(span: int) -> st.SearchStrategy[Row]:
    """Elements of so many seconds around 1970, where the sign of event times changes.

    Many lie on the very edges of windows; some come from a clock that runs days ahead, some have no time.
    """
    seconds = [second * SECOND for second in range(-span // 4, span)] * 4
    times = [*seconds, *seconds, *(moment - 1 for moment in seconds), 1_234_567, None, AHEAD]
    return st.fixed_dictionaries(
        {
            "k": st.sampled_from(["a", "a", "a", "b", "", None]),
            "n": st.sampled_from([0, -1, None]),
            "v": st.none() | st.integers(-5, 9),
            "f": st.none() | st.integers(-9, 9).map(lambda number: number / 4),
            "s": st.none() | st.sampled_from(["", "ä", "z", "Z"]),
            "at": st.sampled_from(times),
        }
    )


SPANS = [rows(4), rows(15), rows(15), rows(40)]


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    elements = draw(st.sampled_from(SPANS))
    files = st.lists(st.lists(elements, min_size=1, max_size=7) | st.just([]), min_size=1, max_size=3)
    return Cut(
        arrivals=draw(st.lists(st.one_of(files, st.just([]), files), min_size=3, max_size=6)),
        nows=[START + each * SECOND for each in draw(st.lists(st.integers(0, 100), max_size=8))] or [START],
        limits=Limits(
            files=draw(st.integers(1, 4)),
            small=draw(st.sampled_from([0, 0, 200, 1_000_000])),
            tasks=draw(st.integers(1, 4)),
            task_bytes=draw(st.sampled_from([1, 100, 1_000])),
        ),
    )


def order(row: Row) -> tuple[str, ...]:
    names = ("epoch", "op", "window_start", "window_end", "k", "n", "pane_index")
    return tuple(str(row.get(name)) for name in names)


def shown(panes: list[Row]) -> list[Row]:
    return sorted(map(comparable, panes), key=order)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs(), cut=cuts())
def test_the_engine_gives_the_panes_of_the_naive_implementation(program: Program, cut: Cut) -> None:
    naive = Naive(program)
    naive.run(cut.arrivals, cut.nows, cut.limits.files)
    world = World(pipeline(program), cut.limits)

    panes = world.run(cut.arrivals, nows=cut.nows, close=True)

    note(f"{naive.panes=}")
    assert shown(panes) == shown(naive.panes)
    ignored = {"files", "epochs"}
    assert {name: n for name, n in world.totals.items() if n and name not in ignored} == naive.counts
    assert world.watermark == naive.watermark
