"""What the Lambda handlers call that run tasks: map, reduce, and the one that runs a small epoch.

Nothing here imports boto3, so that map and reduce functions start without it.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from tidegate.epochs import paths
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores
from tidegate.epochs.tasks import run_task as run
from tidegate.limits import CACHE_BYTES
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.buckets import Environment, bucket, memory_of_function
from tidegate.runtime.control_plane import Answer, ControlPlane
from tidegate.runtime.failure import without_records
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.meter import Meter
from tidegate.runtime.small_epoch import SmallEpochs
from tidegate.stores.cached import CachedObjects
from tidegate.stores.s3 import S3Objects


def run_task(environment: Environment, task: Mapping[str, Any], attempt: str) -> dict[str, Any]:
    """Runs a task of an epoch.

    Args:
        environment: The function's environment.
        task: `epoch`, `stage` (`map`, `reduce` or `epoch`) and `task`.
        attempt: A name that no other attempt has, such as the request's.

    Raises:
        TidegateError: The task failed; no record is in the message.
    """
    wanted = Task(int(task["epoch"]), str(task["stage"]), int(task["task"]))
    meter, stores, cached = _metered_stores(environment)
    meter.begin()
    plan = _plan(environment["TIDEGATE_PIPELINE"])
    with without_records(wanted):
        cached.trusting(lambda: run(plan, stores, wanted, attempt, meter))
    return {"epoch": wanted.epoch, "stage": wanted.stage, "task": wanted.number}


def run_epoch(environment: Environment, control: ControlPlane, epoch: int, attempt: str) -> Answer:
    """Runs a small epoch, whole, and commits it; see `SmallEpochs`."""
    meter, stores, cached = _metered_stores(environment)
    small = _small_epochs(environment["TIDEGATE_PIPELINE"], stores, meter)
    return cached.trusting(lambda: small.run(control, epoch, attempt))


def _metered_stores(environment: Environment) -> tuple[Meter, TaskStores, CachedObjects]:
    return _metered(
        bucket(environment, "TIDEGATE_INPUT_BUCKET"),
        bucket(environment, "TIDEGATE_STATE_BUCKET"),
        bucket(environment, "TIDEGATE_OUTPUT_BUCKET"),
        memory_of_function(environment),
    )


@cache
def _metered(
    input_: S3Objects, state: S3Objects, output: S3Objects, memory: int
) -> tuple[Meter, TaskStores, CachedObjects]:
    """The stores, the state with the layers that this function read or wrote while it was warm."""
    meter = Meter(memory=memory)
    stores = meter.stores(TaskStores(input_, state, output))
    kept = CachedObjects(stores.state, Path(gettempdir()), CACHE_BYTES, paths.may_hold_layers)
    return meter, replace(stores, state=kept), kept


@cache
def _small_epochs(reference: str, stores: TaskStores, meter: Meter) -> SmallEpochs:
    return SmallEpochs(_plan(reference), stores, meter)


@cache
def _plan(reference: str) -> Plan:
    return compile_plan(load_pipeline(reference))
