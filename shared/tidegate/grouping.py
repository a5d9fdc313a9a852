"""A grouping: the key, the four questions' answers, and the checks that they make sense together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from tidegate.accumulation import ACCUMULATING, DISCARDING, Accumulation
from tidegate.aggregates import BoundAggregate
from tidegate.errors import PipelineError
from tidegate.expressions import describe_expression
from tidegate.panes import Timestamp
from tidegate.sinks.late import LateSink
from tidegate.timestamps import MAX, duration_text
from tidegate.triggers import DEFAULT_TRIGGER, Earliest, Trigger
from tidegate.watermarks import WatermarkPolicy
from tidegate.windows import AlignedWindows, GlobalWindows, PlacedWindows, SlidingWindows, WindowFn

KEY_DTYPES: Final = "a whole number, String, Boolean, Date, Datetime or Decimal"


@dataclass(frozen=True, eq=False)
class Windowing:
    """Where, when and how: windows, allowed lateness, trigger and accumulation.

    Attributes:
        allowed_lateness: In microseconds.
        timestamp: The panes' own event time.
        late_to: The prefix of the output that dropped elements go to; None if they are only counted.
    """

    window_fn: WindowFn
    allowed_lateness: int = 0
    trigger: Trigger = DEFAULT_TRIGGER
    allow_unsafe_trigger: bool = False
    accumulation: Accumulation = DISCARDING
    timestamp: Timestamp = Timestamp.END_OF_WINDOW
    late_to: str | None = None

    def check(self, watermark: WatermarkPolicy) -> None:
        """Refuses a trigger that can lose data or can never fire, unless that is allowed.

        Raises:
            PipelineError: With the reason and the mend.
        """
        if self.allow_unsafe_trigger:
            return
        label, outlook = f"trigger({self.trigger.describe()})", self.trigger.outlook
        # The global window is past its end only when the source is, and then nothing is late.
        everything = isinstance(self.window_fn, GlobalWindows)
        if outlook.fires is Earliest.NEVER:
            raise PipelineError(
                label,
                "it can never fire, whatever comes",
                "Give a trigger that can, or pass allow_unsafe_trigger=True if the closing pane of a window "
                "that expires is all you want.",
            )
        if outlook.finishes is Earliest.ANY_TIME:
            raise PipelineError(
                label,
                "it can finish while elements still come, which would then be lost",
                "Wrap it in Repeatedly(...), or pass allow_unsafe_trigger=True.",
            )
        if outlook.finishes is Earliest.AT_END_OF_WINDOW and self.allowed_lateness > 0 and not everything:
            raise PipelineError(
                label,
                f"it can finish at the end of the window, and late elements within the allowed lateness of "
                f"{duration_text(self.allowed_lateness)} would be lost",
                "Add a late part, such as late=AfterCount(1), to an AfterWatermark that has none, wrap the "
                "whole in Repeatedly(...), or pass allow_unsafe_trigger=True.",
            )
        if outlook.waits is Earliest.NEVER:
            raise PipelineError(
                label,
                "it can come to a part that can never fire, and would hold all further elements back",
                "Leave that part out, or pass allow_unsafe_trigger=True if the closing pane of a window that "
                "expires is enough for them.",
            )
        if outlook.waits is Earliest.AT_END_OF_WINDOW and everything and not watermark.ends:
            never = "never fire" if outlook.fires is Earliest.AT_END_OF_WINDOW else "come to never fire again"
            raise PipelineError(
                label,
                f"it can {never}: {watermark.describe()} never reaches the end of the global window",
                "Use Repeatedly(AfterCount(n)) or an early part, or pass allow_unsafe_trigger=True if every "
                "run is drained.",
            )

    @cached_property
    def stores_end(self) -> bool:
        """Whether windows have an end of their own, which their start does not decide."""
        return isinstance(self.window_fn, PlacedWindows)

    @cached_property
    def merges(self) -> bool:
        """Whether windows of one key can become one."""
        return isinstance(self.window_fn, PlacedWindows) and self.window_fn.merges

    def end(self, start: str, end: str) -> pl.Expr:
        """The windows' end: a column, or what the column of their start decides."""
        if isinstance(self.window_fn, AlignedWindows | SlidingWindows):
            return self.window_fn.end(pl.col(start))
        return pl.col(end)

    @property
    def repeats_elements(self) -> bool:
        """Whether an element may be in several panes of its window, with nothing to take it back."""
        return self.accumulation is ACCUMULATING and not self.trigger.outlook.once

    def expiry(self, end: pl.Expr) -> pl.Expr:
        """The last watermark at which a window's state is kept, from its end (Int64 microseconds).

        At the watermark `MAX` every window has expired, for nothing can come any more.
        """
        # Compared before it is added, so that nothing overflows.
        latest = MAX - 1 - self.allowed_lateness
        return (
            pl.when(end > latest).then(pl.lit(MAX - 1, dtype=pl.Int64)).otherwise(end + self.allowed_lateness)
        )

    def describe(self) -> str:
        """One line that changes whenever state or meaning does; part of the plan's fingerprint.

        Where late elements go is not in it, as where panes go is not.
        """
        lateness = duration_text(self.allowed_lateness)
        default = self.timestamp is Timestamp.END_OF_WINDOW
        timestamp = "" if default else f"timestamp={self.timestamp.value}, "
        return (
            f"{self.window_fn.describe()}, allowed_lateness={lateness}, {timestamp}"
            f"{self.trigger.describe()}, {self.accumulation.value}"
        )


