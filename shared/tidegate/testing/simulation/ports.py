"""The simulated ports: every call is a place where others get their turn, and where faults happen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

from tidegate.errors import ConditionFailed, ObjectNotFound, TidegateError
from tidegate.stores.memory import MemoryTable
from tidegate.stores.ports import Add, Anything, Delete, InTurn, ObjectInfo, Put, Row, Write
from tidegate.testing.permissions import alarm
from tidegate.testing.simulation.faults import MINUTE, Chaos
from tidegate.testing.simulation.scheduler import SECOND, Process, Scheduler

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Step:
    """One line of a run's history.

    Attributes:
        moment: The clock, microseconds.
        process: Whose step it was.
        what: The call with its key, or what happened to the process.
        outcome: Empty where all went well.
    """

    moment: int
    process: str
    what: str
    outcome: str = ""


@dataclass
class Universe:
    """What all simulated ports of a run share.

    Attributes:
        steps: The run's history.
        calls: Which function made which kind of call on which key.
        violations: What no schedule and no fault may ever lead to.
    """

    scheduler: Scheduler
    chaos: Chaos
    steps: list[Step] = field(default_factory=list)
    calls: set[tuple[str, str, str, str]] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    def note(self, process: str, what: str, outcome: str = "") -> None:
        """Adds a line to the history."""
        self.steps.append(Step(self.scheduler.moment, process, what, outcome))

    def violated(self, promise: str) -> None:
        """Notes a broken promise."""
        self.violations.append(promise)
        self.note("oracle", promise, "VIOLATED")


@dataclass
class Line:
    """One process's connection to its ports.

    Attributes:
        function: The function that the process runs; its role's rights are compared with its calls.
        deadline: When the process is ended, whatever it does.
        may_write: Says whether it may change or start anything; not if it was deployed with another pipeline.
    """

    universe: Universe
    process: Process
    function: str
    deadline: int
    may_write: Callable[[], bool] = lambda: True

    def call(self, store: str, operation: str, key: str, effect: Callable[[], Answer], **how: Any) -> Answer:
        """Makes a call, with what may go wrong at it.

        Args:
            store: Which port.
            operation: What is done there.
            key: With which object or row.
            effect: Does it.
            how: `lost_to_itself`, for a write: what the caller is told of a success of its own that a
                try before this one had; or None if it is told that the write failed.

        Raises:
            Crash: The process ended.
            TidegateError: The call failed as far as the caller can tell.
        """
        universe, what = self.universe, f"{store} {operation} {key}"
        universe.calls.add((self.function, store, operation, key))
        if operation in _WRITES and not self.may_write():
            universe.violated(f"{self.process.name}, of an incompatible pipeline, writes {store}/{key}")
        strikes = universe.chaos.strikes if self.process.may_fail else _never
        self._pause(strikes, f"before {what}")
        if strikes("throttle"):
            universe.note(self.process.name, what, "throttled")
            raise TidegateError(f"{key}: slow down")
        try:
            answer = effect()
        except TidegateError as error:
            universe.note(self.process.name, what, type(error).__name__)
            self._pause(strikes, f"after {what}")
            raise
        shown = f"{answer}" if isinstance(answer, bool) else ""
        universe.note(self.process.name, what, shown)
        if "lost_to_itself" in how and strikes("unknown"):
            universe.note(self.process.name, what, "done, and not told so")
            self._pause(strikes, f"after {what}")
            lost: Callable[[], Answer] | None = how["lost_to_itself"]
            if lost is None or universe.chaos.stream("told").random() < 0.5:
                raise TidegateError(f"{key}: the connection was reset")
            return lost()
        self._pause(strikes, f"after {what}")
        return answer

    def _pause(self, strikes: Callable[[str], bool], where: str) -> None:
        """A place for others to get their turn; this process may end here, or sleep."""
        universe = self.universe
        if strikes("kill"):
            universe.note(self.process.name, where, "killed")
            universe.scheduler.kill(self.process)
        if strikes("stall"):
            chance = universe.chaos.stream("stalls")
            duration = chance.choice((SECOND, 5 * SECOND, 20 * SECOND, MINUTE, 4 * MINUTE))
            universe.note(self.process.name, where, f"stalls for {duration // SECOND} s")
            universe.scheduler.sleep(duration)
        else:
            universe.scheduler.sleep()
        if universe.scheduler.moment > self.deadline:
            universe.note(self.process.name, where, "timed out")
            universe.scheduler.kill(self.process)


_WRITES = ("put", "put_if_absent", "delete", "update", "start", "set")


def _never(fault: str) -> bool:
    return False


@dataclass(frozen=True)
class Stored:
    """One version of an object."""

    version: str
    data: bytes
    modified: int


@dataclass
class Bucket:
    """A bucket's objects.

    Attributes:
        name: Which store it is: `input`, `state` or `output`.
        current: What is there now.
        history: All that was ever there, in order.
    """

    name: str
    current: dict[str, Stored] = field(default_factory=dict)
    history: dict[str, list[Stored]] = field(default_factory=dict)

    def put(self, key: str, data: bytes, moment: int) -> Stored:
        """Writes an object."""
        versions = self.history.setdefault(key, [])
        stored = Stored(f"{sha256(data).hexdigest()[:12]}-{len(versions)}", bytes(data), moment)
        versions.append(stored)
        self.current[key] = stored
        return stored

    def ever(self, key: str) -> bytes:
        """An object's content, also if it was removed since."""
        return self.history[key][-1].data


