"""How far event time is known to be complete.

A watermark is a moment of event time, in microseconds. It never goes back, and it advances only at an
epoch's end, after the epoch's elements joined their windows: an epoch's own elements are never late
because of each other. A policy says where a source's watermark comes from (Dataflow Model, VLDB 2015,
section 1.2); `Frontier` holds the rule that a backlog does not make events late.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tidegate.errors import PipelineError
from tidegate.frontier import WatermarkRule
from tidegate.limits import MAX_AHEAD
from tidegate.timestamps import MAX, MIN, Duration, duration_text, microseconds


class WatermarkPolicy(Protocol):
    """The shape that every policy has; sources take any."""

    @property
    def ends(self) -> bool:
        """Whether the watermark may come to `MAX` without the stream being drained."""
        ...

    def watermark(self, highest_event_time: int) -> int | None:
        """The watermark that elements up to this event time give (microseconds); None if none."""
        ...

    def latest(self, now: int) -> int:
        """The highest moment that may move the watermark (microseconds); beyond it is a dead letter.

        Args:
            now: Processing time, microseconds.
        """
        ...

    def rule(self) -> WatermarkRule:
        """How the watermark follows from what inputs say."""
        ...

    def describe(self) -> str:
        """One line that changes whenever the watermark would; part of the plan's fingerprint."""
        ...


@dataclass(frozen=True)
class BoundedDelay:
    """The watermark is the highest event time seen, minus a delay.

    Args:
        delay: How much later than its successors an element may come without being late.
        max_ahead: How far past processing time an event time may lie; a record beyond it is a dead
            letter, so that one bad clock cannot close every window. A day by default.

    Raises:
        PipelineError: One of them is no duration.

    Example:
        >>> BoundedDelay("10s").watermark(25_000_000)
        15000000
    """

    delay: Duration
    max_ahead: Duration = MAX_AHEAD

    def __post_init__(self) -> None:
        microseconds(self.delay, "BoundedDelay(delay=...)")
        microseconds(self.max_ahead, "BoundedDelay(max_ahead=...)")

    @property
    def ends(self) -> bool:
        """No: an event may always follow."""
        return False

    def watermark(self, highest_event_time: int) -> int:
        """The watermark after an element of this event time, in microseconds; never below `MIN`."""
        return max(MIN, highest_event_time - microseconds(self.delay))

    def latest(self, now: int) -> int:
        """`max_ahead` past processing time, and always before `MAX`."""
        return min(MAX - 1, now + microseconds(self.max_ahead))

    def rule(self) -> WatermarkRule:
        """The source as a whole states it."""
        return WatermarkRule(delay=microseconds(self.delay))

    def describe(self) -> str:
        """The class with its settings in their shortest form."""
        delay, ahead = microseconds(self.delay), microseconds(self.max_ahead)
        return f"BoundedDelay(delay={duration_text(delay)}, max_ahead={duration_text(ahead)})"


@dataclass(frozen=True)
class Marks:
    """Producers state the watermark, each by marks of its own; the minimum over the producers counts.

    A mark object lies below the source's prefix, in whatever folder, and is named `PRODUCER.watermark`. It
    holds one JSON object, `{"watermark": "2026-01-31T12:00:00Z"}`, or microseconds since 1970 instead of
    the text: the producer sends nothing more from before that moment. A producer that will send nothing at
    all any more says `"9999-12-31T23:59:59.999999Z"`. Marks are accepted, ordered and processed exactly
    once, like any input object, and the highest one of each producer counts. What is no mark is a dead
    letter.

    With `metadata=True` a file in S3 may be a mark, too, by its metadata: `tidegate-watermark` (the text, or
    the microseconds in digits) and `tidegate-producer`. It says what a mark object would that comes with the
    file: the file's own records are not late by it. Files in a local folder have no metadata.

    Args:
        producers: Their names; until each of them has said something there is no watermark, and marks of
            others are dead letters. Left out, all that were seen so far count: then a new producer's first
            mark must come before the others have passed what it will send.
        max_ahead: How far past processing time a mark may lie; one beyond it is a dead letter, unless it is
            the end of time. Event times have no such limit here, for they move nothing.
        metadata: Whether marks are looked for in the metadata of files, by one more request a file.

    Raises:
        PipelineError: Producers that are no names, or a wrong duration.

    Example:
        >>> Marks(["web", "app"]).describe()
        "Marks(producers=['app', 'web'], max_ahead=1d)"
        >>> Marks(metadata=True).describe()
        'Marks(max_ahead=1d, metadata=True)'
    """

    producers: Sequence[str] | None = None
    max_ahead: Duration = MAX_AHEAD
    metadata: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.producers, str):
            raise PipelineError(
                f"Marks({self.producers!r}, ...)",
                "a text is no list of producers",
                f"Write Marks([{self.producers!r}]), with all names in the list.",
            )
        microseconds(self.max_ahead, "Marks(max_ahead=...)")
        if self.producers is None:
            return
        names = tuple(self.producers)
        if not names or not all(isinstance(each, str) and each and "/" not in each for each in names):
            raise PipelineError(
                f"Marks(producers={self.producers!r})",
                "these are no names of producers",
                "Give a list of names without slashes, such as ['web', 'app'], or leave it out.",
            )
        # As a tuple, so that policies compare and nobody changes it later.
        object.__setattr__(self, "producers", tuple(sorted(set(names))))

    @property
    def ends(self) -> bool:
        """Yes: by marks at the end of time."""
        return True

    def watermark(self, highest_event_time: int) -> None:
        """None: elements give no watermark."""
        return

    def latest(self, now: int) -> int:
        """`max_ahead` past processing time."""
        return min(MAX - 1, now + microseconds(self.max_ahead))

    def rule(self) -> WatermarkRule:
        """The producers state it."""
        return WatermarkRule(marked=True, producers=tuple(self.producers or ()), metadata=self.metadata)

    def describe(self) -> str:
        """The class with its settings in their shortest form."""
        producers = f"producers={list(self.producers)}, " if self.producers else ""
        metadata = ", metadata=True" if self.metadata else ""
        return f"Marks({producers}max_ahead={duration_text(microseconds(self.max_ahead))}{metadata})"