@dataclass(frozen=True, eq=False)
class Grouping:
    """Key, windowing and aggregates: the wide step of a pipeline.

    Attributes:
        derived: The keys that are no columns of the stream, as row-by-row expressions.
        sign: 1 for an element that is inserted and -1 for one that is taken back; None if none is.
        late: Where elements go that are dropped; None if they are only counted.
    """

    keys: dict[str, pl.DataType]
    windowing: Windowing
    aggregates: tuple[BoundAggregate, ...]
    derived: tuple[pl.Expr, ...] = ()
    sign: pl.Expr | None = None
    late: LateSink | None = None

    def __post_init__(self) -> None:
        for name, dtype in self.keys.items():
            if not _is_key(dtype):
                raise PipelineError(
                    "group_by",
                    f"the key {name} is a {dtype}, and equal values of that type may differ in their bytes",
                    f"Use {KEY_DTYPES}; cast it, for instance with pl.col({name!r}).cast(pl.String).",
                )

    @cached_property
    def unmerges(self) -> bool:
        """Whether windows that merged may be taken apart again, for an element of theirs was taken back."""
        return self.windowing.merges and self.sign is not None

    @cached_property
    def merges_ahead(self) -> bool:
        """Whether windows merge as soon as they meet, for nothing takes them apart again."""
        return self.windowing.merges and self.sign is None

    @cached_property
    def keeps_slices(self) -> bool:
        """Whether there is state of what windows are made of, beside that of windows."""
        return self.unmerges or isinstance(self.windowing.window_fn, SlidingWindows)

    @property
    def inputs(self) -> tuple[pl.Expr, ...]:
        """What is computed for each row before it is grouped: derived keys, and aggregates' inputs."""
        return (*self.derived, *(expression for each in self.aggregates for expression in each.inputs))

    def describe(self) -> str:
        """One line that changes whenever state or meaning does; part of the plan's fingerprint."""
        derived = {each.meta.output_name(): f" = {describe_expression(each)}" for each in self.derived}
        keys = ", ".join(f"{name}: {dtype}{derived.get(name, '')}" for name, dtype in self.keys.items())
        values = ", ".join(f"{each.name}: {each.dtype} = {each.description}" for each in self.aggregates)
        return f"group_by({keys}) | {self.windowing.describe()} | agg({values})"


def _is_key(dtype: pl.DataType) -> bool:
    return (
        dtype.is_integer()
        or dtype.is_decimal()
        or dtype in (pl.String(), pl.Boolean(), pl.Date())
        or isinstance(dtype, pl.Datetime)
    )
