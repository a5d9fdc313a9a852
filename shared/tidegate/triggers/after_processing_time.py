"""Deadlines of processing time, which the first element sets.

Each epoch has one frozen processing time. What an epoch brings is inside a firing that its own processing
time makes due: at one instant elements come before timers.
"""

from dataclasses import dataclass, field

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, Duration, duration_text, microseconds
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


def _deadline_state(path: str) -> State:
    return {f"{path}.deadline": StateColumn(MAX, pl.Expr.min)}


def _deadline_step(path: str, moment: Moment, asked: int) -> Step:
    """That of a trigger which fires once, at a processing time that the first element sets."""
    # Processing time never goes back, so that the first deadline is the lowest. The last instant means none.
    latest = instant(min(asked, MAX - 1))
    deadline = pl.min_horizontal(
        pl.col(f"{path}.deadline"), pl.when(moment.added > 0).then(latest).otherwise(instant(MAX))
    )
    ready = deadline <= moment.now

    def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
        return evolve(_deadline_state(path), {f"{path}.deadline": deadline}, fires | anew)

    return Step((), ready, ready & (moment.pending > 0), pl.lit(True), after)


@dataclass(frozen=True)
class AfterProcessingTime:
    """Fires once, `delay` of processing time after the first element since it began.

    It begins with the window and, where it is repeated, anew with each of its firings: so in
    `Repeatedly(AfterProcessingTime("1m"))` the delay counts from the first element since the last pane.
    Elements of the epoch that is frozen at the deadline are inside that firing. When sessions merge, the
    earliest deadline holds.

    Args:
        delay: The time from the first element's epoch to the pane, such as `"1m"`.

    Raises:
        PipelineError: The delay is no duration.

    Example:
        >>> AfterProcessingTime("90s").describe()
        'AfterProcessingTime(1m30s)'
    """

    delay: Duration
    outlook: Outlook = field(default=ONCE, init=False, repr=False)

    def __post_init__(self) -> None:
        microseconds(self.delay, "AfterProcessingTime(...)")

    def state(self, path: str) -> State:
        """`deadline`: the processing time at which it is ready; `MAX` before the first element."""
        return _deadline_state(path)

    def step(self, path: str, moment: Moment) -> Step:
        """Ready once processing time comes to the deadline; finished when fired."""
        return _deadline_step(path, moment, moment.now + microseconds(self.delay))

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """The deadline."""
        return pl.col(f"{path}.deadline")

    def describe(self) -> str:
        """The class with its delay in its shortest form."""
        return f"AfterProcessingTime({duration_text(microseconds(self.delay))})"


@dataclass(frozen=True)
class AlignedDelay:
    """Fires once, at the first multiple of `period` on the clock once an element has come.

    Multiples count from 1970-01-01T00:00:00Z. An element that arrives exactly at a multiple is inside that
    firing. `Repeatedly(AlignedDelay("1m"))` fires at every full minute before which something new came.
    When sessions merge, the earliest deadline holds.

    Args:
        period: The distance of the moments at which it may fire, such as `"1m"`.

    Raises:
        PipelineError: The period is no duration, or zero.

    Example:
        >>> AlignedDelay("60s").describe()
        'AlignedDelay(1m)'
    """

    period: Duration
    outlook: Outlook = field(default=ONCE, init=False, repr=False)

    def __post_init__(self) -> None:
        if microseconds(self.period, "AlignedDelay(...)") == 0:
            raise PipelineError("AlignedDelay(...)", "the period is zero", "Give a period such as '1m'.")

    def state(self, path: str) -> State:
        """`deadline`: the processing time at which it is ready; `MAX` before the first element."""
        return _deadline_state(path)

    def step(self, path: str, moment: Moment) -> Step:
        """Ready once processing time comes to the deadline; finished when fired."""
        period = microseconds(self.period)
        return _deadline_step(path, moment, -(-moment.now // period) * period)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """The deadline."""
        return pl.col(f"{path}.deadline")

    def describe(self) -> str:
        """The class with its period in its shortest form."""
        return f"AlignedDelay({duration_text(microseconds(self.period))})"
