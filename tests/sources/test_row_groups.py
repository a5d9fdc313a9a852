"""Parquet files read a few row groups at a time, by one task or by several."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tidegate.sources.columnar import read_parquet
from tidegate.sources.records import LINE, Records, UnreadableFile
from tidegate.sources.row_groups import ParquetFile
from tidegate.sources.stored import Stored, in_memory
from tidegate.sources.thrift import Thrift, structs, written

SCHEMA = {"n": pl.Int64(), "text": pl.String(), "at": pl.Datetime("us"), "price": pl.Decimal(20, 2)}
LIMIT = 1 << 30


def frame(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "many": [[number] * (number % 3) for number in range(rows)],
            "n": pl.Series([None if number % 7 == 3 else number for number in range(rows)], dtype=pl.Int64),
            "pair": [{"n": number, "m": {"text": "x" * number}} for number in range(rows)],
            "text": pl.Series([f"text {number % 5}" for number in range(rows)], dtype=pl.Categorical),
            "at": [datetime(2026, 1, 1, number % 24, tzinfo=UTC) for number in range(rows)],
            "price": [Decimal(number) / 4 for number in range(rows)],
            "other": ["never read" * 50 for _ in range(rows)],
        },
        schema_overrides={"price": pl.Decimal(20, 2), "at": pl.Datetime("us", "UTC")},
    )


def parquet(rows: pl.DataFrame, **options: Any) -> bytes:
    file = io.BytesIO()
    rows.write_parquet(file, **options)
    return file.getvalue()


class Watched:
    """A file that notes which of its bytes are got."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.got: list[tuple[int, int]] = []

    def get(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        assert all(length > 0 and offset + length <= len(self.data) for offset, length in ranges)
        self.got += ranges
        return [self.data[offset : offset + length] for offset, length in ranges]

    def read(self, start: int = 0, end: int | None = None, batch: int = 1) -> list[Records]:
        return list(read_parquet(Stored(len(self.data), self.get, start, end), SCHEMA, LIMIT, batch))


def together(batches: Sequence[Records]) -> pl.DataFrame:
    return pl.concat([each.frame for each in batches])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 60),
    group=st.integers(1, 40),
    cuts=st.lists(st.integers(1, 12_000), max_size=4, unique=True),
    batch=st.sampled_from([1, 2_000]),
    compression=st.sampled_from(["zstd", "snappy", "uncompressed"]),
)
def test_every_row_is_read_once_wherever_a_file_is_cut(
    rows: int, group: int, cuts: list[int], batch: int, compression: Any
) -> None:
    whole = frame(rows)
    file = Watched(parquet(whole, row_group_size=group, compression=compression))
    bounds = sorted(each for each in cuts if each < len(file.data))
    parts = [file.read(start, end, batch) for start, end in zip([0, *bounds], [*bounds, None], strict=True)]
    found = together([records for part in parts for records in part])
    expected = whole.select(
        "n", pl.col("text").cast(pl.String), pl.col("at").dt.replace_time_zone(None), "price"
    )
    assert_frame_equal(found.drop(LINE), expected)
    assert found.get_column(LINE).to_list() == list(range(1, rows + 1))


def test_only_the_columns_of_the_schema_are_got() -> None:
    data = parquet(frame(1_000), row_group_size=100, compression="uncompressed")
    file = Watched(data)
    file.read()
    footer = int.from_bytes(data[-8:-4], "little")
    assert sum(length for _, length in file.got) < 0.2 * len(data) + max(footer, 64 * 1024)


def test_a_small_file_is_got_at_once() -> None:
    file = Watched(parquet(frame(100), row_group_size=10))
    assert together(file.read(batch=1 << 20)).height == 100
    assert file.got == [(0, len(file.data))]


def test_a_footer_of_any_length_is_found() -> None:
    wide = pl.DataFrame({**{name: [None] for name in SCHEMA}, **{f"column {n}": [n] for n in range(2_000)}})
    file = Watched(parquet(wide))
    assert int.from_bytes(file.data[-8:-4], "little") > 64 * 1024
    assert together(file.read()).height == 1


@pytest.mark.parametrize("compression", ["zstd", "gzip", "uncompressed"])
def test_files_of_another_writer(compression: str, tmp_path: Any) -> None:
    path = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE rows AS SELECT range AS n, 'text ' || range % 5 AS text, [range] AS many, "
            "TIMESTAMP '2026-01-01' + INTERVAL 1 SECOND * range AS at, (range / 4)::DECIMAL(20, 2) AS price "
            "FROM range(10000)"
        )
        connection.execute(
            f"COPY rows TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048, COMPRESSION {compression})"
        )
    file = Watched(path.read_bytes())
    half = len(file.data) // 2
    first, second = file.read(0, half), file.read(half)
    assert first
    assert second
    found = together([*first, *second])
    assert found.select("n", "text", "at", "price").equals(
        pl.read_parquet(path, columns=["n", "text", "at", "price"])
    )


def test_the_text_of_a_dead_letter_has_all_columns() -> None:
    rows = pl.DataFrame({"f": [0.5, 1.5, float("nan"), 2.5], "other": ["a", "b", "c", "d"]})
    file = Watched(parquet(rows, row_group_size=2))
    stored = Stored(len(file.data), file.get)
    _, second = read_parquet(stored, {"f": pl.Float64()}, LIMIT, 1)
    [letter] = second.dead
    assert (letter.line, letter.text) == (3, '{"f": NaN, "other": "c"}')
    assert second.texts([4]) == ['{"f": 2.5, "other": "d"}']


def test_who_reads_the_beginning_says_that_a_file_cannot_be_read() -> None:
    data = b"no Parquet" * 10
    file = Watched(data)
    with pytest.raises(UnreadableFile, match="damaged Parquet: it has no footer"):
        file.read(0, 50)
    assert file.read(50) == []
    file = Watched(b"\x1f\x8b" + data)
    with pytest.raises(UnreadableFile, match=r"the file is gzip: its name must end with \.gz"):
        file.read()


def test_columns_that_overlap_are_refused() -> None:
    data = parquet(frame(50), statistics=False, compression="uncompressed")
    length = int.from_bytes(data[-8:-4], "little")
    footer = Thrift(data[-8 - length : -8], 0).raw()
    [group] = Thrift(footer[4].data, 0).raw_list()

    def repeated(times: int) -> bytes:
        changed = written({**footer, 4: structs([written(group)] * times)})
        return data[: -8 - length] + changed + len(changed).to_bytes(4, "little") + b"PAR1"

    assert repeated(1) == data
    with pytest.raises(ValueError, match="columns that overlap"):
        ParquetFile(in_memory(repeated(400)), 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=3),
    st.integers(0, 9_000),
)
def test_damage_makes_a_part_unreadable_or_shows_in_nothing(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(DAMAGED)
    for place, byte in changes:
        data[place % len(data)] = byte
    for start, end in ((0, cut + 1), (cut + 1, None)):
        try:
            Watched(bytes(data)).read(start, end)
        except UnreadableFile as error:
            assert str(error)


DAMAGED = parquet(frame(40), row_group_size=9)
