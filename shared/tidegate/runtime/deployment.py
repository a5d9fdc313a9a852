"""The control functions on AWS: settings from the environment, and adapters.

Nothing here imports Polars or the engine, so that these functions start fast. What runs tasks is in
`task_runner`, which in turn imports no boto3.
"""

import sys
from functools import cache
from pathlib import Path

from tidegate.epochs.layout import Limits
from tidegate.errors import UsageError
from tidegate.limits import INLINE_TASKS
from tidegate.outline import Outline
from tidegate.runtime.buckets import Environment, bucket, memory_of_function
from tidegate.runtime.control_plane import ControlPlane
from tidegate.runtime.meter import Meter
from tidegate.runtime.notifications import Alarm
from tidegate.stores.aws import AlarmQueue, DynamoTable, StateMachine, UploadedVersions
from tidegate.stores.clock import SystemClock

PLANS = "tidegate_plans"
"""The folder of the layer that holds the compiled plan documents."""


def control_plane(environment: Environment, outline: Outline | None = None) -> ControlPlane:
    """The control functions of a deployment.

    A function that starts no executions needs no `TIDEGATE_STATE_MACHINE_ARN`, and one that sets no alarms
    no `TIDEGATE_ALARM_...`, or only the queue's URL if all of its alarms are near.

    Args:
        environment: The function's environment.
        outline: Of the pipeline; found in the layer if left out.

    Raises:
        UsageError: The layer has no plan document of the pipeline.
    """
    outline = outline or _outline(environment["TIDEGATE_PIPELINE"])
    defaults = Limits()
    limits = Limits(
        bytes=int(environment.get("TIDEGATE_MAX_BYTES_PER_EPOCH", defaults.bytes)),
        files=int(environment.get("TIDEGATE_MAX_FILES_PER_EPOCH", defaults.files)),
        tasks=int(environment.get("TIDEGATE_MAX_TASKS", defaults.tasks)),
        small=int(environment.get("TIDEGATE_SMALL_EPOCH_BYTES", defaults.small)),
        task_bytes=int(environment.get("TIDEGATE_TASK_BYTES", defaults.task_bytes)),
    )
    return ControlPlane(
        outline=outline,
        table=_table(environment["TIDEGATE_TABLE"], outline.pipeline),
        state=bucket(environment, "TIDEGATE_STATE_BUCKET"),
        output=bucket(environment, "TIDEGATE_OUTPUT_BUCKET"),
        uploads=UploadedVersions(environment["TIDEGATE_INPUT_BUCKET"]),
        input_bucket=environment["TIDEGATE_INPUT_BUCKET"],
        limits=limits,
        clock=SystemClock(),
        alarms=AlarmQueue(
            queue=environment.get("TIDEGATE_ALARM_QUEUE_URL", ""),
            queue_arn=environment.get("TIDEGATE_ALARM_QUEUE_ARN", ""),
            group=environment.get("TIDEGATE_ALARM_GROUP", ""),
            role=environment.get("TIDEGATE_ALARM_ROLE_ARN", ""),
            message=lambda moment: Alarm(moment).body(),
        ),
        start=lambda execution: _machine(environment["TIDEGATE_STATE_MACHINE_ARN"]).start(execution),
        at_once=int(environment.get("TIDEGATE_TASKS_AT_ONCE", INLINE_TASKS)),
        meter=lambda: Meter(memory=memory_of_function(environment)),
    )


@cache
def _table(name: str, pipeline: str) -> DynamoTable:
    return DynamoTable(name, pipeline)


@cache
def _machine(arn: str) -> StateMachine:
    return StateMachine(arn)


@cache
def _outline(reference: str) -> Outline:
    document = f"{reference.replace(':', '.')}.json"
    for folder in sys.path:
        path = Path(folder) / PLANS / document
        if path.is_file():
            return Outline.from_json(path.read_text())
    raise UsageError(f"the layer has no plan document {PLANS}/{document}; build it again with `make build`")
