"""Intake: every input object enters the intake log once, however often its event comes.

An object is known by its key and version. Its row under `seen#` stays for good, and all of them are the
intake log; its row under `pending#` lives until the epoch that processes it is committed. Both are written
together or not at all.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegate.epochs import paths
from tidegate.errors import ConditionFailed
from tidegate.stores.ports import ANYTHING, Anything, Put, Row, Table, Value, Write

_TOGETHER = 40
"""Objects that one write of the table accepts: two rows each, and a write has at most 100."""


@dataclass(frozen=True)
class InputObject:
    """An immutable uploaded file.

    Attributes:
        key: Its key in the store of input.
        version: Its version or ETag.
        size: In bytes.
    """

    key: str
    version: str
    size: int


@dataclass(frozen=True)
class Accepted:
    """An input object in the intake log, and its position there."""

    object: InputObject
    position: str

    @property
    def moment(self) -> int:
        """When it was accepted, microseconds since 1970; those that came together have it in common."""
        return int(self.position.split("-", maxsplit=1)[0])


@dataclass(frozen=True)
class Log:
    """The intake log.

    Attributes:
        accepted: All objects that were ever accepted, in intake order.
        unnamed: Rows of objects of which only the position is known, by the keys of the rows: those that
            version 0.1.0 accepted and that are found nowhere else.
    """

    accepted: tuple[Accepted, ...]
    unnamed: dict[str, Row]


def accept(table: Table, objects: Iterable[InputObject], now: int) -> int:
    """Puts objects into the intake log, in this order; those that were accepted before change nothing.

    Args:
        table: The pipeline's table.
        objects: What was uploaded.
        now: When this is, microseconds since 1970; it orders the log.

    Returns:
        How many were new.
    """
    return enter(table, new(table, objects), now)


def enter(table: Table, objects: Sequence[InputObject], now: int) -> int:
    """As `accept`, for objects that `new` just found to be so."""
    fresh = list(enumerate(objects))
    accepted = 0
    for start in range(0, len(fresh), _TOGETHER):
        chunk = [_rows(_placed(each, now, sequence)) for sequence, each in fresh[start : start + _TOGETHER]]
        if _write(table, [row for rows in chunk for row in rows]):
            accepted += len(chunk)
        else:
            # Another intake was faster with one of them, so each is tried by itself.
            accepted += sum(_write(table, rows) for rows in chunk)
    return accepted


def new(table: Table, objects: Iterable[InputObject]) -> list[InputObject]:
    """Those of the objects that were never accepted, each once."""
    rows = {paths.seen(each.key, each.version): each for each in objects}
    known = table.get_many(list(rows)) if rows else {}
    return [each for row, each in rows.items() if row not in known]


def waiting(table: Table, limit: int) -> list[Accepted]:
    """The accepted objects that no committed epoch has processed, in intake order, at most `limit`."""
    return [_accepted(key, row) for key, row in table.query(paths.PENDING, limit)]


def last_accepted(table: Table) -> str:
    """The last position of the intake log that is not processed; empty if there is none."""
    rows = table.query(paths.PENDING, 1, last=True)
    return rows[0][0].removeprefix(paths.PENDING) if rows else ""


def read_log(table: Table, known: Iterable[InputObject] = ()) -> Log:
    """The intake log.

    Args:
        table: The pipeline's table.
        known: Objects that may stand in it: version 0.1.0 wrote positions only, and not whose they are.
    """
    names = {paths.seen(each.key, each.version): each for each in known}
    accepted: list[Accepted] = []
    unnamed: dict[str, Row] = {}
    for key, row in table.query(paths.SEEN, sys.maxsize):
        if "key" in row:
            accepted.append(Accepted(_object(row), str(row["position"])))
        elif key in names:
            accepted.append(Accepted(names[key], str(row["position"])))
        else:
            unnamed[key] = row
    return Log(tuple(sorted(accepted, key=lambda each: each.position)), unnamed)


def remember(table: Table, log: Log) -> None:
    """Writes a log into another table, so that what is in it is not accepted there again."""
    rows = [_seen(each) for each in log.accepted]
    rows += [Put(key, row, ANYTHING) for key, row in log.unnamed.items()]
    _write_all(table, rows)


def wait(table: Table, accepted: Iterable[Accepted]) -> None:
    """Has objects that are in the log wait for an epoch, at their positions."""
    _write_all(table, [_pending(each) for each in accepted])


def _placed(each: InputObject, now: int, sequence: int) -> Accepted:
    return Accepted(each, paths.position(now, sequence, each.key, each.version))


def _rows(each: Accepted) -> Sequence[Write]:
    return _seen(each, None), _pending(each, None)


def _seen(each: Accepted, expected: Anything | None = ANYTHING) -> Put:
    row = _row(each.object) | {"position": each.position}
    return Put(paths.seen(each.object.key, each.object.version), row, expected)


def _pending(each: Accepted, expected: Anything | None = ANYTHING) -> Put:
    return Put(paths.pending(each.position), _row(each.object), expected)


def _row(each: InputObject) -> dict[str, Value]:
    return {"key": each.key, "version": each.version, "size": each.size}


def _write_all(table: Table, writes: Sequence[Write]) -> None:
    for start in range(0, len(writes), 2 * _TOGETHER):
        table.write(*writes[start : start + 2 * _TOGETHER])


def _write(table: Table, writes: Sequence[Write]) -> bool:
    try:
        table.write(*writes)
    except ConditionFailed:
        return False
    return True


def _accepted(key: str, row: Row) -> Accepted:
    return Accepted(_object(row), key.removeprefix(paths.PENDING))


def _object(row: Row) -> InputObject:
    return InputObject(str(row["key"]), str(row["version"]), int(row["size"]))
