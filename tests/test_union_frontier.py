"""The frontier of several sources: the minimum, and nobody waits for who is idle or finished."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tidegate.frontier import (
    SOURCE,
    Frontier,
    Held,
    UnionFrontier,
    WatermarkRule,
    first_frontier,
    producer_of_union,
)
from tidegate.timestamps import MAX, MIN

ELEMENTS = WatermarkRule(delay=0)
IDLE = WatermarkRule(delay=5, timeout=10)
MARKS = WatermarkRule(marked=True)
IDLE_MARKS = WatermarkRule(marked=True, timeout=10)
BOUNDED = WatermarkRule(bounded=True)

Said = Mapping[tuple[str, str], int]


class Union:
    """Sources by their rules, through epochs that have everything processed that was accepted."""

    def __init__(self, **rules: WatermarkRule) -> None:
        self.rules = rules
        self.frontier = first_frontier(rules)
        self.position = 0

    def epoch(self, now: int = 0, ended: Sequence[str] = (), **said: int) -> int:
        """An epoch in which sources, or producers as `source__producer`, state watermarks."""
        stated = {}
        for name, moment in said.items():
            source, _, producer = name.partition("__")
            stated[producer_of_union(source, producer)] = moment
        self.position += 1
        at = f"{self.position:03d}"
        assert isinstance(self.frontier, UnionFrontier)
        advanced = self.frontier.advance(stated, self.rules, now=now, accepted=at, processed=at)
        self.frontier = advanced.end(ended)
        return self.frontier.watermark


def test_one_source_has_a_frontier_of_the_old_kind() -> None:
    assert first_frontier(["a"]) == Frontier()
    assert first_frontier(["a", "b"]) == UnionFrontier({"a": Frontier(), "b": Frontier()}, MIN)


def test_the_minimum_counts() -> None:
    both = Union(a=ELEMENTS, b=ELEMENTS)
    assert both.epoch(a=7) == MIN
    assert both.epoch(b=5) == 5
    assert both.epoch(a=9) == 5
    assert both.epoch(b=20) == 9


def test_a_source_of_which_nothing_ever_came_holds_the_others_back() -> None:
    three = Union(a=ELEMENTS, b=ELEMENTS, c=MARKS)
    assert three.epoch(a=7, b=7, now=10**9) == MIN
    assert three.frontier.alarm(due=3) == MAX


def test_producers_of_one_name_in_two_sources_are_two() -> None:
    both = Union(a=MARKS, b=MARKS)
    both.epoch(a__web=7, b__web=3)
    assert isinstance(both.frontier, UnionFrontier)
    assert {name: each.marks for name, each in both.frontier.sources.items()} == {
        "a": {"web": 7},
        "b": {"web": 3},
    }


def test_a_source_whose_prefix_begins_like_anothers_is_another() -> None:
    rules = {"a": ELEMENTS, "a/b": ELEMENTS, "ab": ELEMENTS}
    frontier = first_frontier(rules)
    assert isinstance(frontier, UnionFrontier)
    stated = {producer_of_union(name): number for number, name in enumerate(rules, start=1)}
    after = frontier.advance(stated, rules, now=0, accepted="1", processed="1")
    assert {name: each.watermark for name, each in after.sources.items()} == {"a": 1, "a/b": 2, "ab": 3}


def test_each_source_waits_for_the_whole_backlog_that_its_epoch_saw() -> None:
    #  waiting when the first epoch is frozen:  a1 b1 a2
    #  epoch                                    1  2  3
    rules = {"a": ELEMENTS, "b": ELEMENTS}
    frontier = first_frontier(rules)
    assert isinstance(frontier, UnionFrontier)
    one = frontier.advance({"a/": 9}, rules, now=0, accepted="3", processed="1")
    two = one.advance({"b/": 8}, rules, now=0, accepted="3", processed="2")
    three = two.advance({"a/": 4}, rules, now=0, accepted="3", processed="3")
    assert one.sources["a"] == Frontier(MIN, (Held("3", 9),))
    assert [each.watermark for each in (one, two, three)] == [MIN, MIN, 8]


def test_an_ordered_source_follows_file_by_file_and_the_other_does_not() -> None:
    rules = {"a": WatermarkRule(delay=0, ordered=True), "b": ELEMENTS}
    frontier = first_frontier(rules)
    assert isinstance(frontier, UnionFrontier)
    after = frontier.advance({"a/": 9, "b/": 8}, rules, now=0, accepted="3", processed="1")
    assert {name: each.watermark for name, each in after.sources.items()} == {"a": 9, "b": MIN}


def test_an_idle_source_of_which_nothing_ever_came_lets_the_others_go_on() -> None:
    both = Union(a=ELEMENTS, b=IDLE)
    assert both.epoch(a=7, now=0) == MIN
    assert both.frontier.alarm(due=3) == 10
    #  Its watermark is processing time less the delay from then on.
    assert both.epoch(now=10) == 5
    assert both.frontier.alarm(due=7) == 12
    assert both.epoch(now=12) == 7
    #  What a alone holds back is not worth an alarm.
    assert both.frontier.alarm(due=8) == MAX


def test_an_idle_source_of_silent_producers_stops_holding_the_others_back() -> None:
    both = Union(a=ELEMENTS, b=IDLE_MARKS)
    assert both.epoch(a=7, b__web=2, now=0) == 2
    assert both.frontier.alarm(due=3) == 10
    assert both.epoch(now=10) == 7
    #  It speaks again, and what it says is behind: the watermark stands until it has caught up.
    assert both.epoch(b__web=3, now=11) == 7
    assert both.epoch(a=20, now=12) == 7
    assert both.epoch(b__web=9, now=13) == 9


def test_if_all_sources_are_silent_the_highest_watermark_stands() -> None:
    both = Union(a=IDLE_MARKS, b=IDLE_MARKS)
    assert both.epoch(a__web=7, b__web=2, now=0) == 2
    assert both.epoch(now=10) == 7


def test_a_source_that_is_silent_is_not_finished_because_all_others_are() -> None:
    """As it was once: the stream was at its end for good, and what the silent one sent then was late."""
    both = Union(a=MARKS, b=IDLE_MARKS)
    assert both.epoch(a__web=3, b__web=7, now=0) == 3
    assert both.epoch(a__web=MAX, now=5) == 7
    assert both.epoch(now=20) == 7
    assert both.epoch(b__web=30, now=25) == 30
    assert both.epoch(b__web=MAX, now=26) == MAX


def test_a_producer_that_speaks_has_the_alarm_and_no_longer_the_source() -> None:
    both = Union(a=ELEMENTS, b=IDLE_MARKS)
    both.epoch(a=7, now=0)
    assert both.frontier.alarm(due=3) == 10
    both.epoch(b__web=3, now=5)
    assert both.frontier.alarm(due=7) == 15


def test_sources_that_are_all_idle_by_the_clock_ring_when_the_last_of_them_comes_to_what_is_due() -> None:
    both = Union(a=IDLE, b=WatermarkRule(delay=50, timeout=10))
    both.epoch(a=1, b=1, now=100)
    assert both.epoch(now=110) == 60
    assert both.frontier.alarm(due=70) == 120
    assert both.epoch(now=120) == 70


def test_a_finished_source_holds_nobody_back_and_all_of_them_finish_the_stream() -> None:
    both = Union(a=BOUNDED, b=ELEMENTS)
    assert both.epoch(b=7) == MIN
    assert both.epoch(ended=["a"]) == 7
    assert both.epoch(b=9) == 9
    assert both.epoch(ended=["b"]) == MAX
    assert both.frontier.alarm(due=5) == MAX


def test_closing_finishes_all() -> None:
    both = Union(a=ELEMENTS, b=IDLE)
    both.epoch(a=1, now=0)
    assert both.frontier.close(MAX).watermark == MAX


def test_unfinished_are_those_that_are_not_at_their_end() -> None:
    both = Union(a=BOUNDED, b=BOUNDED)
    both.epoch(ended=["a"])
    assert isinstance(both.frontier, UnionFrontier)
    assert both.frontier.unfinished(["a", "b"]) == ("b",)


NAMES = st.sampled_from(["a", "b", "c", "d", ""])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.integers(0, 3)), max_size=30))
def test_it_is_the_minimum_of_frontiers_that_go_on_by_themselves(moves: list[tuple[str, int, int]]) -> None:
    """Whatever comes in whatever order, and however many inputs are accepted and not read yet."""
    rules = {"a": ELEMENTS, "b": WatermarkRule(delay=0, ordered=True), "c": MARKS}
    frontier: UnionFrontier | Frontier = first_frontier(rules)
    alone = {name: Frontier() for name in rules}
    before = MIN
    for position, (name, moment, backlog) in enumerate(moves):
        accepted, processed = f"{position + backlog:03d}", f"{position:03d}"
        assert isinstance(frontier, UnionFrontier)
        producer = "web" if name == "c" else SOURCE
        stated = {producer_of_union(name, producer): moment}
        frontier = frontier.advance(stated, rules, now=0, accepted=accepted, processed=processed)
        for each, rule in rules.items():
            own = {producer: moment} if each == name else {}
            alone[each] = alone[each].advance(own, rule, now=0, accepted=accepted, processed=processed)
        assert frontier.sources == alone
        assert frontier.watermark == min(each.watermark for each in alone.values()) >= before
        before = frontier.watermark


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", "d", ""]), st.integers(0, 30), st.integers(0, 6)),
        max_size=25,
    )
)
def test_an_alarm_that_rings_is_never_due_again_at_once(moves: list[tuple[str, int, int]]) -> None:
    """Otherwise epochs of nothing would follow each other without end."""
    union = Union(a=IDLE, b=WatermarkRule(delay=2, timeout=4), c=IDLE_MARKS, d=ELEMENTS)
    now = 0
    for name, moment, passed in moves:
        now += passed
        said = {f"{name}__web" if name == "c" else name: moment} if name else {}
        before = union.epoch(now=now, **said)
        due = before + 1
        for _ in range(12):
            alarm = union.frontier.alarm(due)
            if alarm == MAX or alarm > now + 100:
                break
            assert alarm > now or union.frontier.watermark >= due
            if union.frontier.watermark >= due:
                break
            now = max(now, alarm)
            union.epoch(now=now)
