"""What a write of the table means for one row; the same for all tables that do it in Python."""

from tidegate.errors import ConditionFailed
from tidegate.stores.ports import Add, Anything, Delete, Put, Row, Write


def check_expected(write: Put, found: Row | None) -> None:
    """Compares a row with what a put expects.

    Raises:
        ConditionFailed: It is not as expected.
    """
    expected = write.expected
    if isinstance(expected, Anything):
        return
    if expected is None:
        fits = found is None
    else:
        fits = found is not None and all(found.get(name) == value for name, value in expected.items())
    if not fits:
        raise ConditionFailed(f"the row {write.key!r} is not as it was expected")


def changed(write: Write, found: Row | None) -> Row | None:
    """The row after a write; None if there is none any more."""
    if isinstance(write, Delete):
        return None
    if isinstance(write, Add):
        row = dict(found or {})
        row[write.attribute] = int(row.get(write.attribute, 0)) + write.amount
        return row
    return dict(write.row)
