"""The watermark's passing of the window's end, with what comes before it and after it."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN
from tidegate.triggers.after_count import AfterCount
from tidegate.triggers.composite import Repeatedly
from tidegate.triggers.never import Never
from tidegate.triggers.parts import Parts, check_part, layers
from tidegate.triggers.trigger import (
    Columns,
    Earliest,
    Moment,
    Outlook,
    State,
    StateColumn,
    Step,
    Trigger,
    instant,
)

OnTime = Literal["always", "if_new"]


@dataclass(frozen=True)
class AfterWatermark:
    """Fires when the watermark passes the window's end; before and after it as its two parts say.

    Both parts repeat by themselves. The late part counts only elements that came after the on-time
    firing. Without a late part the trigger finishes with the on-time firing.

    When sessions merge, the on-time firing counts as done only if it was in all of them, and only as long
    as the watermark is past the merged window's end: a session that grew beyond the watermark is early
    again, and gets an on-time pane when the watermark passes its new end.

    Args:
        early: When to emit while the watermark is before the window's end; never, if None.
        late: When to emit for elements that come after the on-time pane; never, if None.
        on_time: `"always"`: the on-time pane comes even if nothing changed since the last early pane.
            `"if_new"`: only if elements wait for it; without them the firing gives no pane, and all else
            goes on as after one.

    Raises:
        PipelineError: A part is no trigger, or `on_time` is neither of the two.

    Example:
        >>> AfterWatermark(early=AfterCount(100), late=AfterCount(1)).describe()
        'AfterWatermark(early=AfterCount(100), late=AfterCount(1))'
    """

    early: Trigger | None = None
    late: Trigger | None = None
    on_time: OnTime = field(default="always", kw_only=True)

    def __post_init__(self) -> None:
        for name, part in (("early", self.early), ("late", self.late)):
            if part is not None:
                check_part(f"AfterWatermark({name}=...)", part)
        if self.on_time not in get_args(OnTime):
            raise PipelineError(
                "AfterWatermark(on_time=...)", f"{self.on_time!r} is unknown", "Give 'always' or 'if_new'."
            )

    @property
    def outlook(self) -> Outlook:
        """It finishes with the on-time firing, unless there is a late part."""
        end = Earliest.AT_END_OF_WINDOW
        early = self.early.outlook if self.early else Never().outlook
        finishes = end if self.late is None else Earliest.NEVER
        return Outlook(
            min(early.fires, end), finishes, min(early.waits, end), once=not (self.early or self.late)
        )

    def state(self, path: str) -> State:
        """`passed`: whether the on-time firing is done; and the state of both parts."""
        return {f"{path}.passed": StateColumn(False, pl.Expr.min), **self._parts(path).state()}

    def step(self, path: str, moment: Moment) -> Step:
        """The early part before the end, one firing at it, the late part after that firing."""
        over, passes = pl.col(f"{path}.over"), pl.col(f"{path}.passes")
        # The watermark before the epoch: it may pass the new end of a session in the epoch that moves it.
        done = pl.col(f"{path}.passed") & (moment.end <= moment.before)
        first = {f"{path}.over": done, f"{path}.passes": ~done & (moment.end <= moment.watermark)}
        steps = self._parts(path).steps(moment)
        early, late = steps.get("early"), steps.get("late")
        ready, shows = passes, passes & (moment.pending > 0) if self.on_time == "if_new" else passes
        if early:
            ready, shows = ready | (~over & early.ready), shows | (~over & ~passes & early.shows)
        if late:
            ready, shows = ready | (over & late.ready), shows | (over & late.shows)

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            on_time = fires & passes
            columns = {f"{path}.passed": ~anew & (over | on_time)}
            if early:
                columns |= early.after(fires & early.ready, anew | over | on_time)
            if late:
                columns |= late.after(fires & late.ready, anew | ~over)
            return columns

        finished = pl.lit(False) if self.late else passes
        return Step(layers(steps.values(), first), ready, shows, finished, after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """That of the part whose turn it is."""
        parts = self._parts(path).due(end, watermark)
        return (
            pl.when(end > watermark)
            .then(parts.get("early", instant(MAX)))
            .when(pl.col(f"{path}.passed"))
            .then(parts.get("late", instant(MAX)))
            .otherwise(instant(MIN))
        )

    def describe(self) -> str:
        """The class with its parts, and `on_time` where it is not the usual."""
        parts = (("early", self.early), ("late", self.late))
        inside = [f"{name}={part.describe()}" for name, part in parts if part is not None]
        inside += [] if self.on_time == "always" else [f"on_time={self.on_time!r}"]
        return f"AfterWatermark({', '.join(inside)})"

    def _parts(self, path: str) -> Parts:
        parts = (("early", self.early), ("late", self.late))
        return Parts(path, {name: Repeatedly(part) for name, part in parts if part is not None})


DEFAULT_TRIGGER: Trigger = AfterWatermark(late=AfterCount(1))
"""One pane when the watermark passes, one more for each epoch that brings late elements."""
