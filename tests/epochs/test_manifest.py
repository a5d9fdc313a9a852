from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs.layout import Layout, Split
from tidegate.epochs.manifest import Manifest, build_manifest, frontier_after, read_manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Published, TaskResult
from tidegate.errors import CorruptObject
from tidegate.frontier import SOURCE, Frontier, Held, WatermarkRule
from tidegate.references import KeyRange, Layer, ObjectRef, Piece, Segment, checksum
from tidegate.stores.memory import MemoryObjects
from tidegate.timestamps import MAX, MIN

RULES = {"scores": WatermarkRule(delay=0)}
REF = ObjectRef("p/data/1/x", 10, "c" * 32)
RECORD = EpochRecord(
    pipeline="p",
    epoch=2,
    fingerprint="f",
    meaning=("a line",),
    now=7,
    clock=8,
    frontier=Frontier(100),
    close=False,
    inputs=(),
    accepted="5",
    processed="5",
    previous=("p/epochs/1/manifest.json", "c"),
    layout=Layout(False, ((Split(0),), (Split(1),)), ((0, 512), (512, 1024)), 1),
)


def state(key: str, low: int, high: int, due: int) -> Segment:
    valid = KeyRange(low, high)
    return Segment(valid, (Layer(key, 0, 10, "c" * 32, 4, valid),), due, bucket=0)


OLD = state("old", 0, 1024, 50)
PREVIOUS = Manifest(
    "p", 1, "f", 6, Frontier(100), (), "4", (OLD,), ("totals/old.json",), {"records": 1}, {"records": 1}
)

texts = st.text(max_size=10)
refs = st.builds(ObjectRef, texts, st.integers(0, 2**40), texts)
ranges = st.builds(KeyRange, st.integers(0, 9), st.integers(0, 9))
sizes = st.integers(0, 2**40)
layers = st.builds(Layer, texts, sizes, sizes, texts, sizes, ranges)
moments = st.integers(MIN, MAX)
segments = st.builds(
    Segment,
    ranges,
    st.lists(layers, max_size=3).map(tuple),
    moments,
    alarm=moments,
    hold=moments,
    stage=st.integers(1, 8),
    bucket=st.none() | st.integers(0, 63),
    span=st.tuples(moments, moments),
    windows=sizes,
)
counters = st.dictionaries(texts, st.integers(0, 2**53), max_size=3)


@given(
    st.builds(
        TaskResult,
        stage=texts,
        task=st.integers(0, 99),
        attempt=texts,
        counters=counters,
        watermark=st.none() | st.integers(MIN, MAX),
        marks=st.dictionaries(texts, st.integers(MIN, MAX), max_size=2),
        shuffle=texts,
        pieces=st.lists(
            st.builds(Piece, st.integers(0, 9), st.integers(0), st.integers(1), texts), max_size=2
        ).map(tuple),
        segments=st.lists(segments, max_size=2).map(tuple),
        unchanged=st.booleans(),
        outputs=st.lists(st.builds(Published, texts, refs), max_size=2).map(tuple),
    )
)
def test_a_result_comes_back_whole(result: TaskResult) -> None:
    assert TaskResult.decode("key", result.encode()) == result


@given(
    st.builds(
        Manifest,
        pipeline=texts,
        epoch=st.integers(1, 10**9),
        fingerprint=texts,
        now=st.integers(MIN, MAX),
        frontier=st.builds(
            Frontier,
            st.integers(MIN, MAX),
            st.lists(st.builds(Held, texts, st.integers(), texts), max_size=2).map(tuple),
            st.dictionaries(texts, st.integers(MIN, MAX), max_size=2),
            st.dictionaries(texts, st.integers(MIN, MAX), max_size=2),
            st.none() | st.integers(0, MAX),
        ),
        processed=texts,
        segments=st.lists(segments, max_size=3).map(tuple),
        outputs=st.lists(texts, max_size=3).map(tuple),
        counters=counters,
        totals=counters,
    )
)
def test_a_manifest_comes_back_whole(manifest: Manifest) -> None:
    assert Manifest.decode(manifest.key, manifest.encode()) == manifest


def mapped(task: int, watermark: int | None = None, **counters: int) -> TaskResult:
    return TaskResult("map", task, f"a{task}", counters, watermark=watermark)


def reduced(task: int, *new: Segment, unchanged: bool = False) -> TaskResult:
    return TaskResult("reduce", task, f"r{task}", {}, segments=new, unchanged=unchanged)


def test_it_is_a_function_of_record_and_results() -> None:
    results = [mapped(0, 200, records=2), mapped(1, 150, records=3), reduced(0), reduced(1)]
    again = build_manifest(RECORD, RULES, PREVIOUS, list(results))
    assert build_manifest(RECORD, RULES, PREVIOUS, results).encode() == again.encode()
    assert again.frontier.watermark == 200
    assert again.now == 7
    assert again.counters == {"files": 0, "records": 5}
    assert again.totals == {"epochs": 2, "files": 0, "records": 6}


def test_a_range_that_was_left_alone_keeps_its_part_of_the_state() -> None:
    new = state("new", 0, 512, 60)
    manifest = build_manifest(
        RECORD, RULES, PREVIOUS, [mapped(0), mapped(1), reduced(0, new), reduced(1, unchanged=True)]
    )
    assert manifest.segments == (new, OLD.within(KeyRange(512, 1024)))


def test_a_range_whose_windows_all_expired_has_no_state() -> None:
    manifest = build_manifest(RECORD, RULES, PREVIOUS, [mapped(0), mapped(1), reduced(0), reduced(1)])
    assert manifest.segments == ()


def test_only_this_epochs_outputs_are_named() -> None:
    published = Published("totals/epoch-0000000002-00000.json", REF)
    result = replace(reduced(0), outputs=(published,))
    manifest = build_manifest(RECORD, RULES, PREVIOUS, [mapped(0), mapped(1), result, reduced(1)])
    assert manifest.outputs == (published.name,)


def test_the_frontier_never_goes_back() -> None:
    assert frontier_after(RECORD, RULES, [{SOURCE: 50}, {}]).watermark == 100
    assert frontier_after(RECORD, RULES, [{}]).watermark == 100
    assert frontier_after(RECORD, RULES, []).watermark == 100


def test_a_backlog_holds_the_watermark() -> None:
    waiting = replace(RECORD, accepted="9")
    assert frontier_after(waiting, RULES, [{SOURCE: 200}]) == Frontier(100, (Held("9", 200),))


def test_a_finished_source_closes() -> None:
    assert frontier_after(replace(RECORD, close=True, accepted="9"), RULES, [{SOURCE: 200}]) == Frontier(MAX)


def test_a_manifest_is_read_only_as_it_was_committed() -> None:
    objects = MemoryObjects()
    data = PREVIOUS.encode()
    objects.put(PREVIOUS.key, data)

    assert read_manifest(objects, ("", "")) is None
    assert read_manifest(objects, (PREVIOUS.key, checksum(data))) == PREVIOUS
    with pytest.raises(CorruptObject, match="not the manifest that was committed"):
        read_manifest(objects, (PREVIOUS.key, checksum(b"another")))
