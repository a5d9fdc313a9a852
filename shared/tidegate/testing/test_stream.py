"""The test stream: a script of what happens to a pipeline, and the panes that come of it.

The idea is that of Beam's `TestStream`: elements, the watermark and processing time are moved by hand, so
that a test says exactly what is early, on time and late, and never waits.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any, ClassVar, NamedTuple

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import hidden
from tidegate.frontier import MARK
from tidegate.panes import (
    EMITTED_AT,
    EVENT_TIME,
    INDEX,
    IS_LAST,
    OP,
    PANE_COLUMNS,
    TIMING,
    WINDOW_END,
    WINDOW_START,
)
from tidegate.pipeline import Output, Pipeline, Stream
from tidegate.plan import compile_plan
from tidegate.readers import EventTime, read_json
from tidegate.schema import UserSchema
from tidegate.sinks.sink import Sink
from tidegate.sources.iso8601 import parse_datetime
from tidegate.sources.source import Source
from tidegate.testing.memory_runner import MemoryRunner
from tidegate.timestamps import (
    EPOCH,
    MAX,
    MICROSECOND,
    MIN,
    Duration,
    duration_text,
    from_datetime,
    iso,
    microseconds,
)
from tidegate.watermarks import Marks

Moment = datetime | str | int
"""A moment: a `datetime` (without a time zone it is UTC), an ISO 8601 text, or microseconds since 1970."""

Build = Callable[[Stream], Stream]
"""The piece of pipeline under test: from the stream of elements to the stream of panes that `agg` gives."""

NOW = datetime(2026, 1, 1, tzinfo=EPOCH.tzinfo)
"""Processing time at first, unless it is given."""

_PREFIX = "events"
_PANES = "test-stream-panes"
_ANYTHING_AHEAD = duration_text(MAX - MIN)
"""Elements and watermarks may lie anywhere in event time, however far from the clock."""


class Window(NamedTuple):
    """The window of a pane, `[start, end)`; both are None for the global window."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Pane:
    """One emission of one window of one key.

    Attributes:
        key: The value of the key column; a tuple of values if there are several, and `()` without any.
        window: Its window; moments are in UTC.
        values: The other columns of its row, by their names.
        timing: `early`, `on_time` or `late`.
        index: Counts the panes of the window, from 0.
        is_first: Whether the index is 0.
        is_last: Whether the trigger finished or the window expired.
        op: `insert`, or `retract` for a pane that takes an earlier one back.
        event_time: The pane's own timestamp, in UTC.
        emitted_at: Processing time, in UTC.
        step: The number of the stream's action that caused it, from 0.
    """

    key: Any
    window: Window
    values: dict[str, Any]
    timing: str
    index: int
    is_first: bool
    is_last: bool
    op: str
    event_time: datetime
    emitted_at: datetime
    step: int


class Panes(list[Pane]):
    """The panes of a run in order of emission, and what became of all else.

    Attributes:
        dropped: Elements that were dropped, for they came too late or after their window had closed.
        late: What the late sinks were given of them, each as the line of JSON says it.
        dead_letters: Records that could not be processed: each with `file`, `line`, `reason` and `text`.
    """

    def __init__(
        self,
        panes: Iterable[Pane],
        dropped: int,
        late: list[dict[str, Any]],
        dead_letters: list[dict[str, Any]],
    ) -> None:
        super().__init__(panes)
        self.dropped = dropped
        self.late = late
        self.dead_letters = dead_letters


@dataclass(frozen=True)
class Action:
    """One action of a test stream.

    Attributes:
        now: Processing time of its epoch, microseconds.
        rows: The elements that come, as JSON; None if the action is no `add`.
        watermark: Where the watermark goes, microseconds; None if it stays.
    """

    now: int
    rows: tuple[str, ...] | None = None
    watermark: int | None = None


