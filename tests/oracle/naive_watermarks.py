"""Watermark policies: what a source or its producers said, what of it has its effect, and who is silent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.naive_windows import MAX, MIN

DAY = 86_400_000_000

SOURCE = ""
"""The producer that a source is as a whole, where event times give the watermark and not marks."""


@dataclass(frozen=True)
class Policy:
    """Where the watermark of a source comes from.

    Attributes:
        kind: `delay`, `marks` or `perfect`.
        delay: How far the watermark stays behind the highest event time; with `delay` alone.
        producers: Those that are declared, with `marks` alone; all that were heard of, if none is.
        timeout: How long nothing must come until somebody is idle; None if nobody ever is.
        ordered: Whether files are in event-time order, so that a watermark waits for no backlog.
        ahead: How far ahead of processing time an event, or a mark, may lie.
    """

    kind: str = "delay"
    delay: int = 0
    producers: tuple[str, ...] = ()
    timeout: int | None = None
    ordered: bool = False
    ahead: int = DAY


@dataclass(frozen=True)
class Mark:
    """A mark object.

    Attributes:
        source: The number of the source that it is of.
        producer: Who states it.
        moment: What it says; None if it says nothing that can be read.
    """

    source: int
    producer: str
    moment: int | None


@dataclass
class Source:
    """What one source says of the watermark.

    Attributes:
        policy: Its own.
        is_one_of_many: Whether it is in a union.
        watermark: In effect; `MAX` once the source is finished.
        waiting: What was said, by whom, that waits until all up to a place of the intake log is processed.
        said: The highest that each producer said, of what has its effect.
        heard: When each producer was heard last, in processing time.
        silent: The producers that are idle.
    """

    policy: Policy
    is_one_of_many: bool = False
    watermark: int = MIN
    waiting: list[tuple[Any, str, int]] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    @property
    def holds_nobody_back(self) -> bool:
        """Whether it is finished, or all its producers are silent; by the clock it is never silent."""
        silent = self.policy.kind == "marks" and bool(self.heard) and set(self.heard) <= self.silent
        return self.watermark == MAX or silent

    def falls_silent(self, now: int) -> bool:
        """Whether somebody becomes idle at this moment if nothing comes."""
        return self.watermark < MAX and bool(self._overdue(now) - self.silent)

    def epoch(self, saying: Mapping[str, int], now: int, accepted: Any, processed: Any) -> None:
        """Takes in what was said in an epoch, by its producers.

        Args:
            saying: The highest watermark that each of them stated.
            now: Processing time.
            accepted: The last place of the intake log when the epoch was frozen.
            processed: The last place that is processed when the epoch is.
        """
        self._hear(saying, now)
        # While inputs wait nobody becomes idle, for they may be of whoever seems to be.
        if accepted <= processed:
            self.silent |= self._overdue(now)
            if self.policy.kind == "delay" and SOURCE in self.silent:
                saying = {SOURCE: max(MIN, now - self.policy.delay)}
        # A backlog does not make events late: what was accepted when the epoch was frozen comes first, of
        # whatever source.
        until = processed if self.policy.ordered else accepted
        self.waiting += [(until, producer, moment) for producer, moment in saying.items()]
        for place, producer, moment in self.waiting:
            if place <= processed:
                self.said[producer] = max(moment, self.said.get(producer, MIN))
        self.waiting = [each for each in self.waiting if each[0] > processed]
        self.watermark = max(self.watermark, self._stated())

    def _hear(self, producers: Collection[str], now: int) -> None:
        if self.policy.timeout is None:
            return
        if not self.heard:
            # Who is known from the beginning and says nothing is silent from the first epoch on.
            known = self.policy.producers or ((SOURCE,) if self.is_one_of_many else ())
            self.heard = dict.fromkeys(known, now)
        if producers and self.policy.kind == "marks" and not self.policy.producers:
            # It has producers now, and the source is as silent as they are.
            self.heard.pop(SOURCE, None)
            self.silent.discard(SOURCE)
        self.heard |= dict.fromkeys(producers, now)
        self.silent -= set(producers)

    def _overdue(self, now: int) -> set[str]:
        timeout = self.policy.timeout
        return {each for each, at in self.heard.items() if timeout is not None and at + timeout <= now}

    def _stated(self) -> int:
        """The watermark by what has its effect; of producers the least, without those that are silent."""
        if self.policy.kind != "marks":
            return self.said.get(SOURCE, MIN)
        known = self.policy.producers or {*self.said, *(producer for _, producer, _ in self.waiting)}
        said = {producer: self.said.get(producer, MIN) for producer in known}
        return least(
            [moment for producer, moment in said.items() if producer not in self.silent], list(said.values())
        )


def least(speaking: Sequence[int], everybody: Sequence[int]) -> int:
    """The least watermark of those that are not silent, or the highest that there is, if all are.

    Who is finished holds nobody back, and is no reason to take those for finished that are silent.
    """
    unfinished = [each for each in everybody if each < MAX]
    if not unfinished:
        return MAX if everybody else MIN
    return min((each for each in speaking if each < MAX), default=max(unfinished))
