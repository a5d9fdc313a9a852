"""Structs of Thrift as bytes and back."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.sources.thrift import Raw, Thrift, number, structs, written

NUMBERS = st.integers(-(2**63), 2**63 - 1)
FIELDS = st.dictionaries(st.integers(1, 300), NUMBERS, max_size=20)


def numbers(fields: dict[int, int]) -> dict[int, Raw]:
    return {place: number(value) for place, value in fields.items()}


@given(FIELDS)
def test_what_is_written_is_read(fields: dict[int, int]) -> None:
    assert Thrift(written(numbers(fields)), 0).struct() == fields


@given(st.lists(FIELDS, max_size=20), FIELDS)
def test_what_is_read_raw_is_written_again(values: list[dict[int, int]], fields: dict[int, int]) -> None:
    inner = [written(numbers(each)) for each in values]
    data = written(numbers(fields) | {301: structs(inner)})
    raw = Thrift(data, 0).raw()
    assert written(raw) == data
    assert [written(each) for each in Thrift(raw[301].data, 0).raw_list()] == inner
    assert Thrift(data, 0).struct() == fields | {301: values}


def test_every_kind_of_field_is_kept() -> None:
    # true, false, byte, i16, i32, i64, double, text, list of texts, set of numbers, map, struct
    kinds: list[tuple[int, bytes]] = [
        (1, b""),
        (2, b""),
        (3, b"\x07"),
        (4, b"\x02"),
        (5, b"\x03"),
        (6, b"\x80\x01"),
        (7, b"12345678"),
        (8, b"\x02ab"),
        (9, b"\x28\x01a\x01b"),
        (10, b"\x25\x02\x04"),
        (11, b"\x01\x86\x01k\x02"),
        (12, b"\x15\x02\x00"),
    ]
    fields = {place: Raw(kind, data) for place, (kind, data) in enumerate(kinds, start=1)}
    data = written(fields)
    assert Thrift(data, 0).raw() == fields
    plain: dict[int, Any] = Thrift(data, 0).struct()
    assert [plain[place] for place in (1, 2, 4, 5, 6, 12)] == [True, False, 1, -2, 64, {1: 1}]
    assert Thrift(fields[9].data, 0).raw_texts() == [b"a", b"b"]
