"""The parts of a trigger that is made of triggers.

They are evaluated once, and what they say is given columns of its own, so that the expressions of a
nested trigger grow with the number of its parts and not faster. What a part's state becomes is told from
above: whether it fires, and whether it begins anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from tidegate.errors import PipelineError
from tidegate.triggers.trigger import Columns, Moment, State, Step, Trigger


@dataclass(frozen=True)
class Parts:
    """The parts of a trigger by their names.

    Attributes:
        path: That of the trigger; a part's state lies below the path with its name.
        triggers: The parts.
    """

    path: str
    triggers: Mapping[str, Trigger]

    @classmethod
    def numbered(cls, path: str, triggers: Iterable[Trigger]) -> "Parts":
        """Parts whose names are their numbers."""
        return cls(path, {str(number): part for number, part in enumerate(triggers)})

    def state(self) -> State:
        """The state columns of all of them."""
        return {
            column: each
            for name, part in self.triggers.items()
            for column, each in part.state(f"{self.path}.{name}").items()
        }

    def steps(self, moment: Moment) -> dict[str, Step]:
        """One evaluation of each, with what it says as columns."""
        steps = {}
        for name, part in self.triggers.items():
            below = f"{self.path}.{name}"
            step = part.step(below, moment)
            says = {"ready": step.ready, "shows": step.shows, "finished": step.finished}
            layer = {f"{below}.{each}": value for each, value in says.items()}
            ready, shows, finished = map(pl.col, layer)
            steps[name] = Step((*step.layers, layer), ready, shows, finished, step.after)
        return steps

    def due(self, end: pl.Expr, watermark: int) -> dict[str, pl.Expr]:
        """When each is ready though nothing more comes."""
        return {name: part.due(f"{self.path}.{name}", end, watermark) for name, part in self.triggers.items()}


def layers(steps: Iterable[Step], first: Columns | None = None) -> tuple[Columns, ...]:
    """The layers of steps side by side, with further columns in the first one."""
    found = [dict(first)] if first else []
    for step in steps:
        for depth, layer in enumerate(step.layers):
            if depth == len(found):
                found.append({})
            found[depth] |= layer
    return tuple(found)


def check_part(step: str, part: object) -> None:
    """Refuses what is no trigger.

    Raises:
        PipelineError: It is none.
    """
    if not hasattr(part, "outlook") or isinstance(part, type):
        raise PipelineError(step, f"{part!r} is not a trigger", "Give a trigger, such as AfterCount(5).")


def check_parts(step: str, parts: tuple[object, ...]) -> None:
    """Refuses fewer than two triggers.

    Raises:
        PipelineError: There are fewer, or one is no trigger.
    """
    for part in parts:
        check_part(step, part)
    if len(parts) < 2:
        raise PipelineError(
            step, f"it is made of two triggers or more, not {len(parts)}", "Add what is missing."
        )
