"""What may go wrong in a run, and how often."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from random import Random

from tidegate.testing.simulation.scheduler import SECOND

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@dataclass(frozen=True)
class Faults:
    """The probability of each fault, where it can happen; 0 for one that is off.

    Attributes:
        kill: A process ends before or after a call.
        stall: A process sleeps before or after a call, up to minutes: a zombie once others went on.
        throttle: A call is refused, nothing was done.
        unknown: A write is done, and its caller is told that it failed, or that it lost to itself.
        lost_answer: Who invoked a function hears of an error while it is still at work.
        duplicate_call: A function is invoked twice at once.
        duplicate_event: Up to four more copies of an upload's event.
        late_event: An event comes up to hours late, and so out of order.
        lost_event: An event never comes.
        duplicate_alarm: Up to two more copies of an alarm.
        late_alarm: An alarm comes up to an hour late.
        early_alarm: An alarm comes early.
        second_coordinator: Somebody starts an execution beside the one at work.
        abort: An execution is stopped where it stands.
        skew: A process has a clock that is off by up to an hour.
        layouts: A process was deployed with other limits than the one before.
        upgrade: A process was deployed with an incompatible pipeline, or with the same in another build.
    """

    kill: float = 0
    stall: float = 0
    throttle: float = 0
    unknown: float = 0
    lost_answer: float = 0
    duplicate_call: float = 0
    duplicate_event: float = 0
    late_event: float = 0
    lost_event: float = 0
    duplicate_alarm: float = 0
    late_alarm: float = 0
    early_alarm: float = 0
    second_coordinator: float = 0
    abort: float = 0
    skew: float = 0
    layouts: float = 0
    upgrade: float = 0

    @property
    def on(self) -> tuple[str, ...]:
        """The names of the faults that can happen."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name))

    def without(self, names: Iterable[str]) -> "Faults":
        """The faults, some of them off."""
        return replace(self, **dict.fromkeys(names, 0))


STRENGTHS = {
    "kill": (0.002, 0.01, 0.03),
    "stall": (0.005, 0.02, 0.1),
    "throttle": (0.005, 0.02, 0.1),
    "unknown": (0.01, 0.05, 0.2),
    "lost_answer": (0.05, 0.2, 0.5),
    "duplicate_call": (0.05, 0.3, 1.0),
    "duplicate_event": (0.2, 0.6),
    "late_event": (0.2, 0.6),
    "lost_event": (0.1, 0.3),
    "duplicate_alarm": (0.2, 0.6),
    "late_alarm": (0.2, 0.6),
    "early_alarm": (0.2, 0.6),
    "second_coordinator": (0.3, 1.0),
    "abort": (0.1, 0.3),
    "skew": (0.3, 1.0),
    "layouts": (0.5, 1.0),
    "upgrade": (0.1, 0.3),
}
"""How strong a fault may be in a run."""

HARMLESS = frozenset(
    {"duplicate_event", "late_event", "duplicate_alarm", "late_alarm", "early_alarm", "layouts"}
)
"""Faults that neither fail a process nor make work twice."""

GENTLE = HARMLESS | {"duplicate_call", "second_coordinator"}
"""Faults that make work twice, and fail no process."""

CALM = 0.15
"""The share of runs without any fault: bugs in healthy systems are bugs too."""


def draw_faults(chance: Random) -> Faults:
    """A run's faults: about half of them on (swarm testing, ISSTA 2012), or none at all."""
    if chance.random() < CALM:
        return Faults()
    strengths = STRENGTHS
    if chance.random() < CALM:
        strengths = {name: STRENGTHS[name] for name in sorted(GENTLE)}
    drawn = {name: chance.choice(rates) for name, rates in strengths.items()}
    return Faults(**{name: rate for name, rate in drawn.items() if chance.random() < 0.5})


@dataclass
class Chaos:
    """Draws faults; each kind from a stream of its own, so that one that is off changes no other's draws.

    Attributes:
        faults: How often each happens.
        happened: How often each happened so far.
    """

    seed: str
    faults: Faults
    happened: dict[str, int] = field(default_factory=dict)
    _streams: dict[str, Random] = field(default_factory=dict)

    def stream(self, name: str) -> Random:
        """The stream of random numbers of one kind of decision."""
        if name not in self._streams:
            self._streams[name] = Random(f"{self.seed}/{name}")  # noqa: S311  (repeatable, not secret)
        return self._streams[name]

    def strikes(self, fault: str) -> bool:
        """Whether a fault happens now."""
        if self.stream(fault).random() >= getattr(self.faults, fault):
            return False
        self.happened[fault] = self.happened.get(fault, 0) + 1
        return True

    def heal(self) -> None:
        """From now on nothing goes wrong."""
        self.faults = Faults()
