import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import PipelineError
from tidegate.sources.formats import check_schema
from tidegate.sources.records import DEAD_LETTER_TEXT_BYTES, readable


@settings(max_examples=20)
@given(st.text(max_size=5), st.integers(0, 5))
def test_a_long_text_is_cut_between_characters(text, shift):
    long = "x" * (DEAD_LETTER_TEXT_BYTES - shift) + text
    cut = readable(long.encode())
    assert long.startswith(cut)
    assert len(cut.encode()) + max(0, shift - len(text.encode())) + 3 >= DEAD_LETTER_TEXT_BYTES - 4
    assert len(cut.encode()) <= DEAD_LETTER_TEXT_BYTES


@settings(max_examples=20)
@given(st.binary(max_size=50))
def test_any_bytes_are_readable(data):
    text = readable(data + b"\xff" * 10)
    text.encode()
    assert text.endswith("\\xff")
    assert len(readable(data + b"\xff" * DEAD_LETTER_TEXT_BYTES).encode()) <= DEAD_LETTER_TEXT_BYTES


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Int8(),
        pl.UInt64(),
        pl.Float32(),
        pl.Boolean(),
        pl.String(),
        pl.Date(),
        pl.Datetime("ns"),
        pl.Datetime("ms", "UTC"),
    ],
)
def test_schemas_that_files_can_have(dtype):
    check_schema({"a": dtype})


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({}, "no column"),
        ({"__line": pl.Int64()}, "column __line: the name is the system's"),
        ({"a": pl.List(pl.Int64())}, r"column a: .*List.*columns of their own"),
        ({"a": pl.Struct({"b": pl.Int64()})}, "column a"),
        ({"a": pl.Decimal(10, 2)}, "cents"),
        ({"a": pl.Datetime("ms", "Europe/Berlin")}, r"Use pl.Datetime\('ms'\)"),
        ({"a": pl.Duration("ms")}, "cannot be read as Duration"),
        ({"a": pl.Int128()}, "cannot be read as Int128"),
        ({"a": pl.Categorical()}, "cannot be read as Categorical"),
    ],
)
def test_schemas_that_no_file_has(schema, problem):
    with pytest.raises(PipelineError, match=problem):
        check_schema(schema)
