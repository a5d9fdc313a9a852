import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import CorruptObject
from tidegate.references import KeyRange, ObjectRef, Piece, checksum

ranges = st.tuples(st.integers(0, 20), st.integers(1, 20)).map(
    lambda each: KeyRange(each[0], each[0] + each[1])
)


@given(ranges, ranges)
def test_two_ranges_have_the_key_groups_in_common_that_both_have(first: KeyRange, second: KeyRange) -> None:
    both = set(range(first.low, first.high)) & set(range(second.low, second.high))
    common = first.intersect(second)

    assert set(range(common.low, common.high) if common else ()) == both
    assert second.intersect(first) == common


def test_a_reference_knows_its_bytes() -> None:
    ref = ObjectRef.of("a/b", b"abc")

    assert (ref.size, ref.checksum) == (3, checksum(b"abc"))
    assert ref.verify(b"abc") == b"abc"
    for other in (b"", b"ab", b"abcd", b"abd"):
        with pytest.raises(CorruptObject, match=r"a/b: its .* restore the object from a backup"):
            ref.verify(other)


def test_a_piece_knows_its_bytes() -> None:
    piece = Piece(task=1, offset=7, length=3, checksum=checksum(b"abc"))

    assert piece.verify("s", b"abc") == b"abc"
    with pytest.raises(CorruptObject, match="s: bytes 7 to 10 are damaged"):
        piece.verify("s", b"abx")


def test_the_checksum_is_pinned() -> None:
    assert checksum(b"tidegate") == "3cd1d63515641613184bf6f0048830ba"
