"""A small epoch in one function call: its one task and its commit, which reads nothing that the task read."""

from dataclasses import replace

from tidegate.epochs import paths
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.errors import TidegateError
from tidegate.expressions import FAILURES
from tidegate.plan import Plan
from tidegate.runtime.control_plane import Answer, ControlPlane
from tidegate.runtime.failure import unexpected
from tidegate.runtime.meter import Meter
from tidegate.stores.remembered import RememberedObjects


def run_small_epoch(
    plan: Plan, stores: TaskStores, control: ControlPlane, meter: Meter, epoch: int, attempt: str
) -> Answer:
    """Runs the task of a small epoch and commits it.

    Args:
        plan: The pipeline's plan.
        stores: What the task works on, metered.
        control: Commits.
        meter: Counts the requests of these stores.
        epoch: The epoch.
        attempt: A name that no other attempt has.

    Returns:
        What `ControlPlane.commit` answers.

    Raises:
        TidegateError: The task or the commit failed; no record is in the message.
    """
    task = Task(epoch, "epoch", 0)
    known = RememberedObjects(stores.state, paths.is_document)
    meter.begin()
    try:
        run_task(plan, replace(stores, state=known), task, attempt, meter)
    except TidegateError:
        raise
    except FAILURES as error:
        raise unexpected(task, error) from None
    return control.commit(epoch, (known, meter))
