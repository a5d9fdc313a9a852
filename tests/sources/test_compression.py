import gzip
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.whole import decompress
from tidegate.sources.records import UnreadableFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONTENT = b"some text, some more text\n" * 1_000
LIMIT = 1 << 20


@settings(max_examples=50)
@given(st.binary(max_size=5_000), st.binary(max_size=500))
def test_round_trips_and_several_members(first, second):
    assert decompress("a.json.gz", gzip.compress(first), LIMIT) == first
    assert decompress("A.JSON.GZ", gzip.compress(first) + gzip.compress(second), LIMIT) == first + second
    assert decompress("a.json.zst", zstd.compress(first), LIMIT) == first
    assert decompress("a.zst", zstd.compress(first) + zstd.compress(second), LIMIT) == first + second


def test_members_and_contents_larger_than_the_window():
    parts = [bytes([n]) * 300_000 for n in range(20)]
    assert decompress("a.gz", b"".join(map(gzip.compress, parts)), 1 << 30) == b"".join(parts)
    assert decompress("a.zst", b"".join(map(zstd.compress, parts)), 1 << 30) == b"".join(parts)
    large = bytes(range(256)) * 60_000
    assert decompress("a.gz", gzip.compress(large, 0), 1 << 30) == large
    assert decompress("a.zst", zstd.compress(large), 1 << 30) == large


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 5_000_000])
def test_members_that_inflate_to_more_than_a_chunk(size):
    """What zlib kept back of the input is at the member's end also what it did not use of it."""
    parts = [bytes(size), b"x" * size, b"end"]
    assert decompress("a.gz", b"".join(map(gzip.compress, parts)), 1 << 30) == b"".join(parts)
    assert decompress("a.zst", b"".join(map(zstd.compress, parts)), 1 << 30) == b"".join(parts)


def test_zeros_after_gzip_and_skippable_frames_are_no_damage():
    assert decompress("a.gz", gzip.compress(CONTENT) + b"\0" * 512, LIMIT) == CONTENT
    skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    assert decompress("a.zst", skipped + zstd.compress(CONTENT), LIMIT) == CONTENT


def test_a_name_without_suffix_is_taken_as_it_is():
    assert decompress("a.json", CONTENT, LIMIT) == CONTENT


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.gz", CONTENT, "first bytes do not"),
        ("a.gz", b"", "first bytes do not"),
        ("a.zst", CONTENT, "first bytes do not"),
        ("a.zst", b"", "first bytes do not"),
        ("a.zst", gzip.compress(CONTENT, mtime=0), "first bytes do not"),
        ("a.json", gzip.compress(CONTENT, mtime=0), "must end with .gz"),
        ("a.json", zstd.compress(CONTENT), "must end with .zst"),
        ("a.gz", gzip.compress(CONTENT, mtime=0)[:-9], "cut off"),
        ("a.gz", gzip.compress(CONTENT, mtime=0)[:12], "cut off"),
        ("a.gz", gzip.compress(CONTENT, mtime=0)[:3], "cut off"),
        ("a.zst", zstd.compress(CONTENT)[:-5], "cut off"),
        ("a.zst", zstd.compress(CONTENT)[:5], "cut off"),
        ("a.gz", gzip.compress(CONTENT, mtime=0) + b"x", "something else follows"),
        ("a.gz", gzip.compress(CONTENT, mtime=0) + b"\0x", "something else follows"),
        ("a.zst", zstd.compress(CONTENT) + b"x", "something else follows"),
        ("a.gz", gzip.compress(CONTENT, mtime=0)[:-8] + b"\0" * 8, "damaged gzip"),
        ("a.gz", b"\x1f\x8b" + b"\xff" * 50, "damaged gzip"),
        ("a.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "damaged Zstandard"),
        ("a.gz", gzip.compress(b"\0" * (LIMIT + 1), mtime=0), "1,048,576 bytes"),
        ("a.zst", zstd.compress(b"\0" * (LIMIT + 1)), "1,048,576 bytes"),
        ("a.json", b"\0" * (LIMIT + 1), "1,048,576 bytes"),
    ],
)
def test_what_cannot_be_decompressed(name, data, reason):
    with pytest.raises(UnreadableFile, match=reason):
        decompress(name, data, LIMIT)


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["gz", "zst"]))
def test_damage_anywhere_raises_nothing_else(tail, place, byte, suffix):
    data = bytearray((gzip.compress if suffix == "gz" else zstd.compress)(CONTENT) + tail)
    data[place % len(data)] = byte
    try:
        decompress("a." + suffix, bytes(data), LIMIT)
    except UnreadableFile as error:
        assert str(error)
