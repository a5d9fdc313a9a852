"""The frontier: how a source's watermark follows from what its inputs say, epoch after epoch.

The coordinator works with it as the tasks do, so nothing here needs the engine.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from tidegate.timestamps import MAX, MIN

SOURCE = ""
"""The producer that a source is as a whole, where event times give the watermark and not marks."""

MARK = ".watermark"
"""How the name of a mark object ends; what stands before it is the producer's name."""


@dataclass(frozen=True)
class WatermarkRule:
    """What a source's watermark policy comes to, for whoever has no policies at hand.

    Attributes:
        marked: Whether producers state the watermark, by mark objects at least.
        producers: Those that must have stated one before there is any; sorted. Empty: those seen so far.
        delay: How far an idle source's watermark stays behind processing time, microseconds; None with marks.
        timeout: How long a producer must be silent to count as idle, microseconds; None: it never does.
        bounded: Whether the input ends by itself, and the watermark comes with its end.
        ordered: Whether names of files are in event-time order, so that no backlog holds a watermark back.
        metadata: Whether producers also state it by the metadata of their files.
    """

    marked: bool = False
    producers: tuple[str, ...] = ()
    delay: int | None = None
    timeout: int | None = None
    bounded: bool = False
    ordered: bool = False
    metadata: bool = False


@dataclass(frozen=True)
class Held:
    """A watermark that waits until the intake log is processed up to and including `until`."""

    until: str
    watermark: int
    producer: str = SOURCE


