import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import PipelineError
from tidegate.timestamps import MAX, MIN
from tidegate.watermarks import BoundedDelay, Frontier, Held

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


# The frontier. Positions of the intake log are a, b, c, …


def test_without_a_backlog_an_epochs_watermark_takes_effect_at_its_end() -> None:
    assert Frontier().advance(7, accepted="a", processed="a") == Frontier(7)


def test_a_watermark_waits_for_the_backlog_that_its_epoch_saw() -> None:
    #  waiting when the first epoch is frozen:  a b c
    #  epoch                                    1 2 3
    #  it gives                                 9 4 6
    first = Frontier().advance(9, accepted="c", processed="a")
    second = first.advance(4, accepted="c", processed="b")
    third = second.advance(6, accepted="c", processed="c")

    assert first == Frontier(MIN, (Held("c", 9),))
    assert second == Frontier(MIN, (Held("c", 9),))
    assert third == Frontier(9)


def test_what_is_accepted_later_does_not_hold_it() -> None:
    #  A stream that never pauses: one more file is accepted while each epoch runs.
    #  epoch             1   2   3
    #  processes         a   b   c
    #  accepted before   ab  bc  cd
    first = Frontier().advance(1, accepted="b", processed="a")
    second = first.advance(2, accepted="c", processed="b")
    third = second.advance(3, accepted="d", processed="c")

    assert [each.watermark for each in (first, second, third)] == [MIN, 1, 2]
    assert third.held == (Held("d", 3),)


def test_an_epoch_without_elements_lets_go_what_waited_for_it() -> None:
    held = Frontier(5, (Held("b", 8),))

    assert held.advance(None, accepted="b", processed="b") == Frontier(8)
    assert held.advance(None, accepted="b", processed="a") == held


def test_an_older_watermark_changes_nothing() -> None:
    assert Frontier(9).advance(3, accepted="a", processed="a") == Frontier(9)


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
        frontier = frontier.advance(gained, accepted=f"{accepted:04d}", processed=f"{processed:04d}")

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
        frontier = frontier.advance(max(taken), accepted=last, processed=f"{done:04d}")
        seen.append(frontier.watermark)

    assert set(seen[:-1]) <= {MIN}
    assert done < len(files) or seen[-1] == max(files)
