"""Where a file is cut into batches changes no record, no dead letter and no outcome of the file."""

import gzip
import io
import sys
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tidegate.limits import BATCH_BYTES, RECORD_BYTES
from tidegate.sources import content, csv_records, json_lines, pieces, records
from tidegate.sources.content import Content
from tidegate.sources.formats import Format, read_batches
from tidegate.sources.records import LINE, DeadLetter, Records, UnreadableFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SCHEMA = {"s": pl.String(), "i": pl.Int64(), "t": pl.Datetime("ms")}
PACK = {"": bytes, ".gz": lambda data: gzip.compress(data, mtime=0), ".zst": zstd.compress}
WHOLE = 1 << 30

JSON = st.sampled_from(
    [
        b'{"s":"x","i":1,"t":1}',
        b'{"s":"\xc3\xbc","i":2,"t":"1970-01-01T00:00:01Z"}',
        b'{"s":5,"i":1}',
        b'{"i":"x"}',
        b'{"s":"' + b"y" * 80 + b'"}',
        b"no json",
        b"\xff",
        b"",
        b" \t",
        b" " * 100,
        b" " * 100 + b"{}",
        b"\r",
    ]
)
CSV = st.sampled_from(
    [
        b"x,1,1",
        b'"x",2,1970-01-01',
        b'"a\nb",3,',
        b'"a\r\n""b""\n",4,',
        b"x,y,1",
        b"x,1",
        b'"x',
        b'x","',
        b'"x"y,1,1',
        b"",
        b"\r",
        b"\xff,1,1",
        b"z" * 90 + b",1,1",
        b'"' + b"z\n" * 40 + b'",1,1',
    ]
)


def files(lines: st.SearchStrategy[bytes], header: bytes) -> st.SearchStrategy[bytes]:
    ends = st.sampled_from([b"\n", b"\r\n"])
    body = st.lists(st.tuples(lines, ends).map(b"".join), max_size=30).map(b"".join)
    start = st.sampled_from([header, b"\xef\xbb\xbf" + header])
    return st.tuples(start, body, st.sampled_from([b"", b"x", b"{}"])).map(b"".join)


def outcome(
    name: str, data: bytes, format: Format, batch: int, part: int = WHOLE
) -> tuple[pl.DataFrame, list[DeadLetter], list[str]] | str:
    """All records, all dead letters and the texts of the records; or why the file cannot be read."""
    parts = [data[at : at + part] for at in range(0, len(data), part)]
    try:
        found = list(read_batches(name, parts, format, SCHEMA, batch_bytes=batch))
    except UnreadableFile as error:
        return str(error)
    frames = [pl.DataFrame(schema={**SCHEMA, LINE: pl.UInt64()}), *(each.frame for each in found)]
    texts = [text for each in found for text in each.texts(each.frame[LINE].to_list())]
    return pl.concat(frames), [letter for each in found for letter in each.dead], texts


def check(name: str, data: bytes, format: Format, batch: int, part: int) -> None:
    whole = outcome(name, data, format, WHOLE)
    cut = outcome(name, data, format, batch, part)
    if isinstance(whole, str) or isinstance(cut, str):
        assert cut == whole
        return
    assert_frame_equal(cut[0], whole[0], check_exact=True)
    assert cut[1:] == whole[1:]


