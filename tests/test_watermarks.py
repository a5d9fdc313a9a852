import pytest

import tidegate as tg
from tidegate.errors import PipelineError
from tidegate.frontier import WatermarkRule
from tidegate.timestamps import MAX, MIN
from tidegate.watermarks import BoundedDelay, Idle, Marks, Perfect

SECOND = 1_000_000


def test_bounded_delay_stays_behind_the_highest_event_time() -> None:
    assert BoundedDelay("10s").watermark(25 * SECOND) == 15 * SECOND
    assert BoundedDelay("0s").watermark(-5) == -5


def test_it_is_never_below_the_bounds_of_time() -> None:
    assert BoundedDelay("10s").watermark(MIN + 1) == MIN


def test_a_delay_that_is_none_is_refused_when_it_is_given() -> None:
    for wrong in ({"delay": "soon"}, {"delay": 10}, {"delay": "1s", "max_ahead": "-1s"}):
        name, value = list(wrong.items())[-1]
        with pytest.raises(PipelineError) as raised:
            BoundedDelay(**wrong)
        assert str(raised.value).startswith(f"BoundedDelay({name}=...): {value!r} is not a duration. Write")


def test_equal_ones_describe_themselves_alike() -> None:
    assert BoundedDelay("60s").describe() == BoundedDelay("1m", max_ahead="24h").describe()
    assert BoundedDelay("60s").describe() != BoundedDelay("61s").describe()
    assert BoundedDelay("60s").describe() != BoundedDelay("60s", max_ahead="2d").describe()


def test_an_event_time_may_lie_max_ahead_past_processing_time_and_never_at_the_end_of_time() -> None:
    assert BoundedDelay("1s", max_ahead="2s").latest(SECOND) == 3 * SECOND
    assert BoundedDelay("1s").latest(MAX) == MAX - 1


def test_marks_are_known_by_their_producers_in_any_order() -> None:
    assert Marks(["b", "a", "b"]) == Marks(("a", "b"))
    assert Marks(["b", "a"]).describe() == "Marks(producers=['a', 'b'], max_ahead=1d)"
    assert Marks().describe() == "Marks(max_ahead=1d)"
    assert Marks(["b", "a"]).rule() == WatermarkRule(marked=True, producers=("a", "b"))


def test_marks_in_metadata_are_asked_for() -> None:
    assert Marks(["a"], metadata=True).describe() == "Marks(producers=['a'], max_ahead=1d, metadata=True)"
    assert Marks(metadata=True).rule() == WatermarkRule(marked=True, metadata=True)


@pytest.mark.parametrize("producers", [[], [""], ["a/b"], [1]])
def test_producers_that_are_no_names_are_refused(producers: object) -> None:
    with pytest.raises(
        PipelineError, match=r"Marks\(producers=.*no names of producers.* Give a list of names"
    ):
        Marks(producers)  # type: ignore[arg-type]


def test_only_marks_and_the_end_of_the_input_come_to_the_end_of_time() -> None:
    assert (Marks().ends, Perfect().ends, Idle(Marks(), "1s").ends) == (True, True, True)
    assert (BoundedDelay("1s").ends, Idle(BoundedDelay("1s"), "1s").ends) == (False, False)


def test_elements_say_nothing_to_marks_and_to_a_perfect_watermark() -> None:
    assert Marks().watermark(5) is None
    assert Perfect().watermark(5) is None
    assert Perfect().latest(0) == MAX - 1
    assert Perfect().rule() == WatermarkRule(bounded=True)


def test_idle_is_its_policy_with_a_timeout() -> None:
    idle = Idle(BoundedDelay("10s"), timeout="300s")
    assert idle.describe() == "Idle(BoundedDelay(delay=10s, max_ahead=1d), timeout=5m)"
    assert idle.watermark(25 * SECOND) == 15 * SECOND
    assert idle.latest(0) == BoundedDelay("10s").latest(0)
    assert idle.rule() == WatermarkRule(delay=10 * SECOND, timeout=300 * SECOND)
    assert Idle(Marks(["a"]), "1s").rule() == WatermarkRule(marked=True, producers=("a",), timeout=SECOND)


@pytest.mark.parametrize("policy", [Perfect(), Idle(Marks(), "1s"), Marks])
def test_idle_needs_a_policy_that_waits_for_input(policy: object) -> None:
    with pytest.raises(PipelineError, match=r"Give one of those that wait for input"):
        Idle(policy, "1s")  # type: ignore[arg-type]


def test_a_timeout_of_nothing_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"the timeout is zero"):
        Idle(Marks(), "0s")


def test_what_is_easily_mistaken_is_refused_with_the_mend() -> None:
    with pytest.raises(PipelineError, match=r"Write tg\.Idle\(tg\.BoundedDelay\('10s'\), timeout='5m'\)"):
        tg.Idle("5m")  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match=r"Write Marks\(\['web'\]\), with all names"):
        tg.Marks("web", "app")
