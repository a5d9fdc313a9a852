"""The manifest of an epoch: all that exists for the system once the epoch is committed.

State segments, output objects, watermark and counters; what no committed manifest names does not exist.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tidegate.epochs import documents, paths
from tidegate.epochs.costs import Costs, Counts, epoch_costs
from tidegate.epochs.generation import number_of
from tidegate.epochs.record import EpochRecord, decode_frontier, frontier_body
from tidegate.epochs.result import MANIFEST, TaskResult, segment_body, segment_from
from tidegate.errors import CorruptObject
from tidegate.frontier import Frontier, UnionFrontier, WatermarkRule
from tidegate.outline import stage_name
from tidegate.references import KeyRange, Layer, Segment, checksum
from tidegate.stores.ports import Objects
from tidegate.timestamps import MAX, MIN


@dataclass(frozen=True)
class Manifest:
    """What an epoch leaves.

    Attributes:
        now: Its processing time; the next epoch's is not before it.
        frontier: The watermark after it.
        watermarks: The same of the second reduce stage and those behind it, for their elements are panes.
        segments: The state.
        outputs: Keys of the output objects of this epoch, dead letters included.
        counters: Counts of this epoch.
        totals: Counts of all epochs so far.
        costs: What this epoch took, and all so far; measured, so that it differs where all else is the same.
    """

    pipeline: str
    epoch: int
    fingerprint: str
    now: int
    frontier: Frontier | UnionFrontier
    watermarks: tuple[int, ...]
    processed: str
    segments: tuple[Segment, ...]
    outputs: tuple[str, ...]
    counters: dict[str, int]
    totals: dict[str, int]
    costs: Costs = field(default_factory=Costs)

    @property
    def key(self) -> str:
        """Its object's key."""
        return paths.manifest(self.pipeline, self.epoch)

    @property
    def alarm(self) -> int:
        """The earliest processing time at which something is due without inputs; `MAX` if nothing is."""
        # What the watermark has come to already waits for a pane that is owed, and not for the watermark.
        passed = self.frontier.watermark
        due = min((each.due for each in self.segments if each.due > passed), default=MAX)
        return min([self.frontier.alarm(due), *(each.alarm for each in self.segments)])

    @property
    def layers(self) -> Iterable[Layer]:
        """The layers of all segments."""
        return (layer for segment in self.segments for layer in segment.layers)

    def with_costs(
        self,
        record: EpochRecord,
        results: Sequence[TaskResult],
        committing: Counts,
        previous: "Manifest | None",
    ) -> "Manifest":
        """The manifest as it is stored; see `epoch_costs`."""
        before = previous.costs if previous else Costs()
        return replace(self, costs=epoch_costs(record, results, committing, before))

    def without_costs(self) -> "Manifest":
        """What follows from the record and the tasks' results: for whoever compares it with another one."""
        return replace(self, costs=Costs())

    def encode(self, result: bytes = b"") -> bytes:
        """The manifest as an object.

        Args:
            result: That of the one task of a small epoch, as it is encoded; it lies before the manifest.
        """
        body: dict[str, Any] = {
            "pipeline": self.pipeline,
            "epoch": self.epoch,
            "fingerprint": self.fingerprint,
            "now": self.now,
            **frontier_body(self.frontier),
            "watermarks": list(self.watermarks),
            "processed": self.processed,
            "segments": [segment_body(each) for each in self.segments],
            "outputs": list(self.outputs),
            "counters": self.counters,
            "totals": self.totals,
            "costs": self.costs.body(),
        }
        return documents.encode(MANIFEST, body, result)

    @classmethod
    def decode(cls, key: str, data: bytes) -> "Manifest":
        """The manifest of a document.

        Raises:
            CorruptObject: It is damaged, no manifest, or that of another epoch or pipeline.
        """
        with documents.shaped(MANIFEST, key):
            body, _ = documents.decode_with_attached(MANIFEST, key, data)
            manifest = cls._of(body)
            documents.check_place(MANIFEST, key, manifest.key)
        return manifest

    @classmethod
    def _of(cls, body: documents.Body) -> "Manifest":
        return cls(
            pipeline=body["pipeline"],
            epoch=body["epoch"],
            fingerprint=body["fingerprint"],
            now=body["now"],
            frontier=decode_frontier(body),
            watermarks=tuple(body.get("watermarks", ())),
            processed=body["processed"],
            segments=tuple(segment_from(each) for each in body["segments"]),
            outputs=tuple(body["outputs"]),
            counters=body["counters"],
            totals=body["totals"],
            costs=Costs.of(body.get("costs", {})),
        )


def read_manifest(objects: Objects, reference: tuple[str, str]) -> Manifest | None:
    """The manifest that a head or a record names by key and checksum; None where there was none yet.

    Raises:
        CorruptObject: It is not the manifest that was named.
    """
    key, named = reference
    if not key:
        return None
    data = objects.get(key)
    if checksum(data) != named:
        raise CorruptObject(f"{key}: it is not the manifest that was committed; restore it from a backup")
    return Manifest.decode(key, data)


