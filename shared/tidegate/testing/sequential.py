"""The invoker in memory: one task after the other, in this thread."""

from collections.abc import Iterator, Sequence

from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.plan import Plan


class SequentialInvoker:
    """Runs tasks where it is called.

    Args:
        plan: The pipeline's plan.
        stores: What its tasks work on.
        attempts: Names of attempts, each given once.
    """

    def __init__(self, plan: Plan, stores: TaskStores, attempts: Iterator[str]) -> None:
        self._plan = plan
        self._stores = stores
        self._attempts = attempts

    def run(self, tasks: Sequence[Task]) -> None:
        """See `Invoker.run`."""
        for task in tasks:
            run_task(self._plan, self._stores, task, next(self._attempts))
