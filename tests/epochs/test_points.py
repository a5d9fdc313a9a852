"""A process may end, or not learn what it did, at every single call: nothing else is left in the end."""

import pytest

from tests.epochs.points import SCENARIOS, visit

CHOSEN = (
    "fixed, early and late, accumulating, fanned out",
    "fixed, every two, discarding, one file an epoch",
    "global, every two, accumulating, one file an epoch",
    "no grouping, fanned out",
    "a replay before the last wave, one file an epoch",
)


def test_there_are_scenarios_enough() -> None:
    assert len(SCENARIOS) >= 20
    assert set(CHOSEN) <= set(SCENARIOS)


@pytest.mark.parametrize("scenario", CHOSEN)
def test_no_point_leaves_anything_else(scenario: str) -> None:
    """The others are visited by `make points`."""
    points = visit(scenario)
    assert points.differences == []
    assert points.visited > 2 * points.calls > 100
