"""Intake: every input object enters the intake log once, however often its event comes.

An object is known by its key and version. Its row under `seen#` stays for good; its row under `pending#`
lives until the epoch that processes it is committed. Both are written together or not at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegate.epochs import paths
from tidegate.errors import ConditionFailed
from tidegate.stores.ports import Put, Row, Table, Write

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


def accept(table: Table, objects: Iterable[InputObject], now: int) -> int:
    """Puts objects into the intake log, in this order; those that were accepted before change nothing.

    Args:
        table: The pipeline's table.
        objects: What was uploaded.
        now: When this is, microseconds since 1970; it orders the log.

    Returns:
        How many were new.
    """
    once = {(each.key, each.version): each for each in objects}
    fresh = [(sequence, each) for sequence, each in enumerate(once.values()) if is_new(table, each)]
    accepted = 0
    for start in range(0, len(fresh), _TOGETHER):
        chunk = [_rows(each, now, sequence) for sequence, each in fresh[start : start + _TOGETHER]]
        if _write(table, [row for rows in chunk for row in rows]):
            accepted += len(chunk)
        else:
            # Another intake was faster with one of them, so each is tried by itself.
            accepted += sum(_write(table, rows) for rows in chunk)
    return accepted


def is_new(table: Table, each: InputObject) -> bool:
    """Whether an object was never accepted."""
    return table.get(paths.seen(each.key, each.version)) is None


def waiting(table: Table, limit: int) -> list[Accepted]:
    """The accepted objects that no committed epoch has processed, in intake order, at most `limit`."""
    return [_accepted(key, row) for key, row in table.query(paths.PENDING, limit)]


def last_accepted(table: Table) -> str:
    """The last position of the intake log that is not processed; empty if there is none."""
    rows = table.query(paths.PENDING, 1, last=True)
    return rows[0][0].removeprefix(paths.PENDING) if rows else ""


def _rows(each: InputObject, now: int, sequence: int) -> Sequence[Write]:
    position = paths.position(now, sequence, each.key, each.version)
    pending: Row = {"key": each.key, "version": each.version, "size": each.size}
    return (
        Put(paths.seen(each.key, each.version), {"position": position}),
        Put(paths.pending(position), pending),
    )


def _write(table: Table, writes: Sequence[Write]) -> bool:
    try:
        table.write(*writes)
    except ConditionFailed:
        return False
    return True


def _accepted(key: str, row: Row) -> Accepted:
    object_ = InputObject(str(row["key"]), str(row["version"]), int(row["size"]))
    return Accepted(object_, key.removeprefix(paths.PENDING))
