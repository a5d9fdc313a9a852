"""Nothing."""

from dataclasses import dataclass, field

import polars as pl

from tidegate.timestamps import MAX
from tidegate.triggers.trigger import Earliest, Moment, Outlook, State, Step, instant


@dataclass(frozen=True)
class Never:
    """Never fires: for a part that shall not, such as the first one of `OrFinally`."""

    outlook: Outlook = field(
        default=Outlook(Earliest.NEVER, Earliest.NEVER, Earliest.NEVER, once=True), init=False, repr=False
    )

    def state(self, path: str) -> State:
        """None."""
        return {}

    def step(self, path: str, moment: Moment) -> Step:
        """Not ready."""
        return Step((), pl.lit(False), pl.lit(False), pl.lit(False), lambda fires, anew: {})

    def due(self, path: str, end: pl.Expr, watermark: int) -> pl.Expr:
        """Never."""
        return instant(MAX)

    def describe(self) -> str:
        """The class."""
        return "Never()"
