import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Layout, Split
from tidegate.epochs.record import EpochRecord
from tidegate.frontier import Frontier, Held
from tidegate.timestamps import MAX, MIN

moments = st.integers(MIN, MAX)
texts = st.text(max_size=20)
accepted = st.builds(
    Accepted,
    st.builds(InputObject, texts, texts, st.integers(0, 2**50)),
    st.text("0123456789-abcdef", max_size=40),
)
producers = st.dictionaries(texts, moments, max_size=2)
frontiers = st.builds(
    Frontier,
    moments,
    st.lists(st.builds(Held, texts, moments, texts), max_size=3).map(tuple),
    producers,
    producers,
    st.none() | st.integers(0, MAX),
)
splits = st.builds(Split, st.integers(0, 99), st.integers(0, 2**50), st.none() | st.integers(0, 2**50))
layouts = st.builds(
    Layout,
    st.booleans(),
    st.lists(st.lists(splits, max_size=3).map(tuple), max_size=3).map(tuple),
    st.lists(st.tuples(st.integers(0, 1024), st.integers(0, 1024)), max_size=3).map(tuple),
)
records = st.builds(
    EpochRecord,
    pipeline=st.just("scores"),
    epoch=st.integers(1, 10**9),
    fingerprint=texts,
    meaning=st.lists(texts, max_size=2).map(tuple),
    now=moments,
    frontier=frontiers,
    close=st.booleans(),
    inputs=st.lists(accepted, max_size=4).map(tuple),
    accepted=texts,
    processed=texts,
    previous=st.tuples(texts, texts),
    layout=layouts,
)


@given(records)
def test_a_record_comes_back_whole(record: EpochRecord) -> None:
    data = record.encode()
    assert EpochRecord.decode(record.key, data) == record
    assert EpochRecord.decode(record.key, data).encode() == data


def test_records_sort_by_their_keys() -> None:
    record = EpochRecord(
        "p", 9, "", (), 0, 0, Frontier(), False, (), "", "", ("", ""), Layout(True, (), (), 0)
    )
    following = dataclasses.replace(record, epoch=10)
    assert record.key == "p/epochs/0000000009/record.json" < following.key
