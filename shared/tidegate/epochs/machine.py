"""The epoch's rules: everything that decides what happens next is in this file.

Theory of operation
-------------------
A pipeline advances in epochs. An epoch is a small deterministic batch: its record freezes every choice
before any work begins, so that doing the work twice gives the same, and whoever comes second finds what
the first one left. Functions may be stopped, repeated, delayed or run twice at once; three things make the
outcome exact all the same:

1. *Create-only objects.* The epoch record and every task result are written with put-if-absent. The
   first one wins; whoever comes later adopts it, and throws its own away.
2. *One conditional commit.* The head row moves from epoch n-1 to n in one conditional write. What no
   committed manifest names does not exist. A commit that was made already is a success.
3. *The record before the work.* Recovery is running again: the record is found, finished tasks are found
   by their results, missing ones are computed again from it (lineage). Nothing is rolled back.

The lease below only keeps two coordinators from doing the same work twice. Safety never rests on it, nor
on any clock: two coordinators write the same record, the same results and the same head.

Going idle is compare-and-release: intake adds to a counter in the lease's row after it accepted objects,
and the release happens only if the counter still is what it was before the coordinator looked for work.
So no wake-up is lost: either the coordinator sees the objects, or its release fails and it looks again. And
whoever finds the lease held stands by until it has run out, for its holder may be dead. (A coordinator that
fails gives the lease back; what it left waits for the next upload, or for someone who starts it again, and
an alarm says so.)

`TRANSITIONS` is the whole state machine. The embedded runner drives it in a loop, and the Step Functions
definition in `infra/epoch.asl.yaml` has the same states; a test compares the two.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum

from tidegate.epochs import intake, paths
from tidegate.epochs.costs import UNMETERED, Meter
from tidegate.epochs.generation import generation_of, number_of
from tidegate.epochs.head import Head
from tidegate.epochs.history import record_of
from tidegate.epochs.layout import Limits, lay_out, take_waiting
from tidegate.epochs.manifest import Manifest, build_manifest, read_manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.reduce_stage import map_tasks, reduce_stage, results_of
from tidegate.epochs.repetition import begun_for_another_plan, repeated
from tidegate.epochs.result import WHOLE, Task, TaskResult, read_results, result_key, tasks_of
from tidegate.epochs.settling import departures, leave_at_once, settled
from tidegate.errors import ConditionFailed, ObjectNotFound, TidegateError
from tidegate.frontier import UnionFrontier, first_frontier
from tidegate.limits import KEY_GROUPS
from tidegate.outline import Outline
from tidegate.references import checksum
from tidegate.stores.ports import Clock, Objects, Put, Row, Table
from tidegate.timestamps import MAX


class State(StrEnum):
    """Where a pipeline's coordinator is."""

    PLAN = "Plan"
    """Freeze the next epoch's record, or find it."""

    EPOCH = "Epoch"
    """Run a small epoch's one task."""

    MAP = "MapStage"
    """Run the map tasks."""

    REDUCE = "ReduceStage"
    """Run the tasks of a reduce stage."""

    NEXT_STAGE = "NextStage"
    """Go on to the reduce stage behind it."""

    COMMIT = "Commit"
    """Move the head."""

    STANDBY = "Standby"
    """Another coordinator holds the lease; look again when it has run out."""

    RECONCILE = "Reconcile"
    """Accept the uploads whose events were lost."""

    SWEEP = "Sweep"
    """Remove what no committed manifest names any more."""

    IDLE = "Idle"
    """Nothing waits; nothing runs."""


class Event(StrEnum):
    """What a state ends with."""

    NOTHING = "idle"
    SMALL = "epoch"
    LARGE = "fan_out"
    HELD = "wait"
    UNLISTED = "reconcile"
    UNSWEPT = "sweep"
    DONE = "done"
    MORE = "more"
    """Done, and another reduce stage follows."""


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.PLAN: {
        Event.NOTHING: State.IDLE,
        Event.SMALL: State.EPOCH,
        Event.LARGE: State.MAP,
        Event.HELD: State.STANDBY,
        Event.UNLISTED: State.RECONCILE,
        Event.UNSWEPT: State.SWEEP,
    },
    State.EPOCH: {Event.DONE: State.COMMIT},
    State.MAP: {Event.DONE: State.REDUCE},
    State.REDUCE: {Event.DONE: State.COMMIT, Event.MORE: State.NEXT_STAGE},
    State.NEXT_STAGE: {Event.DONE: State.REDUCE},
    State.COMMIT: {Event.DONE: State.PLAN},
    State.STANDBY: {Event.DONE: State.PLAN},
    State.RECONCILE: {Event.DONE: State.PLAN},
    State.SWEEP: {Event.DONE: State.PLAN},
}


