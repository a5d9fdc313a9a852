"""Triggers made of triggers, to any depth."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import and_, or_

import polars as pl

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX
from tidegate.triggers.parts import Parts, check_part, check_parts, layers
from tidegate.triggers.trigger import (
    Columns,
    Earliest,
    Moment,
    Outlook,
    State,
    StateColumn,
    Step,
    Trigger,
    evolve,
    instant,
)


def _after(steps: Iterable[Step], fires: pl.Expr, anew: pl.Expr) -> Columns:
    return {name: value for step in steps for name, value in step.after(fires, anew).items()}


@dataclass(frozen=True)
class Repeatedly:
    """Fires whenever its trigger does, which begins anew each time that it finishes.

    Raises:
        PipelineError: What it shall repeat is no trigger.
    """

    trigger: Trigger

    def __post_init__(self) -> None:
        check_part("Repeatedly", self.trigger)

    @property
    def outlook(self) -> Outlook:
        """As its trigger, and it never finishes."""
        return replace(self.trigger.outlook, finishes=Earliest.NEVER, once=False)

    def state(self, path: str) -> State:
        """That of its trigger."""
        return self.trigger.state(path)

    def step(self, path: str, moment: Moment) -> Step:
        """Its trigger's step, with the state set back where the trigger finished."""
        inner = self.trigger.step(path, moment)

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            return inner.after(fires, anew | (fires & inner.finished))

        return replace(inner, finished=pl.lit(False), after=after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """As its trigger."""
        return self.trigger.due(path, end, watermark)

    def describe(self) -> str:
        """The class around its trigger."""
        return f"Repeatedly({self.trigger.describe()})"


@dataclass(frozen=True, init=False)
class AfterAny:
    """Fires once, when any of its parts is ready, and is finished then.

    Its parts count side by side. When sessions merge, so does each part.

    Args:
        parts: Two triggers or more.

    Raises:
        PipelineError: There are fewer, or one is no trigger.

    Example:
        >>> Repeatedly(AfterAny(AfterCount(100), AfterCount(200))).describe()
        'Repeatedly(AfterAny(AfterCount(100), AfterCount(200)))'
    """

    parts: tuple[Trigger, ...]

    def __init__(self, *parts: Trigger) -> None:
        check_parts("AfterAny", parts)
        object.__setattr__(self, "parts", parts)

    @property
    def outlook(self) -> Outlook:
        """It fires as the first of its parts, and finishes with that."""
        first = min(part.outlook.fires for part in self.parts)
        return Outlook(first, first, first, once=True)

    def state(self, path: str) -> State:
        """That of its parts, by their numbers."""
        return Parts.numbered(path, self.parts).state()

    def step(self, path: str, moment: Moment) -> Step:
        """Ready if any part is; all of them begin anew when it fires."""
        steps = Parts.numbered(path, self.parts).steps(moment).values()
        ready = reduce(or_, [each.ready for each in steps])
        shows = reduce(or_, [each.shows for each in steps])
        return Step(
            layers(steps), ready, shows, pl.lit(True), lambda fires, anew: _after(steps, fires, fires | anew)
        )

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """When the first of its parts is."""
        return pl.min_horizontal(*Parts.numbered(path, self.parts).due(end, watermark).values())

    def describe(self) -> str:
        """The class around its parts."""
        return f"AfterAny({', '.join(part.describe() for part in self.parts)})"


@dataclass(frozen=True, init=False)
class AfterAll:
    """Fires once, when all of its parts are ready, and is finished then.

    Its parts count side by side, and one that is ready stays so until all are. When sessions merge, so does
    each part.

    Args:
        parts: Two triggers or more.

    Raises:
        PipelineError: There are fewer, or one is no trigger.
    """

    parts: tuple[Trigger, ...]

    def __init__(self, *parts: Trigger) -> None:
        check_parts("AfterAll", parts)
        object.__setattr__(self, "parts", parts)

    @property
    def outlook(self) -> Outlook:
        """It fires as the last of its parts, and finishes with that."""
        last = max(part.outlook.fires for part in self.parts)
        return Outlook(last, last, last, once=True)

    def state(self, path: str) -> State:
        """That of its parts, by their numbers."""
        return Parts.numbered(path, self.parts).state()

    def step(self, path: str, moment: Moment) -> Step:
        """Ready if all parts are; all of them begin anew when it fires."""
        steps = Parts.numbered(path, self.parts).steps(moment).values()
        ready = reduce(and_, [each.ready for each in steps])
        shows = ready & reduce(or_, [each.shows for each in steps])
        return Step(
            layers(steps), ready, shows, pl.lit(True), lambda fires, anew: _after(steps, fires, fires | anew)
        )

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """When the last of its parts is."""
        return pl.max_horizontal(*Parts.numbered(path, self.parts).due(end, watermark).values())

    def describe(self) -> str:
        """The class around its parts."""
        return f"AfterAll({', '.join(part.describe() for part in self.parts)})"


@dataclass(frozen=True, init=False)
class AfterEach:
    """Fires as its first part does until that is finished, then as the second one does, and so on.

    A part sees only what comes after the one before it has finished. Finished when the last part is. When
    sessions merge, the one that is least far decides which part's turn it is.

    Args:
        parts: Two triggers or more; all but the last one can finish.

    Raises:
        PipelineError: There are fewer, one is no trigger, or one would never have its turn.

    Example:
        >>> AfterEach(AfterCount(1), Repeatedly(AfterCount(100))).describe()
        'AfterEach(AfterCount(1), Repeatedly(AfterCount(100)))'
    """

    parts: tuple[Trigger, ...]

    def __init__(self, *parts: Trigger) -> None:
        check_parts("AfterEach", parts)
        object.__setattr__(self, "parts", parts)
        for part, following in pairwise(parts):
            if part.outlook.finishes is Earliest.NEVER:
                raise PipelineError(
                    self.describe(),
                    f"{following.describe()} never has its turn, for {part.describe()} never finishes",
                    "Leave out what follows it, or take a trigger that finishes in its place.",
                )

    @property
    def outlook(self) -> Outlook:
        """It fires as its first part, finishes as the last one that does, and waits as each of them."""
        outlooks = [part.outlook for part in self.parts]
        lasting = (number for number, each in enumerate(outlooks) if each.finishes is not Earliest.ANY_TIME)
        # What follows a part that lasts until the end has its turn behind the end only.
        before_end = outlooks[: next(lasting, len(outlooks)) + 1]
        return Outlook(
            outlooks[0].fires,
            max(each.finishes for each in outlooks),
            max(each.waits for each in before_end),
            once=False,
        )

    def state(self, path: str) -> State:
        """`turn`: the number of the part whose turn it is; and the state of all parts."""
        return {f"{path}.turn": StateColumn(0, pl.Expr.min), **Parts.numbered(path, self.parts).state()}

    def step(self, path: str, moment: Moment) -> Step:
        """The step of the part whose turn it is; the others are as in the beginning."""
        turn = pl.col(f"{path}.turn")
        steps = list(Parts.numbered(path, self.parts).steps(moment).values())
        turns = {f"{path}.{number}.has_turn": turn == number for number in range(len(steps))}
        now = list(map(pl.col, turns))
        ready, shows, moves = (
            reduce(or_, [has & says for has, says in zip(now, said, strict=True)])
            for said in zip(*((each.ready, each.shows, each.finished) for each in steps), strict=True)
        )

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            columns = evolve(self.state(path), {f"{path}.turn": turn + (fires & moves).cast(pl.Int64)}, anew)
            for has, step in zip(now, steps, strict=True):
                columns |= step.after(fires & has, anew | ~has)
            return columns

        return Step(layers(steps, turns), ready, shows, now[-1] & steps[-1].finished, after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """When the part is whose turn it is."""
        chosen = instant(MAX)
        for number, due in Parts.numbered(path, self.parts).due(end, watermark).items():
            chosen = pl.when(pl.col(f"{path}.turn") == int(number)).then(due).otherwise(chosen)
        return chosen

    def describe(self) -> str:
        """The class around its parts."""
        return f"AfterEach({', '.join(part.describe() for part in self.parts)})"


@dataclass(frozen=True)
class OrFinally:
    """Fires as its trigger does, until `until` is ready: then it fires a last time and is finished.

    `until` sees all elements, whatever fires meanwhile: `OrFinally(Repeatedly(AfterCount(2)),
    AfterCount(10))` ends with the tenth element. It also finishes if its trigger does. A last firing without
    elements that wait for it, as it can be by the clock, gives no pane. When sessions merge, so do both
    parts.

    Raises:
        PipelineError: One of them is no trigger.
    """

    trigger: Trigger
    until: Trigger

    def __post_init__(self) -> None:
        check_part("OrFinally", self.trigger)
        check_part("OrFinally(until=...)", self.until)

    @property
    def outlook(self) -> Outlook:
        """It fires, finishes and waits as the first of both."""
        main, until = self.trigger.outlook, self.until.outlook.fires
        return Outlook(min(main.fires, until), min(main.finishes, until), min(main.waits, until), main.once)

    def state(self, path: str) -> State:
        """That of both parts, as `main` and `until`."""
        return self._parts(path).state()

    def step(self, path: str, moment: Moment) -> Step:
        """Ready if one of both is; what `until` has seen stays when its trigger fires."""
        steps = self._parts(path).steps(moment)
        main, until = steps["main"], steps["until"]
        finished = until.ready | (main.ready & main.finished)

        def after(fires: pl.Expr, anew: pl.Expr) -> Columns:
            ends = anew | (fires & finished)
            return main.after(fires & main.ready, ends) | until.after(fires & until.ready, ends)

        shows = main.shows | until.shows
        return Step(layers(steps.values()), main.ready | until.ready, shows, finished, after)

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """When the first of both is."""
        return pl.min_horizontal(*self._parts(path).due(end, watermark).values())

    def describe(self) -> str:
        """The class around both."""
        return f"OrFinally({self.trigger.describe()}, {self.until.describe()})"

    def _parts(self, path: str) -> Parts:
        return Parts(path, {"main": self.trigger, "until": self.until})
