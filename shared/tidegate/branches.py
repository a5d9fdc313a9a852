"""Branches: the sources of a pipeline, each with the narrow steps that lead from it to where they meet."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.sources.source import Source
from tidegate.steps import NarrowStep
from tidegate.watermarks import WatermarkPolicy


@dataclass(frozen=True, eq=False)
class Branch:
    """A source, and the narrow steps from it to a union; without a union there are none.

    Attributes:
        source: Which files, and what they say of the watermark.
        steps: Between the source and the union.
    """

    source: Source
    steps: tuple[NarrowStep, ...] = ()


def last_to_end(branches: Sequence[Branch]) -> WatermarkPolicy:
    """The policy that says whether their watermark, the minimum, can come to its end: all must."""
    policies = [each.source.watermark for each in branches]
    return next((each for each in policies if not each.ends), policies[0])