class TestStream:
    """A script of elements, watermarks and processing time, one epoch an action.

    Each action is done by the real coordinator and tasks, on stores in memory. The actions return the stream
    itself, so that they chain; `run` leaves it as it is, and may be called again.

    Args:
        schema: The columns of the elements with their types, as for `read_json`.
        event_time: The column, or the expression, that says when the event happened.
        now: Processing time at first; 2026-01-01T00:00:00Z if left out.

    Raises:
        PipelineError: As `read_json`; or `now` is no moment.

    Example:
        >>> import tidegate as tg
        >>> from tidegate.testing import TestStream
        >>> schema = {"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")}
        >>> panes = (
        ...     TestStream(schema, event_time="at")
        ...     .add({"team": "x", "score": 5, "at": "2026-01-01T00:00:30Z"})
        ...     .advance_watermark("2026-01-01T00:01:00Z")
        ...     .run(lambda scores: scores.window(tg.FixedWindows("1m")).group_by("team").agg(n=tg.count()))
        ... )
        >>> [(pane.key, pane.values, pane.timing, pane.step) for pane in panes]
        [('x', {'n': 1}, 'on_time', 1)]
    """

    __test__: ClassVar[bool] = False
    """For pytest, which takes classes of such names for tests."""

    def __init__(self, schema: UserSchema, event_time: EventTime, now: Moment | None = None) -> None:
        policy = Marks(max_ahead=_ANYTHING_AHEAD)
        self._stream = read_json(_PREFIX, schema=schema, event_time=event_time, watermark=policy)
        self._start = _moment("TestStream(now=...)", NOW if now is None else now)
        self._now = self._start
        self._watermark = MIN
        self._closed = False
        self._actions: list[Action] = []

    @property
    def actions(self) -> tuple[Action, ...]:
        """What was scripted so far."""
        return tuple(self._actions)

    def add(self, *rows: Mapping[str, Any]) -> "TestStream":
        """Elements come, all of them in one epoch.

        Args:
            rows: Each from column names to values; a column that is left out is null. A moment is a
                `datetime`, an ISO 8601 text, or a number in the column's unit since 1970. A value that does
                not fit its column makes the element a dead letter, as in a file; so does a float that is not
                finite, which no format of files may hold. A step of the pipeline can compute one.

        Raises:
            PipelineError: A row that is no mapping, a column that the schema does not have, or the stream is
                closed.
        """
        step = self._step("add")
        for row in rows:
            if not isinstance(row, Mapping):
                mend = "Give rows one by one, such as add({'team': 'x'}), or add(*rows)."
                raise PipelineError(step, f"{row!r} is no row", mend)
            for name in row:
                if name not in self._stream.schema:
                    mend = f"The columns are {', '.join(self._stream.schema)}."
                    raise PipelineError(step, f"there is no column {name!r}", mend)
        texts = tuple(json.dumps(dict(row), default=lambda value: _json(step, value)) for row in rows)
        return self._do(Action(self._now, rows=texts))

    def advance_clock(self, duration: Duration) -> "TestStream":
        """Processing time goes on; whatever is due by then is evaluated once, at the new time.

        Raises:
            PipelineError: It is no duration, or leads past the year 9999; or the stream is closed.
        """
        step = self._step("advance_clock")
        now = self._now + microseconds(duration, step)
        if now > MAX:
            raise PipelineError(step, "processing time would be past the year 9999", "Advance it less.")
        self._now = now
        return self._do(Action(now))

    def advance_watermark(self, moment: Moment) -> "TestStream":
        """The watermark goes to a moment of event time.

        Raises:
            PipelineError: It is no moment, or before the watermark; or the stream is closed.
        """
        step = self._step("advance_watermark")
        watermark = _moment(step, moment)
        if watermark < self._watermark:
            raise PipelineError(
                step,
                f"{iso(watermark)} is before the watermark {iso(self._watermark)}, which never goes back",
                "Give a moment that is not before it.",
            )
        self._watermark = watermark
        return self._do(Action(self._now, watermark=watermark))

    def close(self) -> "TestStream":
        """The source is finished: the watermark goes to the end of time. No action follows.

        Raises:
            PipelineError: The stream is closed already.
        """
        self._step("close")
        self._closed, self._watermark = True, MAX
        return self._do(Action(self._now, watermark=MAX))

    def run(self, build: Build) -> Panes:
        """Runs a piece of pipeline over the script, from its beginning.

        Args:
            build: From the stream of elements to that of panes, without a sink.

        Returns:
            The panes in order of emission.

        Raises:
            PipelineError: What `build` raises, or it gives no stream of panes, or one of other sources.
        """
        stream = build(self._stream)
        if not isinstance(stream, Stream) or not stream.shuffles:
            raise PipelineError(
                "TestStream.run",
                f"the function gave {type(stream).__name__}, not the stream of panes that agg gives",
                "Return .window(...).group_by(...).agg(...), and no sink behind it.",
            )
        silent = [each.source.prefix for each in stream.branches if each.source is not self._source]
        if silent:
            raise PipelineError(
                "TestStream.run",
                f"the function reads {' and '.join(map(repr, silent))} as well, of which nothing comes here",
                "Give a function of what the union gives, and all sources' elements in one script.",
            )
        output = stream.write_parquet(_PANES)
        plan = compile_plan(Pipeline("test-stream", Output(output.stream, _PaneSink("parquet", _PANES))))
        runner = MemoryRunner(plan, self._start)
        panes: list[Pane] = []
        late: list[dict[str, Any]] = []
        keys = [name for name in stream.shuffles[-1].grouping.keys if name in stream.schema]
        for step, action in enumerate(self._actions):
            runner.clock.moment = action.now
            runner.upload(_files(step, action))
            for manifest in runner.run():
                for data in runner.outputs(manifest):
                    rows = pl.read_parquet(BytesIO(data)).rows(named=True)
                    panes += [_pane(row, keys, step) for row in rows]
                late += runner.late(manifest)
        dropped = sum(number for name, number in runner.totals.items() if name.startswith("dropped_"))
        return Panes(panes, dropped, late, runner.dead_letters())

    @property
    def _source(self) -> Source:
        return self._stream.branches[0].source

    def _step(self, verb: str) -> str:
        step = f"TestStream, action {len(self._actions)} ({verb})"
        if self._closed:
            raise PipelineError(step, "the stream is closed", "Let close() be the last action.")
        return step

    def _do(self, action: Action) -> "TestStream":
        self._actions.append(action)
        return self


