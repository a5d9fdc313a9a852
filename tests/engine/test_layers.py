"""A base and deltas over it are the same state as one that is written whole."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.engine.segments import read_segments
from tests.engine.stage import stream
from tests.oracle.driver import World
from tidegate.engine.columns import GONE, INDEX
from tidegate.engine.key_groups import GROUP
from tidegate.engine.layers import changes, live, newest, untouched
from tidegate.engine.state import state_schema
from tidegate.grouping import Grouping
from tidegate.plan import compile_plan
from tidegate.references import KeyRange, Layer, Segment
from tidegate.stores.memory import MemoryObjects
from tidegate.timestamps import MAX, MIN
from tidegate.windows import START

WHOLE = KeyRange(0, 1024)
MINUTE = 60_000_000
LATER = 1_000_000 * MINUTE


MINUTES = tg.FixedWindows("1m")


def pipeline(windows: Any = MINUTES, lateness: str = "1h") -> tg.Pipeline:
    panes = (
        stream(windows, lateness)
        .trigger(tg.AfterWatermark(early=tg.AfterCount(3), late=tg.AfterCount(2)))
        .accumulate(tg.ACCUMULATING_AND_RETRACTING)
        .group_by("k")
        .agg(total=tg.sum("v"))
    )
    return tg.Pipeline("p", panes.write_json("out"))


def grouping() -> Grouping:
    found = compile_plan(pipeline()).grouping
    assert found
    return found


def state(rows: dict[tuple[str | None, int], int]) -> pl.DataFrame:
    """Rows of a state: their key and start, and the index of the next pane, which may be anything."""
    schema = state_schema(grouping())
    keys = [{"k": key, START: start, INDEX: index, GROUP: 0} for (key, start), index in rows.items()]
    frame = pl.DataFrame(keys, schema={name: schema[name] for name in ("k", START, INDEX, GROUP)})
    others = {name: pl.lit(None, dtype=dtype) for name, dtype in schema.items() if name not in frame.columns}
    return frame.with_columns(**others).select(list(schema))


def contents(frame: pl.DataFrame) -> dict[tuple[str | None, int], int]:
    found = {(row["k"], row[START]): row[INDEX] for row in frame.to_dicts()}
    assert len(found) == frame.height, "a key and window has one row"
    return found


states = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2)), st.integers(0, 2), max_size=6
)


@given(st.lists(states, min_size=1, max_size=6))
def test_deltas_over_a_base_are_the_last_state(history: list[dict[tuple[str | None, int], int]]) -> None:
    layers = [state(history[0]).with_columns(pl.lit(False).alias(GONE))]
    for before, after in pairwise(history):
        layers.append(changes(state(before), state(after), grouping()))
    assert contents(live(newest(layers, grouping()))) == history[-1]


@given(st.lists(states, min_size=2, max_size=6), st.data())
def test_layers_may_be_folded_anywhere(
    history: list[dict[tuple[str | None, int], int]], data: st.DataObject
) -> None:
    layers = [state({}).with_columns(pl.lit(False).alias(GONE))]
    for before, after in pairwise([{}, *history]):
        layers.append(changes(state(before), state(after), grouping()))
    cut = data.draw(st.integers(0, len(layers) - 1))
    folded = [*layers[:cut], newest(layers[cut:], grouping())]
    assert contents(live(newest(folded, grouping()))) == history[-1]


def test_a_delta_holds_what_changed_and_no_more() -> None:
    before = state({("a", 0): 1, ("a", 1): 1, (None, 0): 1})
    after = state({("a", 0): 2, (None, 0): 1, ("b", 0): 0})
    found = changes(before, after, grouping()).select("k", START, INDEX, GONE).rows()
    assert sorted(found) == [("a", 0, 2, False), ("a", 1, None, True), ("b", 0, 0, False)]


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=300))
def test_layers_are_few_however_many_epochs_there_were(sizes: list[int]) -> None:
    """Each is more than twice as large as the next."""
    layers: list[Layer] = []
    for rows in sizes:
        kept = untouched(layers, rows)
        folded = rows + sum(each.rows for each in layers[kept:])
        layers = [*layers[:kept], Layer("k", 0, 1, "", folded, WHOLE)]
        assert all(below.rows > 2 * above.rows for below, above in pairwise(layers))


class Reads(MemoryObjects):
    """Remembers which layers were read."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self.keys.append(key)
        return super().get_ranges(key, ranges)


def event(key: str, minute: float) -> dict[str, Any]:
    return {"k": key, "v": 1, "at": round(minute * MINUTE)}


@pytest.mark.parametrize("windows", [tg.FixedWindows("1m"), tg.Sessions("1m"), tg.CalendarWindows("hour")])
def test_only_the_buckets_are_read_in_which_something_happens(windows: Any) -> None:
    reads = Reads()
    world = World(pipeline(windows, lateness="100d"), now=LATER, state=reads)
    far = 40 * 24 * 60
    for minute in (0, far):
        world.upload([event("a", minute + 1)])
        world.run()
    first, second = ({each.bucket: each for each in one.segments} for one in world.manifests)
    (old,), (new,) = first, set(second) - set(first)

    reads.keys.clear()
    world.upload([event("b", far + 1.5)])
    world.run()

    after = {each.bucket: each for each in world.manifests[-1].segments}
    assert after[old] == second[old], "it is carried along as it was"
    assert set(reads.keys) == {each.key for each in second[new].layers}


def test_a_bucket_whose_windows_have_expired_is_gone_without_being_written() -> None:
    world = World(pipeline(lateness="0s"), now=LATER)
    world.upload([event("a", 1)])
    world.run()
    (before,) = world.manifests[-1].segments
    world.upload([event("a", 10_000)])
    world.run()
    (after,) = world.manifests[-1].segments
    assert before.bucket != after.bucket
    assert before.layers[0].key != after.layers[0].key


rows = st.tuples(st.sampled_from("abc"), st.integers(0, 400)).map(lambda row: event(*row))


@given(st.lists(st.lists(rows, max_size=4), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_what_is_read_back_is_what_the_segments_say(epochs: list[list[dict[str, Any]]]) -> None:
    """Their outlook is that of their rows, however many layers they have."""
    world = World(pipeline(lateness="3h"), now=LATER)
    for each in epochs:
        world.upload(each)
        world.run()
        for segment in world.manifests[-1].segments:
            found = read_segments(world.state, [segment], WHOLE, grouping())
            assert found.height == segment.windows > 0
            low, high = segment.span
            assert low == found.get_column(START).min()
            assert high == found.get_column(START).max() + MINUTE  # type: ignore[operator]
            assert segment.due > world.watermark


def test_of_a_part_of_a_segment_it_is_not_known_what_it_holds_back() -> None:
    chain = (Layer("a", 0, 1, "", 4, KeyRange(0, 512)), Layer("b", 0, 1, "", 4, WHOLE))
    segment = Segment(WHOLE, chain, due=7, hold=5, bucket=0, windows=8)
    part = segment.within(KeyRange(512, 768))
    assert part
    assert (part.due, part.hold, part.windows) == (MIN, 5, 2)
    assert [(each.key, each.range) for each in part.layers] == [("b", KeyRange(512, 768))]
    assert segment.within(WHOLE) is segment
    owing_nothing = Segment(WHOLE, chain, due=7, hold=MAX).within(KeyRange(0, 1))
    assert owing_nothing
    assert owing_nothing.due == 7
