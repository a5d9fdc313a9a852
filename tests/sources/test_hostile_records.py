"""What becomes of records that nobody should write: each is a row, or a dead letter that says why."""

from datetime import datetime
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.sources.whole import read_records, unreadable
from tidegate.limits import DEAD_LETTER_REASON, DEAD_LETTERS_PER_FILE, RECORD_BYTES
from tidegate.sources import csv_records, json_lines, pieces, records
from tidegate.sources.fields import FieldReader
from tidegate.sources.formats import Format
from tidegate.sources.records import DEAD_LETTER_TEXT_BYTES, LINE, WHOLE_FILE, Records

SCHEMA = {"s": pl.String(), "i": pl.Int64(), "f": pl.Float64(), "t": pl.Datetime("ms")}
HUGE = 100_000_000
MILLION = 1_000_000
TOO_LONG = "the record has more than 16,777,216 bytes"


def read(data: bytes, format: Format, schema: Any = SCHEMA) -> Records:
    found = read_records(f"a.{format}", data, format, schema)
    for letter in found.dead:
        assert len(letter.reason) <= DEAD_LETTER_REASON
        assert len(letter.text.encode()) <= DEAD_LETTER_TEXT_BYTES
    return found


def among_good(line: bytes, format: Format) -> tuple[dict[str, Any] | str, int]:
    """The row or the reason of a record between two good ones, and how many records were seen."""
    good, header = (b'{"i":7}', b"") if format == "json" else (b",7,,", b"s,i,f,t\n")
    found = read(header + good + b"\n" + line + b"\n" + good + b"\n", format)
    rows = found.frame.drop(LINE).to_dicts()
    assert [rows[0]["i"], rows[-1]["i"]] == [7, 7]
    if found.dead:
        return found.dead[0].reason, len(rows) + len(found.dead)
    return rows[1], len(rows)


HUGE_RECORDS: dict[str, tuple[Format, Any, str]] = {
    "a text": ("json", lambda: b'{"s":"' + b"x" * HUGE + b'"}', TOO_LONG),
    "lists": ("json", lambda: b'{"s":' + b"[" * HUGE, TOO_LONG),
    "spaces before": ("json", lambda: b" " * HUGE + b"x", TOO_LONG),
    "a field": ("csv", lambda: b"x" * HUGE + b",1,1,1", TOO_LONG),
    "commas": ("csv", lambda: b"," * HUGE, TOO_LONG),
    "quotes": ("csv", lambda: b'"' * HUGE, TOO_LONG),
}


@pytest.mark.parametrize("name", HUGE_RECORDS)
def test_a_record_of_100_megabytes_is_a_short_dead_letter(name: str) -> None:
    format, line, reason = HUGE_RECORDS[name]
    assert among_good(line(), format) == (reason, 3)


