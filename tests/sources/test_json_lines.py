import json
from datetime import UTC, date, datetime
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.sources.whole import read_json_lines
from tidegate.sources import json_lines, pieces, uniform_lines
from tidegate.sources.json_lines import MAX_NESTING
from tidegate.sources.pieces import Piece
from tidegate.sources.records import LINE

SCHEMA = {
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
GOOD = b'{"i": 1, "s": "x"}'


def value(text, name):
    """The value of one column, read from a file in which the line stands between two others."""
    records = read_json_lines(b"\n".join([GOOD, text.encode("utf-8", "surrogatepass"), GOOD]), SCHEMA)
    assert records.frame.height + len(records.dead) == 3
    if records.dead:
        [letter] = records.dead
        assert letter.line == 2
        assert records.frame[LINE].to_list() == [1, 3]
        return letter.reason
    return records.frame[name][1]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("i", "1", 1),
        ("i", "-0", 0),
        ("i", "9223372036854775807", 2**63 - 1),
        ("i", "-9223372036854775808", -(2**63)),
        ("i", "null", None),
        ("u", "18446744073709551615", 2**64 - 1),
        ("small", "-128", -128),
        ("f", "1", 1.0),
        ("f", "1E3", 1000.0),
        ("f", "9007199254740993", 9007199254740992.0),
        ("f", "9" * 300, 1e300),
        ("f", "1e-400", 0.0),
        ("f", "2.2250738585072011e-308", 2.2250738585072011e-308),
        ("g", "0.1", 0.10000000149011612),
        ("g", "16777217", 16777216.0),
        ("s", '"a"', "a"),
        ("s", '""', ""),
        ("s", '"1"', "1"),
        ("s", '"true"', "true"),
        ("s", '"[1]"', "[1]"),
        ("s", r'"\u0000"', "\0"),
        ("s", r'"\/\"\\\n"', '/"\\\n'),
        ("s", r'"\ud83d\uDE00"', "😀"),
        ("s", r'"\\ud800"', "\\ud800"),
        ("s", '"a\u2028\x7f\ufeff"', "a\u2028\x7f\ufeff"),
        ("b", "true", True),
        ("t", '"1970-01-01T00:00:00.0019Z"', datetime(1970, 1, 1, microsecond=1000)),  # noqa: DTZ001
        ("t", '"1970-01-01"', datetime(1970, 1, 1)),  # noqa: DTZ001
        ("t", "-1", datetime(1969, 12, 31, 23, 59, 59, 999000)),  # noqa: DTZ001
        ("z", '"1970-01-01T02:00:00+02:00"', datetime(1970, 1, 1, tzinfo=UTC)),
        ("z", "1000000", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("d", '"2024-02-29"', date(2024, 2, 29)),
    ],
)
def test_values(name, text, expected):
    assert value(f'{{"{name}": {text}}}', name) == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("i", "1.0", "i: 1.0 is no Int64"),
        ("i", "1e3", "i: 1000.0 is no Int64"),
        ("i", '"1"', 'i: "1" is no Int64'),
        ("i", "true", "i: true is no Int64"),
        ("i", "[1]", "i: a list is no Int64"),
        ("i", "{}", "i: an object is no Int64"),
        ("i", "9223372036854775808", "i: 9223372036854775808 is not from -9223372036854775808 to"),
        ("i", "9" * 5000, "i: Infinity is no Int64"),
        ("i", "9" * 500, "i: a number of many digits is not from"),
        ("u", "-1", "u: -1 is not from 0"),
        ("small", "128", "small: 128 is not from -128 to 127"),
        ("f", "1e400", "f: the number does not fit into 64 bits"),
        ("f", "9" * 400, "f: the number does not fit into 64 bits"),
        ("f", "9" * 5000, "f: the number does not fit into 64 bits"),
        ("f", "NaN", "no JSON: NaN"),
        ("f", "-Infinity", "no JSON: -Infinity"),
        ("f", '"1"', 'f: "1" is no Float64'),
        ("f", "true", "f: true is no Float64"),
        ("g", "1e39", "g: the number does not fit into 32 bits"),
        ("s", "1", "s: 1 is no String"),
        ("s", "1.50", "s: 1.5 is no String"),
        ("s", "true", "s: true is no String"),
        ("s", "[1, 2]", "s: a list is no String"),
        ("s", '{"a": "b"}', "s: an object is no String"),
        ("s", r'"\ud800"', r's: "\ud800" has half a surrogate pair'),
        ("s", r'"\ud800\ue000"', r's: "\ud800\ue000" has half a surrogate pair'),
        ("s", r'"a\udc00"', r's: "a\udc00" has half a surrogate pair'),
        ("s", '"a\tb"', "no JSON: Invalid control character at character 9"),
        ("s", r'"\x"', r"no JSON: Invalid \escape"),
        ("b", "1", "b: 1 is no Boolean"),
        ("b", '"true"', 'b: "true" is no Boolean'),
        ("t", "1.5", "t: 1.5 is no Datetime"),
        ("t", "true", "t: true is no Datetime"),
        ("t", '"1000"', 't: "1000" is no ISO 8601 time'),
        ("t", '"2023-02-29"', 't: "2023-02-29" is no day of the calendar'),
        ("t", "253402300800000", "t: lies outside the years 1 to 9999"),
        ("t", '"9999-12-31T23:59:59-01:00"', "outside the years 1 to 9999"),
        ("t", '"' + "x" * 100 + '"', 't: "' + "x" * 40 + '..." is no ISO'),
        ("d", '"2024-02-29T00:00:00"', "is no date YYYY-MM-DD"),
        ("d", "1", "d: 1 is no Date"),
    ],
)
def test_values_of_another_type_are_dead_letters(name, text, reason):
    assert reason in str(value(f'{{"{name}": {text}}}', name))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x", "no JSON: Expecting value at character 1"),
        ('{"i": 1', "no JSON"),
        ('{"i": 1,}', "no JSON"),
        ('{"i": 01}', "no JSON"),
        ('{"i": +1}', "no JSON"),
        ('{"f": .5}', "no JSON"),
        ('{"f": 1.}', "no JSON"),
        ('{"i": 1}{"i": 2}', "no JSON: Extra data at character 9"),
        ('{"i": 1} {"i": 2}', "no JSON: Extra data"),
        ('{"i": 1},', "no JSON: Extra data"),
        ('{"i": 1}\x0b', "no JSON"),
        ("\x00", "no JSON"),
        ("\xa0", "no JSON"),
        ("{'i': 1}", "no JSON"),
        ("null", "JSON, but no object"),
        ("[]", "JSON, but no object"),
        ('[{"i": 1}]', "JSON, but no object"),
        ('"x"', "JSON, but no object"),
        ('{"other": NaN}', "no JSON: NaN"),
        ('{"other": "\x01"}', "no JSON"),
        ('{"other": "\ud800"}', "no UTF-8: invalid continuation byte at byte 12"),
        ('{"other": ' + "[" * MAX_NESTING + "]" * MAX_NESTING + "}", "nested more than 100 levels deep"),
        ('{"other": ' + "[" * 100_000, "nested more than 100 levels deep"),
        ("[" * 1000 + "]" * 1000, "nested more than 100 levels deep"),
        ("[" + '"\\"' * 500_000, "no JSON"),
    ],
)
def test_lines_that_are_no_objects(line, reason):
    assert reason in str(value(line, "i"))


