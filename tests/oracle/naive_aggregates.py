"""Aggregates of a list of elements, by the name that the programs give them. Nulls are no values."""

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]


def values(elements: Sequence[Row], column: str) -> list[Any]:
    """The values of a column that are not null."""
    return [row[column] for row in elements if row[column] is not None]


AGGREGATES: dict[str, Callable[[Sequence[Row]], Any]] = {
    "number": len,
    "present": lambda rows: len(values(rows, "v")),
    "total": lambda rows: sum(values(rows, "v")),
    "weight": lambda rows: sum(values(rows, "f")),
    "least": lambda rows: min(values(rows, "v"), default=None),
    "most": lambda rows: max(values(rows, "v"), default=None),
    "last_name": lambda rows: max(values(rows, "s"), default=None),
    "average": lambda rows: sum(values(rows, "v")) / len(values(rows, "v")) if values(rows, "v") else None,
    "double": lambda rows: sum(2 * value for value in values(rows, "v")),
    "ones": len,
}
