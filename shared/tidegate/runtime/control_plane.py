"""What the functions do that process no data: intake, plan, commit, reconcile, sweep.

They work over the ports alone, and import neither Polars nor the engine, so that they start fast. The
adapters that they get on AWS are chosen in `deployment`; simulated ones make the same code testable.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, islice
from typing import Any, Protocol

from tidegate.epochs import lease, paths
from tidegate.epochs.action import HOUSEKEEPING, Action, next_action
from tidegate.epochs.head import Head
from tidegate.epochs.intake import InputObject, accept, enter, new
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator, Event
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.reduce_stage import map_tasks
from tidegate.epochs.repetition import announcement, begin
from tidegate.epochs.result import Task, tasks_of
from tidegate.epochs.sweep import EPOCHS_KEPT, sweep
from tidegate.errors import ForeignObject
from tidegate.limits import (
    EXECUTION_HISTORY,
    INLINE_TASKS,
    LEASE,
    RECONCILE_OVERLAP,
    SWEPT_AFTER,
)
from tidegate.outline import Outline, stage_name
from tidegate.runtime.meter import Meter
from tidegate.runtime.notifications import Alarm, Upload
from tidegate.stores.ports import QUEUE_DELAY, Alarms, Clock, ObjectInfo, Objects, Table

Answer = dict[str, Any]

_EVENTS_OF_EPOCH = 25
"""Events that an epoch's states leave in the history of an execution."""

_EVENTS_OF_STAGE = 20
"""Events that going on to another reduce stage leaves there."""

_EVENTS_OF_TASK = 7
"""Events that one task of an inline Map leaves there, when nothing is tried again.

A task of a Distributed Map leaves none: it has an execution, and so a history, of its own."""

_AT_A_TIME = 400
"""Uploads that are compared with the intake log before those that are new are accepted."""


class Received(StrEnum):
    """What became of a message, as the metrics call it."""

    ACCEPTED = "AcceptedObjects"
    IGNORED = "IgnoredNotifications"
    """Of an object that was accepted before, or that does not belong to the source."""

    ALARM = "Alarms"


class Uploads(Protocol):
    """The input as a listing shows it, with the versions that events name."""

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """As `Objects.list`, with every version of an object that can still be read."""
        ...


