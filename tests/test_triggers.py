"""Triggers by themselves, one evaluation an epoch.

A time line reads from left to right, one character an epoch: a digit is how many elements came, `.` none;
`|` is the epoch in which the watermark passes the window's end. The second line has an `x` where the trigger
asks for a pane, and `X` where it is finished with it.
"""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import PipelineError
from tidegate.triggers import (
    DEFAULT_TRIGGER,
    AfterCount,
    AfterWatermark,
    Finish,
    Moment,
    Repeatedly,
    Trigger,
)
from tidegate.windows import FixedWindows

END = 100


def play(trigger: Trigger, epochs: str) -> str:
    """What the trigger does in each epoch, asked in all of them."""
    columns = {name: [each.initial] for name, each in trigger.state("t").items()}
    state = pl.DataFrame(columns or {"none": [0]})
    watermark, line = 0, ""
    for epoch in epochs:
        added = int(epoch) if epoch.isdigit() else 0
        before, watermark = watermark, END if epoch == "|" else watermark
        step = trigger.step("t", Moment(pl.lit(added), pl.lit(END), before, watermark, 0, pl.lit(added)))
        frame = state
        for layer in step.layers:
            frame = frame.with_columns(**layer)
        ready, finished = frame.select(ready=step.ready, finished=step.finished).row(0)
        line += ("X" if finished else "x") if ready else "."
        state = frame.with_columns(**step.after(pl.lit(ready), pl.lit(False))).select(state.columns)
        if ready and finished:
            break
    return line


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


# When a trigger comes to its end, and what it needs.


@pytest.mark.parametrize(
    ("trigger", "finish"),
    [
        (AfterCount(1), Finish.ANY_TIME),
        (AfterWatermark(), Finish.AT_END_OF_WINDOW),
        (AfterWatermark(early=AfterCount(1)), Finish.AT_END_OF_WINDOW),
        (AfterWatermark(late=AfterCount(1)), Finish.NEVER),
        (Repeatedly(AfterCount(1)), Finish.NEVER),
        (Repeatedly(AfterWatermark()), Finish.NEVER),
    ],
)
def test_when_a_trigger_may_finish(trigger: Trigger, finish: Finish) -> None:
    assert trigger.finish is finish


@pytest.mark.parametrize(
    ("trigger", "needs"),
    [
        (AfterCount(1), False),
        (Repeatedly(AfterCount(1)), False),
        (AfterWatermark(), True),
        (AfterWatermark(late=AfterCount(1)), True),
        (AfterWatermark(early=AfterCount(1)), False),
        (Repeatedly(AfterWatermark()), True),
        (AfterWatermark(early=AfterWatermark()), True),
        (AfterWatermark(early=AfterWatermark(early=AfterCount(1))), False),
    ],
)
def test_whether_a_trigger_needs_the_watermark(trigger: Trigger, needs: bool) -> None:
    assert trigger.needs_watermark is needs


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
    ):
        with pytest.raises(PipelineError) as raised:
            build()
        assert (
            str(raised.value) == f"{step}: {part!r} is not a trigger. Give a trigger, such as AfterCount(5)."
        )


triggers = st.recursive(
    st.integers(1, 3).map(AfterCount) | st.just(AfterWatermark()),
    lambda inner: inner.map(Repeatedly) | st.builds(AfterWatermark, st.none() | inner, st.none() | inner),
    max_leaves=4,
)


@given(triggers)
def test_state_columns_have_names_of_their_own(trigger: Trigger) -> None:
    state = trigger.state("t")
    step = trigger.step("t", Moment(pl.lit(0), pl.lit(END), 0, 0, 0, pl.lit(0)))
    after = step.after(pl.lit(True), pl.lit(False))

    assert all(name.startswith("t.") for name in state)
    assert list(state) == list(after)


@given(triggers, st.text("012.|", max_size=12))
def test_no_trigger_asks_for_a_pane_before_the_end_without_elements(trigger: Trigger, epochs: str) -> None:
    for epoch, asked in zip(epochs.split("|", maxsplit=1)[0], play(trigger, epochs), strict=False):
        assert asked == "." or epoch not in ".0"


@given(triggers, triggers)
def test_different_triggers_describe_themselves_differently(first: Trigger, second: Trigger) -> None:
    assert (first == second) == (first.describe() == second.describe())
