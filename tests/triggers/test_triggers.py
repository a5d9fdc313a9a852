"""The rules of triggers, one by one. `windows.play` says how the time lines are read."""

from tests.triggers.windows import END, SECOND, Window, play
from tidegate.timestamps import MAX
from tidegate.triggers import (
    DEFAULT_TRIGGER,
    AfterAll,
    AfterAny,
    AfterCount,
    AfterEach,
    AfterProcessingTime,
    AfterWatermark,
    AlignedDelay,
    Never,
    OrFinally,
    Repeatedly,
)


def test_a_count_fires_once_when_enough_elements_came() -> None:
    assert play(AfterCount(3), ".1.1.1") == ".....X"
    assert play(AfterCount(3), "5") == "X"


def test_elements_of_one_epoch_count_together() -> None:
    assert play(Repeatedly(AfterCount(2)), "3112") == "x.xx"


def test_what_is_repeated_begins_anew() -> None:
    assert play(Repeatedly(AfterCount(2)), "1.1.1.1") == "..x...x"
    assert play(Repeatedly(Repeatedly(AfterCount(2))), "1111") == ".x.x"


def test_the_watermark_trigger_fires_when_it_passes_and_is_finished() -> None:
    assert play(AfterWatermark(), "1.2|") == "...X"


def test_early_panes_come_until_the_end_and_each_begins_anew() -> None:
    assert play(AfterWatermark(early=AfterCount(2)), "1121|") == ".xx.X"


def test_the_late_part_counts_only_what_came_after_the_on_time_firing() -> None:
    assert play(AfterWatermark(late=AfterCount(2)), "9|1.11") == ".x..x."


def test_early_and_late_parts_do_not_know_of_each_other() -> None:
    assert play(AfterWatermark(early=AfterCount(2), late=AfterCount(3)), "11.1|1112") == ".x..x..x."


def test_the_default_is_the_watermark_and_then_every_late_epoch() -> None:
    assert play(DEFAULT_TRIGGER, "12|.1.2") == "..x.x.x"


def test_parts_may_be_repeated_again() -> None:
    assert (
        play(AfterWatermark(early=Repeatedly(AfterCount(2)), late=Repeatedly(AfterCount(2))), "11|11")
        == ".xx.x"
    )


def test_a_part_may_be_a_watermark_trigger() -> None:
    nested = AfterWatermark(early=AfterWatermark(early=AfterCount(2)), late=AfterCount(1))

    assert play(nested, "11|.1") == ".xx.x"


def test_a_repeated_watermark_trigger_is_ready_whenever_it_is_asked_behind_the_end() -> None:
    # Windows are asked only when they are touched or due, so this means once for each epoch of late elements.
    assert play(Repeatedly(AfterWatermark()), "1|11") == ".xxx"


def test_a_repeated_watermark_trigger_keeps_its_early_part() -> None:
    assert play(Repeatedly(AfterWatermark(early=AfterCount(2))), "111|") == ".x.x"


def test_the_on_time_pane_may_be_left_out_if_nothing_is_new() -> None:
    if_new = AfterWatermark(early=AfterCount(2), late=AfterCount(1), on_time="if_new")

    assert play(if_new, "2.|.1") == "x.o.x"
    assert play(if_new, "21|.1") == "x.x.x"
    assert play(AfterWatermark(early=AfterCount(2), late=AfterCount(1)), "2.|.1") == "x.x.x"


def test_an_on_time_pane_that_is_left_out_finishes_the_trigger_all_the_same() -> None:
    assert play(AfterWatermark(early=AfterCount(2), on_time="if_new"), "2|1") == "xO"
    assert play(AfterEach(AfterWatermark(AfterCount(2), on_time="if_new"), AfterCount(3)), "2|12") == "xo.X"


# Processing time


def test_a_delay_counts_from_the_first_element() -> None:
    assert play(AfterProcessingTime("3s"), ".1.1..") == "....X"
    assert play(AfterProcessingTime("0s"), ".1") == ".X"


def test_a_repeated_delay_counts_from_the_first_element_since_the_pane() -> None:
    assert play(Repeatedly(AfterProcessingTime("2s")), "11.....1...") == "..x......x."


def test_an_element_that_comes_when_a_delay_is_over_is_inside_that_firing() -> None:
    # Otherwise the element of second 2 would set a deadline of its own.
    assert play(Repeatedly(AfterProcessingTime("2s")), "1.1....") == "..x...."


def test_a_delay_that_no_epoch_met_fires_with_the_next_one() -> None:
    window = Window(AfterProcessingTime("2s"))

    assert window.epoch(1, now=5 * SECOND) == "."
    assert window.epoch(now=7 * SECOND - 1) == "."
    assert window.epoch(1, now=60 * SECOND) == "X"


def test_an_aligned_delay_fires_at_multiples_on_the_clock_if_something_is_new() -> None:
    #                                          0123456789
    assert play(Repeatedly(AlignedDelay("3s")), ".1.......1") == "...x.....x"


def test_an_element_that_comes_exactly_at_a_multiple_is_inside_that_firing() -> None:
    assert play(Repeatedly(AlignedDelay("3s")), "...1..1.1.") == "...x..x..x"


def test_an_aligned_delay_without_elements_does_not_fire() -> None:
    assert play(Repeatedly(AlignedDelay("2s")), "......") == "......"


def test_an_aligned_delay_fires_once() -> None:
    assert play(AlignedDelay("3s"), ".1....") == "...X"


def test_multiples_count_from_1970_and_before_it() -> None:
    window = Window(AlignedDelay("1m"))

    assert window.epoch(1, now=-61 * SECOND) == "."
    assert window.alarm == -60 * SECOND