class _PaneSink(Sink):
    """A sink that writes the panes' own event time, too."""

    def encode(self, rows: pl.DataFrame) -> bytes:
        """The rows with the hidden column `EVENT_TIME`."""
        buffer = BytesIO()
        rows.drop(name for name in hidden(rows.columns) if name != EVENT_TIME).write_parquet(buffer)
        return buffer.getvalue()


def _files(step: int, action: Action) -> dict[str, bytes]:
    """The input object of an action; where nothing else comes, an empty file makes its epoch."""
    if action.watermark is not None:
        mark = json.dumps({"watermark": action.watermark})
        return {f"{_PREFIX}/{step:06d}/stream{MARK}": mark.encode()}
    lines = "".join(f"{row}\n" for row in action.rows or ())
    return {f"{_PREFIX}/{step:06d}.json": lines.encode()}


def _pane(row: Mapping[str, Any], keys: list[str], step: int) -> Pane:
    key = tuple(row[name] for name in keys)
    taken = {*keys, *PANE_COLUMNS, EVENT_TIME}
    return Pane(
        key=key[0] if len(key) == 1 else key,
        window=Window(row[WINDOW_START], row[WINDOW_END]),
        values={name: value for name, value in row.items() if name not in taken},
        timing=row[TIMING],
        index=row[INDEX],
        is_first=row[INDEX] == 0,
        is_last=row[IS_LAST],
        op=row[OP],
        event_time=EPOCH + row[EVENT_TIME] * MICROSECOND,
        emitted_at=row[EMITTED_AT],
        step=step,
    )


def _moment(step: str, moment: Moment) -> int:
    """Microseconds since 1970."""
    mend = "Give a datetime, an ISO 8601 text such as '2026-01-01T00:02:00Z', or microseconds since 1970."
    if isinstance(moment, datetime):
        return from_datetime(moment)
    if isinstance(moment, str):
        try:
            return parse_datetime(moment, "us")
        except ValueError as error:
            raise PipelineError(step, f"{moment!r} {error}", mend) from None
    if not isinstance(moment, int) or isinstance(moment, bool) or not MIN <= moment <= MAX:
        raise PipelineError(step, f"{moment!r} is no moment", mend)
    return moment


def _json(step: str, value: Any) -> str:
    """What JSON has no word for: moments and days as ISO 8601."""
    if isinstance(value, datetime):
        return iso(from_datetime(value))
    if isinstance(value, date):
        return value.isoformat()
    raise PipelineError(
        step,
        f"{value!r} is a {type(value).__name__}, and no element of a file can hold it",
        "Give texts, numbers, Booleans, dates and datetimes.",
    )
