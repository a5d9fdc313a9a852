"""The head: the one row that says what is committed. It is never swept and never expires."""

from dataclasses import dataclass

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
