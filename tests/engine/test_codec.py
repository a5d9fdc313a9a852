from io import BytesIO

import polars as pl
import pytest

from tidegate.engine.codec import decode_piece, decode_state, encode_piece, encode_state
from tidegate.errors import CorruptObject
from tidegate.references import ObjectRef

SCHEMA = {
    "group": pl.UInt16(),
    "text": pl.String(),
    "decimal": pl.Decimal(38, 2),
    "wide": pl.Int128(),
    "moment": pl.Datetime("us", "UTC"),
    "day": pl.Date(),
    "flag": pl.Boolean(),
    "real": pl.Float64(),
    "small": pl.Int8(),
    "span": pl.Duration("us"),
    "clock": pl.Time(),
}


def frame() -> pl.DataFrame:
    row = [1, "ä", "1.25", 2**90, 5, 6, True, -0.5, -7, 8, 9]
    columns = {
        name: pl.Series([value, None]).cast(dtype)
        for (name, dtype), value in zip(SCHEMA.items(), row, strict=True)
    }
    return pl.DataFrame(columns)


def test_pieces_and_segments_keep_values_and_types() -> None:
    assert decode_piece(encode_piece(frame()), "key").equals(frame())
    assert dict(decode_piece(encode_piece(frame()), "key").schema) == SCHEMA
    assert decode_state("key", encode_state(frame(), "f"), SCHEMA).equals(frame())
    assert decode_state("key", encode_state(frame().clear(), "f"), SCHEMA).height == 0


def test_the_same_frame_gives_the_same_bytes() -> None:
    assert encode_piece(frame()) == encode_piece(frame())
    assert encode_state(frame(), "f") == encode_state(frame(), "f")


def test_state_of_another_format_is_refused() -> None:
    buffer = BytesIO()
    frame().write_parquet(buffer)
    with pytest.raises(
        CorruptObject, match=r"a/b\.parquet: state of the format None, and this version reads"
    ):
        decode_state("a/b.parquet", buffer.getvalue(), SCHEMA)

    buffer = BytesIO()
    frame().write_parquet(buffer, metadata={"tidegate.format": "tidegate-state/9"})
    with pytest.raises(CorruptObject, match="state of the format 'tidegate-state/9'"):
        decode_state("a/b.parquet", buffer.getvalue(), SCHEMA)


def test_state_with_other_columns_is_refused() -> None:
    data = encode_state(frame(), "f")
    with pytest.raises(CorruptObject, match=r"key: its columns are .*, and the plan's are"):
        decode_state("key", data, SCHEMA | {"small": pl.Int16()})
    with pytest.raises(CorruptObject, match="its columns are"):
        decode_state("key", data, dict(reversed(SCHEMA.items())) | {"more": pl.Int64()})


@pytest.mark.parametrize("place", ["first", "middle", "last", "cut", "longer", "empty"])
def test_every_damaged_byte_is_found_before_anything_is_decoded(place: str) -> None:
    data = encode_state(frame(), "f")
    ref = ObjectRef.of("p/state.parquet", data)
    changed = bytearray(data)
    at = {"first": 0, "middle": len(data) // 2, "last": -1}.get(place)
    if at is not None:
        changed[at] ^= 0x10
    damaged = {"cut": data[:-1], "longer": data + b"\0", "empty": b""}.get(place, bytes(changed))

    assert ref.verify(data) == data
    with pytest.raises(
        CorruptObject, match=r"p/state\.parquet: its \d+ bytes are not the \d+ bytes that were written"
    ):
        ref.verify(damaged)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"ARROW1\0\0", b"\xff" * 100, b"no state"])
def test_what_is_no_frame_at_all_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(CorruptObject, match=r"p/state\.parquet: no state of Tidegate: "):
        decode_state("p/state.parquet", data, SCHEMA)
    with pytest.raises(CorruptObject, match=r"p/shuffle\.arrow: no shuffle piece of Tidegate: "):
        decode_piece(data + b"\0" * 8, "p/shuffle.arrow")


def test_a_panic_of_polars_is_a_damaged_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(data: BytesIO) -> None:
        raise pl.exceptions.PanicException("index out of bounds\nand more")

    monkeypatch.setattr(pl, "read_parquet_metadata", panic)
    monkeypatch.setattr(pl, "read_ipc_stream", panic)
    with pytest.raises(CorruptObject, match=r"^key: .*: index out of bounds$"):
        decode_state("key", encode_state(frame(), "f"), SCHEMA)
    with pytest.raises(CorruptObject, match=r"^key: .*: index out of bounds$"):
        decode_piece(b"", "key")


def test_too_little_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: BytesIO) -> None:
        raise MemoryError

    monkeypatch.setattr(pl, "read_parquet_metadata", full)
    monkeypatch.setattr(pl, "read_ipc_stream", full)
    with pytest.raises(MemoryError):
        decode_state("key", encode_state(frame(), "f"), SCHEMA)
    with pytest.raises(MemoryError):
        decode_piece(b"", "key")
