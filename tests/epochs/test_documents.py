import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs import documents
from tidegate.errors import CorruptObject

BODY = {
    "text": 'ü " \\ 😀',
    "number": -(2**63),
    "none": None,
    "flag": True,
    "list": [[1, "a"], []],
    "map": {"k": 1},
}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text(), values, max_size=6))
def test_what_is_decoded_is_what_was_encoded(body: dict[str, object]) -> None:
    data = documents.encode("kind", body)
    assert documents.decode("kind", "key", data) == body
    assert documents.encode("kind", dict(reversed(body.items()))) == data


def test_every_flipped_bit_is_found() -> None:
    data = documents.encode("kind", BODY)
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises(CorruptObject, match="the/key"):
                documents.decode("kind", "the/key", bytes(damaged))


def test_every_cut_is_found() -> None:
    data = documents.encode("kind", BODY)
    for length in range(len(data)):
        with pytest.raises(CorruptObject):
            documents.decode("kind", "key", data[:length])
        with pytest.raises(CorruptObject):
            documents.decode("kind", "key", data + data[: length + 1])


@given(st.binary(max_size=60), st.text(max_size=60))
def test_what_is_attached_comes_back_and_lies_where_it_begins(attached: bytes, text: str) -> None:
    body = {"text": text}
    data = documents.encode("kind", body, attached)
    assert data.startswith(attached)
    found, more = documents.decode_with_attached("kind", "key", data)
    assert (found["text"], more) == (text, attached)
    if not attached:
        assert data == documents.encode("kind", body)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_flipped_byte_of_what_is_attached_is_found(attached: bytes, data: st.DataObject) -> None:
    stored = bytearray(documents.encode("kind", BODY, attached))
    place = data.draw(st.integers(0, len(attached) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptObject, match="the/key: what is attached is damaged"):
        documents.decode_with_attached("kind", "the/key", bytes(stored))


@given(st.binary(max_size=40), st.integers(0, 2**64 - 1))
def test_a_length_that_cannot_be_leaves_no_document(before: bytes, length: int) -> None:
    data = before + length.to_bytes(8, "big") + documents.encode("kind", BODY, b"x")[-8:]
    document, attached = documents.disclose(data)
    assert attached + document == (data if length > len(before) else before)
    with pytest.raises(CorruptObject):
        documents.decode("kind", "key", document)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_document(data: bytes) -> None:
    with pytest.raises(CorruptObject):
        documents.decode("kind", "key", data)


@pytest.mark.parametrize("body", [[], "x", 1, None])
def test_a_body_that_is_no_object(body: object) -> None:
    data = documents.encode("kind", body)  # type: ignore[arg-type]
    with pytest.raises(CorruptObject):
        documents.decode("kind", "key", data)


def test_another_kind_is_named() -> None:
    with pytest.raises(CorruptObject, match=r"'manifest'.*not a 'epoch-record'"):
        documents.decode("epoch-record", "key", documents.encode("manifest", BODY))


def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "VERSION", 2)
    data = documents.encode("kind", BODY)
    monkeypatch.undo()
    with pytest.raises(CorruptObject, match="version 2"):
        documents.decode("kind", "key", data)


def test_the_same_content_in_other_bytes_is_refused() -> None:
    """So that equal documents are equal bytes, and a checksum of one stands for the other."""
    data = documents.encode("kind", BODY)
    with pytest.raises(CorruptObject):
        documents.decode("kind", "key", json.dumps(json.loads(data), sort_keys=True, indent=1).encode())


def test_depth_is_no_crash() -> None:
    with pytest.raises(CorruptObject):
        documents.decode("kind", "key", b"[" * 100_000)


@pytest.mark.parametrize(
    "error", [KeyError("epoch"), IndexError(), TypeError(), ValueError(), AttributeError()]
)
def test_a_body_of_another_shape_is_named(error: Exception) -> None:
    with (
        pytest.raises(CorruptObject, match=r"^the/key: a manifest whose body lacks something"),
        documents.shaped("manifest", "the/key"),
    ):
        raise error


def test_what_lies_in_the_place_of_another_is_named() -> None:
    documents.check_place("manifest", "p/1", "p/1")
    with pytest.raises(CorruptObject, match=r"^p/2: in its place lies the manifest that belongs to p/1"):
        documents.check_place("manifest", "p/2", "p/1")


def test_depth_at_the_edge_of_the_stack_is_no_crash() -> None:
    """A document is one level deeper than its body, and has to be written anew to be compared."""
    decoded = 0
    for depth in range(500, 1_100):
        text = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
        whole = b'{"body":%s,"checksum":"%s","kind":"kind","version":1}'
        data = whole % (text, hashlib.blake2b(text, digest_size=16).hexdigest().encode())
        try:
            documents.decode("kind", "key", data)
            decoded += 1
        except CorruptObject:
            pass
    assert 0 < decoded < 600
