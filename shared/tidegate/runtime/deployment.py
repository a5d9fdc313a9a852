"""What the Lambda handlers of intake, plan and commit call: settings from the environment, and adapters.

Nothing here imports Polars or the engine, so that these functions start fast. What runs tasks is in
`task_runner`, which in turn imports no boto3.
"""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tidegate.epochs import lease, paths
from tidegate.epochs.intake import InputObject, accept
from tidegate.epochs.machine import Coordinator, Event, State, event_of
from tidegate.epochs.record import EpochRecord, Limits
from tidegate.errors import ForeignObject, UsageError
from tidegate.limits import EXECUTION_HISTORY
from tidegate.outline import Outline
from tidegate.runtime.buckets import Environment, bucket
from tidegate.stores.aws import DynamoTable, StateMachine
from tidegate.stores.clock import SystemClock

Answer = dict[str, Any]

_CLOCK = SystemClock()

_EVENTS_OF_EPOCH = 25
"""Events that an epoch's states leave in the history of an execution."""

_EVENTS_OF_TASK = 7
"""Events that one task of an inline Map leaves there, when nothing is tried again."""

PLANS = "tidegate_plans"
"""The folder of the layer that holds the compiled plan documents."""


@dataclass(frozen=True)
class Intake:
    """What the intake function does."""

    outline: Outline
    table: DynamoTable
    input_bucket: str
    state_machine: StateMachine

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
        return accept(self.table, [InputObject(key, version, size)], _CLOCK.now()) == 1

    def wake(self) -> None:
        """Starts a coordinator, unless one is at work and will see what was accepted."""
        held = lease.wake(self.table)
        if not held.is_held(_CLOCK.now()):
            # A state machine remembers names for 90 days, also across a table that was made anew.
            self.state_machine.start(f"{self.outline.pipeline[:40]}-{held.wake}-{_CLOCK.now()}")


def intake(environment: Environment) -> Intake:
    """The intake of a deployment."""
    outline = _outline(environment["TIDEGATE_PIPELINE"])
    return Intake(
        outline=outline,
        table=_table(environment["TIDEGATE_TABLE"], outline.pipeline),
        input_bucket=environment["TIDEGATE_INPUT_BUCKET"],
        state_machine=StateMachine(environment["TIDEGATE_STATE_MACHINE_ARN"]),
    )


def plan(environment: Environment, execution: str, history: int) -> Answer:
    """Freezes or finds the next epoch for a coordinator.

    Args:
        environment: The function's environment.
        execution: Name of the state machine's execution: the coordinator.
        history: Events in that execution's history so far, about.

    Returns:
        `action` (`idle`, `epoch` or `fan_out`); with an epoch its number and its tasks.
    """
    outline = _outline(environment["TIDEGATE_PIPELINE"])
    table = _table(environment["TIDEGATE_TABLE"], outline.pipeline)
    if history >= EXECUTION_HISTORY:
        # An execution's history is bounded, so another one goes on.
        lease.give_back(table, execution)
        intake(environment).wake()
        return {"action": Event.NOTHING.value}
    coordinator = _coordinator(environment)
    while True:
        held = lease.acquire(table, execution, _CLOCK.now())
        if held is None:
            return {"action": Event.NOTHING.value}
        record = coordinator.plan()
        if record is not None:
            return _work(coordinator, record, history)
        if lease.release(table, held):
            return {"action": Event.NOTHING.value}


def release(environment: Environment, execution: str) -> Answer:
    """Gives back the lease of a coordinator that failed, so that the next upload starts another."""
    outline = _outline(environment["TIDEGATE_PIPELINE"])
    lease.give_back(_table(environment["TIDEGATE_TABLE"], outline.pipeline), execution)
    return {"action": "released"}


def commit(environment: Environment, epoch: int) -> Answer:
    """Commits an epoch whose tasks all have results."""
    outline = _outline(environment["TIDEGATE_PIPELINE"])
    key = paths.record(outline.pipeline, epoch)
    record = EpochRecord.decode(key, bucket(environment, "TIDEGATE_STATE_BUCKET").get(key))
    _coordinator(environment).commit(record)
    return {"epoch": epoch}


def _work(coordinator: Coordinator, record: EpochRecord, history: int) -> Answer:
    event = event_of(record)
    answer: Answer = {"action": event.value, "epoch": record.epoch}
    tasks = 0
    if event is Event.LARGE:
        for name, state in (("map", State.MAP), ("reduce", State.REDUCE)):
            stage = coordinator.tasks(record, state)
            tasks += len(stage)
            answer[name] = [{"epoch": each.epoch, "stage": each.stage, "task": each.number} for each in stage]
    answer["history"] = history + _EVENTS_OF_EPOCH + _EVENTS_OF_TASK * tasks
    return answer


def _coordinator(environment: Environment) -> Coordinator:
    outline = _outline(environment["TIDEGATE_PIPELINE"])
    defaults = Limits()
    limits = Limits(
        bytes=int(environment.get("TIDEGATE_MAX_BYTES_PER_EPOCH", defaults.bytes)),
        files=int(environment.get("TIDEGATE_MAX_FILES_PER_EPOCH", defaults.files)),
        tasks=int(environment.get("TIDEGATE_MAX_TASKS", defaults.tasks)),
        small=int(environment.get("TIDEGATE_SMALL_EPOCH_BYTES", defaults.small)),
    )
    return Coordinator(
        outline,
        bucket(environment, "TIDEGATE_STATE_BUCKET"),
        _table(environment["TIDEGATE_TABLE"], outline.pipeline),
        limits,
        _CLOCK,
    )


@cache
def _table(name: str, pipeline: str) -> DynamoTable:
    return DynamoTable(name, pipeline)


@cache
def _outline(reference: str) -> Outline:
    document = f"{reference.replace(':', '.')}.json"
    for folder in sys.path:
        path = Path(folder) / PLANS / document
        if path.is_file():
            return Outline.from_json(path.read_text())
    raise UsageError(f"the layer has no plan document {PLANS}/{document}; build it again with `make build`")