@dataclass(frozen=True)
class ControlPlane:
    """The control functions of one deployed pipeline.

    Attributes:
        outline: Of the pipeline's plan.
        table: The pipeline's rows.
        state: The store of state.
        output: The store of output, where readers find which generation counts.
        uploads: The store of input, to be listed.
        input_bucket: The name that events must have for it.
        limits: How large epochs may be.
        clock: The machine's clock.
        alarms: Call for a coordinator when processing time alone makes an epoch due, or a call may have died.
        start: Starts an execution of the state machine under a name, unless one runs under it; False if one
            did and has ended, for a name is used once.
        swept_after: How long ago an epoch must have been superseded before it is swept, microseconds.
        epochs_kept: Epochs before the head that are not swept.
        housekeeping: How often, at most, input is reconciled and epochs are swept, microseconds.
        inline_tasks: Tasks of a stage that an inline Map takes; more of them are a Distributed Map.
        at_once: Tasks of a Distributed Map that run side by side at most.
        meter: Makes what measures a call that plans or commits an epoch.
    """

    outline: Outline
    table: Table
    state: Objects
    output: Objects
    uploads: Uploads
    input_bucket: str
    limits: Limits
    clock: Clock
    alarms: Alarms
    start: Callable[[str], bool]
    swept_after: int = SWEPT_AFTER
    epochs_kept: int = EPOCHS_KEPT
    housekeeping: Mapping[Event, int] = field(default_factory=lambda: HOUSEKEEPING)
    inline_tasks: int = INLINE_TASKS
    at_once: int = INLINE_TASKS
    meter: Callable[[], Meter] = Meter

    def check(self) -> None:
        """Refuses to go on with state of another plan; intake asks before it accepts anything for it.

        Raises:
            IncompatiblePipeline: The state belongs to another plan. Nothing was written.
        """
        self._coordinator().check()

    def receive(self, message: Upload | Alarm) -> Received:
        """Takes in what a message of the queue says; `wake` after it, whatever it was.

        Raises:
            ForeignObject: It is about another bucket than the one that this deployment reads.
        """
        if isinstance(message, Alarm):
            # From now on none is set, so that whoever finds it too early sets it again.
            lease.ring(self.table, message.moment)
            return Received.ALARM
        new = self.accept(message.bucket, message.key, message.version, message.size)
        return Received.ACCEPTED if new else Received.IGNORED

    def accept(self, bucket: str, key: str, version: str, size: int) -> bool:
        """Puts an uploaded object into the intake log.

        Args:
            bucket: Where it was uploaded.
            key: Its key, decoded.
            version: Its version id, or its ETag in quotes where the bucket has no versions.
            size: In bytes.

        Returns:
            Whether it was new and belongs to the pipeline's source.

        Raises:
            ForeignObject: It lies in another bucket than the one that this deployment reads.
        """
        if bucket != self.input_bucket:
            raise ForeignObject(
                f"an event for the bucket {bucket!r}; this deployment reads {self.input_bucket!r}"
            )
        if not self.outline.takes(key):
            return False
        return accept(self.table, [InputObject(key, version, size)], self.clock.now()) == 1

    def wake(self, leaving: str = "") -> None:
        """Starts a coordinator, or sees to it that one stands by while another one is at work.

        Who holds the lease sees what was accepted, unless it is dead. So one execution stands by: the one
        that said so last, if it still runs, and else one for each holder and each time that a lease may
        last. It looks again when the lease has run out, whoever holds it then.

        Args:
            leaving: An execution that is about to end, and so does not count as one that stands by.
        """
        held = lease.wake(self.table)
        now = self.clock.now()
        pipeline = self.outline.pipeline[:40]
        if held.is_held(now):
            one = f"{pipeline}-after-{lease.mark(held.holder)}-{held.until // LEASE}"
            standing_by = (_name_of(each) for each in (held.standby, one))
            if any(self.start(each) for each in standing_by if each not in ("", leaving)):
                return
        # A state machine remembers names for 90 days, also across a table that was made anew.
        self.start(f"{pipeline}-{held.wake}-{now}")

    def plan(self, execution: str, history: int) -> Answer:
        """Freezes or finds the next epoch for a coordinator, or says what else it has to do.

        Args:
            execution: Name of the state machine's execution: the coordinator.
            history: Events in that execution's history so far, about.

        Raises:
            IncompatiblePipeline: The state belongs to another plan. Nothing was written.

        Returns:
            `action` (`idle`, `epoch`, `fan_out`, `wait`, `reconcile` or `sweep`); with an epoch its number
            and its tasks (in `map` or, if they are too many for an inline Map, in `wide_map`, of which
            `at_once` run side by side), with a wait its `seconds`; `history` as it will be afterwards.
        """
        if history >= EXECUTION_HISTORY:
            self.check()
            # An execution's history is bounded, so another one goes on.
            lease.give_back(self.table, execution)
            self.wake(leaving=_name_of(execution))
            return {"action": Event.NOTHING.value}
        meter = self.meter()
        coordinator = self._measured(meter, meter.objects(self.state, "state"))
        table = meter.table(self.table)
        action = next_action(coordinator, table, execution, self.clock, self.alarms, self.housekeeping)
        answer: Answer = {"action": action.event.value, "history": history + _EVENTS_OF_EPOCH}
        if action.event is Event.HELD:
            return answer | {"seconds": action.wait // 1_000_000 + 1}
        return (
            answer if action.record is None else answer | self._work(action, action.record, answer["history"])
        )

    def next_stage(self, execution: str, epoch: int, stage: int, later: int, history: int) -> Answer:
        """The tasks of the next reduce stage of an epoch, without those that have nothing to do.

        Args:
            execution: As for `plan`; its lease is renewed, for an epoch of many stages may outlast one.
            epoch: The epoch.
            stage: The number of the stage that is done, 0 for the map stage.
            later: How many stages follow it.
            history: As for `plan`.

        Returns:
            What `plan` answers when a stage begins, without an action: its tasks are in `reduce`, or in
            `wide_reduce`.
        """
        tasks = self._coordinator().tasks_behind(epoch, stage + 1)
        lease.acquire(self.table, execution, self.clock.now())
        answer = self._fanned_out("reduce", tasks)
        history += _EVENTS_OF_STAGE + _EVENTS_OF_TASK * len(answer["reduce"])
        return {"epoch": epoch, "history": history, "stage": stage + 1, "later": later - 1} | answer

    def head(self, meter: Meter) -> Head | None:
        """The head as it is, None before the first commit."""
        row = meter.table(self.table).get(paths.HEAD)
        return None if row is None else Head.of(row)

    def commit(self, epoch: int, known: tuple[Objects, Meter] | None = None) -> Answer:
        """Commits an epoch whose tasks all have results.

        Args:
            epoch: The epoch.
            known: The store of state as its task read it, with what counts its requests, where that ran here.
        """
        meter = known[1] if known else self.meter()
        meter.begin()
        state = known[0] if known else meter.objects(self.state, "state")
        self._measured(meter, state).commit_epoch(epoch)
        return {"epoch": epoch}

    def replay(self) -> Head:
        """Begins another generation, which does all epochs of this one again, and wakes a coordinator for it.

        Returns:
            The head of the new generation.

        Raises:
            UsageError: There is nothing to replay. Nothing was changed.
        """
        head = begin(self.outline, self.state, self.table)
        self.wake()
        return head

    def release(self, execution: str) -> Answer:
        """Gives back the lease of a coordinator that failed, so that the next upload starts another.

        If somebody stands by, for it came while this one was at work, another is started at once.
        """
        if lease.give_up(self.table, execution):
            self.wake(leaving=_name_of(execution))
        return {"action": "released"}

    def reconcile(self) -> Answer:
        """Accepts the uploads whose events were lost: an event is a hint, the listing is the truth.

        Only uploads since the last complete listing are compared with the intake log, so that the cost of
        the comparison does not grow with the input's age.

        Raises:
            IncompatiblePipeline: The state belongs to another plan. Nothing was written.
        """
        self.check()
        began = self.clock.now()
        since = lease.read(self.table).moment(lease.RECONCILED) - RECONCILE_OVERLAP
        listed = chain.from_iterable(self.uploads.list(each.prefix) for each in self.outline.sources)
        uploads = (each for each in listed if each.modified >= since)
        objects = (InputObject(e.key, e.version, e.size) for e in uploads if self.outline.takes(e.key))
        accepted = 0
        # Bit by bit, so that a call that runs into its timeout has found some of them.
        while some := list(islice(objects, _AT_A_TIME)):
            fresh = new(self.table, some)
            if fresh and not accepted:
                # When this call is over, for it may die before it wakes anybody, and nobody else would.
                self.alarms.set(began + QUEUE_DELAY, began)
            accepted += enter(self.table, fresh, self.clock.now())
        if accepted:
            # As after every intake: the execution that this call belongs to may have gone idle meanwhile.
            self.wake()
        # Last, for a call that fails here has woken somebody, and one that is tried again accepts nothing.
        lease.note(self.table, lease.RECONCILED, began)
        return {"accepted": accepted}

    def sweep(self) -> Answer:
        """Removes the objects of old epochs that nothing names any more; none while a replay is under way."""
        manifest = self._coordinator().manifest()
        if manifest is None or self._is_replaying():
            return {"removed": 0}
        return {"removed": sweep(self.state, manifest, self.swept_after, self.epochs_kept)}

    def _work(self, action: Action, record: EpochRecord, history: int) -> Answer:
        answer: Answer = {"epoch": record.epoch}
        tasks = 0
        if action.event is Event.LARGE:
            layout = record.layout
            # What is looked at first follows a stage without tasks.
            stage = layout.shuffles - layout.looked_at
            reduces = tasks_of(record.epoch, stage_name(1), len(layout.ranges) * stage)
            # These are so few that they are called unseen, and so none are too many.
            answer |= self._fanned_out("map", map_tasks(record)) | {"reduce": _payloads(reduces)}
            answer |= {"stage": stage, "later": layout.looked_at}
            tasks = len(answer["map"]) + len(reduces)
        return answer | {"history": history + _EVENTS_OF_TASK * tasks}

    def _fanned_out(self, stage: str, tasks: Sequence[Task]) -> Answer:
        if len(tasks) <= self.inline_tasks:
            return {stage: _payloads(tasks)}
        return {stage: [], f"wide_{stage}": _payloads(tasks), "at_once": self.at_once}

    def _coordinator(self) -> Coordinator:
        return Coordinator(self.outline, self.state, self.table, self.limits, self.clock)

    def _measured(self, meter: Meter, state: Objects) -> Coordinator:
        table, announce = meter.table(self.table), self._announce
        return Coordinator(
            self.outline, state, table, self.limits, self.clock, meter=meter, announce=announce
        )

    def _announce(self, generation: int) -> None:
        """Tells readers which generation counts from now on: the one moment at which a replay takes over."""
        key = paths.generation(self.outline.pipeline, generation)
        self.output.put_if_absent(key, announcement(self.outline, generation))

    def is_announced(self, generation: int) -> bool:
        """Whether readers were told that a generation counts."""
        key = paths.generation(self.outline.pipeline, generation)
        return any(
            each.key == key for each in self.output.list(f"{paths.GENERATIONS}/{self.outline.pipeline}")
        )

    def _is_replaying(self) -> bool:
        row = self.table.get(paths.HEAD)
        return row is not None and Head.of(row).repeats != 0


def _payloads(tasks: Sequence[Task]) -> list[Answer]:
    """Tasks as the functions are given them: references, never data."""
    return [{"epoch": each.epoch, "stage": each.stage, "task": each.number} for each in tasks]


def _name_of(execution: str) -> str:
    """The name of an execution, which its id ends with."""
    return execution.rsplit(":", maxsplit=1)[-1]
