"""The loop that takes a pipeline's coordinator through its states, in this process."""

from collections.abc import Callable

from tidegate.epochs.invoker import Invoker
from tidegate.epochs.machine import TRANSITIONS, Coordinator, Event, State, event_of
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord


def drive(
    coordinator: Coordinator,
    invoker: Invoker,
    *,
    close: bool = False,
    ended: bool = False,
    committed: Callable[[Manifest], None] = lambda manifest: None,
) -> None:
    """Runs epochs until nothing waits, in this process.

    Args:
        coordinator: Of the pipeline.
        invoker: Runs its tasks.
        close: As for `Coordinator.plan`.
        ended: As for `Coordinator.plan`.
        committed: Is told each epoch's manifest.
    """
    state = State.PLAN
    record: EpochRecord | None = None
    stage = 1
    while state is not State.IDLE:
        coordinator.meter.begin()
        event = Event.DONE
        if state is State.PLAN:
            record, stage = coordinator.plan(close=close, ended=ended), 1
            event = event_of(record)
        elif state is State.NEXT_STAGE:
            stage += 1
        elif record is not None and state is State.COMMIT:
            committed(coordinator.commit(record))
        elif record is not None:
            invoker.run(coordinator.tasks(record, state, stage))
            if state is State.REDUCE and stage < record.layout.shuffles:
                event = Event.MORE
        state = TRANSITIONS[state][event]