def test_a_quoted_field_that_never_ends_costs_each_line_of_it_once() -> None:
    data = b's,i,f,t\n,7,,\n"' + b"x\n" * 100_000
    found = read(data, "csv")
    assert found.frame["i"].to_list() == [7]
    assert [letter.line for letter in found.dead] == list(range(3, 100_003))


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (b'{"s":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than 100 levels deep"),
        (b'{"other":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than 100 levels deep"),
        (b'{"s":' * 100_000 + b"1" + b"}" * 100_000, "nested more than 100 levels deep"),
        (b'{"other":' * 100_000, "nested more than 100 levels deep"),
        (b'{"f":' + b"9" * MILLION + b"}", "f: the number does not fit into 64 bits"),
        (b'{"f":0.' + b"9" * MILLION + b"}", {"f": 1.0}),
        (b'{"f":1e' + b"9" * MILLION + b"}", "f: the number does not fit into 64 bits"),
        (b'{"f":1e-' + b"9" * MILLION + b"}", {"f": 0.0}),
        (b'{"f":1e999}', "f: the number does not fit into 64 bits"),
        (b'{"f":-1e-999}', {"f": -0.0}),
        (b'{"i":' + b"9" * MILLION + b"}", "i: Infinity is no Int64"),
        (b'{"i":1e' + b"9" * MILLION + b"}", "i: Infinity is no Int64"),
        (b'{"i":9223372036854775808}', "i: 9223372036854775808 is not from -9223372036854775808 to"),
        (b'{"t":9223372036854775807}', "t: lies outside the years 1 to 9999"),
        (b'{"t":-9223372036854775808}', "t: lies outside the years 1 to 9999"),
        (b'{"t":-62135596800000}', {"t": datetime(1, 1, 1)}),  # noqa: DTZ001
        (b'{"t":-62135596800001}', "t: lies outside the years 1 to 9999"),
        (b'{"t":"0000-12-31T23:59:59Z"}', 't: "0000-12-31T23:59:59Z" is no day of the calendar'),
        (b'{"t":"0001-01-01T00:00:00+00:01"}', "lies outside the years 1 to 9999"),
        (b'{"t":"9999-12-31T23:59:59.999Z"}', {"t": datetime(9999, 12, 31, 23, 59, 59, 999_000)}),  # noqa: DTZ001
        (b'{"t":"10000-01-01T00:00:00Z"}', "is no ISO 8601 time"),
        (b'{"t":"-0001-01-01T00:00:00Z"}', "is no ISO 8601 time"),
        (b'{"s":"a\0b"}', "no JSON: Invalid control character at character 8"),
        (b'{"s":"a\\u0000b"}', {"s": "a\0b"}),
        (b'{"s":"a"}\0\0', "no JSON: Extra data"),
        (b"\0" * 1_000, "no JSON: Expecting value at character 1"),
        (b'\xef\xbb\xbf{"s":"a"}', "no JSON: Expecting value at character 1"),
        (b'{"s":"a"}\r{"s":"b"}', "no JSON: Extra data"),
        (b'{"s":"\xc0\xaf"}', "no UTF-8: invalid start byte at byte 7"),
        (b'{"s":"\xed\xa0\xbd\xed\xb8\x80"}', "no UTF-8: invalid continuation byte at byte 7"),
        (b'{"s":"\xf5\x80\x80\x80"}', "no UTF-8: invalid start byte at byte 7"),
        (b'{"s":"\xe2\x82"}', "no UTF-8"),
        (b'{"s":"\xe2\x80\xae\xe2\x80\xa8"}', {"s": "\u202e\u2028"}),
    ],
)
def test_json(line: bytes, outcome: dict[str, Any] | str) -> None:
    found, count = among_good(line, "json")
    assert count == 3
    if isinstance(outcome, str):
        assert outcome in str(found)
    else:
        assert found == dict.fromkeys(SCHEMA) | outcome


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (b"," + b"9" * MILLION + b",,", "no CSV: field larger than field limit (131072)"),
        (b"," + b"9" * 100_000 + b",,", "i: a number of many digits is not from"),
        (b",,1e" + b"9" * 100_000 + b",", "f: the number does not fit into 64 bits"),
        (b",,1e-" + b"9" * 100_000 + b",", {"f": 0.0}),
        (b",,1e999,", "f: the number does not fit into 64 bits"),
        (b",,NaN,", 'f: "NaN" is no Float64'),
        (b",,-inf,", 'f: "-inf" is no Float64'),
        (b",9223372036854775808,,", "i: 9223372036854775808 is not from"),
        (b",1_000,,", 'i: "1_000" is no Int64'),
        (b",0x10,,", 'i: "0x10" is no Int64'),
        (b",\xd9\xa1,,", 'i: "\\u0661" is no Int64'),
        (b",1\0,,", 'i: "1\\u0000" is no Int64'),
        (b"a\0b,,,", {"s": "a\0b"}),
        (b",,,9223372036854775807", "t: lies outside the years 1 to 9999"),
        (b"\xff,,,", "no UTF-8"),
        (b"a,,,\rb,,,", "no CSV: new-line character seen in unquoted field"),
        (b'"a"b,,,', "no CSV: ',' expected after '\"'"),
        (b"a", "1 fields, the header has 4"),
        (b"a" + b"," * MILLION, "1000001 fields, the header has 4"),
    ],
)
def test_csv(line: bytes, outcome: dict[str, Any] | str) -> None:
    found, count = among_good(line, "csv")
    assert count == 3
    if isinstance(outcome, str):
        assert outcome in str(found)
    else:
        assert found == dict.fromkeys(SCHEMA) | outcome


