"""Programs of the naive implementation as pipelines of the engine."""

from collections.abc import Callable, Sequence

import polars as pl

import tidegate as tg
from tests.oracle.naive import Policy, Program
from tests.oracle.naive_grouping import Grouping
from tests.oracle.naive_regrouping import Regrouping
from tests.oracle.naive_triggers import Spec
from tests.oracle.naive_windows import Spec as WindowSpec
from tidegate.accumulation import Accumulation
from tidegate.aggregates import Aggregate
from tidegate.panes import EVENT_TIME, MOMENT
from tidegate.pipeline import Output
from tidegate.sinks.sink import Sink
from tidegate.triggers import Trigger
from tidegate.windows import WindowFn

SCHEMA = {
    "k": pl.String,
    "n": pl.Int32,
    "v": pl.Int64,
    "f": pl.Float64,
    "s": pl.String,
    "at": pl.Datetime("us"),
}

PREFIXES = ("events", "views")
"""The folders of the first and of the second source."""

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

PARTS: dict[str, Callable[..., Trigger]] = {
    "count": tg.AfterCount,
    "delay": lambda delay: tg.AfterProcessingTime(f"{delay}us"),
    "aligned": lambda period: tg.AlignedDelay(f"{period}us"),
    "never": tg.Never,
    "repeat": tg.Repeatedly,
    "watermark": lambda early, late, on_time="always": tg.AfterWatermark(early, late, on_time=on_time),
    "any": tg.AfterAny,
    "all": tg.AfterAll,
    "each": tg.AfterEach,
    "or_finally": tg.OrFinally,
}


def engine_trigger(spec: Spec) -> Trigger:
    """The engine's trigger of a program's."""
    kind, *parts = spec
    return PARTS[kind](*(engine_trigger(part) if isinstance(part, tuple) else part for part in parts))


def engine_windows(spec: WindowSpec) -> WindowFn:
    """The engine's windows of a program's."""
    kind, *settings = spec
    if kind == "calendar":
        return tg.CalendarWindows(*settings)
    lengths = [f"{each}us" for each in settings]
    if kind == "fixed":
        return tg.FixedWindows(lengths[0], offset=lengths[1])
    if kind == "sliding":
        return tg.SlidingWindows(lengths[0], every=lengths[1], offset=lengths[2])
    return tg.Sessions(*lengths) if kind == "sessions" else tg.GlobalWindows()


def pipeline(
    program: Program,
    before: Callable[[tg.Stream], tg.Stream] = lambda stream: stream,
    after: Callable[[tg.Stream], tg.Stream] = lambda stream: stream,
) -> tg.Pipeline:
    """The engine's pipeline for a program, with steps before its window and behind its panes."""
    stream = grouped(before(sources(program.policies)), program)
    if program.again is not None:
        stream = grouped(between(stream, program, program.again), program.again)
    return tg.Pipeline("oracle", Output(after(stream), PaneSink("json", "panes")))


def grouped(stream: tg.Stream, grouping: Grouping) -> tg.Stream:
    """The panes of a grouping."""
    return (
        stream.window(
            engine_windows(grouping.windows),
            allowed_lateness=f"{grouping.lateness}us",
            timestamp=grouping.timestamp,
        )
        .trigger(engine_trigger(grouping.trigger), allow_unsafe_trigger=True)
        .accumulate(Accumulation(grouping.accumulation))
        .group_by(*grouping.keys)
        .agg(**{name: ENGINE_AGGREGATES[name] for name in grouping.aggregates})
    )


def between(panes: tg.Stream, first: Grouping, again: Regrouping) -> tg.Stream:
    """Panes with the columns that elements have."""
    v = pl.col(again.value).cast(pl.Int64)
    named = pl.col("k") if "k" in first.keys else pl.lit("all")
    number = pl.col("n") if "n" in first.keys else pl.lit(0, pl.Int32)
    number = (v > 2).cast(pl.Int32) if again.splits else number
    text = pl.col("last_name") if "last_name" in first.aggregates else named
    stream = panes.with_columns(k=named, n=number, v=v, f=(v * 3 + 1) / 4, s=text)
    return stream if again.above is None else stream.filter(pl.col("v") > again.above)


def sources(policies: Sequence[Policy]) -> tg.Stream:
    """The events of one source, or of two as one; the second has its columns in another order."""
    schemas = (SCHEMA, dict(reversed(SCHEMA.items())))
    streams = [
        tg.read_json(
            prefix, schema=schema, event_time="at", watermark=engine_policy(policy), ordered=policy.ordered
        )
        for prefix, schema, policy in zip(PREFIXES, schemas, policies, strict=False)
    ]
    return tg.union(*streams) if len(streams) > 1 else streams[0]


def engine_policy(policy: Policy) -> tg.BoundedDelay | tg.Marks | tg.Perfect | tg.Idle:
    """The engine's policy of a program's."""
    if policy.kind == "perfect":
        return tg.Perfect()
    waits: tg.BoundedDelay | tg.Marks = tg.BoundedDelay(f"{policy.delay}us")
    if policy.kind == "marks":
        waits = tg.Marks(policy.producers or None)
    return waits if policy.timeout is None else tg.Idle(waits, timeout=f"{policy.timeout}us")


class PaneSink(Sink):
    """A sink that writes the panes' own event time, too."""

    def encode(self, rows: pl.DataFrame) -> bytes:
        return super().encode(rows.with_columns(pl.col(EVENT_TIME).cast(MOMENT).alias("event_time")))
