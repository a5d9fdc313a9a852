"""Hypothesis without deadlines, for how fast a machine is that day is no property of the code."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

LONGEST = (
    "oracle/test_oracle.py",
    "sim/test_simulation.py",
    "epochs/test_points.py",
    "epochs/test_late_elements.py",
)
"""Files that take half a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest files, so that no worker is left alone with one of them at the end."""
    here = Path(__file__).parent
    first = [here / name for name in LONGEST]
    items.sort(key=lambda item: first.index(item.path) if item.path in first else len(first))