def test_a_delay_of_all_of_time_does_not_overflow() -> None:
    window = Window(AfterProcessingTime("3000000d"))

    assert window.epoch(1, now=MAX - 5) == "."
    assert window.alarm == MAX - 1


def test_early_panes_by_the_clock_end_with_the_on_time_pane() -> None:
    by_the_clock = AfterWatermark(early=AlignedDelay("2s"), late=AfterCount(1))

    assert play(by_the_clock, ".11.1|...1") == "..x.xx...x"
    assert play(by_the_clock, ".1.1|....") == "..x.x...."


def test_late_panes_may_come_by_the_clock() -> None:
    assert play(AfterWatermark(late=AfterProcessingTime("2s")), "1|.1.1..1") == ".x...x..."


# Alarms


def test_an_alarm_is_the_earliest_deadline() -> None:
    window = Window(Repeatedly(AfterAny(AfterProcessingTime("5s"), AlignedDelay("4s"), AfterCount(3))))

    window.epoch(1, now=2 * SECOND)
    assert window.alarm == 4 * SECOND
    window.epoch(2, now=3 * SECOND)
    assert window.alarm == MAX


def test_an_alarm_of_all_parts_is_the_last_deadline_if_nothing_else_is_missing() -> None:
    window = Window(AfterAll(AfterProcessingTime("1s"), AfterCount(2), AfterProcessingTime("5s")))

    window.epoch(1, now=2 * SECOND)
    assert window.alarm == MAX
    window.epoch(1, now=3 * SECOND)
    assert window.alarm == 7 * SECOND


def test_what_is_ready_already_is_no_alarm() -> None:
    # It would ring for ever: behind the end this trigger is ready whenever it is asked.
    window = Window(Repeatedly(AfterWatermark()))

    assert window.epoch(1, watermark=END) == "x"
    assert window.alarm == MAX


def test_the_deadline_of_a_part_whose_turn_is_over_is_no_alarm() -> None:
    window = Window(AfterWatermark(early=AfterProcessingTime("5s"), late=AfterCount(9)))

    window.epoch(1, now=2 * SECOND)
    assert window.alarm == 7 * SECOND
    window.epoch(1, watermark=END)
    assert window.alarm == MAX


# Triggers made of triggers


def test_any_fires_with_the_first_of_its_parts_and_is_finished() -> None:
    assert play(AfterAny(AfterCount(3), AfterProcessingTime("4s")), "1.1.1") == "....X"
    assert play(AfterAny(AfterCount(2), AfterProcessingTime("4s")), "1.1.1") == "..X"


def test_a_repeated_any_begins_anew_with_all_of_its_parts() -> None:
    some = Repeatedly(AfterAny(AfterCount(3), AfterProcessingTime("4s")))

    assert play(some, "21.1.......") == ".x.....x..."


def test_any_is_finished_even_if_the_part_that_fires_is_not() -> None:
    assert play(AfterAny(Repeatedly(AfterCount(2)), AfterCount(9)), "1111") == ".X"


def test_all_fires_once_the_last_part_is_ready() -> None:
    assert play(AfterAll(AfterCount(3), AfterProcessingTime("4s")), "3......") == "....X"
    assert play(AfterAll(AfterCount(3), AfterProcessingTime("4s")), "1.....1.1") == "........X"


def test_all_may_wait_for_the_watermark() -> None:
    assert play(AfterAll(AfterWatermark(), AfterCount(3)), "1111.|") == ".....X"
    assert play(AfterAll(AfterWatermark(), AfterCount(3)), "1|.1.1") == ".....X"


def test_each_part_has_its_turn_and_sees_what_comes_in_it() -> None:
    assert play(AfterEach(AfterCount(1), AfterCount(2), AfterCount(3)), "1111111") == "x.x..X"
    assert play(AfterEach(AfterCount(1), AfterCount(2)), "911") == "x.X"


def test_a_last_part_that_never_finishes_goes_on() -> None:
    assert play(AfterEach(AfterCount(3), Repeatedly(AfterCount(1))), "111.1.1") == "..x.x.x"


def test_a_part_that_fires_without_finishing_keeps_its_turn() -> None:
    in_turn = AfterEach(AfterWatermark(early=AfterCount(2)), AfterCount(1))

    assert play(in_turn, "1111|.1") == ".x.xx.X"


def test_a_delay_begins_with_the_turn_of_its_part() -> None:
    assert play(AfterEach(AfterCount(1), AfterProcessingTime("2s")), "1...1..") == "x.....X"


def test_until_counts_over_all_panes_and_ends_with_one() -> None:
    assert play(OrFinally(Repeatedly(AfterCount(2)), AfterCount(5)), "111111") == ".x.xX"


def test_until_ends_a_trigger_that_is_not_ready() -> None:
    assert play(OrFinally(Repeatedly(AfterCount(9)), AfterWatermark()), "11|") == "..X"
    assert play(OrFinally(Never(), AfterProcessingTime("3s")), "1.....") == "...X"


def test_a_last_firing_gives_no_pane_if_nothing_is_new() -> None:
    by_the_clock = OrFinally(Repeatedly(AfterCount(1)), AfterProcessingTime("3s"))

    assert play(by_the_clock, "1.....") == "x..O"
    assert play(by_the_clock, "1..1..") == "x..X"


def test_what_is_until_another_finishes_with_its_trigger() -> None:
    assert play(OrFinally(AfterCount(2), AfterCount(5)), "111111") == ".X"


def test_a_repeated_until_begins_anew_with_both_parts() -> None:
    assert play(Repeatedly(OrFinally(Repeatedly(AfterCount(2)), AfterCount(3))), "11111111") == ".xx.xx.x"


def test_never_fires_never() -> None:
    assert play(Never(), "9|9.") == "...."
    assert play(AfterWatermark(early=Never(), late=Never()), "9|9.") == ".x.."
