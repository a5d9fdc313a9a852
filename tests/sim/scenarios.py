"""What a seed deploys and uploads: a random pipeline of what exists, random data, random settings."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import yaml

import tidegate as tg
from tests.oracle.built import PREFIXES, engine_trigger, engine_windows, pipeline, sources
from tests.oracle.draws import buildable
from tests.oracle.naive import Policy, Program
from tests.oracle.naive_aggregates import AGGREGATES
from tests.oracle.naive_triggers import Spec
from tests.oracle.naive_windows import Spec as WindowSpec
from tidegate.accumulation import Accumulation
from tidegate.epochs.layout import Limits
from tidegate.limits import ATTACHED_BYTES, INLINE_TASKS, SPLIT_BYTES
from tidegate.pipeline import Stream
from tidegate.plan import Plan, compile_plan
from tidegate.testing.simulation.cloud import Settings
from tidegate.testing.simulation.faults import HOUR, MINUTE
from tidegate.testing.simulation.scheduler import SECOND
from tidegate.testing.simulation.simulation import START, Scenario, Upload

ROOT = Path(__file__).parents[2]
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "epoch.asl.yaml").read_text())
SIZES = (2, 5, 10, 60)
DELAYS = (0, 0, 2 * SECOND, 50 * SECOND)
LATENESS = (0, 1, 5 * SECOND, 20 * HOUR)
UNITED = 0.25
"""How many of all seeds have a second source."""
STATED = 0.1
"""How many of all seeds that group have other watermarks than those of event times."""
REPLAYED = 0.2
"""How many of all seeds have a pipeline that somebody replays."""
PRODUCERS = ("app", "web")
FLUSH_AT = START + 20 * HOUR
"""The last event times lie behind it: behind all others and their lateness, and not too far ahead."""


@dataclass(frozen=True)
class Case:
    """What a seed is about.

    Attributes:
        program: What the pipeline does, in the words of the naive implementation; None if it groups nothing.
        regrouped: The windows by which the panes of the program are grouped again; None if they are not.
        scenario: What is deployed and what arrives.
        changed: What may take the place of the program with a replay: a program that reads the same files.
    """

    program: Program | None
    scenario: Scenario
    regrouped: WindowSpec | None = None
    changed: Program | None = None


def draw_program(chance: Random) -> Program:
    """A pipeline: windows, trigger, accumulation, aggregates."""
    names = chance.sample(sorted(AGGREGATES), chance.randint(1, 3))
    return Program(
        keys=chance.choice((("k",), ("k",), (), ("k", "n"))),
        aggregates=tuple(dict.fromkeys(("number", *names))),
        trigger=draw_trigger(chance, 2),
        accumulation=chance.choice(tuple(Accumulation)).value,
        windows=draw_windows(chance),
        lateness=chance.choice(LATENESS),
        timestamp=chance.choice(("end_of_window", "earliest", "latest")),
        policies=(Policy(delay=chance.choice(DELAYS)),),
    )


def draw_windows(chance: Random) -> WindowSpec:
    """Windows of some seconds, mostly."""
    kind = chance.choice(("fixed", "fixed", "sliding", "sessions", "sessions", "global", "calendar"))
    size = chance.choice(SIZES) * SECOND
    if kind == "fixed":
        return kind, size, chance.choice((0, SECOND)) % size
    if kind == "sliding":
        return kind, size, chance.choice((2, 3, 7, 60)) * SECOND, chance.choice((0, SECOND))
    if kind == "calendar":
        return kind, chance.choice(("day", "week", "month")), chance.choice(("UTC", "America/New_York"))
    return (kind, size) if kind == "sessions" else (kind,)


def draw_trigger(chance: Random, depth: int) -> Spec:
    """A trigger that can be built, nested at most so deep."""
    while not buildable(spec := _draw_trigger(chance, depth)):
        pass
    return spec


def _draw_trigger(chance: Random, depth: int) -> Spec:
    leaves, knots = (
        ("count", "count", "delay", "aligned"),
        ("repeat", "repeat", "any", "all", "each", "or_finally"),
    )
    kind = chance.choice(("watermark", "watermark", *knots, *leaves) if depth else leaves)
    if kind == "count":
        return (kind, chance.choice((1, 1, 2, 3)))
    if kind in ("delay", "aligned"):
        return (kind, chance.choice((1, 10, 60, 600)) * SECOND)
    if kind == "repeat":
        return (kind, _draw_trigger(chance, depth - 1))
    if kind == "watermark":
        early, late = (_draw_trigger(chance, depth - 1) if chance.random() < 0.7 else None for _ in range(2))
        return (kind, early, late, chance.choice(("always", "always", "if_new")))
    return (kind, _draw_trigger(chance, depth - 1), _draw_trigger(chance, depth - 1))


def draw_row(chance: Random, moment: int) -> dict[str, Any]:
    """An element at about this moment; some have no usable time."""
    at: int | None = moment + chance.randrange(-30, 30) * SECOND + chance.choice((0, 0, -1))
    if chance.random() < 0.05:
        at = chance.choice((None, START + 10 * 24 * HOUR))
    return {
        "k": chance.choice(("a", "a", "b", "", None)),
        "n": chance.choice((0, -1, None)),
        "v": chance.choice((None, *range(-5, 9))),
        "f": chance.choice((None, 0.25, -1.5, 3.0)),
        "s": chance.choice((None, "", "ä", "z")),
        "at": at,
    }


def encode(rows: list[dict[str, Any]]) -> bytes:
    """Rows as lines of JSON."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def draw_uploads(chance: Random) -> list[Upload]:
    """Files over some minutes or hours; a name may come twice, with other content."""
    uploads: list[Upload] = []
    moment = START - HOUR
    gaps = chance.choice(
        (
            (0, chance.randrange(SECOND), 2 * SECOND, 9 * SECOND),
            (SECOND, 20 * SECOND, 2 * MINUTE, 30 * MINUTE),
        )
    )
    files = chance.randint(2, 7)
    for number in range(files):
        moment += chance.choice((0, SECOND, 20 * SECOND, 5 * MINUTE))
        rows = [draw_row(chance, moment) for _ in range(chance.choice((0, 1, 3, 6)))]
        key = f"events/{chance.choice((number, number, 0)):03d}.json"
        # Some come in the moment in which the coordinator looks for the last time; most of all the last one,
        # for after it nobody wakes.
        behind_commit = number > 0 and chance.random() < (0.6 if number == files - 1 else 0.1)
        after = chance.randrange(SECOND // 8) if behind_commit else chance.choice(gaps)
        uploads.append(Upload(after, key, encode(rows), behind_commit))
    return uploads


def draw_union(seed: str, uploads: list[Upload]) -> tuple[tuple[Policy, ...], list[Upload]]:
    """Now and then a second source, which gets some of the files.

    It is drawn by itself, so that nothing else of a seed depends on it.

    Returns:
        The policy of the second source, or nothing, and the uploads, each in its source's folder.
    """
    chance = Random(f"{seed}/union")  # noqa: S311  (repeatable, not secret)
    if chance.random() >= UNITED:
        return (), uploads
    first, second = PREFIXES
    policies = (Policy(delay=chance.choice(DELAYS)),)
    moved = [replace(each, key=each.key.replace(first, chance.choice((first, second)))) for each in uploads]
    return policies, moved


def draw_policies(
    seed: str, policies: tuple[Policy, ...], uploads: list[Upload]
) -> tuple[tuple[Policy, ...], list[Upload]]:
    """Now and then sources that may be idle, or whose producers state the watermark.

    It is drawn by itself, so that nothing else of a seed depends on it.

    Returns:
        The sources' policies, and the uploads with the marks among them.
    """
    chance = Random(f"{seed}/watermarks")  # noqa: S311  (repeatable, not secret)
    if chance.random() >= STATED:
        return policies, uploads
    drawn = tuple(_draw_policy(chance, each) for each in policies)
    marked = [number for number, each in enumerate(drawn) if each.kind == "marks"]
    with_marks: list[Upload] = []
    for each in uploads:
        with_marks.append(each)
        if marked and chance.random() < 0.7:
            moment = START - HOUR + chance.randrange(40) * MINUTE
            folder = f"{PREFIXES[chance.choice(marked)]}/{len(with_marks):03d}"
            gap = chance.choice((0, 0, SECOND, 2 * MINUTE))
            with_marks.append(stated(gap, folder, chance.choice(PRODUCERS), moment))
    return drawn, with_marks


def _draw_policy(chance: Random, policy: Policy) -> Policy:
    kind = chance.choice(("delay", "idle", "marks", "idle marks", "idle marks"))
    timeout = chance.choice((SECOND, MINUTE, 20 * MINUTE)) if "idle" in kind else None
    if "marks" in kind:
        return Policy("marks", producers=chance.choice(((), PRODUCERS)), timeout=timeout)
    # So that processing time less the delay is about when events are.
    return replace(policy, delay=HOUR, timeout=timeout) if timeout else policy


def stated(after: int, folder: str, producer: str, moment: int) -> Upload:
    """A mark object."""
    return Upload(after, f"{folder}/{producer}.watermark", encode([{"watermark": moment}]))


def last_files(policies: Sequence[Policy]) -> list[Upload]:
    """A file for each source, for the least watermark counts; each in a window of its own."""
    row = {"k": "flush", "n": 7, "v": 1, "f": 0.0, "s": ""}
    files = []
    for number, (folder, policy) in enumerate(zip(PREFIXES, policies, strict=False)):
        moment = FLUSH_AT + 1 + number * HOUR
        slow = policy.delay if policy.timeout else 0
        files.append(Upload(0, f"{folder}/flush.json", encode([row | {"at": moment + slow}])))
        if policy.kind == "marks":
            files += [stated(0, f"{folder}/flush", each, moment) for each in PRODUCERS]
    return files


def draw_settings(chance: Random, seed: str) -> Settings:
    """Limits of epochs, one of them for every process that starts; how soon old epochs are swept.

    How files are cut up, whether tasks are so many that not all are called, what results have attached, and
    how many tasks an inline Map takes is drawn by itself, so that nothing else of a seed depends on it.
    """
    splits, other = Random(f"{seed}/splits"), Random(f"{seed}/attached")  # noqa: S311  (repeatable, not secret)
    widths = Random(f"{seed}/widths")  # noqa: S311  (repeatable, not secret)
    limits = [
        Limits(
            files=chance.choice((1, 2, 3, 100)),
            small=chance.choice((0, 0, 300, 10_000_000)),
            tasks=chance.choice((1, 2, 3)),
            task_bytes=chance.choice((1, 200)),
        ),
        # As different as can be, so that it shows whose layout an epoch has.
        Limits(files=chance.choice((1, 100))),
        Limits(small=0, tasks=splits.choice((3, 3, 9)), task_bytes=1),
    ]
    limits = [replace(each, split_bytes=splits.choice((SPLIT_BYTES, 30, 150))) for each in limits]
    return Settings(
        limits,
        swept_after=chance.choice((10, 20, 600)) * MINUTE,
        swept_every=chance.choice((5, 60)) * MINUTE,
        epochs_kept=chance.choice((1, 2, 3, 20)),
        attached=other.choice((0, 4_000, ATTACHED_BYTES)),
        inline_tasks=widths.choice((1, 2, INLINE_TASKS)),
    )


def draw_case(seed: str) -> Case:
    """What a seed is about.

    Whether somebody replays the pipeline is drawn by itself, so that nothing else of a seed depends on it.
    """
    case, chance = _draw_case(seed), Random(f"{seed}/replays")  # noqa: S311  (repeatable, not secret)
    if chance.random() >= REPLAYED:
        return case
    numbers = range(len(case.scenario.uploads))
    replays = chance.sample(numbers, min(len(numbers), chance.choice((1, 1, 2))))
    changes = case.changed is not None and chance.random() < 0.5
    return replace(case, scenario=replace(case.scenario, replays=replays, changes=changes))


def _draw_case(seed: str) -> Case:
    chance = Random(f"{seed}/scenario")  # noqa: S311  (repeatable, not secret)
    settings = draw_settings(chance, seed)
    second, uploads = draw_union(seed, draw_uploads(chance))
    kind = chance.choice(("narrow", "fickle", "regrouped", "regrouped", *["grouped"] * 8))
    if kind == "narrow":
        plan, other = compiled(narrow(0, second)), compiled(narrow(1))
        return Case(None, Scenario(plan, plan, other, settings, uploads, last_files((Policy(), *second))))
    alone = draw_program(chance)
    policies, uploads = draw_policies(seed, (*alone.policies, *second), uploads)
    program, last = replace(alone, policies=policies), last_files(policies)
    # A union is another pipeline without it.
    slower = Policy(delay=alone.policies[0].delay + SECOND)
    changed = alone if second else replace(alone, policies=(slower,))
    reads_the_same = policies == alone.policies
    if kind == "fickle":
        # What the function adds is in one of the values alone.
        fixed = {"aggregates": ("number", "weight"), "lateness": LATENESS[-1]}
        program, changed = replace(program, **fixed), replace(changed, **fixed)  # type: ignore[arg-type]
        plan, other = (compile_plan(pipeline(each, fickle())) for each in (program, changed))
        return Case(program, Scenario(plan, plan, other, settings, uploads, last, repeatable=False))
    if kind == "regrouped":
        program = replace(program, **REGROUPED, windows=("fixed", chance.choice(SIZES) * SECOND, 0))
        changed = replace(program, policies=changed.policies)
        windows = draw_regrouping(seed)
        behind = again(windows, draw_trigger(chance, 1))
        plan, rebuilt, other = (
            compile_plan(pipeline(each, after=behind)) for each in (program, program, changed)
        )
        scenario = Scenario(plan, rebuilt, other, settings, uploads, last)
        return Case(program, scenario, regrouped=windows, changed=changed if reads_the_same else None)
    rebuilt = compile_plan(pipeline(program))
    scenario = Scenario(grouped(program), rebuilt, grouped(changed), settings, uploads, last)
    return Case(program, scenario, changed=changed if reads_the_same else None)


REGROUPED: dict[str, Any] = {
    "keys": ("k", "n"),
    "aggregates": ("number", "total"),
    "accumulation": Accumulation.ACCUMULATING_AND_RETRACTING.value,
    "lateness": LATENESS[-1],
    "timestamp": "end_of_window",
}
"""What programs have whose panes are grouped again; each of them takes back the one before it."""


def draw_regrouping(seed: str) -> WindowSpec:
    """The windows of a second grouping.

    They are drawn by themselves, so that nothing else of a seed depends on them.
    """
    chance = Random(f"{seed}/again")  # noqa: S311  (repeatable, not secret)
    return chance.choice((("fixed", MINUTE, 0), ("sessions", chance.choice(SIZES) * SECOND)))


def again(windows: WindowSpec, trigger: Spec) -> Callable[[Stream], Stream]:
    """Of the totals of each key and window those above 0, by `k` and window: number, sum and highest."""

    def behind(panes: Stream) -> Stream:
        windowed = panes.filter(pl.col("total") > 0).window(engine_windows(windows), allowed_lateness="20h")
        triggered = windowed.trigger(engine_trigger(trigger), allow_unsafe_trigger=True)
        table = triggered.accumulate(tg.ACCUMULATING_AND_RETRACTING).group_by("k")
        return table.agg(totals=tg.count(), points=tg.sum("total"), highest=tg.max("total"))

    return behind


@cache
def grouped(program: Program) -> Plan:
    """The plan of a program; kept, for compiling takes longer than an epoch."""
    return compile_plan(pipeline(program))


@cache
def compiled(built: tg.Pipeline) -> Plan:
    """The plan of a pipeline."""
    return compile_plan(built)


@cache
def narrow(least: int, second: tuple[Policy, ...] = ()) -> tg.Pipeline:
    """A pipeline without a shuffle."""
    rows = sources((Policy(), *second)).filter(pl.col("v") > least).select("k", double=pl.col("v") * 2)
    return tg.Pipeline("oracle", rows.write_json("panes"))


def fickle() -> Callable[[Stream], Stream]:
    """A step with a function that gives something else each time, as users' functions should not."""
    numbers = count()
    return lambda stream: stream.map(lambda row: row | {"f": float(next(numbers))})
