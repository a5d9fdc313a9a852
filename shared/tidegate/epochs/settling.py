"""Settling: the inputs of a committed epoch leave the rows of waiting objects.

Those of a large epoch are too many for one write, and a function may be stopped between two. Rows leave in
the record's order, whoever removes them, so those that are gone are always its first ones: where to go on is
found by bisection, and a call that takes up the work of another does none of it again.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from tidegate.epochs import paths
from tidegate.epochs.head import ROWS_TOGETHER, Head
from tidegate.epochs.intake import Accepted
from tidegate.epochs.record import EpochRecord
from tidegate.errors import ConditionFailed
from tidegate.stores.ports import Delete, Objects, Put, Table


def leave_at_once(inputs: int) -> bool:
    """Whether so many inputs leave in the write that moves the head, whose row counts among its rows."""
    return inputs < ROWS_TOGETHER


def departures(inputs: Sequence[Accepted]) -> list[Delete]:
    """What takes these inputs out of the waiting rows."""
    return [Delete(paths.pending(each.position)) for each in inputs]


def settle(table: Table, inputs: Sequence[Accepted], *, begun: bool) -> None:
    """Takes the inputs of a committed epoch out of the waiting rows, a write after the other.

    Args:
        table: The pipeline's table.
        inputs: All inputs of the epoch, as its record has them.
        begun: Whether another call may have removed some; then a few rows are looked at first.
    """
    rows = departures(inputs)
    writes = [rows[start : start + ROWS_TOGETHER] for start in range(0, len(rows), ROWS_TOGETHER)]
    done = bisect_left(writes, True, key=lambda each: table.get(each[-1].key) is not None) if begun else 0
    for each in writes[done:]:
        table.write(*each)


def settled(head: Head, pipeline: str, objects: Objects, table: Table, *, begun: bool = True) -> Head:
    """Settles the epoch that the head names, where that is still to do.

    Args:
        head: As it was read or moved.
        pipeline: The pipeline's name.
        objects: The store of state.
        table: The pipeline's table.
        begun: As for `settle`.

    Returns:
        The head, settled; a later one if somebody moved it meanwhile.
    """
    while head.settled != head.epoch:
        key = paths.record(pipeline, head.epoch)
        settle(table, EpochRecord.decode(key, objects.get(key)).inputs, begun=begun)
        done = replace(head, settled=head.epoch)
        try:
            table.write(Put(paths.HEAD, done.row(), expected={"epoch": head.epoch}))
        except ConditionFailed:
            # Another coordinator committed meanwhile, and its epoch may be unsettled just as well.
            row = table.get(paths.HEAD)
            head, begun = Head.of(row) if row else done, True
        else:
            return done
    return head
