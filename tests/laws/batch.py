"""What each aggregate means, over a list of elements in plain Python: what the laws compare with."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple


class Element(NamedTuple):
    """An element: its event time, the value that is aggregated, and a number beside it."""

    time: int
    value: Any
    other: int


Batch = Callable[[Sequence[Element]], Any]


def order(value: Any) -> Any:
    """What sorts and compares as in the engine: nulls first, NaN last, one zero."""
    if isinstance(value, dict):
        return (1, [order(value[name]) for name in sorted(value)])
    if isinstance(value, list):
        return (1, [order(each) for each in value])
    if value is None:
        return (0, 0)
    if isinstance(value, float):
        return (2, 0) if is_nan(value) else (1, value or 0.0)
    return (1, value)


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def values(elements: Sequence[Element]) -> list[Any]:
    return [each.value for each in elements if each.value is not None]


def total(elements: Sequence[Element]) -> Any:
    given = values(elements)
    if any(isinstance(each, float) for each in given):
        return float_total(given)
    return sum(given, start=Decimal(0) if given and isinstance(given[0], Decimal) else 0)


def float_total(given: Sequence[float]) -> float:
    infinities = {each for each in given if math.isinf(each)}
    if any(map(math.isnan, given)) or len(infinities) == 2:
        return math.nan
    return infinities.pop() if infinities else math.fsum(given)


def mean(elements: Sequence[Element]) -> float | None:
    given = values(elements)
    return float(total(elements)) / len(given) if given else None


def variance(elements: Sequence[Element], ddof: int) -> float | None:
    given = values(elements)
    if len(given) <= ddof:
        return None
    if not all(math.isfinite(each) for each in given):
        return math.nan
    exact = [Fraction(each) for each in given]
    middle = sum(exact) / len(exact)
    return float(sum((each - middle) ** 2 for each in exact) / (len(exact) - ddof))


def deviation(elements: Sequence[Element], ddof: int) -> float | None:
    found = variance(elements, ddof)
    return None if found is None else math.sqrt(found)


def least(elements: Sequence[Element]) -> Any:
    given = values(elements)
    return min(given, key=order) if given else None


def greatest(elements: Sequence[Element]) -> Any:
    given = values(elements)
    # NaN is larger than nothing, unless there is nothing else.
    return max([each for each in given if not is_nan(each)] or given, key=order) if given else None


def in_event_order(elements: Sequence[Element]) -> list[Any]:
    there = [each for each in elements if each.value is not None]
    return [each.value for each in sorted(there, key=lambda each: (each.time, order(each.value)))]


def first(elements: Sequence[Element]) -> Any:
    return next(iter(in_event_order(elements)), None)


def last(elements: Sequence[Element]) -> Any:
    return next(reversed(in_event_order(elements)), None)


def distinct(elements: Sequence[Element]) -> int:
    return len({repr(order(each)) for each in values(elements)})


def quantile(elements: Sequence[Element], q: float, interpolation: str) -> float | None:
    given = [float(each) for each in sorted(values(elements), key=order)]
    if not given:
        return None
    place = (len(given) - 1) * q
    low, high = given[math.floor(place)], given[math.ceil(place)]
    if low == high:
        return low
    return {
        "linear": low + (high - low) * (place - math.floor(place)),
        "midpoint": low + (high - low) / 2,
        "lower": low,
        "higher": high,
        "nearest": low if place - math.floor(place) < 0.5 else high,
    }[interpolation]


def top(elements: Sequence[Element], n: int) -> list[Any]:
    """The values of those with the largest number beside them."""
    ranked = sorted(elements, key=lambda each: (each.other, order(each.value)), reverse=True)
    return [each.value for each in ranked[:n]]


def largest(elements: Sequence[Element], n: int) -> list[dict[str, Any]]:
    """The whole elements with the largest values."""
    there = [each for each in elements if each.value is not None and not is_nan(each.value)]
    ranked = sorted(there, key=lambda each: (order(each.value), each.other), reverse=True)
    return [{"v": each.value, "w": each.other} for each in ranked[:n]]


def reduced(elements: Sequence[Element], function: Callable[[Any, Any], Any]) -> Any:
    result = None
    for each in values(elements):
        result = each if result is None else function(result, each)
    return result
