"""Dead letters: records that could not be processed, with file, line, reason and text.

They never stop a pipeline and never vanish: they are counted, and written beside the output.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidegate.expressions import HIDDEN, Rejected
from tidegate.sources.records import LINE, Records, readable, shortened

_ACCUMULATOR = re.compile(rf"'{HIDDEN}agg\.([^']+)\.(\w+)'")
"""How Polars names the hidden column of an aggregate's state."""


@dataclass
class DeadLetters:
    """The dead letters of a task, in the order in which they were found."""

    entries: list[dict[str, str | int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, file: str, line: int, reason: str, text: str) -> None:
        """One dead letter; line 0 is the file as a whole, and a long reason is cut."""
        self.entries.append({"file": file, "line": line, "reason": shortened(reason), "text": text})

    def begin(self, first: int) -> None:
        """Says of all of them that their lines are counted from the line that begins with this byte."""
        self.entries = [entry | {"from_byte": first} for entry in self.entries]

    def add_rejected(self, file: str, records: Records, rejected: Sequence[Rejected]) -> None:
        """The records of rows that a step rejected."""
        lines = [line for each in rejected for line in each.rows.get_column(LINE).to_list()]
        reasons = [reason for each in rejected for reason in each.reasons]
        # All texts at once: each call reads the whole file anew.
        for line, reason, text in zip(lines, reasons, records.texts(lines), strict=True):
            self.add(file, line, reason, text)

    def add_rejected_panes(self, rejected: Iterable[Rejected]) -> None:
        """Panes that a step behind the grouping rejected; they come from no single line of a file."""
        for each in rejected:
            visible = [name for name in each.rows.columns if not name.startswith(HIDDEN)]
            # A frame without columns has no rows, which a grouping without a key comes to here.
            rows = each.rows.select(visible).rows(named=True) if visible else [{}] * each.rows.height
            texts = [json.dumps(row, default=str, separators=(",", ":")) for row in rows]
            for reason, text in zip(each.reasons, texts, strict=True):
                self.add("", 0, _ACCUMULATOR.sub(r"agg(\1=\2(...))", reason), readable(text.encode()))

    def encode(self) -> bytes:
        """The dead letters as lines of JSON."""
        return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in self.entries).encode(
            errors="backslashreplace"
        )