@dataclass(frozen=True)
class Perfect:
    """The input is bounded, and complete when it ends: there is no watermark before, and `MAX` after it.

    The "perfect" watermark of a batch (Dataflow Model, section 2.3): no element is late, and each window
    has one pane of all its elements. `tidegate run` over a folder finishes the stream by itself, as with
    `--drain`. Uploads never end by themselves, so `tidegate compile` refuses such a pipeline; use `Marks`.
    """

    @property
    def ends(self) -> bool:
        """Yes: with the input."""
        return True

    def watermark(self, highest_event_time: int) -> None:
        """None: elements give no watermark."""
        return

    def latest(self, now: int) -> int:
        """All of event time."""
        return MAX - 1

    def rule(self) -> WatermarkRule:
        """It comes with the end of the input."""
        return WatermarkRule(bounded=True)

    def describe(self) -> str:
        """The class alone: it has no settings."""
        return "Perfect()"


@dataclass(frozen=True)
class Idle:
    """Another policy, whose watermark goes on when nothing comes for a while of processing time.

    With `BoundedDelay`: once a source had no elements for the timeout, its watermark is processing time minus
    the delay, until elements come. With `Marks`: a producer without a mark for that long stops holding the
    minimum back until it speaks again; if all of them are silent, the highest mark stands. (Flink's idle
    sources, `withIdleness`.)

    It needs no input: the coordinator sets itself an alarm, and an idle epoch has none. While inputs wait
    nobody counts as silent. In a finished folder processing time stands still, and nobody is idle.

    Args:
        policy: `BoundedDelay` or `Marks`.
        timeout: How long nothing must come, longer than zero.

    Raises:
        PipelineError: The policy has no use for it, or the timeout is no duration.

    Example:
        >>> Idle(BoundedDelay("10s"), timeout="5m").describe()
        'Idle(BoundedDelay(delay=10s, max_ahead=1d), timeout=5m)'
    """

    policy: WatermarkPolicy
    timeout: Duration = "0s"

    def __post_init__(self) -> None:
        mend = "Give one of those that wait for input, such as Idle(BoundedDelay('10s'), timeout='5m')."
        if isinstance(self.policy, str):
            policy_first = f"Write tg.Idle(tg.BoundedDelay('10s'), timeout={self.policy!r})."
            raise PipelineError("Idle(...)", "it goes around another policy, which is missing", policy_first)
        if isinstance(self.policy, type) or not hasattr(self.policy, "rule"):
            raise PipelineError("Idle(...)", f"{self.policy!r} is no watermark policy", mend)
        if isinstance(self.policy, Idle | Perfect):
            raise PipelineError(
                f"Idle({self.policy.describe()}, ...)", "it never waits for a source that is silent", mend
            )
        if microseconds(self.timeout, "Idle(timeout=...)") == 0:
            raise PipelineError("Idle(timeout=...)", "the timeout is zero", "Give a timeout such as '5m'.")

    @property
    def ends(self) -> bool:
        """As its policy."""
        return self.policy.ends

    def watermark(self, highest_event_time: int) -> int | None:
        """As its policy."""
        return self.policy.watermark(highest_event_time)

    def latest(self, now: int) -> int:
        """As its policy."""
        return self.policy.latest(now)

    def rule(self) -> WatermarkRule:
        """That of its policy, with the timeout."""
        return replace(self.policy.rule(), timeout=microseconds(self.timeout))

    def describe(self) -> str:
        """The class around its policy."""
        return f"Idle({self.policy.describe()}, timeout={duration_text(microseconds(self.timeout))})"
