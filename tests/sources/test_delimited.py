import csv
import io
from datetime import UTC, date, datetime
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.sources.whole import read_csv
from tidegate.sources import pieces
from tidegate.sources.csv_records import Fields, Lines
from tidegate.sources.fields import MAX_FIELD_CHARACTERS, FieldReader
from tidegate.sources.pieces import Piece
from tidegate.sources.records import LINE, UnreadableFile

TEXTS = {"a": pl.String(), "b": pl.String()}
TYPES = {
    "i": pl.Int64(),
    "f": pl.Float64(),
    "s": pl.String(),
    "b": pl.Boolean(),
    "t": pl.Datetime("ms"),
    "d": pl.Date(),
    "small": pl.Int8(),
    "u": pl.UInt64(),
    "g": pl.Float32(),
    "z": pl.Datetime("us", "UTC"),
}


def value(text, name, null_values=()):
    data = f"other,{name}\nx,\nx,{text}\nx,".encode()
    records = read_csv(data, {name: TYPES[name]}, null_values)
    assert records.frame.height + len(records.dead) == 3
    if records.dead:
        [letter] = records.dead
        assert (letter.line, letter.text) == (3, f"x,{text}")
        return letter.reason
    return records.frame[name][1]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("i", "-5", -5),
        ("i", "+5", 5),
        ("i", "007", 7),
        ("i", "0" * 5000 + "7", 7),
        ("i", "-9223372036854775808", -(2**63)),
        ("i", '"5"', 5),
        ("i", "", None),
        ("i", '""', None),
        ("u", "-0", 0),
        ("u", "18446744073709551615", 2**64 - 1),
        ("f", "1", 1.0),
        ("f", ".5", 0.5),
        ("f", "5.", 5.0),
        ("f", "-1.5E+3", -1500.0),
        ("f", "9007199254740993", 9007199254740992.0),
        ("g", "0.1", 0.10000000149011612),
        ("s", "NA", "NA"),
        ("s", " a ", " a "),
        ("s", "", None),
        ("s", '""', None),
        ("s", '"a,""b"""', 'a,"b"'),
        ("s", 'a"b', 'a"b'),
        ("s", "\0", "\0"),
        ("b", "true", True),
        ("b", "FALSE", False),
        ("b", "True", True),
        ("t", "1970-01-01T00:00:00.0019", datetime(1970, 1, 1, microsecond=1000)),  # noqa: DTZ001
        ("t", "-1", datetime(1969, 12, 31, 23, 59, 59, 999000)),  # noqa: DTZ001
        ("z", "1970-01-01 02:00:00+02", datetime(1970, 1, 1, tzinfo=UTC)),
        ("d", "2024-02-29", date(2024, 2, 29)),
    ],
)
def test_values(name, text, expected):
    assert value(text, name) == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("i", "NA", 'i: "NA" is no Int64'),
        ("i", " 5", 'i: " 5" is no Int64'),
        ("i", "1_000", "is no Int64"),
        ("i", "1.0", "is no Int64"),
        ("i", "\u0661", r'i: "\u0661" is no Int64'),
        ("i", "9" * 5000, "i: a number of many digits is not from"),
        ("i", "9223372036854775808", "is not from"),
        ("small", "128", "small: 128 is not from -128 to 127"),
        ("u", "-1", "is not from 0"),
        ("f", "nan", 'f: "nan" is no Float64'),
        ("f", "inf", "is no Float64"),
        ("f", "1e400", "f: the number does not fit into 64 bits"),
        ("f", "1,5", "3 fields, the header has 2"),
        ("g", "1e39", "g: the number does not fit into 32 bits"),
        ("b", "1", 'b: "1" is no Boolean'),
        ("b", "tRUE", "is no Boolean"),
        ("t", "soon", 't: "soon" is no ISO 8601 time'),
        ("t", "253402300800000", "t: lies outside the years 1 to 9999"),
        ("t", "9" * 30, "t: lies outside the years 1 to 9999"),
        ("d", "19700", "is no date YYYY-MM-DD"),
        ("s", '"a"b', "no CSV: ',' expected after '\"'"),
        ("s", "a\rb", "no CSV: new-line character seen in unquoted field"),
    ],
)
def test_values_of_another_type_are_dead_letters(name, text, reason):
    assert reason in str(value(text, name))


