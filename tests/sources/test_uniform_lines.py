"""Lines that are all alike are read as the slow reader reads them, or not at all."""

import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tidegate.sources import uniform_lines
from tidegate.sources.json_lines import _SlowReader
from tidegate.sources.pieces import Piece
from tidegate.sources.records import LINE
from tidegate.sources.uniform_lines import UniformReader, read_uniform

SCHEMA = {"s": pl.String(), "i": pl.Int64(), "f": pl.Float64(), "small": pl.Int8(), "none": pl.Boolean()}
PLAIN = st.text(
    st.characters(min_codepoint=0x20, exclude_characters='",\\', exclude_categories=["Cs"]), max_size=6
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ROW = st.tuples(PLAIN, st.integers(-(2**63), 2**63 - 1), PLAIN, st.integers(), FLOATS, st.integers(-128, 127))
KEYS = ("s", "i", "other", "é", "f", "small")
ROWS = st.lists(ROW.map(lambda values: dict(zip(KEYS, values, strict=True))), min_size=1, max_size=12)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": ")])
ENDS = st.sampled_from(["\n", "\r\n"])


def written(rows: list[dict[str, object]], separators: tuple[str, str], end: str, last: bool) -> bytes:
    lines = [json.dumps(row, ensure_ascii=False, separators=separators) for row in rows]
    return (end.join(lines) + (end if last else "")).encode()


def is_right(data: bytes) -> bool:
    """Whether lines were read; what was read must be what the slow reader reads."""
    found = read_uniform(Piece(data, 1), SCHEMA)
    if found is None:
        return False
    expected, dead = _SlowReader(SCHEMA).read(Piece(data, 1))
    assert not dead
    assert_frame_equal(found, expected.drop(LINE), check_exact=True)
    return True


@settings(max_examples=60, deadline=None)
@given(ROWS, SEPARATORS, ENDS, st.booleans())
def test_what_a_machine_writes_is_read(
    rows: list[dict[str, object]], separators: tuple[str, str], end: str, last: bool
) -> None:
    assert is_right(written(rows, separators, end, last))


@settings(max_examples=150, deadline=None)
@given(
    ROWS,
    SEPARATORS,
    ENDS,
    st.integers(0),
    st.integers(0, 2),
    st.binary(max_size=2)
    | st.sampled_from([b'"', b",", b"0", b"-", b"-0", b"+", b".", b"\\", b"\n", b"\r", b"}", b" "]),
)
@example([{"s": "", "i": 12, "other": "", "é": 1, "f": 1.0, "small": 1}] * 2, (",", ":"), "\n", 13, 0, b"0")
def test_what_somebody_changed_is_right_or_not_read(
    rows: list[dict[str, object]], separators: tuple[str, str], end: str, place: int, length: int, by: bytes
) -> None:
    data = written(rows, separators, end, last=True)
    place %= len(data)
    is_right(data[:place] + by + data[place + length :])


def test_after_lines_that_are_not_alike_no_more_of_a_file_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniform_lines, "MANY_BYTES", 20)
    schema = {"s": pl.String(), "i": pl.Int64()}
    alike, other, few = Piece(LINE_OF_TWO * 2, 1), Piece(LINE_OF_TWO * 2 + b"\n", 1), Piece(LINE_OF_TWO, 1)
    uniform = UniformReader(schema)
    assert [uniform.read(each) is not None for each in (alike, few, alike)] == [True, False, True]
    assert [uniform.read(each) is not None for each in (other, alike)] == [False, False]


LINE_OF_TWO = b'{"s":"a","i":1}\n'


@pytest.mark.parametrize(
    "other",
    [
        b'{"s":"a,b","i":1}\n',
        b'{"s":"a\\nb","i":1}\n',
        b'{"s":"a\tb","i":1}\n',
        b'{"s":"a\xff","i":1}\n',
        b'{"s":"a", "i":1}\n',
        b'{"i":1,"s":"a"}\n',
        b'{"s":"a","i":1,"j":2}\n',
        b'{"s":"a"}\n',
        b'{"s":null,"i":1}\n',
        b'{"s":"a","i":null}\n',
        b'{"s":"a","i":01}\n',
        b'{"s":"a","i":-01}\n',
        b'{"s":"a","i":+1}\n',
        b'{"s":"a","i":1.0}\n',
        b'{"s":"a","i":9223372036854775808}\n',
        b'{"s":"a","i":}\n',
        b'{"s":"a","i":1}}\n',
        b'{"s":"a","i":1}\r\n',
        b'{"s":"a""i":1}\n',
        b'{"s":"a""b","i":1}\n',
        b'{"s":","i":1}\n{"s":""","i":1}\n',
        b"\n",
        b" \n",
    ],
)
def test_one_other_line_and_none_is_read(other: bytes) -> None:
    schema = {"s": pl.String(), "i": pl.Int64()}
    assert read_uniform(Piece(LINE_OF_TWO * 20, 1), schema) is not None
    assert read_uniform(Piece(LINE_OF_TWO * 20 + other + LINE_OF_TWO * 20, 1), schema) is None


@pytest.mark.parametrize(
    ("line", "schema"),
    [
        (b'{"s":"a","s":"b"}', {"s": pl.String()}),
        (b'{"s":1}', {"s": pl.String()}),
        (b'{"s":1}', {"s": pl.Date()}),
        (b'{"s":1}', {"s": pl.Boolean()}),
        (b'{"s":"1"}', {"s": pl.Int64()}),
        (b'{"s":300}', {"s": pl.UInt8()}),
        (b'{"s":1e999}', {"s": pl.Float64()}),
        (b'{"s":1.}', {"s": pl.Float64()}),
        (b'{"s":"a","other":.5}', {"s": pl.String()}),
        (b'{"s":"a","other":1e}', {"s": pl.String()}),
        (b'{"s":-0}', {"s": pl.Float64()}),
        (b'{"s":1,"t":2,"u":3}', {"s": pl.Int64()}),
        (b'{"s":{"t":1}}', {"s": pl.Int64()}),
        (b'{"s":[1]}', {"s": pl.Int64()}),
        (b'{"s":"a"', {"s": pl.String()}),
        (b'"s":"a"}', {"s": pl.String()}),
        (b'["s"]', {"s": pl.String()}),
        (b"{}", {"s": pl.String()}),
    ],
)
def test_what_no_line_may_have(line: bytes, schema: dict[str, pl.DataType]) -> None:
    assert read_uniform(Piece(line + b"\n" + line, 1), schema) is None
