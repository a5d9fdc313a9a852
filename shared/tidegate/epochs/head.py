"""The head: the one row that says what is committed. It is never swept and never expires."""

from dataclasses import dataclass

from tidegate.epochs.generation import number_of
from tidegate.errors import IncompatiblePipeline
from tidegate.limits import KEY_GROUPS
from tidegate.stores.ports import Row
from tidegate.timestamps import MAX

ROWS_TOGETHER = 90
"""Rows that one write of the table changes: below its limit of 100."""


@dataclass(frozen=True)
class Head:
    """The one row that changes: the last committed epoch and its manifest.

    Attributes:
        epoch: Before the first one of a generation what stands before it, 0 before the very first.
        manifest: Key and checksum of its manifest; empty before the first one.
        settled: The last epoch whose inputs have left the rows of waiting objects.
        alarm: The earliest processing time at which something is due that no input brings, microseconds;
            `MAX` if nothing is.
        repeats: The last epoch of an older generation that a replay does once more, 0 if there is no replay
            under way. As many epochs as that one and those before it in its generation come first.
    """

    epoch: int
    manifest: tuple[str, str]
    settled: int
    fingerprint: str
    key_groups: int
    alarm: int = MAX
    repeats: int = 0

    @property
    def begins(self) -> bool:
        """Whether the generation has no committed epoch yet."""
        return number_of(self.epoch) == 0

    @property
    def to_repeat(self) -> int:
        """The epoch that the next one does once more, 0 if the next one takes what waits."""
        number = number_of(self.epoch)
        return self.repeats - number_of(self.repeats) + number + 1 if number < number_of(self.repeats) else 0

    def row(self) -> Row:
        """The row of the table."""
        return {
            "epoch": self.epoch,
            "manifest": self.manifest[0],
            "checksum": self.manifest[1],
            "settled": self.settled,
            "fingerprint": self.fingerprint,
            "key_groups": self.key_groups,
            "alarm": self.alarm,
            "repeats": self.repeats,
        }

    def check(self, pipeline: str) -> None:
        """Refuses a head of state that is cut into other key groups than this version's.

        Raises:
            IncompatiblePipeline: It is.
        """
        if self.key_groups != KEY_GROUPS:
            raise IncompatiblePipeline(
                f"the state of the pipeline {pipeline!r} has {self.key_groups} key groups, and this version "
                f"of Tidegate works with {KEY_GROUPS}; go back to the version that wrote it, or build output "
                "and state anew from the input with `tidegate replay`"
            )

    @classmethod
    def of(cls, row: Row) -> "Head":
        """The head of a row."""
        return cls(
            epoch=int(row["epoch"]),
            manifest=(str(row["manifest"]), str(row["checksum"])),
            settled=int(row["settled"]),
            fingerprint=str(row["fingerprint"]),
            key_groups=int(row["key_groups"]),
            alarm=int(row.get("alarm", MAX)),
            repeats=int(row.get("repeats", 0)),
        )