def test_texts_that_mean_null():
    for name in TYPES:
        assert value("NA", name, ["NA", "-"]) is None
        assert value("-", name, ["NA", "-"]) is None
    assert value("NAN", "s", ["NA"]) == "NAN"


def test_columns_are_found_by_name():
    records = read_csv(b"\xef\xbb\xbfx,b,a,\r\n1,2,3,4\r\n5,6,7,8", TEXTS)
    assert records.frame.rows() == [("3", "2", 2), ("7", "6", 3)]
    assert records.frame.schema == {**TEXTS, LINE: pl.UInt64}
    assert read_csv(b'"b","a"\n1,2\n', TEXTS).frame.rows() == [("2", "1", 2)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\n\r\n", "empty"),
        (b"a\n1\n", "there is no column b; the header has a"),
        (b"a,B\n1,2\n", "there is no column b"),
        (b"a,b,a\n1,2,3\n", "the column a more than once"),
        (b'a,b"\n', "there is no column b"),
        (b'a,"b\n1,2\n', "the header cannot be read: no CSV"),
        (b"a,b,\xff\n", "no UTF-8"),
        (b"a" * (1 << 21), "more than 131,072|field larger|1,048,576"),
        (b"a," * (1 << 20), "1,048,576 bytes"),
    ],
)
def test_headers_that_no_record_can_be_read_with(data, reason):
    with pytest.raises(UnreadableFile, match=reason):
        read_csv(data, TEXTS)


def test_a_header_without_records():
    records = read_csv(b"a,b\n\n", TEXTS)
    assert records.frame.schema == {**TEXTS, LINE: pl.UInt64}
    assert (records.frame.height, records.dead) == (0, [])


def test_line_numbers_and_texts():
    data = b'\n"a\nx",b,n\r\n\r\n1,"x\r\n""y""\n",2\r\n\n,,\r\n1\r\n1,2,z\r\n4,"\xff",5\n5,6,7'
    records = read_csv(data, {"b": pl.String(), "n": pl.Int64()})
    assert records.frame.rows() == [('x\r\n"y"\n', 2, 5), (None, None, 9), ("6", 7, 13)]
    assert [(letter.line, letter.reason, letter.text) for letter in records.dead] == [
        (10, "1 fields, the header has 3", "1"),
        (11, 'n: "z" is no Int64', "1,2,z"),
        (12, "no UTF-8", '4,"\\xff",5'),
    ]
    assert records.texts([13, 5]) == ["5,6,7", '1,"x\r\n""y""\n",2']


def test_after_a_stray_quote_the_next_line_is_read():
    records = read_csv(b'a,b\n1,"2\n3,4\n5,6\n7,"8"\n9,"\n', TEXTS)
    assert records.frame.rows() == [("3", "4", 3), ("5", "6", 4), ("7", "8", 5)]
    assert [(letter.line, letter.text) for letter in records.dead] == [(2, '1,"2'), (6, '9,"')]


def test_a_file_of_stray_quotes_takes_linear_time_and_loses_no_line():
    lines = 5_000
    records = read_csv(b"a,b\n" + b'a","b\n' * lines, TEXTS)
    assert records.frame.height == 0
    assert [letter.line for letter in records.dead] == list(range(2, lines + 2))


def test_fields_have_a_limit():
    longest = b"x" * MAX_FIELD_CHARACTERS
    for quote in (b"", b'"'):
        fields = [quote + longest + quote, quote + longest + b"x" + quote]
        records = read_csv(b"a,b\n" + b"".join(b"1," + field + b"\n" for field in fields) + b"3,4\n", TEXTS)
        assert records.frame["a"].to_list() == ["1", "3"]
        assert [letter.line for letter in records.dead] == [3]
        assert "field larger" in records.dead[0].reason


def test_a_bad_record_anywhere_in_a_large_file():
    lines = [b"%d,x" % n for n in range(20_000)]
    for bad in (b"1", b"1,2,3", b"x,y", b'"x,y', b"1,\xff", b"1,\r2"):
        for place in (0, 12_345, 19_999):
            data = b"\n".join([b"a,b", *lines[:place], bad, *lines[place + 1 :]])
            records = read_csv(data, {"a": pl.Int64(), "b": pl.String()})
            assert [letter.line for letter in records.dead] == [place + 2]
            assert records.frame.height == 19_999
            assert records.frame.select(pl.col(LINE).cast(pl.Int64) == pl.col("a") + 2).to_series().all()


