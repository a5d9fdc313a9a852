"""The rules of triggers, one by one. `windows.play` says how the time lines are read."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given

from tests.triggers.test_machines import triggers
from tests.triggers.windows import END, SECOND, Window, play
from tidegate.errors import PipelineError
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
    Moment,
    Never,
    OrFinally,
    Repeatedly,
    Trigger,
)
from tidegate.windows import FixedWindows


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


# Sessions that merge


def grown(trigger: Trigger, *epochs: int, watermark: int = 0, now: int = 0) -> Window:
    window = Window(trigger)
    for added in epochs:
        window.epoch(added, watermark=watermark, now=now)
    return window


def test_counts_of_sessions_that_merge_add_up() -> None:
    first, second = grown(AfterCount(5), 2), grown(AfterCount(5), 1, 1)
    first.merge([second], END)

    assert first.epoch(0) == "."
    assert first.epoch(1) == "X"


def test_the_earliest_deadline_of_sessions_that_merge_holds() -> None:
    trigger = Repeatedly(AfterProcessingTime("5s"))
    first, second = grown(trigger, 1, now=3 * SECOND), grown(trigger, 1, now=1 * SECOND)
    first.merge([second, Window(trigger)], END)

    assert first.epoch(now=6 * SECOND - 1) == "."
    assert first.alarm == 6 * SECOND
    assert first.epoch(now=6 * SECOND) == "x"
    assert first.alarm == MAX


def test_a_session_that_grows_beyond_the_watermark_is_early_again() -> None:
    window = grown(AfterWatermark(early=AfterCount(2), late=AfterCount(1)), 1, watermark=END)
    window.merge([], END + 10)

    assert window.epoch(1) == "."
    assert window.epoch(1) == "x"
    assert window.epoch(watermark=END + 10) == "x"
    assert window.epoch(1) == "x"


def test_a_session_that_grows_gets_its_on_time_pane_even_if_the_watermark_passes_in_the_same_epoch() -> None:
    window = grown(AfterWatermark(late=AfterCount(9)), 1, watermark=END)
    window.merge([], END + 10)

    assert window.epoch(1, watermark=END + 10) == "x"
    assert window.epoch(8) == "."
    assert window.epoch(1) == "x"


def test_a_session_that_grows_behind_the_watermark_stays_late() -> None:
    window = grown(AfterWatermark(late=AfterCount(2)), 1, 1, watermark=END + 10)
    window.merge([], END + 10)

    assert window.epoch(0) == "."
    assert window.epoch(1) == "x"


def test_sessions_that_merge_are_past_their_end_only_if_all_of_them_were() -> None:
    trigger = AfterWatermark(early=AfterCount(3), late=AfterCount(1))
    past, still_early = grown(trigger, 1, watermark=END), grown(trigger, 2)
    past.merge([still_early], END + 10)

    assert past.epoch(1) == "x"
    assert past.epoch(watermark=END + 10) == "x"


def test_of_sessions_that_merge_the_one_that_is_least_far_has_its_turn() -> None:
    trigger = AfterEach(AfterCount(3), AfterCount(2))
    ahead, behind = grown(trigger, 3, 1), grown(trigger, 2)
    ahead.merge([behind], END)

    assert ahead.epoch(1) == "x"
    assert ahead.epoch(1) == "."
    assert ahead.epoch(1) == "X"


@given(triggers(4))
def test_what_an_epoch_brings_to_a_window_leaves_its_state_as_it_is(trigger: Trigger) -> None:
    window = grown(trigger, 1, 0, 2)
    before = window.state
    window.merge([], END)

    assert window.state.equals(before)


# What is no trigger


def test_a_count_below_one_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"AfterCount\(-1\): the count is below 1\. Give the number"):
        AfterCount(-1)


@pytest.mark.parametrize("count", ["3", 1.5, True, None])
def test_a_count_that_is_no_whole_number_is_refused(count: Any) -> None:
    with pytest.raises(PipelineError) as raised:
        AfterCount(count)

    assert str(raised.value).startswith(f"AfterCount({count!r}): the count is not a whole number. Give the")


@pytest.mark.parametrize("part", [5, "AfterCount(5)", AfterCount, FixedWindows("2m")])
def test_a_part_that_is_no_trigger_is_refused(part: Any) -> None:
    for build, step in (
        (lambda: Repeatedly(part), "Repeatedly"),
        (lambda: AfterWatermark(early=part), "AfterWatermark(early=...)"),
        (lambda: AfterWatermark(late=part), "AfterWatermark(late=...)"),
        (lambda: AfterAny(AfterCount(1), part), "AfterAny"),
        (lambda: AfterAll(part, AfterCount(1)), "AfterAll"),
        (lambda: AfterEach(AfterCount(1), part), "AfterEach"),
        (lambda: OrFinally(part, AfterCount(1)), "OrFinally"),
        (lambda: OrFinally(AfterCount(1), part), "OrFinally(until=...)"),
    ):
        with pytest.raises(PipelineError) as raised:
            build()
        assert (
            str(raised.value) == f"{step}: {part!r} is not a trigger. Give a trigger, such as AfterCount(5)."
        )


@pytest.mark.parametrize("composite", [AfterAny, AfterAll, AfterEach])
def test_what_is_made_of_several_triggers_has_two_at_least(composite: Any) -> None:
    with pytest.raises(
        PipelineError, match=r"it is made of two triggers or more, not 1\. Add what is missing"
    ):
        composite(AfterCount(1))
    with pytest.raises(PipelineError, match="not 0"):
        composite()


@pytest.mark.parametrize("first", [Repeatedly(AfterCount(1)), DEFAULT_TRIGGER, Never()], ids=str)
def test_a_part_that_never_has_its_turn_is_refused(first: Trigger) -> None:
    with pytest.raises(PipelineError) as raised:
        AfterEach(AfterCount(5), first, AfterCount(7))

    assert str(raised.value) == (
        f"AfterEach(AfterCount(5), {first.describe()}, AfterCount(7)): AfterCount(7) never has its turn, for "
        f"{first.describe()} never finishes. Leave out what follows it, or take a trigger that finishes in "
        "its place."
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AfterProcessingTime("soon"), r"AfterProcessingTime\(\.\.\.\): 'soon' is not a duration"),
        (lambda: AlignedDelay("1"), r"AlignedDelay\(\.\.\.\): '1' is not a duration"),
        (lambda: AlignedDelay("0s"), r"AlignedDelay\(\.\.\.\): the period is zero\. Give a period such as"),
        (
            lambda: AfterWatermark(on_time="never"),
            r"AfterWatermark\(on_time=\.\.\.\): 'never' is unknown\. Give 'always' or 'if_new'",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(build: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build()


# What a pipeline is known by


@pytest.mark.parametrize(
    ("trigger", "line"),
    [
        (AfterCount(3), "AfterCount(3)"),
        (AfterProcessingTime("90s"), "AfterProcessingTime(1m30s)"),
        (AlignedDelay(timedelta(hours=1)), "AlignedDelay(1h)"),
        (Never(), "Never()"),
        (Repeatedly(AfterCount(2)), "Repeatedly(AfterCount(2))"),
        (AfterAny(AfterCount(1), Never()), "AfterAny(AfterCount(1), Never())"),
        (AfterAll(AfterCount(1), Never()), "AfterAll(AfterCount(1), Never())"),
        (AfterEach(AfterCount(1), Never()), "AfterEach(AfterCount(1), Never())"),
        (OrFinally(Never(), AfterCount(1)), "OrFinally(Never(), AfterCount(1))"),
        (AfterWatermark(), "AfterWatermark()"),
        (AfterWatermark(on_time="always"), "AfterWatermark()"),
        (
            AfterWatermark(AfterCount(1), AfterCount(2)),
            "AfterWatermark(early=AfterCount(1), late=AfterCount(2))",
        ),
        (AfterWatermark(late=Never(), on_time="if_new"), "AfterWatermark(late=Never(), on_time='if_new')"),
    ],
)
def test_a_trigger_describes_itself_in_one_way(trigger: Trigger, line: str) -> None:
    assert trigger.describe() == line


@pytest.mark.parametrize(
    ("trigger", "columns"),
    [
        (AfterWatermark(AfterCount(1), AfterCount(1)), ["t.passed", "t.early.elements", "t.late.elements"]),
        (Repeatedly(AfterProcessingTime("1s")), ["t.deadline"]),
        (AfterAny(AfterCount(1), AlignedDelay("1s")), ["t.0.elements", "t.1.deadline"]),
        (AfterEach(AfterCount(1), AfterCount(1)), ["t.turn", "t.0.elements", "t.1.elements"]),
        (OrFinally(AfterCount(1), AfterWatermark()), ["t.main.elements", "t.until.passed"]),
        (Never(), []),
    ],
    ids=lambda each: each.describe() if hasattr(each, "describe") else "",
)
def test_state_is_stored_under_these_names(trigger: Trigger, columns: list[str]) -> None:
    assert list(trigger.state("t")) == columns


@given(triggers(4))
def test_state_columns_have_names_of_their_own(trigger: Trigger) -> None:
    state = trigger.state("t")
    step = trigger.step("t", Moment(pl.lit(0), pl.lit(END), 0, 0, 0, pl.lit(0)))
    after = step.after(pl.lit(True), pl.lit(False))

    assert all(name.startswith("t.") for name in state)
    assert list(state) == list(after)


@given(triggers(3), triggers(3))
def test_different_triggers_describe_themselves_differently(first: Trigger, second: Trigger) -> None:
    assert (first == second) == (first.describe() == second.describe())


@pytest.mark.parametrize("composite", [AfterAny, AfterAll, AfterEach, OrFinally, AfterWatermark])
def test_expressions_grow_with_the_number_of_parts_and_not_faster(composite: Any) -> None:
    """Twice as many parts, one level deeper, are little more than twice as much to evaluate."""

    def size(depth: int) -> int:
        trigger: Trigger = AfterCount(1)
        for _ in range(depth):
            trigger = composite(trigger, trigger)
        step = trigger.step("t", Moment(pl.col("added"), pl.col("end"), 0, 0, 0, pl.col("pending")))
        after = step.after(pl.col("fires"), pl.lit(False))
        columns = [*(each for layer in step.layers for each in layer.values()), *after.values()]
        columns += [step.ready, step.shows, step.finished, trigger.due("t", pl.col("end"), 0)]
        return sum(str(each).count("(") + str(each).count("[") for each in columns)

    assert size(5) < 3 * size(4)
    assert size(6) < 3 * size(5)
