"""What is fuzzed: functions from bytes to nothing, which raise if a promise is broken.

A reader promises that no file makes it raise, that every record is a row or a dead letter, and that its fast
way gives what its slow one gives. A codec promises to give a value or to raise `CorruptObject`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import polars as pl
from polars.testing import assert_frame_equal

from tests.fuzz import keys, seeds
from tests.fuzz.seeds import SCHEMA, STATE
from tests.sources.whole import read_records, together
from tidegate.engine.codec import decode_piece, decode_state
from tidegate.epochs import documents, record, result
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import TaskResult
from tidegate.errors import CorruptObject
from tidegate.limits import DEAD_LETTER_REASON
from tidegate.sources import json_lines
from tidegate.sources.columnar import read_parquet
from tidegate.sources.fields import FieldReader
from tidegate.sources.formats import Format
from tidegate.sources.marks import read_mark
from tidegate.sources.records import DEAD_LETTER_TEXT_BYTES, LINE, WHOLE_FILE, Records, UnreadableFile
from tidegate.sources.stored import Stored, in_memory
from tidegate.timestamps import MAX, MIN
from tidegate.watermarks import Marks

CONTENT = 1 << 20
"""The content of a file at most, so that no input of a few hundred bytes takes more memory than this."""


@dataclass(frozen=True)
class Target:
    """One promise.

    Attributes:
        run: Raises if it is broken by these bytes.
        seeds: Valid inputs, from which others are made.
        longest: Bytes of an input at most.
        share: How many of a run's inputs it gets, in relation to the others: fewer if they take longer.
    """

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    longest: int
    share: int = 12


def check_records(records: Records) -> None:
    """What every file's records have in common."""
    assert dict(records.frame.schema) == {**SCHEMA, LINE: pl.UInt64()}
    rows = records.frame[LINE].to_list()
    dead = [letter.line for letter in records.dead]
    assert rows == sorted(set(rows))
    assert dead == sorted(set(dead))
    assert not set(rows) & set(dead)
    for letter in records.dead:
        assert 0 < len(letter.reason) <= DEAD_LETTER_REASON
    texts = [*records.texts(rows), *(letter.text for letter in records.dead)]
    assert len(texts) == len(rows) + len(dead)
    assert all(len(text.encode()) <= DEAD_LETTER_TEXT_BYTES for text in texts)


def read_file(format: Format, suffix: str, data: bytes) -> None:
    """No file makes a reader raise, and its numbers add up."""
    records = read_records(f"in/file.{format}{suffix}", data, format, SCHEMA, max_bytes=CONTENT)
    check_records(records)
    if format == "parquet" and not suffix:
        _compare_with_row_groups(data, records)
    if suffix or _is_whole_file(records):
        return
    if format == "json":
        _compare_with_slow_json(data, records)
    elif format == "csv":
        _compare_with_slow_csv(data, records)
    else:
        assert records.frame.height + len(records.dead) == max(
            [0, *records.frame[LINE], *(letter.line for letter in records.dead)]
        )


def _is_whole_file(records: Records) -> bool:
    return any(letter.line == WHOLE_FILE for letter in records.dead)


def _compare_with_slow_json(data: bytes, records: Records) -> None:
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert records.frame.height + len(records.dead) == sum(bool(line.strip(b" \t\r")) for line in lines)
    with patch.object(json_lines, "_fast", lambda *_: None):
        _compare(records, read_records("in/file.json", data, "json", SCHEMA, max_bytes=CONTENT))


def _compare_with_slow_csv(data: bytes, records: Records) -> None:
    with patch.object(FieldReader, "_fast", lambda *_: None):
        _compare(records, read_records("in/file.csv", data, "csv", SCHEMA, max_bytes=CONTENT))


def _compare_with_row_groups(data: bytes, records: Records) -> None:
    """Its row groups are read one after the other as all at once, if the file can be read both ways."""
    stored = Stored(len(data), in_memory(data).get)
    try:
        found = together(SCHEMA, read_parquet(stored, SCHEMA, CONTENT, 1))
    except UnreadableFile as error:
        assert str(error)
        return
    check_records(found)
    if not _is_whole_file(records):
        _compare(found, records)


def _compare(found: Records, expected: Records) -> None:
    assert_frame_equal(found.frame, expected.frame, check_exact=True)
    assert found.dead == expected.dead