class SimulatedObjects(InTurn):
    """A store of objects, as one process reaches it.

    Args:
        bucket: Its objects.
        line: The process's connection.
        versioned: Whether older versions of an object can be read, and are listed.
    """

    def __init__(self, bucket: Bucket, line: Line, *, versioned: bool = False) -> None:
        self._bucket = bucket
        self._line = line
        self._versioned = versioned

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        return self._call(
            "get" if version is None else "get_version", key, lambda: self._content(key, version)
        )

    def _content(self, key: str, version: str | None) -> bytes:
        if version is None:
            found = self._bucket.current.get(key)
        else:
            found = next((e for e in self._bucket.history.get(key, ()) if e.version == version), None)
        if found is None:
            raise ObjectNotFound(f"there is no object {key!r}")
        return found.data

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        """See `Objects.get_ranges`."""

        def effect() -> list[bytes]:
            data = self._content(key, version)
            return [data[offset : offset + length] for offset, length in ranges]

        return self._call("get_ranges" if version is None else "get_version", key, effect)

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`; nobody gives any here. It needs the rights of a get, and fails like one."""

        def effect() -> Mapping[str, str]:
            self._content(key, version)
            return {}

        return self._call("get" if version is None else "get_version", key, effect)

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""

        def effect() -> None:
            if key in self._bucket.current and self._bucket.current[key].data != data:
                self._line.universe.violated(f"{self._bucket.name}/{key} was overwritten with something else")
            self._put(key, data)

        self._call("put", key, effect, lost_to_itself=None)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""

        def effect() -> bool:
            if key in self._bucket.current:
                return False
            self._put(key, data)
            return True

        return self._call("put_if_absent", key, effect, lost_to_itself=lambda: False)

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""

        def effect() -> list[ObjectInfo]:
            versions = self._bucket.history if self._versioned else {}
            return [
                ObjectInfo(key, len(each.data), each.version, each.modified)
                for key in sorted(self._bucket.current)
                if key.startswith(f"{folder}/")
                for each in versions.get(key) or [self._bucket.current[key]]
            ]

        return self._call("list_versions" if self._versioned else "list", f"{folder}/", effect)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`; one call for each, so that a process may end between two."""
        for key in keys:
            self._call("delete", key, partial(self._bucket.current.pop, key, None), lost_to_itself=None)

    def _put(self, key: str, data: bytes) -> None:
        self._bucket.put(key, data, self._line.universe.scheduler.moment)

    def _call(self, operation: str, key: str, effect: Callable[[], Answer], **how: Any) -> Answer:
        return self._line.call(self._bucket.name, operation, key, effect, **how)


class SimulatedTable:
    """A table, as one process reaches it.

    Args:
        rows: Its rows.
        line: The process's connection.
        changed: Is told the keys of every write that was done.
    """

    def __init__(self, rows: MemoryTable, line: Line, changed: Callable[[Sequence[str]], None]) -> None:
        self._rows = rows
        self._line = line
        self._changed = changed

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        return self._line.call("table", "get", key, lambda: self._rows.get(key))

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """See `Table.get_many`."""
        return self._line.call("table", "get_many", f"{len(keys)} rows", lambda: self._rows.get_many(keys))

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        """See `Table.query`."""
        return self._line.call("table", "query", prefix, lambda: self._rows.query(prefix, limit, last=last))

    def write(self, *writes: Write) -> None:
        """See `Table.write`."""
        if len(writes) > 100 or len({each.key for each in writes}) < len(writes):
            self._line.universe.violated(f"a write of {len(writes)} rows: {[each.key for each in writes]}")

        def effect() -> None:
            self._rows.write(*writes)
            self._changed([each.key for each in writes])

        conditional = any(isinstance(e, Put) and not isinstance(e.expected, Anything) for e in writes)
        for each in writes[1:]:
            self._line.universe.calls.add((self._line.function, "table", _operation(each), each.key))
        self._line.call(
            "table",
            _operation(writes[0]),
            writes[0].key,
            effect,
            lost_to_itself=_lost if conditional else None,
        )


def _operation(write: Write) -> str:
    if isinstance(write, Add):
        return "update"
    return "delete" if isinstance(write, Delete) else "put"


def _lost() -> None:
    raise ConditionFailed("the write was done, and tried again")


class SimulatedAlarms:
    """Alarms, as one process sets them.

    Args:
        ring: Has an alarm go off after some microseconds.
    """

    def __init__(self, line: Line, ring: Callable[[int, int], None]) -> None:
        self._line = line
        self._ring = ring

    def set(self, moment: int, now: int) -> None:
        """See `Alarms.set`."""
        call = alarm(moment, now)
        self._line.call(
            call.store,
            call.operation,
            call.key,
            lambda: self._ring(moment, max(0, moment - now)),
            lost_to_itself=None,
        )


class SimulatedClock:
    """The clock of one process."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def now(self) -> int:
        """See `Clock.now`."""
        return self._line.universe.scheduler.moment + self._line.process.skew
