"""A run's history for people: one column a process, time going down."""

from collections.abc import Iterator, Sequence

from tidegate.testing.simulation.ports import Step
from tidegate.testing.simulation.scheduler import SECOND


def timeline(steps: Sequence[Step], start: int) -> Iterator[str]:
    """The lines of a history.

    A process has a column from its first step to its last; a column is given to another one afterwards, so
    that who is at work at the same time stands side by side.

    Args:
        steps: The history.
        start: The moment that counts as 0, microseconds.
    """
    last = {step.process: number for number, step in enumerate(steps)}
    columns: list[str] = []
    for number, step in enumerate(steps):
        if step.process not in columns:
            free = columns.index("") if "" in columns else len(columns)
            columns[free : free + 1] = [step.process]
        column = columns.index(step.process)
        lanes = "".join("o" if at == column else "|" if name else " " for at, name in enumerate(columns))
        outcome = f"  [{step.outcome}]" if step.outcome else ""
        seconds = (step.moment - start) / SECOND
        yield f"{seconds:12.3f}  {lanes:12}  {step.process:28} {step.what}{outcome}"
        if last[step.process] == number:
            columns[column] = ""
