"""What the services that Tidegate uses on AWS are paid for, at list prices.

Those of us-east-1 in US dollars, on demand and without free tiers, from the services' price pages. Storage,
the queue, logs and what leaves AWS are not in them.
"""

from collections.abc import Mapping

SINCE = "November 2024"
"""When one of these prices changed last: that of DynamoDB."""

REGION = "us-east-1"

_MILLION = 1_000_000

_OBJECTS = {"put": 5.00 / _MILLION, "list": 5.00 / _MILLION, "get": 0.40 / _MILLION}
"""One request to S3, by its kind; removing costs nothing."""

_OTHERS = {
    "table.write_units": ("DynamoDB", 0.625 / _MILLION),
    "table.read_units": ("DynamoDB", 0.125 / _MILLION),
    "transitions": ("Step Functions", 25.00 / _MILLION),
    "calls": ("Lambda calls", 0.20 / _MILLION),
    # A gigabyte for a second on arm64, which the template deploys to.
    "memory": ("Lambda time", 0.0000133334 / 1_024 / 1_000),
}
"""One of each that epochs count (see `epochs.costs`), with the service that it is paid to."""


def price(counts: Mapping[str, int]) -> dict[str, float]:
    """What these numbers cost, by service, US dollars.

    Args:
        counts: Requests, units and calls by their names (see `epochs.costs`).

    Example:
        >>> price({"state.put": 1_000_000, "transitions": 4, "cpu": 17})
        {'S3': 5.0, 'Step Functions': 0.0001}
    """
    paid: dict[str, float] = {}
    for name, number in counts.items():
        service, each = _OTHERS.get(name, ("S3", _OBJECTS.get(name.rpartition(".")[2], 0.0)))
        if each:
            paid[service] = paid.get(service, 0.0) + each * number
    return paid
