"""The map side of an epoch: read, parse, narrow steps, windows, combine before the shuffle.

The meaning is that of MapReduce's map and combiner (OSDI 2004, sections 2 and 4.3): what leaves a map task
is one row of accumulators for each key and window, and not the records.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tidegate.branches import Branch
from tidegate.engine.assignment import combine_elements, with_inputs
from tidegate.engine.dead_letters import DeadLetters
from tidegate.engine.frames import parted
from tidegate.engine.input_slice import InputSlice, SliceContent, contents
from tidegate.engine.state import combine
from tidegate.errors import ObjectNotFound
from tidegate.expressions import HIDDEN, finding, row_by_row
from tidegate.grouping import Grouping
from tidegate.limits import (
    BATCH_BYTES,
    MARK_BYTES,
    PARTIALS_APART,
    REJECTED_IN_LATER_BATCHES,
    REJECTED_ONE_BY_ONE,
)
from tidegate.plan import Plan
from tidegate.sources.formats import SPLIT_AT_LINES, read_batches
from tidegate.sources.marks import PRODUCER, STATED, is_mark, producer_of, read_mark, read_metadata
from tidegate.sources.records import LINE, WHOLE_FILE, Records, UnreadableFile, readable
from tidegate.sources.source import EVENT_TIME, Source
from tidegate.stores.ports import Objects
from tidegate.timestamps import MAX, MIN, iso


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
        unread: The numbers of the slices that could not be read and are parts of an object. Each is a dead
            letter here, and counts nowhere: the object counts once, whoever read how many parts of it.
    """

    partials: pl.DataFrame | None
    rows: pl.DataFrame | None
    stated: dict[str, int]
    counters: dict[str, int]
    dead: DeadLetters = field(default_factory=DeadLetters)
    late: bytes = b""
    unread: tuple[int, ...] = ()


@dataclass
class _Found:
    """What was found in one file, or in several.

    Attributes:
        frames: Rows, or partials.
        apart: How many rows these are together.
        highest: The highest event time, microseconds.
    """

    frames: list[pl.DataFrame] = field(default_factory=list)
    apart: int = 0
    highest: int | None = None
    counters: Counter[str] = field(default_factory=Counter)
    dead: DeadLetters = field(default_factory=DeadLetters)
    late: list[bytes] = field(default_factory=list)

    def add(self, frame: pl.DataFrame, grouping: Grouping | None) -> None:
        """Takes rows or partials; partials are combined whenever they are twice as many as before."""
        self.frames.append(frame)
        self.apart += frame.height
        if grouping and len(self.frames) > 1 and self.apart > max(PARTIALS_APART, 2 * self.frames[0].height):
            self.frames = [combine(self.frames, grouping)]
            self.apart = self.frames[0].height

    def join(self, other: "_Found", grouping: Grouping | None) -> None:
        """Takes what was found in another file."""
        for frame in other.frames:
            self.add(frame, grouping)
        self.counters.update(other.counters)
        self.dead.entries += other.dead.entries
        self.late += other.late


def map_epoch(
    plan: Plan,
    objects: Objects,
    slices: Sequence[InputSlice],
    watermark: int,
    now: int,
    behind: int = MIN,
) -> MapOutput:
    """One epoch of one slice of the input.

    A file is read in batches of `BATCH_BYTES`, and a batch is combined before the next one is read: what is
    in memory follows from that and from the keys and windows, whatever the size of the file. Rows of a
    pipeline that does not group, and dead letters, are all held until the end.

    Args:
        plan: What to do.
        objects: Where the input lies.
        slices: What to read, in intake order.
        watermark: The watermark before the epoch; elements of windows that had expired by then are dropped.
        now: The time from which it is counted how far ahead an event time or a mark may lie.
        behind: The watermark before the epoch of a grouping behind the first one; `MIN` if there is none.
    """
    found = _Found(counters=Counter(records=0, elements=0, dropped_late=0))
    stated = _marks(plan, objects, slices, now, found.dead, found.counters)
    _metadata_marks(plan, objects, slices, now, found, stated)
    unread: list[int] = []
    read = [(n, e) for n, e in enumerate(slices) if not _is_mark(plan.branch_of(e.key).source, e)]
    ahead = contents(objects, [each for _, each in read], BATCH_BYTES)
    for (number, each), content in zip(read, ahead, strict=True):
        branch = plan.branch_of(each.key)
        try:
            file = _file(plan, branch, each, content, (watermark, now, behind))
        except UnreadableFile as error:
            # It may show at the file's end: nothing of what came before counts.
            file = _no_records(each, str(error))
            unread += [] if each.is_whole else [number]
        except ObjectNotFound as error:
            # The version that was accepted is gone for good; what replaced it is an input of its own.
            file = _no_records(each, f"it cannot be read as it was accepted: {error}")
            unread += [] if each.is_whole else [number]
        found.join(file, plan.grouping)
        _state(stated, plan.producer(branch.source), _watermark(branch.source, file.highest))
    counters, dead = found.counters, found.dead
    counters["dead_letters"] = len(dead) - len(unread)
    if plan.grouping:
        partials = combine(found.frames, plan.grouping)
        late = b"".join(found.late)
        return MapOutput(partials, None, stated, dict(counters), dead, late, tuple(unread))
    counters["rows"] = sum(frame.height for frame in found.frames)
    rows = pl.concat(found.frames) if found.frames else None
    return MapOutput(None, rows, stated, dict(counters), dead, unread=tuple(unread))


