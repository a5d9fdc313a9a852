import gzip
import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.sources.whole import read_records
from tidegate.sources.records import LINE, DeadLetter

try:
    from compression import zstd
except ImportError:
    from backports import zstd

SCHEMA = {"key": pl.String(), "value": pl.Int64(), "at": pl.Datetime("ms")}
FRAME = pl.DataFrame(
    {
        "key": ["a", None, "b"],
        "value": [1, 2, None],
        "at": pl.Series([0, 1_500, 1_767_225_600_123], dtype=pl.Datetime("ms")),
    }
)
SUFFIXES = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}


def written(format):
    file = io.BytesIO()
    if format == "parquet":
        FRAME.write_parquet(file)
    elif format == "csv":
        FRAME.write_csv(file)
    else:
        FRAME.with_columns(pl.col("at").dt.to_string("iso:strict")).write_ndjson(file)
    return file.getvalue()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("format", ["json", "csv", "parquet"])
def test_every_format_gives_the_same_records(format, suffix):
    data = SUFFIXES[suffix](written(format))
    records = read_records(f"in/a.{format}{suffix}", data, format, SCHEMA)
    assert records.dead == []
    assert_frame_equal(records.frame.drop(LINE), FRAME)
    first = 2 if format == "csv" else 1
    assert records.frame[LINE].to_list() == [first, first + 1, first + 2]
    assert "1970-01-01" in records.texts([first])[0]


@pytest.mark.parametrize(
    ("name", "data", "format", "reason"),
    [
        ("a.json.gz", b"{}", "json", "the name says gzip, the first bytes do not"),
        ("a.csv", b"key,at\n", "csv", "there is no column value; the header has key, at"),
        ("a.parquet", b"nothing", "parquet", "damaged Parquet"),
        ("a.json", b"{}" * 600, "json", "the file has more than 1,000 bytes of content"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_dead_letter(name, data, format, reason):
    records = read_records(name, data, format, SCHEMA, max_bytes=1_000)
    [letter] = records.dead
    assert (letter.line, letter.text) == (0, "")
    assert reason in letter.reason
    assert records.frame.schema == {**SCHEMA, LINE: pl.UInt64}
    assert records.frame.height == 0
    assert records.texts([1]) == [""]


def test_null_values_are_for_csv():
    records = read_records("a.csv", b"key,value,at\nNA,NA,NA\n", "csv", SCHEMA, null_values=["NA"])
    assert records.frame.rows() == [(None, None, None, 2)]
    records = read_records("a.json", b'{"key": "NA"}', "json", SCHEMA, null_values=["NA"])
    assert records.frame["key"].to_list() == ["NA"]


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(["json", "csv", "parquet"]),
    st.sampled_from(list(SUFFIXES)),
    st.sampled_from([b"", b"key,value,at\n", b'{"at":', b"PAR1", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"]),
    st.booleans(),
)
def test_no_bytes_raise(data, format, suffix, start, compress):
    content = SUFFIXES[suffix](start + data) if compress else start + data
    records = read_records("a" + suffix, content, format, SCHEMA)
    assert records.frame.schema == {**SCHEMA, LINE: pl.UInt64}
    assert all(isinstance(letter, DeadLetter) and letter.reason for letter in records.dead)
    assert len(records.texts(records.frame[LINE].to_list())) == records.frame.height
