"""References to immutable objects and parts of them: what records, results and manifests are made of."""

import hashlib
from dataclasses import dataclass

from tidegate.errors import CorruptObject
from tidegate.timestamps import MAX


def checksum(data: bytes) -> str:
    """BLAKE2b of the bytes, 128 bits in hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True)
class ObjectRef:
    """An immutable object: its key, its size in bytes and its checksum."""

    key: str
    size: int
    checksum: str

    @classmethod
    def of(cls, key: str, data: bytes) -> "ObjectRef":
        """The reference of these bytes under this key."""
        return cls(key, len(data), checksum(data))

    def verify(self, data: bytes) -> bytes:
        """The same bytes.

        Raises:
            CorruptObject: They are not what the reference names.
        """
        if len(data) != self.size or checksum(data) != self.checksum:
            raise CorruptObject(
                f"{self.key}: its {len(data)} bytes are not the {self.size} bytes that were written "
                f"(checksum {self.checksum}); restore the object from a backup or an older version"
            )
        return data


@dataclass(frozen=True)
class KeyRange:
    """Key groups from `low` up to but without `high`."""

    low: int
    high: int

    def intersect(self, other: "KeyRange") -> "KeyRange | None":
        """The key groups that both have, or None."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return KeyRange(low, high) if low < high else None


@dataclass(frozen=True)
class Piece:
    """What one map task has for one reduce task: a part of its shuffle object.

    Attributes:
        task: The number of the reduce task.
        offset: Where it begins in the object.
        length: In bytes.
        checksum: Of its bytes.
    """

    task: int
    offset: int
    length: int
    checksum: str

    def verify(self, key: str, data: bytes) -> bytes:
        """The same bytes; the key is the shuffle object's.

        Raises:
            CorruptObject: They are not what was written.
        """
        if checksum(data) != self.checksum:
            raise CorruptObject(f"{key}: bytes {self.offset} to {self.offset + self.length} are damaged")
        return data


@dataclass(frozen=True)
class Segment:
    """An immutable object of state, and the key groups that it is valid for.

    Attributes:
        range: A later epoch may narrow it, where only part of the segment was replaced.
        rows: Rows in the object.
        due: The lowest watermark at which one of its windows has something to do, microseconds.
        alarm: The earliest processing time at which one of its triggers asks to be evaluated, microseconds;
            `MAX` if none does.
        hold: The earliest event time of a pane that its windows still owe, microseconds; the watermark of
            what follows the grouping does not pass it. `MAX` if they owe none.
        stage: The number of the stage whose state it is, 1 behind the first shuffle.
    """

    ref: ObjectRef
    range: KeyRange
    rows: int
    due: int
    alarm: int = MAX
    hold: int = MAX
    stage: int = 1