@pytest.mark.parametrize("format", ["json", "csv"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_in_another_encoding_is_one_dead_letter(format: Format, encoding: str) -> None:
    text = '{"s":"ä"}\n' if format == "json" else "s,i,f,t\nä,,,\n"
    (letter,) = read(text.encode(encoding), format).dead
    assert (letter.line, letter.reason) == (WHOLE_FILE, "the file is UTF-16 or UTF-32; write it as UTF-8")


def test_a_parquet_file_may_begin_like_a_text_in_another_encoding() -> None:
    (letter,) = read(b"\xff\xfe", "parquet").dead
    assert "damaged Parquet" in letter.reason


# How long a record may be


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> int:
    """A limit of 60 bytes, in files that are cut into pieces of 200."""
    for module in (pieces, json_lines, csv_records):
        monkeypatch.setattr(module, "RECORD_BYTES", 60)
    monkeypatch.setattr(pieces, "_SMALL_BYTES", 200)
    monkeypatch.setattr(pieces, "_CUTS", 2)
    return 60


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_the_longest_record(limit: int, end: bytes, quote: bytes) -> None:
    for size, count in ((limit - 1, 0), (limit, 0), (limit + 1, 1)):
        line = b'{"s":"' + b"x" * (size - 8) + b'"}'
        assert len(read(b'{"i":1}\n' * 99 + line + end, "json").dead) == count
        line = quote + b"x" * (size - 3 - 2 * len(quote)) + quote + b",,,"
        assert len(read(b"s,i,f,t\n" + b",1,,\n" * 99 + line + end, "csv").dead) == count


def test_the_lines_of_a_csv_record_count_together(limit: int) -> None:
    good = b'"' + b"x\n" * 20 + b'",,,\n'
    bad = b'"' + b"x\n" * 40 + b'",,,\n'
    found = read(b"s,i,f,t\n" + good + bad + good, "csv")
    assert found.frame["s"].to_list() == ["x\n" * 20] * 2
    assert found.dead[0].line == 23
    assert found.dead[0].reason == TOO_LONG
    # As with every record that cannot be read, reading goes on behind its first line.
    assert {letter.reason for letter in found.dead[1:]} == {
        "1 fields, the header has 4",
        "no CSV: ',' expected after '\"'",
    }


@settings(max_examples=50)
@given(st.lists(st.sampled_from([7, 30, 59, 60, 61, 200, 3_000]), max_size=30))
def test_long_lines_anywhere_are_what_the_slow_reader_says(sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (pieces, json_lines, csv_records):
            patch.setattr(module, "RECORD_BYTES", 60)
        lines = [b'{"i":1}' if size == 7 else b'{"s":"' + b"x" * (size - 8) + b'"}' for size in sizes]
        data = b"\n".join(lines)
        assert pieces.has_long_line(data) == any(len(line) > 60 for line in lines)
        found = read(data, "json")
        assert [letter.line for letter in found.dead] == [
            number for number, line in enumerate(lines, 1) if len(line) > 60
        ]
        rows = b"s,i,f,t\n" + b"\n".join(b"x" * (size - 3) + b",,," for size in sizes)
        fast = read(rows, "csv")
        patch.setattr(FieldReader, "_fast", lambda *_: None)
        slow = read(rows, "csv")
        assert_frame_equal(fast.frame, slow.frame)
        assert fast.dead == slow.dead


def test_the_limit_is_far_above_what_fits_into_a_message_queue() -> None:
    """So that no record that came over Kafka or Kinesis, or was logged, is refused for its size."""
    assert RECORD_BYTES >= 10 * 1024 * 1024
    text = "x" * (RECORD_BYTES - 100)
    assert among_good(b'{"s":"%s"}' % text.encode(), "json") == (dict.fromkeys(SCHEMA) | {"s": text}, 3)


# How many dead letters a file may have


@pytest.mark.parametrize("format", ["json", "csv", "parquet"])
def test_a_file_with_too_many_bad_records_is_one_dead_letter(
    monkeypatch: pytest.MonkeyPatch, format: Format
) -> None:
    monkeypatch.setattr(records, "DEAD_LETTERS_PER_FILE", 10)
    for bad in (10, 11):
        data = {
            "json": b'{"f":1}\n' + b"x\n" * 5 + b'{"f":"x"}\n' * (bad - 5),
            "csv": b"s,i,f,t\n,,1,\n" + b'"x\n' * 5 + b",,x,\n" * (bad - 5),
            "parquet": _parquet([1.0] + [float("nan")] * bad),
        }[format]
        schema = {"f": pl.Float64()}
        found = read(data, format, schema)
        if bad == 10:
            assert (found.frame.height, len(found.dead)) == (1, 10)
        else:
            (letter,) = found.dead
            assert (found.frame.height, letter.line) == (0, WHOLE_FILE)
            assert letter.reason.startswith("more than 10 of its records cannot be read")


def _parquet(values: list[float]) -> bytes:
    file = BytesIO()
    pl.DataFrame({"f": values}).write_parquet(file)
    return file.getvalue()


def test_a_file_of_nothing_but_bad_lines_is_one_dead_letter() -> None:
    lines = b"x\n" * (DEAD_LETTERS_PER_FILE + 1)
    for data, format in ((lines, "json"), (b"s,i,f,t\n" + lines, "csv")):
        (letter,) = read(data, format).dead
        assert letter.line == WHOLE_FILE


def test_what_is_said_of_a_file_is_short() -> None:
    wide = b",".join(b"column_%d" % number for number in range(10_000))
    (letter,) = read(wide + b"\n", "csv").dead
    assert letter.reason.startswith("there is no column s; the header has column_0, column_1")
    assert letter.reason.endswith("...")
    assert len(unreadable(SCHEMA, "x" * DEAD_LETTER_REASON).dead[0].reason) == DEAD_LETTER_REASON
