"""The segments of a range of key groups: which of them an epoch reads, and what becomes of them.

A segment is read if one of the epoch's elements can belong to its windows, or if it is due. The others are
carried along as they are.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

import polars as pl

from tidegate.engine.buckets import bucket
from tidegate.engine.columns import GONE
from tidegate.engine.emission import Times
from tidegate.engine.key_groups import GROUP
from tidegate.engine.layers import LayerRows, live, newest, read_layers, untouched
from tidegate.engine.reduce_task import ReduceOutput
from tidegate.engine.state import state_schema
from tidegate.grouping import Grouping
from tidegate.references import KeyRange, Layer, Segment
from tidegate.stores.ports import Objects
from tidegate.windows import END, START

_BUCKET = "__bucket"


class Standing:
    """The state of a range of key groups as an epoch finds it.

    Args:
        segments: Those that lie in the range.
        grouping: The grouping.
        partials: What the map tasks combined for the range.
        times: The epoch's moments.
    """

    def __init__(
        self, segments: Sequence[Segment], grouping: Grouping, partials: Sequence[pl.DataFrame], times: Times
    ) -> None:
        fresh = _Fresh(partials, grouping)
        due = [each for each in segments if each.is_due(times.after, times.now) or fresh.touches(each)]
        concerned = {each.bucket for each in due}
        # What has no bucket may hold windows of any, and is written anew.
        self._rewritten = any(each.bucket is None for each in segments)
        self._read: list[Segment] = []
        self._carried: list[Segment] = []
        for each in segments:
            read = self._rewritten or each.bucket in concerned
            (self._read if read else self._carried).append(each)
        self._grouping = grouping
        self._rows: dict[Layer, pl.DataFrame] = {}

    def read(self, objects: Objects) -> pl.DataFrame:
        """The rows of the segments that the epoch concerns.

        Raises:
            CorruptObject: A layer is not what was written.
        """
        layers = [layer for each in self._read for layer in each.layers]
        self._rows = dict(zip(layers, read_layers(objects, layers, self._grouping), strict=True))
        state = [live(self._newest(each.layers)) for each in self._read]
        return pl.concat([pl.DataFrame(schema=state_schema(self._grouping)), *state])

    def after(
        self,
        reduced: ReduceOutput,
        wanted: KeyRange,
        stage: int,
        store: Callable[[Sequence[LayerRows]], Sequence[Layer]],
    ) -> tuple[Segment, ...]:
        """The segments of the range after the epoch.

        Args:
            reduced: What the epoch made of the rows that were read.
            wanted: The range.
            stage: The number of the stage.
            store: Stores layers, and gives the references to them.
        """
        kept: dict[int, tuple[Layer, ...]] = {}
        fresh: dict[int, LayerRows] = {}
        changed = self._changed(reduced)
        for number in reduced.outlook:
            below = self._layers(number)
            kept[number] = below
            if number in changed:
                stays = untouched(below, changed[number].height)
                kept[number] = below[:stays]
                rows = self._newest(below[stays:], changed[number])
                fresh[number] = LayerRows(rows if stays else rows.filter(~pl.col(GONE)), wanted)
        stored = dict(zip(fresh, store(list(fresh.values())) if fresh else (), strict=True))
        segments = [
            Segment(
                range=wanted,
                layers=kept[number] + ((stored[number],) if number in stored else ()),
                due=outlook.due,
                alarm=outlook.alarm,
                hold=outlook.hold,
                stage=stage,
                bucket=number,
                span=outlook.span,
                windows=outlook.windows,
            )
            for number, outlook in reduced.outlook.items()
        ]
        return (*segments, *self._carried)

    def _layers(self, number: int) -> tuple[Layer, ...]:
        """The layers of a bucket that was read."""
        if self._rewritten:
            return ()
        return tuple(layer for each in self._read if each.bucket == number for layer in each.layers)

    def _newest(self, layers: Sequence[Layer], *over: pl.DataFrame) -> pl.DataFrame:
        return newest([*(self._rows[each] for each in layers), *over], self._grouping)

    def _changed(self, reduced: ReduceOutput) -> dict[int, pl.DataFrame]:
        """The rows of each bucket that have to be written."""
        rows = reduced.changes
        if self._rewritten:
            rows = reduced.state.with_columns(pl.lit(False).alias(GONE))
        if not rows.height:
            return {}
        parts = rows.with_columns(bucket(self._grouping).alias(_BUCKET)).partition_by(
            _BUCKET, as_dict=True, include_key=False, maintain_order=True
        )
        return {number: part for (number,), part in parts.items()}


class _Fresh:
    """Where the windows of an epoch's elements lie."""

    def __init__(self, partials: Sequence[pl.DataFrame], grouping: Grouping) -> None:
        end = grouping.windowing.end(START, END)
        rows = [
            frame.select(GROUP, START, end.alias(END), bucket(grouping).alias(_BUCKET))
            for frame in partials
            if frame.height
        ]
        self._merge = grouping.windowing.merges
        self._any = bool(rows)
        if rows:
            together = pl.concat(rows)
            self._groups: list[int] = together.get_column(GROUP).unique().sort().to_list()
            self._buckets = set(together.get_column(_BUCKET).unique())
            self._first, self._last = together.select(pl.col(START).min(), pl.col(END).max()).row(0)

    def touches(self, segment: Segment) -> bool:
        """Whether one of them can have to do with a window of the segment."""
        if not self._any:
            return False
        place = bisect_left(self._groups, segment.range.low)
        if place == len(self._groups) or self._groups[place] >= segment.range.high:
            return False
        low, high = segment.span
        return segment.bucket in self._buckets or (self._merge and self._first <= high and low <= self._last)
