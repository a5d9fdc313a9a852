"""How refinements of one window relate to each other (Dataflow Model, section 2.3)."""

from enum import StrEnum


class Accumulation(StrEnum):
    """What a pane holds, relative to the panes of the same window before it."""

    DISCARDING = "discarding"
    """What came since the last pane."""

    ACCUMULATING = "accumulating"
    """Everything so far."""

    ACCUMULATING_AND_RETRACTING = "accumulating_and_retracting"
    """Everything so far, after a pane that takes back the last one."""


DISCARDING = Accumulation.DISCARDING
ACCUMULATING = Accumulation.ACCUMULATING
ACCUMULATING_AND_RETRACTING = Accumulation.ACCUMULATING_AND_RETRACTING