def test_one_column():
    data = b"a\n1\n\n2\r\n\r\n,\n3"
    records = read_csv(data, {"a": pl.Int64()})
    assert records.frame.rows() == [(1, 2), (2, 4), (3, 7)]
    assert [letter.line for letter in records.dead] == [6]


FIELDS = st.sampled_from(
    [
        "x\x01",
        "x^",
        "xڀ",
        "",
        "1",
        "-2",
        "a",
        "é",
        '"',
        '""',
        '"x"',
        '"a,b"',
        '"a\nb"',
        '"a""b"',
        '"a',
        'a"',
        '"a"b',
        " ",
        "\r",
        "\x00",
        "\x1f",
        "\ufeff",
        "NA",
        "1.5",
        "2026-01-01",
        "x" * 40,
    ]
)
RECORDS = st.one_of(
    st.lists(FIELDS, min_size=2, max_size=2),
    st.lists(FIELDS, max_size=4),
    st.just(["1", "2"]),
).map(",".join)
FILES = st.builds(
    lambda records, end, last: (end.join(records) + last).encode(),
    st.lists(RECORDS, max_size=10),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "\r", "\n\n"]),
)


def check_against_the_slow_reader(data):
    reader = FieldReader(2, [("a", 0), ("b", 1)])
    (expected, dead), _ = reader._slow(Piece(data, 5))
    with patch.object(pieces, "_SMALL_BYTES", 12), patch.object(pieces, "_CUTS", 3):
        (frame, found), _ = reader.read(Piece(data, 5))
    # Whether an empty field is null comes later.
    assert_frame_equal(frame.with_columns(pl.col("a", "b").fill_null("")), expected)
    assert found == dead


@settings(max_examples=100, deadline=None)
@given(FILES)
@example(b"1,2\n3,4\n1\n1,2,3\n")
def test_the_fast_fields_are_the_slow_ones(data):
    check_against_the_slow_reader(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text('1",\n\r', max_size=40).map(str.encode))
def test_the_fast_fields_are_the_slow_ones_for_any_bytes(data):
    check_against_the_slow_reader(data)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=5), st.booleans())
def test_what_python_writes_is_read(rows, quote_all):
    rows = [row for row in rows if not any(0xD800 <= ord(c) < 0xE000 for c in "".join(row))]
    file = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(file, quoting=quoting).writerows([["a", "b"], *rows])
    records = read_csv(file.getvalue().encode(), TEXTS)
    assert records.dead == []
    assert records.frame.drop(LINE).rows() == [tuple(text or None for text in row) for row in rows]


WORDS = st.sampled_from(
    [
        "",
        "0",
        "-0",
        "1",
        "+5",
        " 5",
        "1_0",
        "1.0",
        "1e3",
        ".5",
        "5.",
        "1e400",
        "-1e-400",
        "nan",
        "inf",
        "Infinity",
        "128",
        "-129",
        "255",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "1e39",
        "true",
        "False",
        "yes",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "2026-02-30",
        "-62135596800001",
        "0001-01-01",
        "9999-12-31T23:59:59+00:00",
        "9999-12-31T23:59:59-01:00",
        "2026-01-01 00:00:00.5",
        "NA",
        "é",
        "0x10",
        "٣",
    ]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=10, max_size=10), min_size=1, max_size=4))
def test_a_column_gives_what_each_value_gives(rows):
    header = ",".join(TYPES).encode() + b"\n"
    together = read_csv(header + "\n".join(map(",".join, rows)).encode(), TYPES)
    assert together.frame.height + len(together.dead) == len(rows)
    # Alone each column has another mixture of types, which chooses another way through the fast reader.
    alone = [read_csv(header + ",".join(row).encode(), TYPES) for row in rows]
    assert_frame_equal(together.frame.drop(LINE), pl.concat([one.frame.drop(LINE) for one in alone]))
    assert [letter.reason for letter in together.dead] == [one.dead[0].reason for one in alone if one.dead]


def test_records_end_where_csv_says():
    lines = Lines(b'1,"a\n\nb"\n2,3\n\n')
    assert [(record.start, record.end, record.fields) for record in Fields(lines)] == [
        (0, 3, ["1", "a\n\nb"]),
        (3, 4, ["2", "3"]),
    ]
