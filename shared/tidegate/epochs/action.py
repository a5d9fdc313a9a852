"""The next action of a coordinator that others may run beside, as executions of the state machine do."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.epochs import lease
from tidegate.epochs.machine import Coordinator, Event, event_of
from tidegate.epochs.record import EpochRecord
from tidegate.limits import RECONCILE_EVERY, SWEEP_EVERY
from tidegate.stores.ports import Alarms, Clock, Table
from tidegate.timestamps import MAX

HOUSEKEEPING = {Event.UNLISTED: RECONCILE_EVERY, Event.UNSWEPT: SWEEP_EVERY}
"""What is done beside the epochs, and how often at most, microseconds; only while a coordinator is awake."""


@dataclass(frozen=True)
class Action:
    """What a coordinator does next.

    Attributes:
        event: How planning ended.
        record: Of the epoch that is to be run.
        wait: How long to stand by, microseconds.
    """

    event: Event
    record: EpochRecord | None = None
    wait: int = 0


def next_action(
    coordinator: Coordinator,
    table: Table,
    holder: str,
    clock: Clock,
    alarms: Alarms,
    housekeeping: Mapping[Event, int] = HOUSEKEEPING,
) -> Action:
    """What a coordinator does next that others may run beside.

    It goes idle only if nothing waits, or if it did before. If another one holds the lease it stands by, for
    that one may be dead.

    Housekeeping is marked before it is done: if it fails again and again, epochs go on, and it is tried again
    when it is due the next time.

    Args:
        coordinator: Of the pipeline.
        table: The pipeline's rows.
        holder: The coordinator's name for the lease.
        clock: The machine's clock.
        alarms: Call again when processing time alone makes an epoch due.
        housekeeping: What is done beside the epochs, and how often at most, microseconds.

    Raises:
        IncompatiblePipeline: The state belongs to another plan. Nothing was written.
    """
    coordinator.check()
    set_here: dict[int, int] = {}
    while True:
        now = clock.now()
        held = lease.acquire(table, holder, now)
        if held is None:
            found = lease.read(table)
            if found.has_ended(holder):
                return Action(Event.NOTHING)
            lease.stand_by(table, holder)
            return Action(Event.HELD, wait=found.remaining(now))
        for duty, every in housekeeping.items():
            # A clock that was set back must not put it off. Once for each coordinator is enough, or machines
            # whose clocks differ would ask each other for it without end.
            noted_by_this_one = held.was_noted_by(duty.value, holder)
            if abs(now - held.moment(duty.value)) >= every and not noted_by_this_one:
                lease.note(table, duty.value, now, holder)
                return Action(duty)
        record = coordinator.plan()
        if record is not None:
            return Action(event_of(record), record)
        # One whose moment is past and that did not go off counts as lost. Any other before the head's is
        # enough: whoever it wakes sets the next one.
        outstanding = [each for each in held.alarms if each > now]
        alarm = coordinator.alarm()
        if alarm < min(outstanding, default=MAX):
            # Before it is noted, for what is noted is not set again. Had it gone off, somebody had called.
            if set_here.get(alarm) != held.wake:
                alarms.set(alarm, now)
                set_here[alarm] = held.wake
            outstanding.append(alarm)
        if lease.release(table, held, outstanding):
            return Action(Event.NOTHING)
