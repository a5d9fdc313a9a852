"""What can be given to triggers, and what a pipeline knows them by."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given

from tests.triggers.test_machines import triggers
from tests.triggers.windows import END
from tidegate.errors import PipelineError
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