class Coordinator:
    """Plans and commits the epochs of one pipeline.

    Args:
        outline: The pipeline's plan, as far as it matters here.
        objects: The store of state.
        table: The pipeline's rows.
        limits: How large epochs may be.
        clock: The machine's clock.
        now: Processing time to freeze into an epoch that takes these inputs (may be empty), where it is not
            the machine's clock.
        meter: Says what planning took, and what committing took.
        announce: Is told that a generation counts from now on, when a replay has repeated all that was;
            maybe several times.

    Attributes:
        meter: As given.
    """

    def __init__(
        self,
        outline: Outline,
        objects: Objects,
        table: Table,
        limits: Limits,
        clock: Clock,
        now: Callable[[Sequence[intake.Accepted]], int] | None = None,
        meter: Meter = UNMETERED,
        announce: Callable[[int], None] = lambda generation: None,
    ) -> None:
        self.meter = meter
        self._outline = outline
        self._objects = objects
        self._table = table
        self._limits = limits
        self._clock = clock
        self._now = now or (lambda inputs: clock.now())
        self._announce = announce
        self._last: tuple[tuple[str, str], Manifest | None] = (("", ""), None)

    def check(self) -> None:
        """Refuses the state of another plan; whoever is to write nothing then asks before.

        Raises:
            IncompatiblePipeline: The state belongs to another plan, with what changed.
        """
        head = self._head()
        if head.begins:
            # An epoch belongs to the plan that it was frozen for, also before any is committed.
            with suppress(ObjectNotFound):
                self._adopted(paths.record(self._outline.pipeline, head.epoch + 1))

    def plan(self, *, close: bool = False, ended: bool = False) -> EpochRecord | None:
        """The record of the next epoch: the one that is there, or a new one; None if none is due.

        Due is an epoch with the objects that wait, or with none once processing time comes to the alarm; but
        first, while a replay is under way, each epoch of the older generation once more.

        Args:
            close: Whether the source is finished, so that an epoch without inputs takes the watermark to
                `MAX` if it is not there yet.
            ended: Whether the bounded sources of a union are, so that an epoch without inputs finishes them.

        Raises:
            IncompatiblePipeline: The state belongs to another plan. Nothing was written.
        """
        head = self._checked(settled(self._head(), self._outline.pipeline, self._objects, self._table))
        key = paths.record(self._outline.pipeline, head.epoch + 1)
        record = self._repeat(head) if head.to_repeat else self._freeze(head, close, ended)
        if record is None:
            # One that is there goes on, also if nothing is due by this clock.
            with suppress(ObjectNotFound):
                return self._adopted(key)
            return None
        # Nobody looks before: mostly there is none, and a put finds out as well.
        return record if self._objects.put_if_absent(key, record.encode()) else self._adopted(key)

    def tasks(self, record: EpochRecord, state: State, stage: int = 1) -> Sequence[Task]:
        """The tasks of a state; of `REDUCE`, those of the reduce stage of this number that have work.

        Raises:
            ObjectNotFound: They are of a reduce stage, and the stage before it is not done.
        """
        if state is State.EPOCH:
            return tasks_of(record.epoch, WHOLE, 1)
        if state is State.MAP:
            return map_tasks(record)
        if not record.layout.shuffles:
            return ()
        previous = self._manifest(record.previous)
        return reduce_stage(stage, record, self._outline.rules, previous, self._results).tasks

    def tasks_behind(self, epoch: int, stage: int) -> Sequence[Task]:
        """The tasks with work of a reduce stage of the next epoch, whose record was frozen."""
        record = self._adopted(paths.record(self._outline.pipeline, epoch))
        return self.tasks(record, State.REDUCE, stage)

    def commit(self, record: EpochRecord) -> Manifest:
        """Moves the head to the record's epoch; if that is done already, nothing changes.

        Returns:
            The manifest of the last committed epoch.

        Raises:
            ObjectNotFound: A task has no result yet.
            TidegateError: The head is somewhere else.
        """
        return self._commit(self._head(), record)

    def commit_epoch(self, epoch: int) -> None:
        """As `commit`, for whoever knows the epoch's number only."""
        head = self._head()
        if head.epoch < epoch:
            self._commit(head, self._adopted(paths.record(self._outline.pipeline, epoch)))

    def _commit(self, head: Head, record: EpochRecord) -> Manifest:
        _check_generation(head, record)
        committed = self._manifest(head.manifest)
        if committed is not None and head.epoch >= record.epoch:
            # The epoch's own manifest may be swept by now.
            return committed
        data = self._manifest_of(record, committed)
        manifest = Manifest.decode(paths.manifest(record.pipeline, record.epoch), data)
        # What is repeated left them in the older generation.
        deletes = [] if head.to_repeat else departures(record.inputs)
        at_once = leave_at_once(len(deletes))
        moved = Head(
            epoch=record.epoch,
            manifest=(manifest.key, checksum(data)),
            settled=record.epoch if at_once else record.epoch - 1,
            fingerprint=record.fingerprint,
            key_groups=head.key_groups,
            alarm=manifest.alarm,
            repeats=head.repeats if head.to_repeat else 0,
        )
        expected: Row | None = {"epoch": record.epoch - 1} if record.epoch > 1 else None
        try:
            self._table.write(
                Put(paths.HEAD, moved.row(), expected=expected),
                *(deletes if at_once else ()),
            )
        except ConditionFailed:
            head = self._head()
            _check_generation(head, record)
            if head.epoch < record.epoch:
                raise TidegateError(
                    f"epoch {record.epoch} of {record.pipeline} cannot be committed: the head is at epoch "
                    f"{head.epoch}; the table was changed from outside, restore it from a backup"
                ) from None
        self._last = moved.manifest, manifest
        settled(moved, record.pipeline, self._objects, self._table, begun=False)
        return manifest

    def _manifest_of(self, record: EpochRecord, previous: Manifest | None) -> bytes:
        key = paths.manifest(record.pipeline, record.epoch)
        if not record.layout.small:
            results = results_of(record, self._outline.rules, previous, self._results)
            manifest = build_manifest(record, self._outline.rules, previous, results)
            data = manifest.with_costs(record, results, self.meter.spent(), previous).encode()
            if self._objects.put_if_absent(key, data):
                return data
        # The same record and results give the same, save what the commit took; the first one counts. That of
        # a small epoch was put by its task.
        return self._objects.get(key)

    def manifest(self) -> Manifest | None:
        """The manifest of the last committed epoch, None before the first one."""
        return self._manifest(self._head().manifest)

    def alarm(self) -> int:
        """The processing time at which an epoch is due without inputs, microseconds; `MAX` if none is."""
        return self._head().alarm

    def _head(self) -> Head:
        row = self._table.get(paths.HEAD)
        if row is None:
            # Nothing is written before the first commit: who only looked is tied to no plan.
            return Head(0, ("", ""), 0, self._outline.fingerprint, KEY_GROUPS)
        return self._checked(Head.of(row))

    def _checked(self, head: Head) -> Head:
        head.check(self._outline.pipeline)
        if head.fingerprint == self._outline.fingerprint:
            return head
        if head.begins and head.epoch:
            raise begun_for_another_plan(self._outline.pipeline)
        # The record of that epoch says what the difference is.
        self._adopted(paths.record(self._outline.pipeline, head.epoch))
        return head

    def _adopted(self, key: str) -> EpochRecord:
        record = EpochRecord.decode(key, self._objects.get(key))
        self._outline.check(record.fingerprint, record.meaning)
        return record

    def _repeat(self, head: Head) -> EpochRecord:
        old = record_of(self._objects, self._outline.pipeline, head.to_repeat)
        previous = self._manifest(head.manifest)
        planning = self.meter.spent()
        return repeated(old, head, previous, self._outline, self._limits, planning)

    def _freeze(self, head: Head, close: bool, ended: bool) -> EpochRecord | None:
        if head.repeats:
            self._announce(generation_of(head.epoch))
        previous = self._manifest(head.manifest)
        frontier = previous.frontier if previous else first_frontier(self._outline.rules)
        inputs = take_waiting(self._table, self._limits)
        closes = close and not inputs and frontier.watermark < MAX
        ends: tuple[str, ...] = ()
        if ended and not inputs and not closes and isinstance(frontier, UnionFrontier):
            ends = frontier.unfinished(self._outline.bounded)
        # No moment of a clock is `MAX`, which is no alarm's either but that of nothing due.
        now = min(self._now(inputs), MAX - 1)
        if not inputs and not closes and not ends and head.alarm > now:
            return None
        processed = previous.processed if previous else ""
        return EpochRecord(
            pipeline=self._outline.pipeline,
            epoch=head.epoch + 1,
            fingerprint=self._outline.fingerprint,
            meaning=self._outline.meaning,
            now=max(now, previous.now if previous else 0),
            clock=self._clock.now(),
            frontier=frontier,
            close=closes,
            inputs=inputs,
            accepted=intake.last_accepted(self._table),
            processed=max([processed, *(each.position for each in inputs)]),
            previous=head.manifest,
            layout=lay_out(inputs, self._limits, self._outline, previous.segments if previous else ()),
            ended=ends,
            planning=self.meter.spent(),
        )

    def _results(self, tasks: Sequence[Task]) -> list[TaskResult]:
        return read_results(self._objects, [result_key(self._outline.pipeline, each) for each in tasks])

    def _manifest(self, reference: tuple[str, str]) -> Manifest | None:
        # What has the same checksum is the same: each manifest is read once.
        if self._last[0] != reference:
            self._last = reference, read_manifest(self._objects, reference)
        return self._last[1]


def _check_generation(head: Head, record: EpochRecord) -> None:
    """Refuses to commit what a replay has fenced: its inputs wait, for the generation that takes them."""
    generation = generation_of(record.epoch)
    if generation_of(head.epoch) > generation:
        raise TidegateError(
            f"epoch {number_of(record.epoch)} of generation {generation} is not committed any more: a replay "
            f"of {record.pipeline} was begun; its inputs are processed by that"
        )


def event_of(record: EpochRecord | None) -> Event:
    """What planning ends with."""
    if record is None:
        return Event.NOTHING
    return Event.SMALL if record.layout.small else Event.LARGE