@pytest.mark.parametrize(
    "line",
    [
        ' \t{ "i" : 7 } \r',
        '{"i": 7, "i": "x", "i": 8}',
        r'{"\u0069": 7}',
        '{"I": 1, "i": 7, "": 2}',
        '{"other": 1e999, "i": 7}',
        '{"other": ' + "9" * 5000 + ', "i": 7}',
        r'{"other": "\ud800", "\udc00": 1, "i": 7}',
        '{"other": ' + "[" * (MAX_NESTING - 1) + "]" * (MAX_NESTING - 1) + ', "i": 7}',
        '{"other": [' + "[]," * 200 + '{}], "i": 7}',
        '{"other": "' + "[" * 200 + '", "i": 7}',
        "{" + "".join(f'"k{n}": {n},' for n in range(100)) + '"i": 7, "i": 8}',
    ],
)
def test_objects_in_other_forms(line):
    assert value(line, "i") == 7


def test_line_numbers_and_texts():
    data = b'\xef\xbb\xbf{"i": 1}\r\n\r\n  \n{"i": 2}\r\n\nbad\r\n{"i": 3}'
    records = read_json_lines(data, {"i": pl.Int64()})
    assert records.frame.rows() == [(1, 1), (2, 4), (3, 7)]
    assert records.frame.schema == {"i": pl.Int64, LINE: pl.UInt64}
    assert [(letter.line, letter.text) for letter in records.dead] == [(6, "bad")]
    assert records.texts([7, 1]) == ['{"i": 3}', '{"i": 1}']
    assert records.texts([]) == []
    without = read_json_lines(data.replace(b"bad", b""), {"i": pl.Int64()})
    assert without.frame.rows() == [(1, 1), (2, 4), (3, 7)]


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n \n\t", b"\xef\xbb\xbf"])
def test_files_without_records(data):
    records = read_json_lines(data, SCHEMA)
    assert records.frame.schema == {**SCHEMA, LINE: pl.UInt64}
    assert (records.frame.height, records.dead) == (0, [])


@pytest.mark.parametrize("other", [b"", b'{"s": null}\n'])
def test_a_large_file_of_lines_that_are_all_alike(other):
    line = b'{"s": "%d", "i": %d, "t": %d}\n'
    alike = b"".join(line % (number, number, 1_700_000_000_000 + number) for number in range(25_000))
    assert len(alike) > uniform_lines.MANY_BYTES
    with patch.object(uniform_lines, "read_uniform", wraps=uniform_lines.read_uniform) as tried:
        records = read_json_lines(alike + other + alike, SCHEMA)
    assert tried.call_count == 1
    expected, dead = json_lines._SlowReader(SCHEMA).read(Piece(alike + other + alike, 1))
    assert_frame_equal(records.frame, expected, check_exact=True)
    assert records.dead == dead


