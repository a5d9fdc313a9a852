"""The laws that every aggregate keeps, one suite for all of them.

Associative, commutative, with an identity; any split gives what one batch gives; that is what its definition
in plain Python gives; a retraction takes its insertion out; state keeps its types, in memory and stored.
"""

import math
from collections.abc import Sequence
from datetime import UTC, timedelta
from inspect import isfunction
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate.aggregates as public
from tests.laws.batch import Element, is_nan
from tests.laws.registry import CASES, Case
from tidegate.aggregates import BoundAggregate
from tidegate.sources.source import EVENT_TIME

GROUPS = (0, 1, 2)
SIGN = "__sign"

every_case = pytest.mark.parametrize(
    ("case", "dtype"),
    [pytest.param(case, dtype, id=f"{case.verb}-{dtype}") for case in CASES for dtype in case.dtypes],
)

Row = tuple[int, Element, int]
"""A group, an element, and its sign."""


def values(dtype: pl.DataType, *, sums: bool) -> st.SearchStrategy[Any]:
    """Values of a type, odd ones among them; floats that are added up are of one order of magnitude."""
    if dtype.is_float():
        wild = st.floats(width=32 if dtype == pl.Float32() else 64, allow_subnormal=False)
        tame = st.integers(-4_000, 4_000).map(lambda number: number / 4)
        return st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0]) | (tame if sums else wild)
    if dtype.is_integer():
        low, high = (pl.select(bound).item() for bound in (dtype.min(), dtype.max()))
        if sums:
            low, high = max(low, -(2**40)), min(high, 2**40)
        return st.integers(low, high) | st.sampled_from([low, high])
    if isinstance(dtype, pl.Enum):
        return st.sampled_from(dtype.categories.to_list())
    if dtype == pl.Struct({"f": pl.Float64()}):
        return st.fixed_dictionaries({"f": st.none() | values(pl.Float64(), sums=True)})
    if isinstance(dtype, pl.Struct):
        return st.fixed_dictionaries({"a": st.none() | st.integers(0, 2), "b": st.text("äb", max_size=1)})
    return {
        pl.Boolean(): st.booleans(),
        pl.Decimal(20, 2): st.decimals(-(10**17), 10**17, places=2),
        pl.String(): st.text(max_size=3),
        pl.Binary(): st.binary(max_size=2),
        pl.Date(): st.dates(),
        pl.Datetime("ms"): st.datetimes().map(lambda moment: moment.replace(microsecond=0)),
        pl.Datetime("us", "UTC"): st.datetimes(timezones=st.just(UTC)),
        pl.Duration("us"): st.timedeltas(-timedelta(9_999), timedelta(9_999)),
        pl.Time(): st.times(),
        pl.List(pl.Float32()): st.lists(st.sampled_from([math.nan, 0.0, -0.0, 1.5]), max_size=2),
    }[dtype]


def elements(case: Case, dtype: pl.DataType) -> st.SearchStrategy[Element]:
    value = values(dtype, sums=case.verb in ("sum", "mean", "var", "std", "quantile"))
    return st.builds(Element, st.integers(0, 3), st.none() | value, st.integers(0, 3))


def frame(rows: Sequence[Row], dtype: pl.DataType) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "g": pl.Series([group for group, _, _ in rows], dtype=pl.Int64),
            "v": pl.Series([each.value for _, each, _ in rows], dtype=dtype),
            "w": pl.Series([each.other for _, each, _ in rows], dtype=pl.Int64),
            EVENT_TIME: pl.Series([each.time for _, each, _ in rows], dtype=pl.Int64),
            SIGN: pl.Series([sign for _, _, sign in rows], dtype=pl.Int8),
        }
    )


def bind(case: Case, dtype: pl.DataType, *, signed: bool = False) -> BoundAggregate:
    schema = {"v": dtype, "w": pl.Int64()}
    return case.aggregate.bind("x", schema, (), pl.col(SIGN) if signed else None)


def partial(bound: BoundAggregate, rows: pl.DataFrame) -> pl.DataFrame:
    """The accumulators of some elements, one row for each group, as a map task makes them."""
    expressions = [each.partial.cast(each.dtype).alias(each.name) for each in bound.accumulators]
    return rows.with_columns(*bound.inputs).group_by("g", maintain_order=True).agg(*expressions).sort("g")


def identity(bound: BoundAggregate, groups: pl.DataFrame) -> pl.DataFrame:
    nothing = [each.identity.cast(each.dtype).alias(each.name) for each in bound.accumulators]
    return groups.select("g").with_columns(*nothing)


def merge(bound: BoundAggregate, *partials: pl.DataFrame) -> pl.DataFrame:
    """Accumulators as one for each group, as a reduce task joins them."""
    expressions = [each.merge.alias(each.name) for each in bound.accumulators]
    together = pl.concat([each.lazy() for each in partials])
    return together.group_by("g", maintain_order=True).agg(*expressions).collect(engine="in-memory").sort("g")


def results(bound: BoundAggregate, accumulators: pl.DataFrame) -> dict[int, Any]:
    read = accumulators.lazy().select("g", bound.result.cast(bound.dtype).alias("x"))
    return dict(read.collect(engine="in-memory").rows())


