"""What becomes of triggers when sessions merge."""

from hypothesis import given

from tests.triggers.test_machines import triggers
from tests.triggers.windows import END, SECOND, Window
from tidegate.timestamps import MAX
from tidegate.triggers import (
    AfterCount,
    AfterEach,
    AfterProcessingTime,
    AfterWatermark,
    Repeatedly,
    Trigger,
)


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
