"""The tester is tested: plausible mistakes in the protocol do not go unnoticed."""

import pytest

from tests.sim.mutants import MUTANTS, RARE, broken_promise, found_last, seeds_until_caught
from tests.sim.regressions import kept
from tests.sim.seeds import simulate


def test_there_are_mutants_enough() -> None:
    """Those that are kept with a seed; `make mutants` looks for all of them, which takes longer."""
    assert len(found_last()) >= 15
    assert set(found_last()) <= set(MUTANTS), "run `make mutants`"


@pytest.mark.parametrize("name", found_last())
def test_a_mutant_is_found(name: str) -> None:
    """With the seed that found it last; or, where what seeds mean has changed since, with any of 1,000."""
    assert broken_promise(MUTANTS[name], f"mutant/{found_last()[name]}") or seeds_until_caught(name)


@pytest.mark.parametrize("name", RARE)
def test_a_mutant_that_hardly_any_seed_finds_is_found_by_the_one_that_did(name: str) -> None:
    seed, mutant = RARE[name]

    assert broken_promise(mutant, seed)
    assert seed in {each.seed for each in kept()}, "without the mistake it is a regression"


@pytest.mark.parametrize("number", sorted(set(found_last().values())))
def test_without_the_mistake_the_same_seed_breaks_no_promise(number: int) -> None:
    assert not simulate(f"mutant/{number}").violations