def near(found: Any, meant: Any, within: float) -> bool:
    if isinstance(meant, dict) and isinstance(found, dict):
        return found.keys() == meant.keys() and all(near(found[name], meant[name], within) for name in meant)
    if isinstance(meant, list) and isinstance(found, list):
        return len(found) == len(meant) and all(map(near, found, meant, [within] * len(meant)))
    if is_nan(meant) or is_nan(found):
        return is_nan(meant) and is_nan(found)
    if within and meant is not None and found is not None:
        return found == meant or math.isclose(found, meant, rel_tol=within, abs_tol=within)
    return bool(found == meant)


def assert_means(case: Case, bound: BoundAggregate, found: dict[int, Any], rows: Sequence[Row]) -> None:
    for group, value in found.items():
        mine = [each for number, each, _ in rows if number == group]
        meant = case.batch(mine)
        assert near(value, meant, case.within), f"group {group}: {value!r}, and {meant!r} of {mine}"


def stored(state: pl.DataFrame) -> list[pl.DataFrame]:
    """State as it is read again, from Parquet and from Arrow."""
    parquet, arrow = BytesIO(), BytesIO()
    state.write_parquet(parquet, compression="zstd")
    state.write_ipc_stream(arrow)
    return [pl.read_parquet(BytesIO(parquet.getvalue())), pl.read_ipc_stream(BytesIO(arrow.getvalue()))]


@every_case
@settings(max_examples=6)
@given(data=st.data())
def test_any_split_in_any_order_means_the_same(case: Case, dtype: pl.DataType, data: st.DataObject) -> None:
    bound = bind(case, dtype)
    row = st.tuples(st.sampled_from(GROUPS), elements(case, dtype), st.just(1))
    parts = data.draw(st.tuples(*[st.lists(row, max_size=6)] * 3))
    rows = [row for part in parts for row in part]
    a, b, c = (partial(bound, frame(part, dtype)) for part in parts)
    whole = partial(bound, frame(rows, dtype))

    # with an identity, to the last bit
    assert merge(bound, a, identity(bound, a)).equals(a)
    assert merge(bound, identity(bound, a), a).equals(a)
    # associative and commutative; any split gives what one batch gives
    ways = [
        merge(bound, a, b, c),
        merge(bound, merge(bound, a, b), c),
        merge(bound, a, merge(bound, b, c)),
        merge(bound, c, merge(bound, b, a)),
    ]
    for way in ways:
        assert dtype in case.rounded or way.equals(whole)
        # Whose zero has another sign is equal, but not the same: only the extremes do not tell zeros apart.
        assert dtype in case.rounded or case.verb in ("min", "max") or str(way.rows()) == str(whole.rows())
        assert_means(case, bound, results(bound, way), rows)
    assert_means(case, bound, results(bound, whole), rows)
    # the same inputs in the same order give the same bytes
    again = merge(bound, *(partial(bound, frame(part, dtype)) for part in parts))
    assert again.serialize() == ways[0].serialize()
    # nothing but the declared types, in memory and stored
    declared = {"g": pl.Int64(), **{each.name: each.dtype for each in bound.accumulators}}
    empty = partial(bound, frame([], dtype))
    for state in (a, whole, empty, merge(bound, empty, empty), *ways, identity(bound, a), *stored(ways[0])):
        assert dict(state.schema) == declared
    for state in stored(ways[0]):
        assert state.equals(ways[0])
    none = pl.DataFrame({"g": [0]})
    assert_means(case, bound, results(bound, identity(bound, none)), [])


@every_case
@settings(max_examples=6)
@given(data=st.data())
def test_a_retraction_takes_its_insertion_out_in_any_order(
    case: Case, dtype: pl.DataType, data: st.DataObject
) -> None:
    bound = bind(case, dtype, signed=True)
    group, element = st.sampled_from(GROUPS), elements(case, dtype)
    kept = data.draw(st.lists(st.tuples(group, element, st.just(1)), max_size=6))
    gone = data.draw(st.lists(st.tuples(group, element), max_size=4))
    both = [(*each, sign) for each in gone for sign in (1, -1)]
    rows = data.draw(st.permutations([*kept, *both]))
    cut = data.draw(st.integers(0, len(rows)))
    parts = [frame(rows[:cut], dtype), frame(rows[cut:], dtype)]
    a, b = (partial(bound, part) for part in parts)

    state = merge(bound, a, b)
    assert_means(case, bound, results(bound, state), kept)
    assert_means(case, bound, results(bound, merge(bound, b, a)), kept)
    assert_means(case, bound, results(bound, partial(bound, frame(rows, dtype))), kept)
    assert merge(bound, a, identity(bound, a)).equals(a)
    assert merge(bound, b, a).equals(state)
    declared = {"g": pl.Int64(), **{each.name: each.dtype for each in bound.accumulators}}
    for each in (a, state, identity(bound, a), *stored(state)):
        assert dict(each.schema) == declared
    # What came and went leaves no trace in the state, unless the accumulators are the user's.
    if not kept and case.verb != "combine":
        assert merge(bound, state, identity(bound, state)).equals(identity(bound, state))


def test_every_public_aggregate_is_registered() -> None:
    functions = {name for name in public.__all__ if isfunction(getattr(public, name))}
    assert {case.verb for case in CASES} == functions
