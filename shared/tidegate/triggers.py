"""When in processing time: triggers say when the content of a window is emitted as a pane.

Triggers are columns. A trigger compiles to expressions over a few state columns of its own, evaluated
once per epoch for all touched and due windows, on what the whole epoch added; no loop visits a window.
The meaning is that of the Dataflow Model (VLDB 2015, section 2.3) and of Beam's trigger state machines:
each trigger tells when it is ready, what its state becomes if the window fires and if it does not, and
whether it is finished afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import polars as pl

from tidegate.errors import PipelineError

Columns = dict[str, pl.Expr]


class Finish(Enum):
    """When a trigger may come to its end, after which its window is closed to further elements."""

    NEVER = "never"
    AT_END_OF_WINDOW = "at the end of the window"
    ANY_TIME = "at any time"


@dataclass(frozen=True)
class Moment:
    """What a trigger may look at, beside its own state columns.

    Attributes:
        added: Elements that the epoch added to the window (Int64).
        end: The window's end (Int64 microseconds).
        watermark: The watermark at the epoch's end (microseconds).
    """

    added: pl.Expr
    end: pl.Expr
    watermark: int


@dataclass(frozen=True)
class Step:
    """One evaluation of a trigger, as expressions.

    Attributes:
        ready: Whether the trigger asks for a pane (Boolean).
        fired: The trigger's state columns if the window fires.
        quiet: The trigger's state columns if it does not.
        finished: Whether the trigger is finished once it has fired (Boolean).
    """

    ready: pl.Expr
    fired: Columns
    quiet: Columns
    finished: pl.Expr


class Trigger(Protocol):
    """The shape that every trigger has, so that all of them nest."""

    @property
    def finish(self) -> Finish:
        """When it may come to its end."""
        ...

    @property
    def needs_watermark(self) -> bool:
        """Whether it never fires unless the watermark passes the window's end."""
        ...

    def state(self, path: str) -> dict[str, int | bool]:
        """The state columns below this path with their initial values."""
        ...

    def step(self, path: str, moment: Moment) -> Step:
        """One evaluation, for a trigger whose state columns lie below this path."""
        ...

    def describe(self) -> str:
        """One line that changes whenever the trigger does; part of the plan's fingerprint."""
        ...


def _initial(trigger: Trigger, path: str) -> Columns:
    return {name: pl.lit(value) for name, value in trigger.state(path).items()}


def _check_part(step: str, part: object) -> None:
    if not hasattr(part, "step") or isinstance(part, type):
        raise PipelineError(step, f"{part!r} is not a trigger", "Give a trigger, such as AfterCount(5).")


def _choose(condition: pl.Expr, then: Mapping[str, pl.Expr], otherwise: Mapping[str, pl.Expr]) -> Columns:
    return {name: pl.when(condition).then(then[name]).otherwise(otherwise[name]) for name in then}


@dataclass(frozen=True)
class AfterCount:
    """Fires once, when at least `count` elements have come.

    An epoch's elements count together: `AfterCount(2)` on three new elements gives one pane of three.

    Raises:
        PipelineError: The count is no whole number, or below 1.
    """

    count: int
    finish: Finish = field(default=Finish.ANY_TIME, init=False, repr=False)
    needs_watermark: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        label, mend = f"AfterCount({self.count!r})", "Give the number of elements, 1 or more."
        if not isinstance(self.count, int) or isinstance(self.count, bool):
            raise PipelineError(label, "the count is not a whole number", mend)
        if self.count < 1:
            raise PipelineError(label, "the count is below 1", mend)

    def state(self, path: str) -> dict[str, int | bool]:
        """`elements`: how many have come."""
        return {f"{path}.elements": 0}

    def step(self, path: str, moment: Moment) -> Step:
        """Ready once the elements reach the count; finished when fired."""
        elements = pl.col(f"{path}.elements") + moment.added
        columns = {f"{path}.elements": elements}
        return Step(elements >= self.count, columns, columns, pl.lit(True))

    def describe(self) -> str:
        """The class with its count."""
        return f"AfterCount({self.count})"


