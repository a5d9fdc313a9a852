"""`kill -9` at random moments, again and again: the final files are those of an undisturbed run.

A small part of `make crash`, which does the same for minutes, with whatever pipelines and moments it draws.
"""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.embedded import disturb

KILLS = 8
"""At least so many of a round's blows have to hit, or it says nothing."""


@pytest.mark.parametrize("seed", [4])
def test_killed_and_started_again_until_it_ends(tmp_path: Path, seed: int) -> None:
    def disturbed(name: str) -> Counter[str]:
        base = tmp_path / name
        base.mkdir()
        return disturb(base, random.Random(seed), functions=name == "functions")  # noqa: S311

    names = ("expressions", "functions")
    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip(names, pool.map(disturbed, names), strict=True))
    assert sum(each["kills"] for each in counts.values()) >= KILLS, f"too fast to be killed: {counts}"
