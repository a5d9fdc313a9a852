"""A process that ends in the middle of an epoch."""

from collections.abc import Sequence

from tidegate.epochs.invoker import Invoker
from tidegate.epochs.result import Task
from tidegate.testing.faults import Crash


class Stopping:
    """An invoker that ends the process once the tasks have their results, before they are committed."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    def run(self, tasks: Sequence[Task]) -> None:
        self._invoker.run(tasks)
        raise Crash
