"""A source: which files hold the events, what they look like, and when the events happened."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import check_expression, describe_expression
from tidegate.frontier import WatermarkRule
from tidegate.outline import DEAD_LETTERS, SourceOutline
from tidegate.sources.formats import SPLIT, Format
from tidegate.watermarks import WatermarkPolicy

EVENT_TIME = "__event_time"
"""The hidden column with an element's event time, Int64 microseconds."""


_PREFIX = re.compile(r"[A-Za-z0-9_=][A-Za-z0-9._=-]*(/[A-Za-z0-9_=][A-Za-z0-9._=-]*)*")


@dataclass(frozen=True, eq=False)
class Source:
    """Files of one format below one prefix, read as a stream of events.

    Attributes:
        kind: `json`, `csv` or `parquet`.
        prefix: Without a slash at its ends.
        event_time: Row-by-row expression over the schema, giving a `Datetime` or `Date`.
        null_values: Texts that mean null in CSV.
        ordered: Whether the names of the files are in event-time order.
    """

    kind: Format
    prefix: str
    schema: Mapping[str, pl.DataType]
    event_time: pl.Expr
    watermark: WatermarkPolicy
    null_values: tuple[str, ...] = ()
    ordered: bool = False

    def check(self, label: str) -> None:
        """Refuses an event time that is not one `Datetime` or `Date`, and an order that says nothing.

        Raises:
            PipelineError: It is not, or it names an unknown column; the watermark does not follow files.
        """
        if self.ordered and self.watermark.rule().bounded:
            raise PipelineError(
                f"{label}, ordered=True",
                f"{self.watermark.describe()} gives no watermark before the input's end, file by file or not",
                "Leave ordered out, or give a watermark that follows the files, such as BoundedDelay('10s').",
            )
        dtypes = list(check_expression(f"{label}, event_time", self.event_time, self.schema).values())
        if len(dtypes) != 1 or not dtypes[0].is_temporal() or dtypes[0] in (pl.Time(), pl.Duration()):
            raise PipelineError(
                f"{label}, event_time",
                f"{self.event_time} is {', '.join(map(str, dtypes))}, not a Datetime",
                "Declare the column as pl.Datetime('ms'), which reads numbers and ISO texts, or convert it.",
            )

    def rule(self) -> WatermarkRule:
        """How the watermark follows from what the files say."""
        return replace(self.watermark.rule(), ordered=self.ordered)

    def outline(self) -> SourceOutline:
        """What the coordinator has to know of it."""
        return SourceOutline(self.kind, self.prefix, self.rule(), splits=self.kind in SPLIT)

    def event_time_microseconds(self) -> pl.Expr:
        """The event time as Int64 microseconds since 1970 in UTC, null where it is missing."""
        return self.event_time.dt.epoch("us").cast(pl.Int64).alias(EVENT_TIME)

    def describe(self) -> str:
        """One line that changes whenever the meaning of the input does; part of the fingerprint."""
        event_time = describe_expression(self.event_time)
        columns = ", ".join(f"{name}: {dtype}" for name, dtype in self.schema.items())
        nulls = f", null_values={self.null_values}" if self.null_values else ""
        ordered = ", ordered=True" if self.ordered else ""
        return f"read_{self.kind}({self.prefix!r}, {{{columns}}}, event_time={event_time}{nulls}{ordered})"


def check_prefix(step: str, prefix: str) -> str:
    """The prefix without slashes at its ends.

    Raises:
        PipelineError: It has characters or parts that do not belong into a folder's name, or it is the
            folder of the dead letters.
    """
    trimmed = prefix.strip("/") if isinstance(prefix, str) else ""
    if not _PREFIX.fullmatch(trimmed):
        raise PipelineError(
            step, f"the prefix {prefix!r} cannot be used", "Use a folder's name, such as 'scores' or 'a/b'."
        )
    if trimmed.split("/")[0] == DEAD_LETTERS:
        raise PipelineError(step, f"the prefix {prefix!r} is the system's", "Choose another folder's name.")
    return trimmed
