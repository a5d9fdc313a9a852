"""How a failure that nobody expected is told: where it happened, without what it was about."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from tidegate.epochs.result import Task
from tidegate.errors import TidegateError
from tidegate.expressions import FAILURES

_FRAMES = 8
"""Calls that are named, from the innermost one."""


@contextmanager
def without_records(task: Task) -> Iterator[None]:
    """A block that runs a task, and fails with nothing but errors of Tidegate.

    Raises:
        TidegateError: The task failed; no record is in the message.
    """
    try:
        yield
    except TidegateError:
        raise
    except FAILURES as error:
        raise unexpected(task, error) from None


def unexpected(task: Task, error: BaseException) -> TidegateError:
    """The error to raise (`from None`) instead of one that is none of Tidegate's.

    What Polars or a user's function says may quote records, and this goes into logs and into the history of
    an execution. So its message is left out; its type and the places in the code are not about any record.

    Args:
        task: The task that it ended.
        error: What was raised.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{PurePath(each.filename).name}:{each.lineno} {each.name}" for each in reversed(frames)]
    return TidegateError(
        f"{task.stage} task {task.number} of epoch {task.epoch} failed with {type(error).__name__} in "
        f"{', called by '.join(places)}. What it says is left out, for it may quote records: run the same "
        "input with a debugger on a laptop to see it"
    )
