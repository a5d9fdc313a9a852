"""The pipeline that a user writes: what, where, when and how, as a chain of steps.

A `Stream` is immutable: each method gives a new one, with one more step. Mistakes are found here, while
the pipeline is built, with a message that names the step and the mend.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from tidegate.accumulation import ACCUMULATING_AND_RETRACTING as RETRACTING
from tidegate.accumulation import Accumulation
from tidegate.aggregates import Aggregate, BoundAggregate, CombineFn, combine, reduce
from tidegate.aggregates.whole_rows import bind_fields, row_without
from tidegate.arguments import called_as
from tidegate.branches import Branch, last_to_end
from tidegate.errors import PipelineError
from tidegate.expressions import expressions_of
from tidegate.function_steps import FilterFunction, FlatMap, Row, checked_callable
from tidegate.grouping import Grouping, Windowing
from tidegate.panes import OP, PANE_COLUMNS, Op, Timestamp, check_value_names, schema_of_panes
from tidegate.regrouping import check_regrouping
from tidegate.schema import UserSchema, declared_schema
from tidegate.sinks.late import LateSink
from tidegate.sinks.sink import Sink
from tidegate.sources.source import check_prefix
from tidegate.steps import FilterExpression, NarrowStep, Select, WithColumns
from tidegate.timestamps import Duration, microseconds
from tidegate.triggers import Trigger
from tidegate.windows import WindowFn

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, eq=False)
class Shuffle:
    """A wide step, and the narrow ones between it and the wide step before it."""

    steps: tuple[NarrowStep, ...]
    grouping: Grouping


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows of one schema on their way from a source to a sink.

    Start one with `read_json`, `read_csv` or `read_parquet`; end it with `write_json` or `write_parquet`.
    Before `agg` its rows are elements, after it they are panes.
    """

    branches: tuple[Branch, ...]
    schema: Mapping[str, pl.DataType]
    shuffles: tuple[Shuffle, ...] = ()
    steps: tuple[NarrowStep, ...] = ()
    windowing: Windowing | None = None

    # What happens to single rows

    def map(self, function: Callable[[Row], Row], schema: UserSchema | None = None) -> "Stream":
        """Each row becomes the row that a Python function returns for it.

        Args:
            function: From a row as a `dict` to a row. It must give the same row each time for results to
                be exact. A row for which it raises becomes a dead letter.
            schema: The columns of the new rows with their types; the same as before if left out.

        Example:
            >>> scores.map(lambda row: row | {"team": row["team"].strip()})  # doctest: +SKIP
        """
        return self._function_step("map", function, lambda row: (function(row),), schema)

    def flat_map(
        self, function: Callable[[Row], Iterable[Row]], schema: UserSchema | None = None
    ) -> "Stream":
        """Each row becomes the rows, none or several, that a Python function returns for it.

        Args:
            function: From a row as a `dict` to rows; as for `map`.
            schema: The columns of the new rows with their types; the same as before if left out.
        """
        return self._function_step("flat_map", function, function, schema)

    def filter(self, predicate: pl.Expr | Callable[[Row], bool]) -> "Stream":
        """Keeps the rows for which an expression or a Python function is true.

        Raises:
            PipelineError: The expression is not Boolean, or names an unknown column.

        Example:
            >>> scores.filter(pl.col("score") > 0)  # doctest: +SKIP
        """
        label = self._label("filter")
        if isinstance(predicate, pl.Expr):
            return self._step(FilterExpression(label, predicate))
        return self._step(FilterFunction(label, checked_callable(label, predicate)))

    def with_columns(self, *expressions: pl.Expr, **named: pl.Expr) -> "Stream":
        """Adds columns, or replaces those of the same name, by row-by-row expressions.

        Example:
            >>> scores.with_columns(double=pl.col("score") * 2)  # doctest: +SKIP
        """
        label = self._label("with_columns")
        return self._step(WithColumns(label, expressions_of(label, expressions, named), self._pane_columns()))

    def select(self, *columns: str | pl.Expr, **named: pl.Expr) -> "Stream":
        """Keeps the named columns and expressions only; after `agg` the pane's own columns stay too.

        Example:
            >>> scores.select("team", points=pl.col("score"))  # doctest: +SKIP
        """
        label = self._label("select")
        return self._step(Select(label, expressions_of(label, columns, named), self._pane_columns()))

    # The four questions

    def window(
        self,
        window_fn: WindowFn,
        allowed_lateness: Duration = "0s",
        timestamp: Literal["end_of_window", "earliest", "latest"] = "end_of_window",
        late_to: str | None = None,
    ) -> "Stream":
        """*Where* in event time: the windows that elements are grouped in.

        Args:
            window_fn: `FixedWindows`, `SlidingWindows`, `Sessions`, `CalendarWindows`, `GlobalWindows` or
                `CustomWindows`.
            allowed_lateness: How far the watermark may be past a window's end before its state is removed
                and further elements are dropped (and counted).
            timestamp: The panes' own event time, for what groups them again: the last microsecond of the
                window, or the earliest or latest event time of what the pane holds, late elements left out.
            late_to: A folder of the output, beside the sink's, for elements that are dropped because their
                window had expired: lines of JSON, each with the columns of the stream at the grouping,
                `window_start` and `window_end`, `windows` (1; of sliding windows how many had expired, from
                the first one's start to the last one's end), and the `watermark` that it was behind.

        Raises:
            PipelineError: One of them does not fit.

        Example:
            >>> scores.window(tg.Sessions("10m"), allowed_lateness="1h")  # doctest: +SKIP
        """
        _check("window", window_fn, "describe", "Give windows, such as FixedWindows('2m').")
        lateness = microseconds(allowed_lateness, "window(allowed_lateness=...)")
        if timestamp not in tuple(Timestamp):
            mend = f"Give one of {', '.join(Timestamp)}."
            raise PipelineError("window(timestamp=...)", f"{timestamp!r} is unknown", mend)
        late = None if late_to is None else check_prefix("window(late_to=...)", late_to)
        # Windows that are set again keep the trigger and the accumulation.
        windowing = replace(
            self.windowing or Windowing(window_fn),
            window_fn=window_fn,
            allowed_lateness=lateness,
            timestamp=Timestamp(timestamp),
            late_to=late,
        )
        return replace(self, windowing=windowing)

    def trigger(self, trigger: Trigger, *, allow_unsafe_trigger: bool = False) -> "Stream":
        """*When* in processing time: what makes a window emit a pane.

        Args:
            trigger: Such as `AfterWatermark(late=AfterCount(1))`, which is the default.
            allow_unsafe_trigger: Accept a trigger that can finish and then lose data, or can never fire.
        """
        windowing = self._windowing("trigger")
        _check("trigger", trigger, "describe", "Give a trigger, such as Repeatedly(AfterCount(10)).")
        return replace(
            self, windowing=replace(windowing, trigger=trigger, allow_unsafe_trigger=allow_unsafe_trigger)
        )

    def accumulate(self, accumulation: Accumulation) -> "Stream":
        """*How* refinements of a window relate to each other.

        Args:
            accumulation: `DISCARDING` (the default), `ACCUMULATING` or `ACCUMULATING_AND_RETRACTING`.
        """
        windowing = self._windowing("accumulate")
        if accumulation not in tuple(Accumulation):
            raise PipelineError(
                "accumulate",
                f"{accumulation!r} is unknown",
                "Give DISCARDING, ACCUMULATING or ACCUMULATING_AND_RETRACTING.",
            )
        return replace(self, windowing=replace(windowing, accumulation=Accumulation(accumulation)))

    def group_by(self, *keys: str | pl.Expr, **named: pl.Expr) -> "GroupedStream":
        """The key of the groups: columns or row-by-row expressions. Follow it with `agg`."""
        windowing = self._windowing("group_by")
        expressions = expressions_of("group_by", keys, named)
        if self.shuffles:
            before = self.shuffles[-1].grouping.windowing
            check_regrouping(len(self.shuffles), before, windowing, self.steps, expressions)
        dtypes = Select("group_by", expressions).schema_after(self.schema)
        windowing.check(last_to_end(self.branches))
        derived = tuple(each for each in expressions if not each.meta.is_column())
        return GroupedStream(self, windowing, dtypes, derived)

    # Sinks

    def write_json(self, prefix: str) -> "Output":
        """Writes the rows as lines of JSON below a prefix; times are ISO 8601 in UTC."""
        return self._write(Sink("json", check_prefix("write_json", prefix)))

    def write_parquet(self, prefix: str) -> "Output":
        """Writes the rows as zstd Parquet files below a prefix."""
        return self._write(Sink("parquet", check_prefix("write_parquet", prefix)))

    def _write(self, sink: Sink) -> "Output":
        if self.windowing is not None:
            raise PipelineError(
                f"write_{sink.kind}",
                "windows are set, and nothing is computed in them",
                "Call .group_by(...).agg(...) before it, or leave .window(...) out.",
            )
        sink.check(self.schema)
        taken = {sink.prefix: "the pipeline's output"}
        for late in (each.grouping.late for each in self.shuffles):
            if late is not None:
                for prefix, whose in taken.items():
                    late.check_apart(prefix, whose)
                taken[late.prefix] = "what is late for another grouping"
        return Output(self, sink)

    @property
    def sign(self) -> pl.Expr | None:
        """1 for a pane that is inserted and -1 for one that takes another back; None if none does."""
        if not self.shuffles or self.shuffles[-1].grouping.windowing.accumulation is not RETRACTING:
            return None
        taken_back = pl.col(OP) == Op.RETRACT.value
        return pl.when(taken_back).then(pl.lit(-1)).otherwise(pl.lit(1)).cast(pl.Int8)

    def _pane_columns(self) -> tuple[str, ...]:
        return PANE_COLUMNS if self.shuffles else ()

    def _label(self, verb: str) -> str:
        before = [*(each.steps for each in self.branches), *(each.steps for each in self.shuffles)]
        number = len(self.steps) + sum(map(len, before)) + 1
        return f"step {number} ({verb})"

    def _step(self, step: NarrowStep) -> "Stream":
        return replace(self, schema=step.schema_after(self.schema), steps=(*self.steps, step))

    def _function_step(
        self,
        verb: str,
        original: Callable[..., Any],
        function: Callable[[Row], Iterable[Row]],
        schema: UserSchema | None,
    ) -> "Stream":
        label = self._label(verb)
        columns = None if schema is None else declared_schema(label, schema)
        step = FlatMap(
            label, verb, function, columns, checked_callable(label, original), self._pane_columns()
        )
        return self._step(step)

    def _windowing(self, step: str) -> Windowing:
        if self.windowing is None:
            again = " once more" if self.shuffles else ""
            raise PipelineError(
                step,
                "no window is set",
                f"Call .window(...){again} before it, such as .window(FixedWindows('2m')).",
            )
        return self.windowing