def test_numbers_and_texts_of_times_in_one_file():
    data = b'{}\n{"t": 0}\n{"t": "1970-01-01T00:00:00.001"}\n{"t": null}\n{"t": 2}\n{"t": "3"}'
    records = read_json_lines(data, {"t": pl.Datetime("ms")})
    assert records.frame["t"].to_physical().to_list() == [None, 0, 1, None, 2]
    assert [letter.line for letter in records.dead] == [6]


def test_a_bad_line_anywhere_in_a_large_file():
    lines = [b'{"i": %d, "s": "%d"}' % (n, n) for n in range(20_000)]
    for bad, place in ((b"x^", 0), (b"{", 12_345), (b'{"s": 1}', 19_999), (b'{"s": "\\ud800"}', 7)):
        records = read_json_lines(b"\n".join([*lines[:place], bad, *lines[place + 1 :]]), SCHEMA)
        assert [(letter.line, letter.text) for letter in records.dead] == [(place + 1, bad.decode())]
        expected = pl.int_range(20_000, eager=True).filter(pl.int_range(20_000, eager=True) != place)
        assert records.frame["i"].equals(expected)
        assert records.frame[LINE].cast(pl.Int64).equals(expected + 1)


def test_the_deep_line_among_many_that_are_no_objects():
    deep = b'{"other": ' + b"[" * 150 + b"]" * 150 + b"}"
    records = read_json_lines(b"\n".join([b"1"] * 200 + [deep]), SCHEMA)
    assert records.dead[-1].reason == "nested more than 100 levels deep"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-300, 300),
    st.floats(),
    st.text(max_size=5),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.dates().map(str),
    st.sampled_from(["1", "-1.5", "true", "[", "{}", "\0", "\ud800", "\udc00", "\ud83d\ude00", "nul"]),
)
OBJECTS = st.dictionaries(
    st.sampled_from([*SCHEMA, "other"]), SCALARS | st.lists(SCALARS, max_size=2), max_size=4
)
TYPED = st.fixed_dictionaries(
    {},
    optional={
        "i": st.integers(-(2**63), 2**63 - 1),
        "f": st.floats(allow_nan=False, allow_infinity=False),
        "s": st.text(max_size=4),
        "b": st.booleans(),
        "t": st.datetimes().map(lambda moment: moment.isoformat()) | st.integers(-(10**14), 10**14),
        "d": st.dates().map(str),
        "small": st.integers(-128, 127),
        "g": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "z": st.integers(-(10**16), 10**16),
    },
)
LINES = st.one_of(
    st.builds(json.dumps, TYPED, ensure_ascii=st.booleans()).map(
        lambda s: s.encode("utf-8", "surrogatepass")
    ),
    st.builds(json.dumps, OBJECTS, ensure_ascii=st.booleans()).map(
        lambda s: s.encode("utf-8", "surrogatepass")
    ),
    st.sampled_from(
        [
            b"x\x9c",
            b"\x1f\x8b",
            b"",
            b" ",
            b"\r",
            b"x",
            b"{",
            b"}",
            b"[]",
            b"null",
            b'{"i":1}{"i":2}',
            b'{"i":1,"i":"x"}',
        ]
    ),
    st.binary(max_size=10),
)


def check_against_the_slow_reader(data):
    """The public reader, with pieces of a few lines, gives what the slow reader gives for the whole."""
    expected, dead = json_lines._SlowReader(SCHEMA).read(Piece(data.removeprefix(b"\xef\xbb\xbf"), 1))
    with patch.object(pieces, "_SMALL_BYTES", 60), patch.object(pieces, "_CUTS", 3):
        records = read_json_lines(data, SCHEMA)
    assert_frame_equal(records.frame, expected, check_exact=True)
    assert records.dead == dead
    filled = [raw for raw in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if raw.strip(b" \t\r")]
    assert records.frame.height + len(records.dead) == len(filled)


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
@example([b'{"s":"\\ud800\\ue000"}', b'{"s":"1"}', b'{"i":true}'], b"\n", True)
def test_the_fast_reader_gives_what_the_slow_one_gives(lines, end, last):
    check_against_the_slow_reader(end.join(lines) + (end if last else b""))


@settings(max_examples=60, deadline=None)
@given(st.lists(TYPED, min_size=1, max_size=8), st.integers(0, 200), st.integers(0, 255))
def test_one_changed_byte_in_a_good_file(rows, place, byte):
    data = bytearray("\n".join(map(json.dumps, rows)).encode())
    data[place % len(data)] = byte
    check_against_the_slow_reader(bytes(data))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    check_against_the_slow_reader(data)
