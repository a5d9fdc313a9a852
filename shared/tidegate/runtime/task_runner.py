"""What the Lambda handlers call that run tasks: map, reduce, and the one that runs a small epoch.

Nothing here imports boto3, so that map and reduce functions start without it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from tidegate.epochs import paths
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores
from tidegate.epochs.tasks import run_task as run
from tidegate.errors import TidegateError
from tidegate.expressions import FAILURES
from tidegate.limits import CACHE_BYTES
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.buckets import Environment, bucket
from tidegate.runtime.failure import unexpected
from tidegate.runtime.loading import load_pipeline
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
    stores = TaskStores(
        input=bucket(environment, "TIDEGATE_INPUT_BUCKET"),
        state=_cached(bucket(environment, "TIDEGATE_STATE_BUCKET")),
        output=bucket(environment, "TIDEGATE_OUTPUT_BUCKET"),
    )
    plan = _plan(environment["TIDEGATE_PIPELINE"])
    try:
        run(plan, stores, wanted, attempt)
    except TidegateError:
        raise
    except FAILURES as error:
        raise unexpected(wanted, error) from None
    return {"epoch": wanted.epoch, "stage": wanted.stage, "task": wanted.number}


@cache
def _cached(state: S3Objects) -> CachedObjects:
    """The state with the layers that this function read or wrote while it was warm."""
    return CachedObjects(state, Path(gettempdir()), CACHE_BYTES, paths.may_hold_layers)


@cache
def _plan(reference: str) -> Plan:
    return compile_plan(load_pipeline(reference))