@dataclass(frozen=True, eq=False)
class GroupedStream:
    """A stream with its key chosen; `agg` says what is computed for each key and window."""

    stream: Stream
    windowing: Windowing
    keys: dict[str, pl.DataType]
    derived: tuple[pl.Expr, ...]

    def agg(self, *unnamed: Aggregate, **aggregates: Aggregate) -> Stream:
        """*What* is computed, one output column a keyword.

        Returns:
            A stream of panes: the key columns, `window_start`, `window_end`, the values, `pane_timing`,
            `pane_index`, `pane_is_last`, `op` and `emitted_at`.

        Raises:
            PipelineError: No aggregate, a name that is taken, or an input that does not fit.

        Example:
            >>> scores.group_by("team").agg(total=tg.sum("score"), games=tg.count())  # doctest: +SKIP
        """
        if unnamed:
            raise PipelineError("agg", "an aggregate has no name", "Name it, as in agg(n=tg.count()).")
        if not aggregates:
            raise PipelineError("agg", "nothing is computed", "Give for example total=tg.sum('score').")
        for name, aggregate in aggregates.items():
            mend = "Give one of Tidegate's aggregates, such as tg.sum('score')."
            _check(f"agg({name}=...)", aggregate, "bind", mend)
        schema, sign = self.stream.schema, self.stream.sign
        return self._panes(tuple(a.bind(n, schema, self._replaced, sign) for n, a in aggregates.items()))

    @called_as("group_by('user').reduce(newer)")
    def reduce(self, function: Callable[[Row, Row], Row]) -> Stream:
        """*What* is computed, as one row of all: by a Python function of two rows.

        Args:
            function: From two rows as `dict`, without the key columns, to one with the same columns; as for
                `tg.reduce`. The columns that are no keys are the values of the panes.

        Raises:
            PipelineError: There is no column but the keys, or `function` cannot be called.

        Example:
            >>> events.select("user", "page").group_by("user").reduce(newer)  # doctest: +SKIP
        """
        return self._fields(reduce(row_without("reduce", self.stream.schema, self.keys), function))

    @called_as("group_by('user').combine(Product())")
    def combine(self, combine_fn: CombineFn) -> Stream:
        """*What* is computed, as one row of all: by a `CombineFn` whose inputs and outputs are rows.

        Args:
            combine_fn: From rows as `dict`, without the key columns, to a `pl.Struct` of the panes' columns.

        Raises:
            PipelineError: There is no column but the keys, or its output is no `pl.Struct`.
        """
        return self._fields(combine(row_without("combine", self.stream.schema, self.keys), combine_fn))

    @property
    def _replaced(self) -> list[str]:
        return [each.meta.output_name() for each in self.derived]

    def _fields(self, aggregate: Aggregate) -> Stream:
        bound = bind_fields(aggregate, self.stream.schema, self._replaced, self.stream.sign)
        return self._panes(bound)

    def _panes(self, bound: tuple[BoundAggregate, ...]) -> Stream:
        late, stream = self.windowing.late_to, self.stream
        sink = None if late is None else LateSink.of(late, stream.schema, panes=bool(stream.shuffles))
        grouping = Grouping(self.keys, self.windowing, bound, self.derived, stream.sign, sink)
        values = {each.name: each.dtype for each in bound}
        check_value_names(values, self.keys)
        return replace(
            self.stream,
            shuffles=(*self.stream.shuffles, Shuffle(self.stream.steps, grouping)),
            steps=(),
            windowing=None,
            schema=schema_of_panes(grouping.keys, values),
        )


@dataclass(frozen=True, eq=False)
class Output:
    """A stream that ends in a sink."""

    stream: Stream
    sink: Sink


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A named pipeline, ready to run.

    Args:
        name: Letters, digits, `.`, `_` and `-`; state is kept under it, so it stays the same for good.
        output: What `write_json` or `write_parquet` gave.

    Raises:
        PipelineError: The name cannot be used, or the output does not end in a sink.
    """

    name: str
    output: Output

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise PipelineError(
                f"Pipeline({self.name!r})",
                "the name cannot be used",
                "Use 1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit.",
            )
        if not isinstance(self.output, Output):
            raise PipelineError(
                f"Pipeline({self.name!r})",
                "it has no sink",
                "End the stream with .write_json('prefix') or .write_parquet('prefix').",
            )


def _check(step: str, given: object, needed: str, mend: str) -> None:
    """Refuses an argument of another kind, known by what it lacks."""
    if not hasattr(given, needed) or isinstance(given, type):
        raise PipelineError(step, f"{given!r} does not fit here", mend)