@pytest.fixture(scope="module", autouse=True)
def small_limits() -> Iterator[None]:
    """Records of at most 60 bytes, so that longer ones are not rare."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (pieces, json_lines, csv_records):
            patch.setattr(module, "RECORD_BYTES", 60)
        patch.setattr(content, "_CUT", 61)
        patch.setattr(records, "DEAD_LETTER_TEXT_BYTES", 60)
        yield


BATCHES = st.integers(1, 300)
PARTS = st.integers(1, 300)
SUFFIX = st.sampled_from(list(PACK))


@settings(max_examples=200, deadline=None)
@given(files(JSON, b""), SUFFIX, BATCHES, PARTS)
def test_json(data: bytes, suffix: str, batch: int, part: int) -> None:
    check(f"a.json{suffix}", PACK[suffix](data), "json", batch, part)


@settings(max_examples=300, deadline=None)
@given(files(CSV, b"t,s,i\n") | files(CSV, b'"s","i","t"\n') | files(CSV, b""), SUFFIX, BATCHES, PARTS)
@example(b's,i,t\n"x\n,1,1\n"y\n', "", 8, 8)
@example(b's,i,t\nx,1,1\n"y,1,1', "", 1, 1)
def test_csv(data: bytes, suffix: str, batch: int, part: int) -> None:
    check(f"a.csv{suffix}", PACK[suffix](data), "csv", batch, part)


@settings(max_examples=100, deadline=None)
@given(st.lists(CSV, max_size=40), BATCHES, st.integers(0, 400))
def test_csv_of_which_only_so_much_is_read_again(lines: list[bytes], batch: int, allowed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records.Rereading.__init__, "__defaults__", (allowed,))
        check("a.csv", b"s,i,t\n" + b"\n".join(lines), "csv", batch, 50)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["json", "csv"]), BATCHES, PARTS)
def test_any_bytes(data: bytes, format: Any, batch: int, part: int) -> None:
    check("a", b"s,i,t\n" + data if format == "csv" else data, format, batch, part)


@pytest.mark.parametrize("format", ["json", "csv"])
@pytest.mark.parametrize("batch", [1, 10, 50, WHOLE])
def test_the_bad_records_of_all_batches_count_together(
    monkeypatch: pytest.MonkeyPatch, format: Format, batch: int
) -> None:
    monkeypatch.setattr(records, "DEAD_LETTERS_PER_FILE", 10)
    for bad in (10, 11):
        data = (b"s,i,t\n" if format == "csv" else b"") + b"x\n" * bad
        found = outcome("a", data, format, batch)
        if bad == 10:
            assert not isinstance(found, str)
            assert len(found[1]) == 10
        else:
            assert isinstance(found, str)
            assert found.startswith("more than 10 of its records")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_whose_end_is_damaged_is_refused_after_its_first_batches(suffix: str) -> None:
    lines = b"".join(b'{"s":"%d"}\n' % number for number in range(200_000))
    packed = PACK[suffix](lines)[:-20]
    batches = read_batches(f"a.json{suffix}", [packed], "json", SCHEMA, batch_bytes=10_000)
    assert next(batches).frame.height > 0
    with pytest.raises(UnreadableFile, match=r"cut off|damaged"):
        list(batches)


# What a batch is


def test_a_small_file_is_one_batch_and_is_not_copied() -> None:
    data = b"a\nb\n" * 1_000
    (piece,) = Content([data]).batches()
    assert piece.data is data


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.integers(1, 60), PARTS)
def test_batches_are_whole_lines_in_order_and_no_longer_than_they_may_be(
    lines: list[bytes], size: int, part: int
) -> None:
    data = b"\n".join(lines)
    found = list(Content([data[at : at + part] for at in range(0, len(data), part)], size).batches())
    assert b"".join(piece.data for piece in found) == data
    line = 1
    for piece in found:
        assert piece.first_line == line
        assert piece.data
        assert len(piece.data) <= size or piece.data.count(b"\n") <= 1
        line += piece.data.count(b"\n")
    assert all(piece.data.endswith(b"\n") for piece in found[:-1])


def test_what_a_stream_holds_does_not_grow_with_it() -> None:
    """A content without end is read as far as it is asked for."""

    def endless() -> Iterator[bytes]:
        while True:
            nonlocal taken
            taken += len(line)
            yield line

    line, taken = b'{"i":1}\n' * 10_000, 0
    batches = read_batches("a.json", endless(), "json", SCHEMA)
    for number in range(1, 4):
        assert next(batches).frame.height <= BATCH_BYTES // 8
        assert taken <= number * BATCH_BYTES + len(line)


def test_a_line_without_end_is_cut_off() -> None:
    pieces_found = list(Content([b"x" * 50] * 1_000 + [b"\ny\n"], 100).batches())
    assert [piece.data for piece in pieces_found] == [b"x" * 61 + b"\n", b"y\n"]
    assert RECORD_BYTES >= BATCH_BYTES


def together(batches: Iterator[Records]) -> int:
    return sum(each.frame.height for each in batches)


def test_the_suffix_alone_says_what_is_packed() -> None:
    file = io.BytesIO()
    file.write(gzip.compress(b'{"i":1}\n') * 3)
    parts = [bytes([byte]) for byte in file.getvalue()]
    assert together(read_batches("a.json.gz", iter(parts), "json", SCHEMA, batch_bytes=3)) == 3


# Parquet


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.5, float("nan"), None]), max_size=60), st.integers(1, 20), BATCHES)
@example([0.5] * 40 + [float("nan")], 10, 1)
def test_parquet_in_row_groups(values: list[float | None], group: int, batch: int) -> None:
    file = io.BytesIO()
    frame = pl.DataFrame({"f": pl.Series(values, dtype=pl.Float64), "n": range(len(values))})
    frame.write_parquet(file, row_group_size=group)
    schema = {"f": pl.Float64(), "n": pl.Int64()}
    whole, cut = (
        list(read_batches("a.parquet", [file.getvalue()], "parquet", schema, batch_bytes=size))
        for size in (WHOLE, batch)
    )
    assert [each.frame.height + len(each.dead) for each in whole] == [len(values)]
    assert len(cut) >= (2 if len(values) > group and batch == 1 else 1)
    assert_frame_equal(pl.concat([each.frame for each in cut]), whole[0].frame)
    assert [letter for each in cut for letter in each.dead] == whole[0].dead
    lines = whole[0].frame[LINE].to_list()
    assert [text for each in cut for text in each.texts(each.frame[LINE].to_list())] == whole[0].texts(lines)
