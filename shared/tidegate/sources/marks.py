"""Marks: what a producer says about how far event time is complete, by an object or by a file's metadata."""

import json
import re
from collections.abc import Mapping

from tidegate.frontier import MARK
from tidegate.limits import MARK_BYTES
from tidegate.sources.iso8601 import parse_datetime
from tidegate.timestamps import MAX, MIN, iso
from tidegate.watermarks import WatermarkPolicy

STATED = "tidegate-watermark"
"""The metadata by which a file states the watermark of its producer."""

PRODUCER = "tidegate-producer"
"""The metadata that names the producer. It has no default: files named one by one would all be producers."""

_MICROSECONDS = re.compile("-?[0-9]{1,18}")


def is_mark(key: str) -> bool:
    """Whether an input object is a mark, by its name."""
    return key.lower().endswith(MARK)


def producer_of(key: str) -> str:
    """The producer whose mark an object is: its name without the suffix, whatever folder it lies in.

    Example:
        >>> producer_of("scores/2026/01/web.watermark")
        'web'
    """
    return key.rsplit("/", maxsplit=1)[-1][: -len(MARK)]


def read_mark(key: str, data: bytes, policy: WatermarkPolicy, now: int) -> int:
    """The watermark that a mark object states, microseconds.

    Args:
        key: Its key.
        data: Its content.
        policy: Of the source.
        now: The time from which it is counted how far ahead it may lie, microseconds.

    Raises:
        ValueError: It is no mark that this policy takes, with the reason for its dead letter.

    Example:
        >>> from tidegate.watermarks import Marks
        >>> read_mark("scores/web.watermark", b'{"watermark": 60000000}', Marks(), now=0)
        60000000
    """
    _check_declared(producer_of(key), policy)
    if len(data) > MARK_BYTES:
        raise ValueError(f"a mark has at most {MARK_BYTES:,} bytes, and this has more")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("the mark is no JSON") from None
    stated = body.get("watermark") if isinstance(body, dict) else None
    if isinstance(stated, bool) or not isinstance(stated, int | str):
        raise ValueError('the mark has no "watermark" that is an ISO 8601 text or microseconds since 1970')
    return _moment(stated, policy, now)


def read_metadata(metadata: Mapping[str, str], policy: WatermarkPolicy, now: int) -> tuple[str, int] | None:
    """The producer and the watermark, microseconds, that a file's metadata states; None if it states none.

    Args:
        metadata: The values by their names. The watermark is an ISO 8601 text, or microseconds since 1970 in
            digits.
        policy: Of the source.
        now: The time from which it is counted how far ahead the watermark may lie, microseconds.

    Raises:
        ValueError: It is no mark that this policy takes, with the reason for its dead letter.

    Example:
        >>> from tidegate.watermarks import Marks
        >>> web = {"tidegate-producer": "web", "tidegate-watermark": "1970-01-01T00:01:00Z"}
        >>> read_metadata(web, Marks(metadata=True), now=0)
        ('web', 60000000)
    """
    stated = metadata.get(STATED)
    if stated is None:
        return None
    producer = metadata.get(PRODUCER, "")
    if not producer or "/" in producer:
        raise ValueError(
            f"the metadata {PRODUCER} must name the producer, without slashes; it is {producer!r}"
        )
    _check_declared(producer, policy)
    moment = int(stated) if _MICROSECONDS.fullmatch(stated) else stated
    return producer, _moment(moment, policy, now)


def _check_declared(producer: str, policy: WatermarkPolicy) -> None:
    declared = policy.rule().producers
    if declared and producer not in declared:
        raise ValueError(f"the source declares no producer {producer!r}; it has {', '.join(declared)}")


def _moment(stated: int | str, policy: WatermarkPolicy, now: int) -> int:
    moment = _microseconds(stated)
    if policy.latest(now) < moment < MAX:
        raise ValueError(
            f"the mark {iso(moment)} is after {iso(policy.latest(now))}, further ahead than max_ahead allows"
        )
    return moment


def _microseconds(stated: int | str) -> int:
    if isinstance(stated, str):
        try:
            return parse_datetime(stated, "us")
        except ValueError as error:
            raise ValueError(f"the mark's watermark {error}") from None
    if not MIN <= stated <= MAX:
        raise ValueError("the mark's watermark is outside of the years 1 to 9999")
    return stated
