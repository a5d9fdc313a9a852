"""What a reader gives: the records of one file as a frame, and a dead letter for each it could not read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tidegate.limits import DEAD_LETTER_REASON, DEAD_LETTERS_PER_FILE, RECORD_BYTES

LINE = "__line"
"""The column with a record's place: the 1-based line where it starts, or in Parquet its row from 1."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""It may open a file of text, and is no part of it."""

TOO_LONG = f"the record has more than {RECORD_BYTES:,} bytes"
"""The reason of a dead letter that nobody tried to read."""

WHOLE_FILE = 0
"""The line of a dead letter that stands for a whole file."""

DEAD_LETTER_TEXT_BYTES = 65_536
"""The text of a dead letter at most, as UTF-8."""


class UnreadableFile(ValueError):
    """A file of which no record can be read; the message is the reason of its dead letter."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read.

    Attributes:
        line: Where the record starts, as in `LINE`; 0 for a whole file.
        reason: What is wrong with it, for a person.
        text: The record as it stands in the file, cut at `DEAD_LETTER_TEXT_BYTES`.
    """

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one file, or of a batch of its lines.

    `frame.height + len(dead)` is the number of records in it; blank lines are no records.

    Attributes:
        frame: The columns of the schema in its order, then `LINE` (UInt64), ascending.
        dead: What could not be read, ascending by line.
    """

    frame: pl.DataFrame
    dead: list[DeadLetter]
    _texts: Callable[[Sequence[int]], list[str]] = field(repr=False, compare=False)

    def texts(self, lines: Sequence[int]) -> list[str]:
        """The records that start at these lines as they stand in the file, each cut like a dead letter.

        Nothing is kept ready for it, so ask once for many lines rather than line by line.
        """
        return self._texts(lines) if len(lines) else []


def readable(data: bytes) -> str:
    """Bytes of a record as text: what is no UTF-8 becomes escapes, and what is past the limit is cut off."""
    cut = data[:DEAD_LETTER_TEXT_BYTES]
    if len(data) > len(cut):
        cut = cut[: len(cut) - _unfinished(cut)]
    text = cut.decode("utf-8", "backslashreplace")
    # Escapes are longer than the bytes that they stand for.
    encoded = text.encode()
    if len(encoded) <= DEAD_LETTER_TEXT_BYTES:
        return text
    return encoded[:DEAD_LETTER_TEXT_BYTES].decode("utf-8", "ignore")


def _unfinished(data: bytes) -> int:
    """The number of bytes at the end that begin a UTF-8 character without finishing it."""
    for length in range(1, min(4, len(data)) + 1):
        byte = data[-length]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return length if length < needed else 0
        if byte < 0x80:
            return 0
    return 0


def empty_frame(schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A frame without rows that has the columns of `Records.frame`."""
    return pl.DataFrame(schema={**schema, LINE: pl.UInt64()})


def check_dead_letters(count: int) -> None:
    """Refuses a file once it has too many records that cannot be read.

    Raises:
        UnreadableFile: There are more than `DEAD_LETTERS_PER_FILE`.
    """
    if count > DEAD_LETTERS_PER_FILE:
        raise UnreadableFile(
            f"more than {DEAD_LETTERS_PER_FILE:,} of its records cannot be read; is it of another format? "
            "Correct it and upload it again, in parts if there is no end of bad records"
        )


def shortened(reason: str) -> str:
    """A reason that quotes what may be long, cut at `DEAD_LETTER_REASON`."""
    return reason if len(reason) <= DEAD_LETTER_REASON else f"{reason[: DEAD_LETTER_REASON - 3]}..."