@dataclass(frozen=True)
class Frontier:
    """The watermark of a source, and the watermarks that a backlog still holds back.

    The watermark that an epoch's elements or marks give takes effect once every input that had been accepted
    when the epoch was frozen is processed. Inputs accepted later do not hold it, so a stream that never
    pauses still moves on. Hence the panes of a set of waiting files depend neither on how they are cut into
    epochs nor on their order.

    Attributes:
        watermark: The watermark in effect.
        held: What waits, by rising position in the intake log.
        marks: The highest mark of each producer that is in effect; empty for a source without marks.
        deadlines: When each producer that may be idle is, if nothing comes from it, in microseconds of
            processing time; `MAX` once it is.
        behind: How far the watermark of an idle source stays behind processing time, microseconds; None while
            it is not idle, and with marks.
    """

    watermark: int = MIN
    held: tuple[Held, ...] = ()
    marks: Mapping[str, int] = field(default_factory=dict)
    deadlines: Mapping[str, int] = field(default_factory=dict)
    behind: int | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it is idle and its watermark stands, so that it holds no other source back."""
        return self.behind is None and bool(self.deadlines) and min(self.deadlines.values()) == MAX

    def alarm(self, due: int) -> int:
        """The processing time at which the watermark moves though nothing comes; `MAX` if it does not.

        That of an idle source follows processing time all along; an epoch is worth it only when something
        waits for the watermark.

        Args:
            due: The lowest watermark at which a window has something to do, microseconds.
        """
        if self.watermark >= MAX:
            return MAX
        alarm = min(self.deadlines.values(), default=MAX)
        if self.behind is not None and due < MAX - self.behind:
            alarm = min(alarm, due + self.behind)
        return alarm

    def advance(
        self, stated: Mapping[str, int], rule: WatermarkRule, *, now: int, accepted: str, processed: str
    ) -> "Frontier":
        """The frontier after one epoch.

        Args:
            stated: The watermark that each producer gives in this epoch, by its elements or its marks; none
                for a producer of which nothing came.
            rule: The source's.
            now: Processing time of the epoch.
            accepted: The last position of the intake log that was accepted when the epoch was frozen.
            processed: The last position that is processed once this epoch is.

        Positions compare as text; an empty one is before all others.
        """
        # What is accepted and not read yet may be of a producer that only seems to be silent.
        heard_all = accepted <= processed
        deadlines = self._deadlines(stated, rule, now, heard_all)
        behind = rule.delay if deadlines.get(SOURCE) == MAX else None
        if behind is not None and heard_all:
            stated = {SOURCE: max(MIN, now - behind)}
        until = processed if rule.ordered else accepted
        held = [*self.held, *(Held(until, stated[producer], producer) for producer in sorted(stated))]
        effective = [each for each in held if each.until <= processed]
        waiting = _highest(each for each in held if each.until > processed)
        if not rule.marked:
            watermark = max([self.watermark, *(each.watermark for each in effective)])
            return Frontier(watermark, waiting, {}, deadlines, behind)
        marks = dict(self.marks)
        for each in effective:
            marks[each.producer] = max(each.watermark, marks.get(each.producer, MIN))
        known = rule.producers or {*marks, *(each.producer for each in waiting)}
        stands = {producer: marks.get(producer, MIN) for producer in known}
        speaking = (producer for producer in known if deadlines.get(producer) != MAX)
        watermark = max(self.watermark, _least(stands, speaking))
        return Frontier(watermark, waiting, marks, deadlines)

    def close(self, watermark: int) -> "Frontier":
        """The frontier once the source is finished: nothing is held, the watermark is at least this."""
        return replace(self, watermark=max(self.watermark, watermark), held=())

    def _deadlines(
        self, stated: Mapping[str, int], rule: WatermarkRule, now: int, heard_all: bool
    ) -> Mapping[str, int]:
        if rule.timeout is None:
            return {}
        # A declared producer that never said anything is silent from the first epoch on.
        deadlines = dict.fromkeys(rule.producers, now + rule.timeout) | dict(self.deadlines)
        if rule.marked and stated:
            # It has producers now, and is as silent as they are.
            deadlines.pop(SOURCE, None)
        if heard_all:
            deadlines = {each: MAX if moment <= now else moment for each, moment in deadlines.items()}
        return deadlines | dict.fromkeys(stated, now + rule.timeout)


@dataclass(frozen=True)
class UnionFrontier:
    """The watermark of several sources: the minimum of theirs, each of which has a frontier of its own.

    What producers state is under names that tell the source, see `producer_of_union`.

    Attributes:
        sources: The frontier of each source, by its prefix.
        watermark: The watermark in effect. It never goes back, also when a source that was idle speaks again.
    """

    sources: Mapping[str, Frontier]
    watermark: int = MIN

    def alarm(self, due: int) -> int:
        """The processing time at which the watermark may move though nothing comes; `MAX` if it does not.

        Args:
            due: The lowest watermark at which a window has something to do, microseconds.
        """
        if self.watermark >= MAX:
            return MAX
        unfinished = [each for each in self.sources.values() if each.watermark < MAX]
        alarm = min((moment for each in unfinished for moment in each.deadlines.values()), default=MAX)
        # The watermark comes to `due` by itself only if all do that hold it back, and with the last of them.
        behind = [each.behind for each in unfinished if each.watermark < due and not each.is_silent]
        known = [each for each in behind if each is not None]
        if known and len(known) == len(behind) and due < MAX - max(known):
            alarm = min(alarm, due + max(known))
        return alarm

    def advance(
        self,
        stated: Mapping[str, int],
        rules: Mapping[str, WatermarkRule],
        *,
        now: int,
        accepted: str,
        processed: str,
    ) -> "UnionFrontier":
        """The frontier after one epoch; the arguments are those of `Frontier.advance`, for all sources.

        A backlog holds each source's watermark until all of the intake log is processed that had been
        accepted, of whatever source: how files are cut into epochs changes no pane.
        """
        own: dict[str, dict[str, int]] = {name: {} for name in self.sources}
        for each, moment in stated.items():
            name, _, producer = each.rpartition("/")
            own[name][producer] = moment
        sources = {}
        for name, before in self.sources.items():
            rule, frontier = rules[name], before
            if rule.timeout is not None and not rule.producers and not before.deadlines:
                # A source of which nothing ever came is silent from the first epoch on.
                frontier = replace(before, deadlines={SOURCE: now + rule.timeout})
            sources[name] = frontier.advance(own[name], rule, now=now, accepted=accepted, processed=processed)
        return self._of(sources)

    def unfinished(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of these sources that are not at their end."""
        return tuple(each for each in names if self.sources[each].watermark < MAX)

    def close(self, watermark: int) -> "UnionFrontier":
        """The frontier once all sources are finished: the watermark is at least this."""
        return self._of({name: each.close(watermark) for name, each in self.sources.items()})

    def end(self, ended: Collection[str]) -> "UnionFrontier":
        """The frontier once the sources of these prefixes are finished."""
        return self._of(
            {name: each.close(MAX) if name in ended else each for name, each in self.sources.items()}
        )

    def _of(self, sources: Mapping[str, Frontier]) -> "UnionFrontier":
        everybody = {name: each.watermark for name, each in sources.items()}
        speaking = (name for name, each in sources.items() if not each.is_silent)
        return UnionFrontier(sources, max(self.watermark, _least(everybody, speaking)))


def producer_of_union(prefix: str, producer: str = SOURCE) -> str:
    """What a source's producer is called where several sources have some; producers have no slash."""
    return f"{prefix}/{producer}"


def first_frontier(prefixes: Collection[str]) -> Frontier | UnionFrontier:
    """The frontier of these sources before any input."""
    if len(prefixes) == 1:
        return Frontier()
    return UnionFrontier({each: Frontier() for each in prefixes})


def _highest(held: Iterable[Held]) -> tuple[Held, ...]:
    """What waits for the same position and is of one producer is one, the highest."""
    highest: dict[tuple[str, str], int] = {}
    for each in held:
        place = each.until, each.producer
        highest[place] = max(each.watermark, highest.get(place, MIN))
    return tuple(Held(until, highest[until, producer], producer) for until, producer in sorted(highest))


def _least(everybody: Mapping[str, int], speaking: Iterable[str]) -> int:
    """The minimum over those that are not idle; if all of them are, the highest watermark stands.

    Who is finished holds nobody back. All are finished only once each of them is: one that is idle may speak
    again, so that others that are at their end are not the end of all.
    """
    unfinished = {name: watermark for name, watermark in everybody.items() if watermark < MAX}
    if not unfinished:
        return max(everybody.values(), default=MIN)
    least = min((unfinished[name] for name in speaking if name in unfinished), default=MAX)
    return least if least < MAX else max(unfinished.values())
