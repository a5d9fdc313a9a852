"""The tester is tested: plausible mistakes in the protocol do not go unnoticed."""

import pytest

from tests.sim.mutants import MUTANTS, broken_promise, found_last, seeds_until_caught
from tests.sim.seeds import simulate


def test_there_are_mutants_enough() -> None:
    """Those that are kept with a seed; `make mutants` looks for all of them, which takes longer."""
    assert len(found_last()) >= 15
    assert set(found_last()) <= set(MUTANTS), "run `make mutants`"


@pytest.mark.parametrize("name", found_last())
def test_a_mutant_is_found(name: str) -> None:
    """With the seed that found it last; or, where what seeds mean has changed since, with any of 1,000."""
    assert broken_promise(name, found_last()[name]) or seeds_until_caught(name)


@pytest.mark.parametrize("number", sorted(set(found_last().values())))
def test_without_the_mistake_the_same_seed_breaks_no_promise(number: int) -> None:
    assert not simulate(f"mutant/{number}").violations
