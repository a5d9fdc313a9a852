"""The port that runs tasks: threads or processes on a laptop, functions on AWS."""

from collections.abc import Sequence
from typing import Protocol

from tidegate.epochs.result import Task


class Invoker(Protocol):
    """The port that runs a set of tasks; it returns when each of them has a result."""

    def run(self, tasks: Sequence[Task]) -> None:
        """Runs the tasks, at the same time or one after the other.

        Raises:
            TidegateError: A task failed, and running it again did not help.
        """
        ...