def decode_document(
    kind: str, key: str, valid: bytes, decode: Callable[[str, bytes], object], data: bytes
) -> None:
    """Bytes as they are, and documents whose checksum is right although their body is not."""
    document, attached = documents.disclose(valid)

    def whole(body: object) -> bytes:
        # Only a body has a place for the checksum of what is attached.
        return documents.encode(kind, body, attached if isinstance(body, dict) else b"")  # type: ignore[arg-type]

    _decode(decode, key, data)
    _decode(decode, key, whole(_disfigured(json.loads(document)["body"], data)))
    try:
        given = whole(json.loads(data))
    except (ValueError, RecursionError):
        return
    _decode(decode, key, given)


_VALUES = (None, True, -1, 2**70, 1e308, "", "x", "\ud800", (), ((),), {}, {"x": 1})


def _disfigured(body: Any, data: bytes) -> Any:
    """The body with up to four of its parts taken away or replaced; the bytes say which and how."""
    for low, high, turn in zip(data[:12:3], data[1:12:3], data[2:12:3], strict=False):
        places = list(_places(body))
        part, key = places[(low + 256 * high) % len(places)]
        if turn < 64:
            del part[key]
        else:
            part[key] = deepcopy(_VALUES[turn % len(_VALUES)])
    return body


def _places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a body with each of its keys."""
    for key, value in list(part.items() if isinstance(part, dict) else enumerate(part)):
        yield part, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _decode(decode: Callable[[str, bytes], object], key: str, data: bytes) -> None:
    try:
        decode(key, data)
    except CorruptObject as error:
        assert str(error).startswith(f"{key}: ")
        assert len(str(error)) < 1_000


def decode_segment(data: bytes) -> None:
    """State is a frame of the plan's columns, or refused."""
    try:
        frame = decode_state("p/state.parquet", data, STATE)
    except CorruptObject as error:
        assert str(error).startswith("p/state.parquet: ")
    else:
        assert dict(frame.schema) == STATE


def decode_shuffle(data: bytes) -> None:
    """A piece is a frame, or refused."""
    try:
        decode_piece(data, "p/shuffle.arrow").to_dicts()
    except CorruptObject as error:
        assert str(error).startswith("p/shuffle.arrow: ")


def read_producers_mark(data: bytes) -> None:
    """A mark is a moment, or refused with a reason."""
    try:
        moment = read_mark("in/web.watermark", data, Marks(), 0)
    except ValueError as error:
        assert str(error).startswith(("the mark", "a mark"))
        assert "\n" not in str(error)
    else:
        assert MIN <= moment <= MAX


def _readers() -> Mapping[str, Target]:
    found = {}
    for format, longest, share in (("json", 400, 20), ("csv", 300, 6), ("parquet", 3_000, 6)):
        for suffix in ("", ".gz", ".zst"):
            run = partial(read_file, format, suffix)
            # Nearly all of these end in the decompressor, which takes them quickly.
            part = 16 if suffix else share
            found[f"{format}{suffix}"] = Target(run, seeds.files(format, suffix), longest, part)
    return found


def _documents() -> Mapping[str, Target]:
    kinds: Mapping[str, tuple[str, Callable[[str, bytes], object], Any]] = {
        "record": (record.KIND, EpochRecord.decode, seeds.RECORD),
        "result": (result.KIND, TaskResult.decode, seeds.RESULT),
        "manifest": (result.MANIFEST, Manifest.decode, seeds.MANIFEST),
        "small manifest": (result.MANIFEST, Manifest.decode, seeds.SMALL),
        "small result": (result.MANIFEST, TaskResult.decode, seeds.SMALL),
    }
    return {
        name: Target(partial(decode_document, kind, key, data, decode), seeds.documents(data), 2_000)
        for name, (kind, decode, (key, data)) in kinds.items()
    }


TARGETS: Mapping[str, Target] = {
    **_readers(),
    **_documents(),
    "state": Target(decode_segment, (seeds.SEGMENT,), 4_000, 6),
    "shuffle": Target(decode_shuffle, (seeds.PIECE,), 2_000),
    "mark": Target(read_producers_mark, seeds.MARKS, 200, 2),
    "keys": Target(keys.check_bytes, keys.SEEDS, 1_024, 1),
}
"""All targets by name."""
