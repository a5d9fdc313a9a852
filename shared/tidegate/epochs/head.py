"""The head: the one row that says what is committed. It is never swept and never expires."""

from dataclasses import dataclass

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
        epoch: 0 before the first one.
        manifest: Key and checksum of its manifest; empty before the first one.
        settled: The last epoch whose inputs have left the rows of waiting objects.
        alarm: The earliest processing time at which something is due that no input brings, microseconds;
            `MAX` if nothing is.
    """

    epoch: int
    manifest: tuple[str, str]
    settled: int
    fingerprint: str
    key_groups: int
    alarm: int = MAX

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
        )