def _file(
    plan: Plan, branch: Branch, each: InputSlice, content: SliceContent, times: tuple[int, int, int]
) -> _Found:
    """What one file comes to, or what is read of it, given the watermark, the time and the watermark behind.

    Raises:
        UnreadableFile: It cannot be read; its name and bytes alone decide that.
        ObjectNotFound: It is not there any more as it was accepted.
    """
    file, source = _Found(), branch.source
    for records in read_batches(
        each.key,
        content.parts(),
        source.kind,
        source.schema,
        null_values=source.null_values,
        batch_bytes=BATCH_BYTES,
        opens=each.opens,
        stored=content.stored(),
    ):
        left = REJECTED_ONE_BY_ONE - len(file.dead)
        with finding(max(left, REJECTED_IN_LATER_BATCHES)):
            _batch(plan, branch, each.key, records, file, times)
    # By line, so that it makes no difference where batches begin.
    file.dead.entries.sort(key=lambda letter: letter["line"])
    if not each.opens and source.kind in SPLIT_AT_LINES:
        file.dead.begin(content.first)
    return file


def _batch(
    plan: Plan, branch: Branch, key: str, records: Records, file: _Found, times: tuple[int, int, int]
) -> None:
    """Adds what a batch of a file comes to, given the watermark, the time and the watermark behind."""
    source, (watermark, now, behind) = branch.source, times
    for letter in records.dead:
        file.dead.add(key, letter.line, letter.reason, letter.text)
    file.counters["records"] += records.frame.height + len(records.dead)
    elements = _with_event_time(source, key, records, now, file.dead)
    file.highest = _highest(file.highest, elements)
    for step in (*branch.steps, *plan.map.steps):
        outcome = step.apply(elements)
        elements = outcome.frame
        file.dead.add_rejected(key, records, outcome.rejected)
    if plan.grouping:
        outcome = with_inputs(elements, plan.grouping)
        elements = outcome.frame
        file.dead.add_rejected(key, records, outcome.rejected)
    file.counters["elements"] += elements.height
    if plan.grouping:
        combined = combine_elements(elements, plan.grouping, watermark, behind)
        file.counters["dropped_late"] += combined.dropped
        file.add(combined.partials, plan.grouping)
        file.late.append(combined.late)
    else:
        file.add(elements.select(name for name in elements.columns if not name.startswith(HIDDEN)), None)


def _no_records(each: InputSlice, reason: str) -> _Found:
    """A file that cannot be read is one dead letter, and counts as one record.

    A part of one is a dead letter, too, and counts as nothing: once the epoch is committed, the file counts
    as one record and one dead letter, however many of its parts could not be read.
    """
    file = _Found(counters=Counter(records=int(each.is_whole)))
    end = each.size if each.end is None else each.end
    part = "" if each.is_whole else f"of what begins in bytes {each.start} to {end}: "
    file.dead.add(each.key, WHOLE_FILE, part + reason, "")
    return file


def _highest(before: int | None, elements: pl.DataFrame) -> int | None:
    """The highest event time, with that of the elements before; None if there is none."""
    highest = elements.get_column(EVENT_TIME).max()
    if not isinstance(highest, int):
        return before
    return highest if before is None else max(before, highest)


def _watermark(source: Source, highest: int | None) -> int | None:
    """The watermark that a highest event time gives; None if it gives none."""
    return None if highest is None else source.watermark.watermark(highest)


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
            data = _mark(objects, each)
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


def _metadata_marks(
    plan: Plan,
    objects: Objects,
    slices: Sequence[InputSlice],
    now: int,
    found: _Found,
    stated: dict[str, int],
) -> None:
    """Notes what files state by their metadata; whoever has the beginning of a file looks.

    What is no mark becomes a dead letter, and counts as a record; the file's own records count all the same.
    """
    for each in slices:
        source = plan.branch_of(each.key).source
        if not each.opens or not source.rule().metadata or _is_mark(source, each):
            continue
        metadata: Mapping[str, str] = {}
        try:
            metadata = objects.metadata(each.key, each.version)
            mark = read_metadata(metadata, source.watermark, now)
        except ObjectNotFound:
            # Reading the file finds that, too, and says so.
            continue
        except ValueError as error:
            text = json.dumps({name: metadata[name] for name in (STATED, PRODUCER) if name in metadata})
            found.dead.add(each.key, WHOLE_FILE, f"its metadata states no watermark: {error}", text)
            found.counters["records"] += 1
            continue
        if mark:
            producer, moment = mark
            _state(stated, plan.producer(source, producer), moment)
            found.counters["marks"] += 1


def _mark(objects: Objects, each: InputSlice) -> bytes:
    """A mark's content; of what is too large for one just so much that it is seen."""
    if each.size <= MARK_BYTES:
        return objects.get(each.key, each.version)
    return objects.get_ranges(each.key, [(0, MARK_BYTES + 1)], each.version)[0]


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
