import io
import json
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.sources.whole import read_parquet, read_records
from tidegate.sources.records import LINE, UnreadableFile

LIMIT = 1 << 30


def parquet(frame):
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def column(values, dtype, wanted):
    records = read_parquet(parquet(pl.DataFrame({"a": pl.Series(values, dtype=dtype)})), {"a": wanted}, LIMIT)
    assert records.frame.schema == {"a": wanted, LINE: pl.UInt64}
    assert records.frame.height + len(records.dead) == len(values)
    return records


def test_columns_are_found_by_name():
    data = parquet(pl.DataFrame({"x": [0, 0], "b": ["p", None], "a": [1, 2]}))
    records = read_parquet(data, {"a": pl.Int64(), "b": pl.String()}, LIMIT)
    assert records.frame.rows() == [(1, "p", 1), (2, None, 2)]
    assert records.texts([2]) == ['{"x": 0, "b": null, "a": 2}']


@pytest.mark.parametrize(
    ("values", "dtype", "wanted", "expected"),
    [
        ([1, None], pl.Int8, pl.Int64(), [1, None]),
        ([255], pl.UInt8, pl.Int16(), [255]),
        ([2**32 - 1], pl.UInt32, pl.Float64(), [float(2**32 - 1)]),
        ([-5], pl.Int16, pl.Float32(), [-5.0]),
        ([0.5], pl.Float32, pl.Float64(), [0.5]),
        (["a", None], pl.Categorical, pl.String(), ["a", None]),
        (["a"], pl.Enum(["a"]), pl.String(), ["a"]),
        ([None, None], pl.Null, pl.Int64(), [None, None]),
        ([None], pl.Null, pl.Datetime("ms"), [None]),
        ([True], pl.Boolean, pl.Boolean(), [True]),
        ([date(2024, 2, 29)], pl.Date, pl.Date(), [date(2024, 2, 29)]),
        ([date(1970, 1, 2)], pl.Date, pl.Datetime("us"), [datetime(1970, 1, 2)]),  # noqa: DTZ001
        ([1], pl.Datetime("ms"), pl.Datetime("ns", "UTC"), [datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)]),
        ([-1], pl.Datetime("ns"), pl.Datetime("ms"), [datetime(1969, 12, 31, 23, 59, 59, 999000)]),  # noqa: DTZ001
        ([0], pl.Datetime("us", "Europe/Berlin"), pl.Datetime("us"), [datetime(1970, 1, 1)]),  # noqa: DTZ001
    ],
)
def test_types_without_loss(values, dtype, wanted, expected):
    assert column(values, dtype, wanted).frame["a"].to_list() == expected


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        (pl.Int64, pl.Int32()),
        (pl.Int64, pl.UInt64()),
        (pl.UInt64, pl.Int64()),
        (pl.Int64, pl.Float64()),
        (pl.Int32, pl.Float32()),
        (pl.Float64, pl.Float32()),
        (pl.Float64, pl.Int64()),
        (pl.String, pl.Int64()),
        (pl.Int64, pl.String()),
        (pl.Int64, pl.Datetime("ms")),
        (pl.Datetime("ms"), pl.Date()),
        (pl.Boolean, pl.Int64()),
        (pl.List(pl.Int64), pl.Int64()),
        (pl.Binary, pl.String()),
    ],
)
def test_types_with_loss_refuse_the_file(dtype, wanted):
    with pytest.raises(UnreadableFile, match=f"a: the file has .* which is not always a {wanted}"[:40]):
        column([], dtype, wanted)


def test_values_that_no_other_format_takes_are_dead_letters():
    records = column([1.0, float("nan"), None, float("inf")], pl.Float64, pl.Float64())
    assert records.frame.rows() == [(1.0, 1), (None, 3)]
    assert [letter.line for letter in records.dead] == [2, 4]
    assert records.dead[0].reason == "a: the value does not fit into Float64"
    assert records.dead[0].text == '{"a": NaN}'

    last = 253_402_300_799_999
    records = column([0, last, last + 1, -(2**63), 2**63 - 1], pl.Datetime("ms"), pl.Datetime("ms"))
    assert records.frame[LINE].to_list() == [1, 2]
    assert json.loads(records.dead[0].text) == {"a": last + 1}
    records = column([0, last, 2**63 - 1, -(2**63)], pl.Datetime("ms"), pl.Datetime("ns"))
    assert records.frame[LINE].to_list() == [1]
    records = column([0, 2**31 - 1, -(2**31), None], pl.Date, pl.Date())
    assert records.frame[LINE].to_list() == [1, 4]


def test_damage_and_missing_columns_refuse_the_file():
    data = parquet(pl.DataFrame({"a": range(1000)}))
    for damaged in (b"", b"PAR1", b"x" * 100, data[:-1], data[:100], data[100:]):
        with pytest.raises(UnreadableFile, match="damaged Parquet"):
            read_parquet(damaged, {"a": pl.Int64()}, LIMIT)
    with pytest.raises(UnreadableFile, match="there is no column b; the file has a"):
        read_parquet(data, {"b": pl.Int64()}, LIMIT)
    with pytest.raises(UnreadableFile, match="more than 999 bytes"):
        read_parquet(data, {"a": pl.Int64()}, 999)


def test_a_file_without_rows():
    assert column([], pl.Int64, pl.Int64()).frame.height == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3), st.integers(0, 2000))
def test_no_damage_raises(changes, cut):
    frame = pl.DataFrame({"a": range(50), "b": [str(n) for n in range(50)], "c": [0.5] * 50})
    data = bytearray(parquet(frame))
    for place, byte in changes:
        data[place % len(data)] = byte
    schema = {"a": pl.Int64(), "b": pl.String(), "c": pl.Float64()}
    records = read_records(
        "a.parquet", bytes(data[: len(data) - cut % 50 if cut > 1000 else None]), "parquet", schema
    )
    if not changes and cut <= 1000:
        assert_frame_equal(records.frame.drop(LINE), frame)
    assert records.texts([1])