def frontier_after(
    record: EpochRecord, rules: Mapping[str, WatermarkRule], stated: Sequence[Mapping[str, int]]
) -> Frontier | UnionFrontier:
    """The frontier at an epoch's end.

    Args:
        record: Of the epoch.
        rules: How the watermark of each source follows from what inputs say, by the source's prefix.
        stated: The watermarks that the map tasks found stated by producers.
    """
    highest: dict[str, int] = {}
    for each in stated:
        highest |= {name: max(moment, highest.get(name, MIN)) for name, moment in each.items()}
    now, accepted, processed = record.now, record.accepted, record.processed
    frontier: Frontier | UnionFrontier
    if isinstance(record.frontier, UnionFrontier):
        united = record.frontier.advance(highest, rules, now=now, accepted=accepted, processed=processed)
        frontier = united.end(record.ended)
    else:
        (rule,) = rules.values()
        frontier = record.frontier.advance(highest, rule, now=now, accepted=accepted, processed=processed)
    return frontier.close(MAX) if record.close else frontier


def watermark_before(previous: Manifest | None, stage: int) -> int:
    """The watermark of a reduce stage before an epoch, from the manifest of the epoch before it.

    Args:
        previous: None before the first epoch.
        stage: The stage's number, from 1.
    """
    if previous is None:
        return MIN
    if stage == 1:
        return previous.frontier.watermark
    return previous.watermarks[stage - 2]


def segments_before(previous: Manifest | None, stage: int, wanted: KeyRange) -> tuple[Segment, ...]:
    """The state of a reduce stage before an epoch, as far as it lies in a range.

    Args:
        previous: The manifest of the epoch before it, None before the first epoch.
        stage: The stage's number, from 1.
        wanted: The range.
    """
    before = previous.segments if previous else ()
    found = (each.within(wanted) for each in before if each.stage == stage)
    return tuple(each for each in found if each)


def watermark_behind(previous: Manifest | None, stage: int, passed: int, segments: Iterable[Segment]) -> int:
    """The watermark of a reduce stage after an epoch, from the stage before it.

    It is that stage's, held back by the panes that it still owes; and it never goes back.

    Args:
        previous: The manifest before the epoch, None before the first.
        stage: The stage's number, from 2.
        passed: The watermark of the stage before it after the epoch.
        segments: That stage's after the epoch; those of others do not matter.
    """
    holds = [each.hold for each in segments if each.stage == stage - 1]
    return max(watermark_before(previous, stage), min(passed, *holds, MAX))


def build_manifest(
    record: EpochRecord,
    rules: Mapping[str, WatermarkRule],
    previous: Manifest | None,
    results: Sequence[TaskResult],
) -> Manifest:
    """An epoch's manifest without costs; a function of the plan, its record and its tasks' results alone."""
    counters: Counter[str] = Counter(files=len(record.inputs))
    for result in results:
        counters.update(result.counters)
    # As a file counts once that cannot be read, so does one of which some parts cannot be.
    unread = {number for result in results for number in result.unread}
    if unread:
        counters.update(records=len(unread), dead_letters=len(unread))
    totals = Counter(previous.totals if previous else {})
    totals.update(counters)
    totals["epochs"] = number_of(record.epoch)
    segments = _segments(record, previous, results)
    frontier = frontier_after(record, rules, [result.stated for result in results])
    watermarks: list[int] = []
    for stage in range(2, record.layout.shuffles + 1):
        passed = watermarks[-1] if watermarks else frontier.watermark
        watermarks.append(watermark_behind(previous, stage, passed, segments))
    return Manifest(
        pipeline=record.pipeline,
        epoch=record.epoch,
        fingerprint=record.fingerprint,
        now=record.now,
        frontier=frontier,
        watermarks=tuple(watermarks),
        processed=record.processed,
        segments=segments,
        outputs=tuple(output.name for result in results for output in result.outputs),
        counters=dict(sorted(counters.items())),
        totals=dict(sorted(totals.items())),
    )


def kept_segments(
    record: EpochRecord, previous: Manifest | None, stage: int, results: Iterable[TaskResult]
) -> list[Segment]:
    """The state of a reduce stage after an epoch.

    Args:
        record: Of the epoch.
        previous: The manifest before it.
        stage: The stage's number, from 1.
        results: Of all tasks of the stage that had something to do. A range whose task had nothing to do, or
            left its state as it was, keeps the segments that it had.
    """
    changed = {result.task: result for result in results if not result.unchanged}
    segments: list[Segment] = []
    for task, (low, high) in enumerate(record.layout.ranges):
        if task in changed:
            segments += changed[task].segments
        else:
            segments += segments_before(previous, stage, KeyRange(low, high))
    return segments


def _segments(
    record: EpochRecord, previous: Manifest | None, results: Sequence[TaskResult]
) -> tuple[Segment, ...]:
    """The state of all stages after an epoch."""
    if record.layout.small:
        (result,) = results
        return previous.segments if result.unchanged and previous else result.segments
    segments: list[Segment] = []
    for stage in range(1, record.layout.shuffles + 1):
        of_stage = [each for each in results if each.stage == stage_name(stage)]
        segments += kept_segments(record, previous, stage, of_stage)
    return tuple(segments)
