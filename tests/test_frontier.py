"""The frontier: how the watermark follows from what inputs say, what a backlog holds, and who is idle."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tidegate.frontier import SOURCE, Frontier, Held, WatermarkRule
from tidegate.timestamps import MAX, MIN

ELEMENTS = WatermarkRule(delay=0)
MARKS = WatermarkRule(marked=True)
DECLARED = WatermarkRule(marked=True, producers=("p", "q"))


def after(
    frontier: Frontier,
    stated: Mapping[str, int],
    accepted: str = "",
    processed: str = "",
    rule: WatermarkRule = ELEMENTS,
    now: int = 0,
) -> Frontier:
    return frontier.advance(stated, rule, now=now, accepted=accepted, processed=processed)


# Positions of the intake log are a, b, c, …


def test_without_a_backlog_an_epochs_watermark_takes_effect_at_its_end() -> None:
    assert after(Frontier(), {SOURCE: 7}, accepted="a", processed="a") == Frontier(7)


def test_a_watermark_waits_for_the_backlog_that_its_epoch_saw() -> None:
    #  waiting when the first epoch is frozen:  a b c
    #  epoch                                    1 2 3
    #  it gives                                 9 4 6
    first = after(Frontier(), {SOURCE: 9}, accepted="c", processed="a")
    second = after(first, {SOURCE: 4}, accepted="c", processed="b")
    third = after(second, {SOURCE: 6}, accepted="c", processed="c")

    assert first == Frontier(MIN, (Held("c", 9),))
    assert second == Frontier(MIN, (Held("c", 9),))
    assert third == Frontier(9)


def test_what_is_accepted_later_does_not_hold_it() -> None:
    #  A stream that never pauses: one more file is accepted while each epoch runs.
    #  epoch             1   2   3
    #  processes         a   b   c
    #  accepted before   ab  bc  cd
    first = after(Frontier(), {SOURCE: 1}, accepted="b", processed="a")
    second = after(first, {SOURCE: 2}, accepted="c", processed="b")
    third = after(second, {SOURCE: 3}, accepted="d", processed="c")

    assert [each.watermark for each in (first, second, third)] == [MIN, 1, 2]
    assert third.held == (Held("d", 3),)


def test_an_epoch_without_elements_lets_go_what_waited_for_it() -> None:
    held = Frontier(5, (Held("b", 8),))

    assert after(held, {}, accepted="b", processed="b") == Frontier(8)
    assert after(held, {}, accepted="b", processed="a") == held


def test_an_older_watermark_changes_nothing() -> None:
    assert after(Frontier(9), {SOURCE: 3}, accepted="a", processed="a") == Frontier(9)


def test_a_finished_source_holds_nothing() -> None:
    assert Frontier(5, (Held("z", 8),)).close(MAX) == Frontier(MAX)
    assert Frontier(9).close(3) == Frontier(9)


positions = st.integers(0, 30)
epochs = st.lists(st.tuples(st.none() | st.integers(-50, 50), positions, st.integers(1, 4)), max_size=12)


@given(epochs)
def test_the_watermark_never_goes_back_and_each_takes_effect_exactly_when_its_backlog_is_done(
    epochs: list[tuple[int | None, int, int]],
) -> None:
    frontier, processed, gains = Frontier(), 0, []
    for gained, ahead, files in epochs:
        before, processed = frontier.watermark, processed + files
        accepted = processed + ahead
        if gained is not None:
            gains.append((accepted, gained))
        frontier = after(
            frontier,
            {} if gained is None else {SOURCE: gained},
            accepted=f"{accepted:04d}",
            processed=f"{processed:04d}",
        )

        assert frontier.watermark >= before
        in_effect = [watermark for until, watermark in gains if until <= processed]
        assert frontier.watermark == max(in_effect, default=MIN)
        assert all(each.until > f"{processed:04d}" for each in frontier.held)
        assert sorted(each.until for each in frontier.held) == [each.until for each in frontier.held]


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=10),
    st.lists(st.integers(1, 4), min_size=10, max_size=10),
    st.randoms(use_true_random=False),
)
def test_a_folder_has_one_watermark_however_it_is_cut_and_ordered(
    files: list[int], sizes: list[int], random: object
) -> None:
    last = f"{len(files):04d}"
    frontier, done, seen = Frontier(), 0, []
    shuffled = files.copy()
    random.shuffle(shuffled)
    for size in sizes:
        taken = shuffled[done : done + size]
        if not taken:
            break
        done += len(taken)
        frontier = after(frontier, {SOURCE: max(taken)}, accepted=last, processed=f"{done:04d}")
        seen.append(frontier.watermark)

    assert set(seen[:-1]) <= {MIN}
    assert done < len(files) or seen[-1] == max(files)


# Marks


def test_the_watermark_is_the_minimum_over_the_producers() -> None:
    both = after(Frontier(), {"p": 7, "q": 5}, rule=MARKS)
    assert (both.watermark, both.marks) == (5, {"p": 7, "q": 5})
    assert after(both, {"q": 9}, rule=MARKS).watermark == 7


def test_declared_producers_must_all_have_said_something() -> None:
    one = after(Frontier(), {"p": 7}, rule=DECLARED)
    assert one.watermark == MIN
    assert after(one, {"q": 4}, rule=DECLARED).watermark == 4


def test_a_producers_lower_mark_changes_nothing() -> None:
    first = after(Frontier(), {"p": 7}, rule=MARKS)
    assert after(first, {"p": 3}, rule=MARKS) == first


def test_a_new_producer_that_is_behind_holds_the_watermark_and_does_not_take_it_back() -> None:
    first = after(Frontier(), {"p": 7}, rule=MARKS)
    second = after(first, {"p": 20, "q": 2}, rule=MARKS)
    assert second.watermark == 7
    assert after(second, {"q": 9}, rule=MARKS).watermark == 9


def test_a_backlog_holds_marks_and_a_producer_of_which_one_waits_is_known() -> None:
    #  q's mark was read when more was accepted than p's
    first = after(Frontier(), {"p": 7}, accepted="b", processed="a", rule=MARKS)
    second = after(first, {"q": 5}, accepted="d", processed="b", rule=MARKS)
    third = after(second, {}, accepted="d", processed="d", rule=MARKS)

    assert first == Frontier(MIN, (Held("b", 7, "p"),))
    assert second == Frontier(MIN, (Held("d", 5, "q"),), {"p": 7})
    assert third == Frontier(5, (), {"p": 7, "q": 5})


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(-50, 50)), min_size=1), st.data())
def test_waiting_marks_give_one_watermark_however_they_are_cut_and_ordered(
    marks: Sequence[tuple[str, int]], data: st.DataObject
) -> None:
    frontier, done = Frontier(), 0
    shuffled = data.draw(st.permutations(marks))
    while done < len(shuffled):
        taken = shuffled[done : done + data.draw(st.integers(1, 4))]
        done += len(taken)
        stated: dict[str, int] = {}
        for producer, moment in taken:
            stated[producer] = max(moment, stated.get(producer, MIN))
        before = frontier.watermark
        frontier = after(frontier, stated, f"{len(marks):04d}", f"{done:04d}", MARKS)
        assert before == MIN
    highest = {producer: max(at for each, at in marks if each == producer) for producer, _ in marks}
    assert frontier == Frontier(min(highest.values()), (), highest)


# File by file


def test_in_an_ordered_source_no_backlog_holds_the_watermark() -> None:
    ordered = WatermarkRule(delay=0, ordered=True)
    first = after(Frontier(), {SOURCE: 4}, accepted="c", processed="a", rule=ordered)
    assert first == Frontier(4)


# Idle. Times are processing time; the timeout is 10


IDLE = WatermarkRule(delay=2, timeout=10)
IDLE_MARKS = WatermarkRule(marked=True, timeout=10)


def test_an_idle_source_is_a_delay_behind_processing_time() -> None:
    heard = after(Frontier(), {SOURCE: 50}, rule=IDLE, now=100)
    assert heard.alarm(MAX) == 110
    assert after(heard, {}, rule=IDLE, now=109).watermark == 50
    silent = after(heard, {}, rule=IDLE, now=110)
    assert silent.watermark == 108
    assert after(silent, {}, rule=IDLE, now=120).watermark == 118


def test_it_asks_for_an_epoch_only_when_something_waits_for_its_watermark() -> None:
    silent = after(after(Frontier(), {SOURCE: 50}, rule=IDLE, now=100), {}, rule=IDLE, now=110)
    assert silent.alarm(MAX) == MAX
    assert silent.alarm(200) == 202
    assert after(silent, {}, rule=IDLE, now=202).watermark == 200
    assert silent.alarm(MAX - 1) == MAX


def test_elements_end_it_and_it_begins_again_a_timeout_later() -> None:
    silent = after(after(Frontier(), {SOURCE: 50}, rule=IDLE, now=100), {}, rule=IDLE, now=110)
    heard = after(silent, {SOURCE: 60}, rule=IDLE, now=130)
    assert (heard.watermark, heard.behind, heard.alarm(200)) == (108, None, 140)


def test_an_element_that_comes_when_the_alarm_is_due_comes_before_it() -> None:
    heard = after(Frontier(), {SOURCE: 50}, rule=IDLE, now=100)
    assert after(heard, {SOURCE: 60}, rule=IDLE, now=110).watermark == 60


def test_nobody_is_idle_while_inputs_wait() -> None:
    heard = after(Frontier(), {SOURCE: 50}, "a", "a", IDLE, now=100)
    waiting = after(heard, {}, "c", "b", IDLE, now=500)
    assert (waiting.watermark, waiting.held, waiting.alarm(MAX)) == (50, (), 110)
    assert after(waiting, {}, "c", "c", IDLE, now=500).watermark == 498


def test_a_source_that_never_said_anything_is_not_idle() -> None:
    assert after(Frontier(), {}, rule=IDLE, now=100) == Frontier()


def test_an_idle_producer_stops_holding_the_minimum_until_it_speaks() -> None:
    both = after(Frontier(), {"p": 7, "q": 5}, rule=IDLE_MARKS, now=100)
    only_p = after(both, {"p": 9}, rule=IDLE_MARKS, now=105)
    assert (only_p.watermark, only_p.alarm(MAX)) == (5, 110)
    silent = after(only_p, {}, rule=IDLE_MARKS, now=110)
    assert (silent.watermark, silent.alarm(MAX)) == (9, 115)
    back = after(silent, {"q": 6, "p": 30}, rule=IDLE_MARKS, now=111)
    assert back.watermark == 9
    assert after(back, {"q": 20}, rule=IDLE_MARKS, now=112).watermark == 20


def test_if_all_producers_are_silent_the_highest_mark_stands_whoever_fell_silent_first() -> None:
    both = after(Frontier(), {"p": 7, "q": 5}, rule=IDLE_MARKS, now=100)
    together = after(both, {}, rule=IDLE_MARKS, now=110)
    one_by_one = after(
        after(after(both, {"q": 6}, rule=IDLE_MARKS, now=101), {}, rule=IDLE_MARKS, now=110),
        {},
        rule=IDLE_MARKS,
        now=111,
    )
    assert together.watermark == one_by_one.watermark == 7
    assert together.alarm(MAX) == one_by_one.alarm(MAX) == MAX


def test_a_declared_producer_that_never_spoke_is_idle_a_timeout_after_the_first_epoch() -> None:
    rule = WatermarkRule(marked=True, producers=("p", "q"), timeout=10)
    first = after(Frontier(), {"p": 7}, rule=rule, now=100)
    second = after(first, {"p": 8}, rule=rule, now=109)
    assert (second.watermark, second.alarm(MAX)) == (MIN, 110)
    assert after(second, {}, rule=rule, now=110).watermark == 8


def test_at_the_end_of_time_no_alarm_is_left() -> None:
    heard = after(Frontier(), {SOURCE: 50}, rule=IDLE, now=100)
    assert heard.close(MAX).alarm(MAX) == MAX


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.dictionaries(st.sampled_from("pq"), st.integers(0, 99), max_size=2))
    ),
    st.sampled_from([IDLE_MARKS, MARKS, DECLARED, WatermarkRule(True, ("p", "q"), timeout=10)]),
)
def test_no_watermark_goes_back_and_no_alarm_rings_twice(
    epochs: Sequence[tuple[int, Mapping[str, int]]], rule: WatermarkRule
) -> None:
    frontier, now = Frontier(), 0
    for passed, stated in epochs:
        before, now = frontier, now + passed
        frontier = after(frontier, stated, rule=rule, now=now)
        assert frontier.watermark >= before.watermark
        assert frontier.alarm(MAX) > now


def test_a_producer_that_is_silent_is_not_finished_because_all_others_are() -> None:
    """As it was once: the source was at its end for good, and what the silent one sent then was late."""
    rule = WatermarkRule(marked=True, timeout=10)
    both = after(Frontier(), {"p": 5, "q": 3}, rule=rule)
    alone = after(both, {"p": MAX}, rule=rule, now=5)
    silent = after(alone, {}, rule=rule, now=15)
    assert (alone.watermark, silent.watermark) == (3, 3)
    heard = after(silent, {"q": 9}, rule=rule, now=16)
    assert heard.watermark == 9
    assert after(heard, {"q": MAX}, rule=rule, now=17).watermark == MAX
