"""Aggregates of a list of elements, by the name that the programs give them. Nulls are no values."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]


def values(elements: Sequence[Row], column: str) -> list[Any]:
    """The values of a column that are not null."""
    return [row[column] for row in elements if row[column] is not None]


def in_time(elements: Sequence[Row], column: str) -> list[Any]:
    """The values that are not null by event time, those of one moment by themselves."""
    return [
        value for _, value in sorted((row["at"], row[column]) for row in elements if row[column] is not None)
    ]


def spread(numbers: Sequence[int]) -> float | None:
    """The variance of a sample."""
    return statistics.variance(map(float, numbers)) if len(numbers) > 1 else None


def median(numbers: Sequence[int]) -> float | None:
    """The middle, or half-way between the two in the middle."""
    return float(statistics.median(numbers)) if numbers else None


def best(elements: Sequence[Row]) -> list[str | None]:
    """The texts of the two elements with the largest `v`, then the largest text, null being the smallest."""
    ranked = [row for row in elements if row["v"] is not None]
    ranked.sort(key=lambda row: (row["v"], row["s"] is not None, row["s"] or ""), reverse=True)
    return [row["s"] for row in ranked[:2]]


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
    "opening": lambda rows: next(iter(in_time(rows, "v")), None),
    "closing": lambda rows: next(reversed(in_time(rows, "v")), None),
    "names": lambda rows: in_time(rows, "s"),
    "kinds": lambda rows: len(set(values(rows, "s"))),
    "spread": lambda rows: spread(values(rows, "v")),
    "deviation": lambda rows: None if len(values(rows, "v")) < 2 else spread(values(rows, "v")) ** 0.5,
    "middle": lambda rows: median(values(rows, "v")),
    "best": best,
    "some": lambda rows: any(value > 5 for value in values(rows, "v")),
    "every": lambda rows: all(value > 0 for value in values(rows, "v")),
}


def comparable(row: dict[Any, Any]) -> dict[Any, Any]:
    """A row with its floats rounded: the last bits of sums may differ with the order of arrival."""
    return {name: round(value, 9) if isinstance(value, float) else value for name, value in row.items()}
