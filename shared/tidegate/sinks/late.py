"""The late sink: where elements go that came too late for a window, beside being counted.

It is always lines of JSON, whatever the pipeline's sink is: like dead letters they are there to be looked at,
and a late sink can be put into the input folder of a pipeline that reads JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from tidegate.errors import PipelineError
from tidegate.panes import WINDOW_END, WINDOW_START
from tidegate.sinks.sink import Sink

KIND: Final = "json"

WINDOWS = "windows"
"""The column that says for how many windows the element came too late."""

WATERMARK = "watermark"
"""The column with the watermark that it was behind."""

_OWN = (WINDOW_START, WINDOW_END, WINDOWS, WATERMARK)

_WINDOW_OF_PANE = {name: f"pane_{name}" for name in (WINDOW_START, WINDOW_END)}
"""What the window of a pane is called that comes too late for another grouping: the window it is in."""


@dataclass(frozen=True)
class LateSink:
    """Lines of JSON below one prefix of the output, for what one grouping drops.

    Attributes:
        prefix: Without a slash at its ends.
        columns: The stream's columns at the grouping, and what each is called here.
    """

    prefix: str
    columns: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, prefix: str, schema: Mapping[str, pl.DataType], *, panes: bool) -> "LateSink":
        """The late sink of a grouping.

        Args:
            prefix: As it was checked.
            schema: The stream's columns at the grouping.
            panes: Whether it is panes that are grouped.

        Raises:
            PipelineError: A column has a name that late elements have for something else, or a type that
                JSON cannot hold.
        """
        step = f"window(late_to={prefix!r})"
        columns = tuple((name, _WINDOW_OF_PANE.get(name, name) if panes else name) for name in schema)
        names = [name for _, name in columns]
        for name in names:
            if name in _OWN or names.count(name) > 1:
                raise PipelineError(
                    step,
                    f"late elements have a column {name} of their own",
                    "Give the stream's another name.",
                )
        Sink(KIND, prefix).check(schema, step)
        return cls(prefix, columns)

    def check_apart(self, other: str, whose: str) -> None:
        """Refuses a prefix that lies in another one, or another one in it.

        Raises:
            PipelineError: It does.
        """
        if f"{self.prefix}/".startswith(f"{other}/") or f"{other}/".startswith(f"{self.prefix}/"):
            raise PipelineError(
                f"window(late_to={self.prefix!r})",
                f"{whose} goes to {other!r}, and who reads one folder would find the other's rows in it",
                "Give late elements a folder of their own, such as 'late/scores'.",
            )

    def encode(self, rows: pl.DataFrame) -> bytes:
        """The rows as lines of JSON; the same rows always give the same bytes."""
        return Sink(KIND, self.prefix).encode(rows)
