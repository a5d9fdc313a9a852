"""Messages of the queue: notifications of S3 about uploads, and alarms.

Whatever else comes is refused, field by field: a message may be forged, or of another service. What is said
about it names fields and never their content, for it goes into the log.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from tidegate.errors import TidegateError


@dataclass(frozen=True)
class Upload:
    """An object that was uploaded.

    Attributes:
        bucket: Where.
        key: Its key, decoded.
        version: Its version id, or its ETag in quotes where the bucket has no versions.
        size: In bytes.
    """

    bucket: str
    key: str
    version: str
    size: int


@dataclass(frozen=True)
class Alarm:
    """Processing time has come to a moment at which an epoch may be due.

    Attributes:
        moment: What the alarm was set to, microseconds since 1970.
    """

    moment: int

    def body(self) -> str:
        """The message that says so."""
        return json.dumps({_ALARM: self.moment})


_ALARM = "tidegate-alarm"


def messages_of(body: str) -> list[Upload | Alarm]:
    """What a message says; nothing, if S3 tries a new configuration with it.

    Raises:
        TidegateError: It is neither an alarm nor a notification of S3 about uploads.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise _refused("it is no JSON") from None
    if _mapping(message, "the message").get("Event") == "s3:TestEvent":
        return []
    if _ALARM in message:
        moment = message[_ALARM]
        if not isinstance(moment, int) or isinstance(moment, bool):
            raise _refused("its alarm is no moment")
        return [Alarm(moment)]
    records = message.get("Records")
    if not isinstance(records, list):
        raise _refused("it has no list Records")
    return [_upload(_mapping(each, "Records")) for each in records]


def _upload(record: dict[str, Any]) -> Upload:
    if not _text(record, "eventName").startswith("ObjectCreated:"):
        raise _refused("its eventName is not ObjectCreated")
    s3 = _mapping(record.get("s3"), "s3")
    file = _mapping(s3.get("object"), "object")
    size = file.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _refused("its size is no number of bytes")
    try:
        key = unquote_plus(_text(file, "key"), errors="strict")
    except UnicodeDecodeError:
        raise _refused("its key is not encoded as S3 does it") from None
    version = _text(file, "versionId") if file.get("versionId") else f'"{_text(file, "eTag")}"'
    return Upload(_text(_mapping(s3.get("bucket"), "bucket"), "name"), key, version, size)


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refused(f"{name} is no object")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise _refused(f"its {name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refused(f"its {name} is no valid text") from None
    return value


def _refused(why: str) -> TidegateError:
    return TidegateError(
        f"a message that is no notification of S3 about uploads: {why}; see who sends to the queue besides "
        "the input bucket"
    )
