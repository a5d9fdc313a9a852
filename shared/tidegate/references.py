"""References to immutable objects and parts of them: what records, results and manifests are made of."""

import hashlib
from dataclasses import dataclass, replace

from tidegate.errors import CorruptObject
from tidegate.timestamps import MAX, MIN


def checksum(data: bytes) -> str:
    """BLAKE2b of the bytes, 128 bits in hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True)
class ObjectRef:
    """An immutable object, or a part of one.

    Attributes:
        key: The object's.
        size: In bytes.
        checksum: Of the bytes.
        offset: Where they begin in the object.
    """

    key: str
    size: int
    checksum: str
    offset: int = 0

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
class Layer:
    """Rows of state that one task wrote: some bytes of an immutable object.

    Attributes:
        key: The object's.
        offset: Where they begin in the object.
        length: In bytes.
        checksum: Of the bytes.
        rows: How many, those included that say that a window is gone.
        range: The key groups that they are valid for; a later epoch may narrow it.
    """

    key: str
    offset: int
    length: int
    checksum: str
    rows: int
    range: KeyRange

    def verify(self, data: bytes) -> bytes:
        """The same bytes.

        Raises:
            CorruptObject: They are not what was written.
        """
        if len(data) != self.length or checksum(data) != self.checksum:
            raise CorruptObject(
                f"{self.key}: its {len(data)} bytes from {self.offset} on are not the {self.length} bytes "
                f"that were written (checksum {self.checksum}); restore it from a backup or an older version"
            )
        return data


@dataclass(frozen=True)
class Segment:
    """The state of a range of key groups and a bucket of windows: a base, and deltas over it.

    Attributes:
        range: The key groups.
        layers: The base and the deltas, oldest first: of a key and window the last row counts.
        due: The lowest watermark at which one of its windows has something to do, microseconds.
        alarm: The earliest processing time at which one of its triggers asks to be evaluated, microseconds;
            `MAX` if none does.
        hold: The earliest event time of a pane that its windows still owe, microseconds; the watermark of
            what follows the grouping does not pass it. `MAX` if they owe none.
        stage: The number of the stage whose state it is, 1 behind the first shuffle.
        bucket: The number of the bucket; None in state of version 0.1.0, which has all windows in one place.
        span: The first start and the last end of its windows, microseconds.
        windows: How many windows there are; about, where a later epoch narrowed the range.
    """

    range: KeyRange
    layers: tuple[Layer, ...]
    due: int
    alarm: int = MAX
    hold: int = MAX
    stage: int = 1
    bucket: int | None = None
    span: tuple[int, int] = (MIN, MAX)
    windows: int = 0

    def is_due(self, watermark: int, now: int) -> bool:
        """Whether an epoch must look at it although no element belongs to it.

        Args:
            watermark: Of its stage at the epoch's end.
            now: The epoch's processing time.
        """
        return self.due <= watermark or self.alarm <= now

    def within(self, wanted: KeyRange) -> "Segment | None":
        """The part of it that lies in a range, or None."""
        valid = self.range.intersect(wanted)
        if valid is None:
            return None
        if valid == self.range:
            return self
        parts = ((each, each.range.intersect(valid)) for each in self.layers)
        layers = tuple(replace(each, range=part) for each, part in parts if part)
        # What holds the next stage back may lie in the part that is cut off, and must be looked for anew.
        due = MIN if self.hold < MAX else self.due
        windows = self.windows * (valid.high - valid.low) // (self.range.high - self.range.low)
        return replace(self, range=valid, layers=layers, due=due, windows=windows)
