"""How far event time is known to be complete.

A watermark is a moment of event time, in microseconds. It never goes back, and it advances only at an
epoch's end, after the epoch's elements joined their windows: an epoch's own elements are never late
because of each other. `Frontier` holds the rule that a backlog does not make events late.
"""

from dataclasses import dataclass, replace

from tidegate.limits import MAX_AHEAD
from tidegate.timestamps import MIN, Duration, duration_text, microseconds


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

    def watermark(self, highest_event_time: int) -> int:
        """The watermark after an element of this event time, in microseconds; never below `MIN`."""
        return max(MIN, highest_event_time - microseconds(self.delay))

    def describe(self) -> str:
        """The class with its settings in their shortest form."""
        delay, ahead = microseconds(self.delay), microseconds(self.max_ahead)
        return f"BoundedDelay(delay={duration_text(delay)}, max_ahead={duration_text(ahead)})"


@dataclass(frozen=True)
class Held:
    """A watermark that waits until the intake log is processed up to and including `until`."""

    until: str
    watermark: int


@dataclass(frozen=True)
class Frontier:
    """The watermark of a source, and the watermarks that a backlog still holds back.

    The watermark that an epoch's elements give takes effect once every input that had been accepted when
    the epoch was frozen is processed. Inputs accepted later do not hold it, so a stream that never pauses
    still moves on. Hence the panes of a set of waiting files depend neither on how they are cut into
    epochs nor on their order.

    Attributes:
        watermark: The watermark in effect.
        held: What waits, by rising position in the intake log.
    """

    watermark: int = MIN
    held: tuple[Held, ...] = ()

    def advance(self, gained: int | None, *, accepted: str, processed: str) -> "Frontier":
        """The frontier after one epoch.

        Args:
            gained: The watermark that the epoch's elements give, or None if it had none.
            accepted: The last position of the intake log that was accepted when the epoch was frozen.
            processed: The last position that is processed once this epoch is.

        Positions compare as text; an empty one is before all others.
        """
        held = self.held if gained is None else (*self.held, Held(accepted, gained))
        effective = [each.watermark for each in held if each.until <= processed]
        waiting: dict[str, int] = {}
        for each in held:
            if each.until > processed:
                waiting[each.until] = max(each.watermark, waiting.get(each.until, MIN))
        return Frontier(
            watermark=max([self.watermark, *effective]),
            held=tuple(Held(until, waiting[until]) for until in sorted(waiting)),
        )

    def close(self, watermark: int) -> "Frontier":
        """The frontier once the source is finished: nothing is held, the watermark is at least this."""
        return replace(self, watermark=max(self.watermark, watermark), held=())
