from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs.generation import EPOCHS, beginning, generation_of, named, number_of


def test_the_first_generation_counts_from_one() -> None:
    assert (generation_of(1), number_of(1)) == (1, 1)
    assert (generation_of(0), number_of(0)) == (1, 0), "before its first epoch"
    assert beginning(1) == 0


@given(st.integers(1, 99), st.integers(1, EPOCHS - 1))
def test_an_epoch_says_which_generation_it_is_of(generation: int, number: int) -> None:
    epoch = beginning(generation) + number
    assert (generation_of(epoch), number_of(epoch)) == (generation, number)
    assert len(f"{epoch:010d}") == 10, "names of epochs sort as their numbers do"


@given(st.integers(1, 98))
def test_generations_follow_each_other(generation: int) -> None:
    assert beginning(generation + 1) - beginning(generation) == EPOCHS
    assert generation_of(beginning(generation)) == generation


def test_folders_of_later_generations_have_names_of_their_own() -> None:
    assert named("totals", 1) == "totals"
    assert named("a/b", 2) == "a/b.generation-2"
