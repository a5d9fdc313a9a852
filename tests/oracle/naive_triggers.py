"""Triggers as state machines: an object for each window, which sees one element after the other.

After the Dataflow Model (VLDB 2015, section 2.3), and Beam's trigger state machines where that is silent. A
trigger is written as a tuple, see `Spec`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Spec = tuple[Any, ...]
"""A trigger: `("count", n)`, `("delay", microseconds)`, `("aligned", microseconds)`, `("never",)`,
`("repeat", trigger)`, `("watermark", early or None, late or None, "always" or "if_new")`,
`("any", trigger, …)`, `("all", trigger, …)`, `("each", trigger, …)`, `("or_finally", trigger, until)`."""


@dataclass(frozen=True)
class Moment:
    """What a trigger may look at.

    Attributes:
        end: The window's end.
        watermark: The watermark, microseconds.
        now: Processing time, microseconds.
    """

    end: int
    watermark: int
    now: int


class Trigger:
    """The verbs that all triggers have; what is said here is what most of them do."""

    def element(self, now: int) -> None:
        """An element came, at this processing time."""

    def ready(self, moment: Moment) -> bool:
        """Whether it asks for a pane."""
        return False

    def insists(self, moment: Moment) -> bool:
        """Whether it wants the on-time pane although nothing is new."""
        return False

    def fire(self, moment: Moment) -> bool:
        """It fires, being ready; returns whether it is finished."""
        return True

    def absorb(self, merged: Sequence[Any], moment: Moment) -> None:
        """Takes over, in its first state, what the same triggers of windows that merged knew."""


class Never(Trigger):
    """Does not fire: the window's content comes in the closing pane."""


class Count(Trigger):
    """Fires once, when so many elements came."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0

    def element(self, now: int) -> None:
        self.seen += 1

    def ready(self, moment: Moment) -> bool:
        return self.seen >= self.number

    def absorb(self, merged: Sequence["Count"], moment: Moment) -> None:
        self.seen = sum(each.seen for each in merged)


class Delay(Trigger):
    """Fires once, so long after the first element."""

    def __init__(self, delay: int) -> None:
        self.delay = delay
        self.due: int | None = None

    def element(self, now: int) -> None:
        if self.due is None:
            self.due = self.after(now)

    def after(self, now: int) -> int:
        return now + self.delay

    def ready(self, moment: Moment) -> bool:
        return self.due is not None and moment.now >= self.due

    def absorb(self, merged: Sequence["Delay"], moment: Moment) -> None:
        self.due = min((each.due for each in merged if each.due is not None), default=None)


class Aligned(Delay):
    """Fires once, at the first multiple of a period that is not before the first element."""

    def after(self, now: int) -> int:
        return -(-now // self.delay) * self.delay


class Repeat(Trigger):
    """Begins anew each time that its trigger is finished."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.inner = trigger(spec)

    def element(self, now: int) -> None:
        self.inner.element(now)

    def ready(self, moment: Moment) -> bool:
        return self.inner.ready(moment)

    def insists(self, moment: Moment) -> bool:
        return self.inner.insists(moment)

    def fire(self, moment: Moment) -> bool:
        if self.inner.fire(moment):
            self.inner = trigger(self.spec)
        return False

    def absorb(self, merged: Sequence["Repeat"], moment: Moment) -> None:
        self.inner.absorb([each.inner for each in merged], moment)


class Watermark(Trigger):
    """Its early part until the watermark passes the window, one firing then, its late part after it.

    A session that grows beyond the watermark is early again: its early part begins anew.
    """

    def __init__(self, early: Spec | None, late: Spec | None, on_time: str = "always") -> None:
        self.specs = early or ("never",), late or ("never",)
        self.finishes = late is None
        self.always = on_time == "always"
        self.early, self.late = map(Repeat, self.specs)
        self.passed = False

    def element(self, now: int) -> None:
        self._part().element(now)

    def ready(self, moment: Moment) -> bool:
        return self._passes(moment) or self._part().ready(moment)

    def insists(self, moment: Moment) -> bool:
        return self.always if self._passes(moment) else self._part().insists(moment)

    def fire(self, moment: Moment) -> bool:
        if self._passes(moment):
            self.passed = True
            self.early, self.late = map(Repeat, self.specs)
            return self.finishes
        self._part().fire(moment)
        return False

    def absorb(self, merged: Sequence["Watermark"], moment: Moment) -> None:
        self.passed = all(each.passed for each in merged) and moment.end <= moment.watermark
        self.early.absorb([each.early for each in merged], moment)
        if self.passed:
            self.late.absorb([each.late for each in merged], moment)

    def _passes(self, moment: Moment) -> bool:
        return not self.passed and moment.watermark >= moment.end

    def _part(self) -> Repeat:
        return self.late if self.passed else self.early


class Together(Trigger):
    """Several triggers that see the same elements."""

    def __init__(self, *specs: Spec) -> None:
        self.parts = [trigger(spec) for spec in specs]

    def element(self, now: int) -> None:
        for part in self.parts:
            part.element(now)

    def insists(self, moment: Moment) -> bool:
        return self.ready(moment) and any(part.insists(moment) for part in self.parts)

    def absorb(self, merged: Sequence["Together"], moment: Moment) -> None:
        for number, part in enumerate(self.parts):
            part.absorb([each.parts[number] for each in merged], moment)


class Any_(Together):
    """Fires once, when one of them is ready."""

    def ready(self, moment: Moment) -> bool:
        return any(part.ready(moment) for part in self.parts)


class All(Together):
    """Fires once, when all of them are ready."""

    def ready(self, moment: Moment) -> bool:
        return all(part.ready(moment) for part in self.parts)


class OrFinally(Together):
    """Its trigger, until the other one fires or it finishes by itself.

    The other one is not set back when the first one fires.
    """

    def ready(self, moment: Moment) -> bool:
        return any(part.ready(moment) for part in self.parts)

    def fire(self, moment: Moment) -> bool:
        actual, until = self.parts
        return True if until.ready(moment) else actual.fire(moment)


class Each(Together):
    """One after the other; finished with the last. When sessions merge, the least far of them counts."""

    def __init__(self, *specs: Spec) -> None:
        super().__init__(*specs)
        self.place = 0

    def element(self, now: int) -> None:
        self.parts[self.place].element(now)

    def ready(self, moment: Moment) -> bool:
        return self.parts[self.place].ready(moment)

    def insists(self, moment: Moment) -> bool:
        return self.parts[self.place].insists(moment)

    def fire(self, moment: Moment) -> bool:
        if self.parts[self.place].fire(moment):
            self.place += 1
        return self.place == len(self.parts)

    def absorb(self, merged: Sequence["Each"], moment: Moment) -> None:
        self.place = min((each.place for each in merged), default=0)
        there = [each.parts[self.place] for each in merged if each.place == self.place]
        self.parts[self.place].absorb(there, moment)


KINDS: dict[str, type[Trigger]] = {
    "count": Count,
    "delay": Delay,
    "aligned": Aligned,
    "never": Never,
    "repeat": Repeat,
    "watermark": Watermark,
    "any": Any_,
    "all": All,
    "each": Each,
    "or_finally": OrFinally,
}


def trigger(spec: Spec) -> Trigger:
    """A trigger in its first state."""
    kind, *parts = spec
    return KINDS[kind](*parts)
