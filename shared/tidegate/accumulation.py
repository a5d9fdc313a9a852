"""How refinements of one window relate to each other (Dataflow Model, section 2.3)."""

from enum import StrEnum


class Accumulation(StrEnum):
    """What a pane holds, relative to the panes of the same window before it."""

    DISCARDING = "discarding"
    """What came since the last pane."""

    ACCUMULATING = "accumulating"
    """Everything so far."""


DISCARDING = Accumulation.DISCARDING
ACCUMULATING = Accumulation.ACCUMULATING
