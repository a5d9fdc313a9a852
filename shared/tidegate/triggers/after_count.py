"""A number of elements."""

from dataclasses import dataclass, field

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN
from tidegate.triggers.trigger import (
    ONCE,
    Columns,
    Moment,
    Outlook,
    State,
    StateColumn,
    Step,
    evolve,
    instant,
)


@dataclass(frozen=True)
class AfterCount:
    """Fires once, when at least `count` elements have come.

    An epoch's elements count together: `AfterCount(2)` on three new elements gives one pane of three.
    When sessions merge, their counts add up.

    Raises:
        PipelineError: The count is no whole number, or below 1.
    """

    count: int
    outlook: Outlook = field(default=ONCE, init=False, repr=False)

    def __post_init__(self) -> None:
        label, mend = f"AfterCount({self.count!r})", "Give the number of elements, 1 or more."
        if not isinstance(self.count, int) or isinstance(self.count, bool):
            raise PipelineError(label, "the count is not a whole number", mend)
        if self.count < 1:
            raise PipelineError(label, "the count is below 1", mend)

    def state(self, path: str) -> State:
        """`elements`: how many have come."""
        return {f"{path}.elements": StateColumn(0, pl.Expr.sum)}

    def step(self, path: str, moment: Moment) -> Step:
        """Ready once the elements reach the count; finished when fired."""
        elements = pl.col(f"{path}.elements") + moment.added
        ready = elements >= self.count

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            return evolve(self.state(path), {f"{path}.elements": elements}, fires | anew)

        return Step((), ready, ready & (moment.pending > 0), pl.lit(True), after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """Never by time alone, unless enough elements have come."""
        return pl.when(pl.col(f"{path}.elements") >= self.count).then(instant(MIN)).otherwise(instant(MAX))

    def describe(self) -> str:
        """The class with its count."""
        return f"AfterCount({self.count})"
