"""Panes as the elements of the next grouping, in the same epoch.

A pane is an element at its own event time (Dataflow Model, VLDB 2015, section 2.3). One that takes another
back is an element as well: the aggregates behind it know its sign.
"""

from dataclasses import dataclass

import polars as pl

from tidegate.engine.assignment import combine_elements, with_inputs
from tidegate.engine.dead_letters import DeadLetters
from tidegate.grouping import Grouping
from tidegate.panes import EVENT_TIME as PANE_EVENT_TIME
from tidegate.sources.source import EVENT_TIME


@dataclass(frozen=True)
class Regrouped:
    """What a reduce stage gives to the one behind it.

    Attributes:
        partials: Accumulators for each key and window.
        late: Panes that were late for the next grouping, as its late sink has them.
        counters: Their number.
        dead: Panes that an expression failed on.
    """

    partials: pl.DataFrame
    late: bytes
    counters: dict[str, int]
    dead: DeadLetters


def regroup(panes: pl.DataFrame, grouping: Grouping, watermark: int, behind: int) -> Regrouped:
    """Combines panes for the next grouping.

    Args:
        panes: After the steps between the two groupings, with their own event times.
        grouping: The next grouping.
        watermark: Its watermark before the epoch; panes of windows that had expired by then are dropped.
        behind: The same of the grouping behind it; `MIN` if there is none.
    """
    elements = panes.rename({PANE_EVENT_TIME: EVENT_TIME})
    outcome = with_inputs(elements, grouping)
    dead = DeadLetters()
    dead.add_rejected_panes(outcome.rejected)
    combined = combine_elements(outcome.frame, grouping, watermark, behind)
    counters = {"dropped_late": combined.dropped, "dead_letters": len(dead)}
    return Regrouped(combined.partials, combined.late, counters, dead)