@dataclass(frozen=True)
class Repeatedly:
    """Fires whenever its trigger does, which begins anew each time that it finishes.

    Raises:
        PipelineError: What it shall repeat is no trigger.
    """

    trigger: Trigger
    finish: Finish = field(default=Finish.NEVER, init=False, repr=False)

    def __post_init__(self) -> None:
        _check_part("Repeatedly", self.trigger)

    @property
    def needs_watermark(self) -> bool:
        """As its trigger."""
        return self.trigger.needs_watermark

    def state(self, path: str) -> dict[str, int | bool]:
        """That of its trigger."""
        return self.trigger.state(path)

    def step(self, path: str, moment: Moment) -> Step:
        """Its trigger's step, with the state set back where the trigger finished."""
        inner = self.trigger.step(path, moment)
        fired = _choose(inner.finished, _initial(self.trigger, path), inner.fired)
        return Step(inner.ready, fired, inner.quiet, pl.lit(False))

    def describe(self) -> str:
        """The class around its trigger."""
        return f"Repeatedly({self.trigger.describe()})"


@dataclass(frozen=True)
class AfterWatermark:
    """Fires when the watermark passes the window's end; before and after it as its two parts say.

    Both parts repeat by themselves. The late part counts only elements that came after the on-time
    firing. The on-time pane comes even if nothing changed since the last early pane. Without a late part
    the trigger finishes with the on-time pane.

    Args:
        early: When to emit while the watermark is before the window's end; never, if None.
        late: When to emit for elements that come after the on-time pane; never, if None.

    Raises:
        PipelineError: One of them is no trigger.

    Example:
        >>> AfterWatermark(early=AfterCount(100), late=AfterCount(1)).describe()
        'AfterWatermark(early=AfterCount(100), late=AfterCount(1))'
    """

    early: Trigger | None = None
    late: Trigger | None = None

    def __post_init__(self) -> None:
        for name, part in (("early", self.early), ("late", self.late)):
            if part is not None:
                _check_part(f"AfterWatermark({name}=...)", part)

    @property
    def finish(self) -> Finish:
        """With the on-time pane, unless there is a late part."""
        return Finish.AT_END_OF_WINDOW if self.late is None else Finish.NEVER

    @property
    def needs_watermark(self) -> bool:
        """Unless an early part fires without it."""
        return self.early is None or self.early.needs_watermark

    def state(self, path: str) -> dict[str, int | bool]:
        """`passed`: whether the on-time firing is done; and the state of both parts."""
        columns: dict[str, int | bool] = {f"{path}.passed": False}
        for name, part in self._parts().items():
            columns |= part.state(f"{path}.{name}")
        return columns

    def step(self, path: str, moment: Moment) -> Step:
        """The early part before the end, one firing at it, the late part after that firing."""
        passed = pl.col(f"{path}.passed")
        passes = ~passed & (moment.end <= moment.watermark)
        ready = passes
        fired: Columns = {f"{path}.passed": passed | passes}
        quiet: Columns = {f"{path}.passed": passed}
        parts = self._parts()
        if "early" in parts:
            early = parts["early"].step(f"{path}.early", moment)
            ready = ready | (~passed & early.ready)
            fired |= early.fired
            quiet |= early.quiet
        if "late" in parts:
            late = parts["late"].step(f"{path}.late", moment)
            unborn = _initial(parts["late"], f"{path}.late")
            ready = ready | (passed & late.ready)
            fired |= _choose(passed, late.fired, unborn)
            quiet |= _choose(passed, late.quiet, unborn)
        finished = pl.lit(False) if self.late else passes
        return Step(ready, fired, quiet, finished)

    def describe(self) -> str:
        """The class with its parts."""
        parts = (("early", self.early), ("late", self.late))
        inside = ", ".join(f"{name}={part.describe()}" for name, part in parts if part is not None)
        return f"AfterWatermark({inside})"

    def _parts(self) -> dict[str, Repeatedly]:
        parts = (("early", self.early), ("late", self.late))
        return {name: Repeatedly(part) for name, part in parts if part is not None}


DEFAULT_TRIGGER: Trigger = AfterWatermark(late=AfterCount(1))
"""One pane when the watermark passes, one more for each epoch that brings late elements."""
