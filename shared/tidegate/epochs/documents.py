"""Documents: the protocol's small objects as JSON with a format, a version and a checksum.

Nothing in them is executed, imported or unpickled when they are read; a byte that is not what was written
is found.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tidegate.errors import CorruptObject

VERSION = 1

_LENGTH = 8
_MAGIC = b"tidegate"
"""What an object ends with that holds more than a document; no document ends with it."""

_ATTACHED = "attached"
"""In a body the checksum of what is attached."""

Body = dict[str, Any]


def encode(kind: str, body: Body, attached: bytes = b"") -> bytes:
    """An object that holds a document, and before it what is attached to it; the same always gives the same.

    What is attached comes first, so that it has its place before the document is made that tells it, and
    parts of it are read like those of any object. Where the document begins is told at the end, as in
    Parquet; without anything attached the object is the document.
    """
    if not attached:
        return _document(kind, body)
    document = _document(kind, body | {_ATTACHED: _checksum(attached)})
    return b"".join((attached, document, len(document).to_bytes(_LENGTH, "big"), _MAGIC))


def _document(kind: str, body: Body) -> bytes:
    text = _canonical(body)
    rest = _canonical({"checksum": _checksum(text), "kind": kind, "version": VERSION})
    # The keys are sorted, and this is the first.
    return b'{"body":' + text + b"," + rest[1:]


def decode(kind: str, key: str, data: bytes) -> Body:
    """The body of a document.

    Args:
        kind: What it must be.
        key: Its object's key, for messages.
        data: Its bytes.

    Raises:
        CorruptObject: It is no such document, of another version, or damaged.
    """
    try:
        document = json.loads(data)
        found, version, body = document["kind"], document["version"], document["body"]
        # There is one way to write a body, and its checksum is part of it.
        intact = _document(kind, body) == data
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorruptObject(f"{key}: not a document of Tidegate; restore it from a backup") from None
    if found != kind or version != VERSION:
        raise CorruptObject(f"{key}: a {found!r} of version {version!r}, not a {kind!r} of version {VERSION}")
    if not intact:
        raise CorruptObject(f"{key}: it is damaged (its checksum does not fit); restore it from a backup")
    if not isinstance(body, dict):
        raise CorruptObject(f"{key}: its body is no object")
    return body


def decode_with_attached(kind: str, key: str, data: bytes) -> tuple[Body, bytes]:
    """As `decode`, for an object that may hold more than its document: that is given as well.

    Raises:
        CorruptObject: The document or what is attached to it is not what was written.
    """
    document, attached = disclose(data)
    body = decode(kind, key, document)
    if body.get(_ATTACHED, "") != (_checksum(attached) if attached else ""):
        raise CorruptObject(f"{key}: what is attached is damaged; restore it from a backup")
    return body, attached


def disclose(data: bytes) -> tuple[bytes, bytes]:
    """The document of an object, and what is attached to it; neither of them is checked."""
    if not data.endswith(_MAGIC):
        return data, b""
    end = len(data) - len(_MAGIC) - _LENGTH
    start = end - int.from_bytes(data[end : end + _LENGTH], "big") if end >= 0 else -1
    return (data[start:end], data[:start]) if start >= 0 else (data, b"")


@contextmanager
def shaped(kind: str, key: str) -> Iterator[None]:
    """A block that takes a body of this kind apart.

    Raises:
        CorruptObject: The block does not find in it what belongs there.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CorruptObject(
            f"{key}: a {kind} whose body lacks something or has too much ({str(error)[:100]}); it was "
            "written by another version of Tidegate, go back to that, or restore the object from a backup"
        ) from None


def check_place(kind: str, key: str, own: str) -> None:
    """Compares the key that an object was read from with the one that its body says.

    Raises:
        CorruptObject: They differ: whole as it is, it is not what was written there.
    """
    if key != own:
        raise CorruptObject(
            f"{key}: in its place lies the {kind} that belongs to {own}; restore it from a backup"
        )


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _checksum(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
