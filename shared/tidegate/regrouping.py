"""What may be grouped again: where inserts less retractions would not be the batch answer, it is refused.

Panes are elements of the next grouping, and one that is taken back must leave nothing behind there.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from tidegate.accumulation import ACCUMULATING_AND_RETRACTING, DISCARDING
from tidegate.errors import PipelineError
from tidegate.grouping import Windowing
from tidegate.limits import MAX_SHUFFLES
from tidegate.panes import EMITTED_AT, OP
from tidegate.steps import FilterExpression, NarrowStep, Select, WithColumns

_OF_ONE_EMISSION = (OP, EMITTED_AT)
"""What a retraction does not repeat of the pane that it takes back."""


def check_regrouping(
    shuffles: int,
    before: Windowing,
    windowing: Windowing,
    steps: Sequence[NarrowStep],
    keys: Sequence[pl.Expr],
) -> None:
    """Refuses to group panes again where the result would depend on how often and when they were refined.

    Args:
        shuffles: How many groupings there are already.
        before: The windowing of the last of them.
        windowing: That of the next.
        steps: The steps between the two.
        keys: The next grouping's.

    Raises:
        PipelineError: With the reason and the mend.
    """
    if shuffles == MAX_SHUFFLES:
        raise PipelineError(
            "group_by", f"the pipeline groups {MAX_SHUFFLES} times already", "Write to a sink in between."
        )
    if before.repeats_elements:
        raise PipelineError(
            "group_by",
            "the panes before it are accumulating, and would be counted again with each refinement",
            "Call .accumulate(ACCUMULATING_AND_RETRACTING) before the first agg, so that each pane takes "
            "the one before it back; or DISCARDING, so that each holds only what is new.",
        )
    if before.accumulation is not ACCUMULATING_AND_RETRACTING:
        return
    if windowing.merges and windowing.accumulation is DISCARDING:
        raise PipelineError(
            f"window({windowing.window_fn.describe()})",
            "the panes before it may be taken back, so that windows that merged are taken apart again, and "
            "panes that hold only what is new cannot tell that their window is no more",
            "Call .accumulate(ACCUMULATING_AND_RETRACTING) behind it, so that it takes its panes back.",
        )
    for label, expression in (*_read(steps), *(("group_by", each) for each in keys)):
        for name in expression.meta.root_names():
            if name in _OF_ONE_EMISSION and not _passes(label, expression):
                raise PipelineError(
                    label,
                    f"it reads {name}, which a retraction does not repeat: a row that is taken back would "
                    "take another way than it came",
                    "Read keys, windows and values only, where panes are grouped again; or read it behind "
                    "the last grouping.",
                )


def _read(steps: Sequence[NarrowStep]) -> Iterator[tuple[str, pl.Expr]]:
    for step in steps:
        if isinstance(step, Select | WithColumns):
            yield from ((step.label, each) for each in step.expressions)
        elif isinstance(step, FilterExpression):
            yield step.label, step.predicate


def _passes(label: str, expression: pl.Expr) -> bool:
    """Whether a step only lets the pane's own column through."""
    return label != "group_by" and expression.meta.is_column()
