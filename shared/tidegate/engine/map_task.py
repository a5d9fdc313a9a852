"""The map side of an epoch: read, parse, narrow steps, windows, combine before the shuffle.

The meaning is that of MapReduce's map and combiner (OSDI 2004, sections 2 and 4.3): what leaves a map task
is one row of accumulators for each key and window, and not the records.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from tidegate.engine.assignment import combine_elements, with_inputs
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.frames import parted
from tidegate.engine.state import combine
from tidegate.errors import ObjectNotFound
from tidegate.expressions import HIDDEN, row_by_row
from tidegate.plan import Plan
from tidegate.sources.formats import read_records
from tidegate.sources.marks import is_mark, producer_of, read_mark
from tidegate.sources.records import LINE, WHOLE_FILE, Records, readable, unreadable
from tidegate.sources.source import EVENT_TIME, Source
from tidegate.stores.ports import Objects
from tidegate.timestamps import MAX, MIN, iso


@dataclass(frozen=True)
class InputSlice:
    """An object that a map task reads: its key, and the version that was accepted."""

    key: str
    version: str


@dataclass
class MapOutput:
    """What a map task gives.

    Attributes:
        partials: Accumulators for each key and window; None if the plan does not group.
        rows: The rows for the sink; None if the plan groups, or nothing was read.
        stated: The watermark that each producer gives, by its marks or by the highest event time seen,
            microseconds; none for a producer of which nothing came.
        counters: Counts of this task.
        late: The elements that were dropped, as the late sink has them.
    """

    partials: pl.DataFrame | None
    rows: pl.DataFrame | None
    stated: dict[str, int]
    counters: dict[str, int]
    dead: DeadLetters = field(default_factory=DeadLetters)
    late: bytes = b""


def map_epoch(
    plan: Plan,
    objects: Objects,
    slices: Sequence[InputSlice],
    watermark: int,
    now: int,
    behind: int = MIN,
) -> MapOutput:
    """One epoch of one slice of the input.

    Args:
        plan: What to do.
        objects: Where the input lies.
        slices: The objects to read, in intake order.
        watermark: The watermark before the epoch; elements of windows that had expired by then are dropped.
        now: The time from which it is counted how far ahead an event time or a mark may lie.
        behind: The watermark before the epoch of a grouping behind the first one; `MIN` if there is none.
    """
    dead = DeadLetters()
    counters: Counter[str] = Counter(records=0, elements=0, dropped_late=0)
    frames = []
    late: list[bytes] = []
    stated = _marks(plan, objects, slices, now, dead, counters)
    for each in slices:
        branch = plan.branch_of(each.key)
        if _is_mark(branch.source, each):
            continue
        records = _read(branch.source, objects, each)
        for letter in records.dead:
            dead.add(each.key, letter.line, letter.reason, letter.text)
        counters["records"] += records.frame.height + len(records.dead)
        elements = _with_event_time(branch.source, each.key, records, now, dead)
        _state(stated, plan.producer(branch.source), _watermark(branch.source, elements))
        for step in (*branch.steps, *plan.map.steps):
            outcome = step.apply(elements)
            elements = outcome.frame
            dead.add_rejected(each.key, records, outcome.rejected)
        if plan.grouping:
            outcome = with_inputs(elements, plan.grouping)
            elements = outcome.frame
            dead.add_rejected(each.key, records, outcome.rejected)
        counters["elements"] += elements.height
        if plan.grouping:
            combined = combine_elements(elements, plan.grouping, watermark, behind)
            counters["dropped_late"] += combined.dropped
            frames.append(combined.partials)
            late.append(combined.late)
        else:
            frames.append(elements.select(name for name in elements.columns if not name.startswith(HIDDEN)))
    counters["dead_letters"] = len(dead)
    if plan.grouping:
        partials = combine(frames, plan.grouping)
        return MapOutput(partials, None, stated, dict(counters), dead, b"".join(late))
    counters["rows"] = sum(frame.height for frame in frames)
    rows = pl.concat(frames) if frames else None
    return MapOutput(None, rows, stated, dict(counters), dead)


def _watermark(source: Source, elements: pl.DataFrame) -> int | None:
    """The watermark that elements give; None if they give none."""
    highest = elements.get_column(EVENT_TIME).max()
    return source.watermark.watermark(highest) if isinstance(highest, int) else None


def _state(stated: dict[str, int], producer: str, watermark: int | None) -> None:
    """Notes a producer's watermark, if it is its highest."""
    if watermark is not None:
        stated[producer] = max(watermark, stated.get(producer, MIN))


def _is_mark(source: Source, each: InputSlice) -> bool:
    return source.rule().marked and is_mark(each.key)


def _marks(
    plan: Plan,
    objects: Objects,
    slices: Sequence[InputSlice],
    now: int,
    dead: DeadLetters,
    counters: Counter[str],
) -> dict[str, int]:
    """The highest mark of each producer; what is no mark becomes a dead letter, and counts as a record."""
    marks: dict[str, int] = {}
    for each in slices:
        source = plan.branch_of(each.key).source
        if not _is_mark(source, each):
            continue
        data = b""
        try:
            data = objects.get(each.key, each.version)
            moment = read_mark(each.key, data, source.watermark, now)
        except ObjectNotFound as error:
            dead.add(each.key, WHOLE_FILE, f"it cannot be read as it was accepted: {error}", "")
        except ValueError as error:
            dead.add(each.key, WHOLE_FILE, str(error), readable(data))
        else:
            _state(marks, plan.producer(source, producer_of(each.key)), moment)
            counters["marks"] += 1
            continue
        counters["records"] += 1
    return marks


def _read(source: Source, objects: Objects, each: InputSlice) -> Records:
    try:
        data = objects.get(each.key, each.version)
    except ObjectNotFound as error:
        # The version that was accepted is gone for good; what replaced it is an input of its own.
        return unreadable(source.schema, f"it cannot be read as it was accepted: {error}")
    return read_records(each.key, data, source.kind, source.schema, null_values=source.null_values)


def _with_event_time(source: Source, key: str, records: Records, now: int, dead: DeadLetters) -> pl.DataFrame:
    """The records with their event time; those without a usable one become dead letters."""
    # Where marks give the watermark no event time can do harm, however far ahead.
    ahead = MAX - 1 if source.rule().marked else source.watermark.latest(now)
    outcome = row_by_row(records.frame, lambda part: part.with_columns(source.event_time_microseconds()))
    dead.add_rejected(key, records, outcome.rejected)
    frame = outcome.frame
    times = frame.get_column(EVENT_TIME)
    good, bad = parted(frame, (times >= MIN) & (times <= ahead) & times.is_not_null())
    if bad.height:
        lines, wrong = bad.get_column(LINE).to_list(), bad.get_column(EVENT_TIME).to_list()
        for line, moment, text in zip(lines, wrong, records.texts(lines), strict=True):
            dead.add(key, line, _why(moment, ahead), text)
    return good


def _why(moment: int | None, ahead: int) -> str:
    if moment is None:
        return "it has no event time"
    if moment < MIN or moment > MAX:
        return "its event time is outside of the years 1 to 9999"
    if moment == MAX == ahead + 1:
        return f"its event time {iso(moment)} is the last instant of time, which lies in no window"
    return f"its event time {iso(moment)} is after {iso(ahead)}, further ahead than max_ahead allows"
