"""State is cut by key group and not by task: any cut is the same state."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.engine.segments import read_segments
from tests.engine.stage import stream
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.engine.columns import GONE
from tidegate.engine.key_groups import GROUP
from tidegate.engine.layers import LayerRows, encode_layers
from tidegate.engine.state import join_epoch, state_schema
from tidegate.epochs.layout import Limits
from tidegate.errors import CorruptObject
from tidegate.grouping import Grouping
from tidegate.plan import compile_plan
from tidegate.references import KeyRange, Layer, Segment
from tidegate.stores.memory import MemoryObjects

Row = dict[str, Any]

SECOND = 1_000_000


def pipeline() -> tg.Pipeline:
    panes = (
        stream(tg.FixedWindows("10s"), "20s")
        .trigger(tg.AfterWatermark(early=tg.AfterCount(3), late=tg.AfterCount(2)))
        .group_by("k")
        .agg(total=tg.sum("v"), least=tg.min("v"), games=tg.count())
    )
    return tg.Pipeline("p", panes.write_json("out"))


def grouping() -> Grouping:
    found = compile_plan(pipeline()).grouping
    assert found
    return found


def a_state(rows: int) -> pl.DataFrame:
    schema = state_schema(grouping())
    values: dict[str, list[Any]] = {
        name: [False] * rows if dtype == pl.Boolean() else list(range(rows)) for name, dtype in schema.items()
    }
    values |= {
        "k": [f"k{number}" for number in range(rows)],
        GROUP: [number * 37 % 1024 for number in range(rows)],
    }
    return pl.DataFrame(values, schema=schema)


def segment(store: MemoryObjects, key: str, frame: pl.DataFrame, low: int, high: int) -> Segment:
    rows = LayerRows(frame.with_columns(pl.lit(False).alias(GONE)), KeyRange(low, high))
    data, (layer,) = encode_layers([rows], "f")
    store.put(key, data)
    return Segment(KeyRange(low, high), (replace(layer, key=key),), 0)


@given(st.integers(0, 1024), st.integers(0, 1024), st.integers(0, 1024))
@settings(max_examples=25)
def test_a_range_is_read_from_the_segments_that_are_valid_for_it(cut: int, one: int, other: int) -> None:
    store, frame = MemoryObjects(), a_state(50)
    low, high = sorted((one, other))
    # Each segment holds all rows, and is valid for its part only: rows outside of it were replaced.
    segments = [segment(store, "a", frame, 0, cut), segment(store, "b", frame, cut, 1024)]

    read = read_segments(store, segments, KeyRange(low, high), grouping())

    expected = frame.filter(pl.col(GROUP).is_between(low, high, closed="left"))
    assert read.sort("k").equals(expected.sort("k"))


def test_segments_outside_of_the_range_are_not_read() -> None:
    store = MemoryObjects()
    present = segment(store, "a", a_state(5), 0, 512)
    missing = Segment(KeyRange(512, 1024), (Layer("gone", 0, 1, "", 1, KeyRange(512, 1024)),), 0)

    assert read_segments(store, [present, missing], KeyRange(0, 512), grouping()).height > 0


def test_a_damaged_segment_is_found_and_named() -> None:
    store = MemoryObjects()
    good = segment(store, "p/state.layers", a_state(5), 0, 1024)
    store.put("p/state.layers", store.get("p/state.layers")[:-1] + b"?")

    with pytest.raises(CorruptObject, match=r"p/state\.layers: its \d+ bytes from 0 on are not"):
        read_segments(store, [good], KeyRange(0, 1024), grouping())


def test_joining_nothing_leaves_the_state_as_it_is() -> None:
    frame = a_state(5)

    assert join_epoch(frame, [], grouping()).select(frame.columns).equals(frame)


# The whole engine


rows = st.fixed_dictionaries(
    {
        "k": st.sampled_from([*"abcdefgh", None]),
        "v": st.none() | st.integers(-9, 9),
        "at": st.integers(0, 60).map(lambda second: second * SECOND),
    }
)


def final_state(world: World) -> pl.DataFrame:
    segments = world.manifests[-1].segments if world.manifests else ()
    frame = read_segments(world.state, segments, KeyRange(0, 1024), grouping())
    return frame.sort(GROUP, "k", "__start")


def in_epochs(
    limits: Sequence[Limits], epochs: Sequence[Sequence[Sequence[Row]]]
) -> tuple[list[Row], pl.DataFrame]:
    world = World(pipeline())
    panes: list[Row] = []
    for number, files in enumerate(epochs):
        world.limits = limits[number % len(limits)]
        world.upload(*files)
        panes += world.run()
    return sorted(panes, key=str), final_state(world)


@given(st.lists(st.lists(st.lists(rows, min_size=1, max_size=4), min_size=1, max_size=7), max_size=4))
@settings(max_examples=12)
def test_any_number_of_tasks_with_other_ranges_in_every_epoch_gives_the_same_state_and_panes(
    epochs: list[list[list[Row]]],
) -> None:
    one = in_epochs([ONE_CALL], epochs)
    seven = in_epochs([many_tasks(7)], epochs)
    changing = in_epochs([many_tasks(7), many_tasks(2), ONE_CALL, many_tasks(5)], epochs)

    assert one[0] == seven[0] == changing[0]
    assert one[1].equals(seven[1])
    assert one[1].equals(changing[1])
