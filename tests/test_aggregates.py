"""Aggregates: one suite of laws for all of them, then what each one means."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tidegate.aggregates import Aggregate, BoundAggregate

AGGREGATES = {"count": tg.count, "sum": tg.sum, "min": tg.min, "max": tg.max, "mean": tg.mean}

INTEGERS = [pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()]
NUMBERS = [*INTEGERS, pl.Boolean(), pl.Decimal(20, 2), pl.Float32(), pl.Float64()]
OTHERS = [pl.String(), pl.Date(), pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Duration("us"), pl.Time()]
CASES = [
    (verb, dtype)
    for verb in AGGREGATES
    for dtype in [*NUMBERS, *OTHERS]
    if verb in ("min", "max") or (dtype in NUMBERS and verb != "count") or dtype == pl.Boolean()
]


def values(dtype: pl.DataType) -> st.SearchStrategy[Any]:
    if dtype.is_float():
        # Quarters add up exactly, in any order.
        return st.integers(-1_000, 1_000).map(lambda number: number / 4)
    if dtype.is_integer():
        return st.integers(pl.select(dtype.min()).item(), pl.select(dtype.max()).item()).map(
            lambda number: number // 1_000_000_000 if abs(number) > 2**31 else number
        )
    return {
        pl.Boolean(): st.booleans(),
        pl.Decimal(20, 2): st.decimals(-(10**17), 10**17, places=2),
        pl.String(): st.text(max_size=3),
        pl.Date(): st.dates(),
        pl.Datetime("ms"): st.datetimes().map(lambda moment: moment.replace(microsecond=0)),
        pl.Datetime("us", "UTC"): st.datetimes(),
        pl.Duration("us"): st.timedeltas(-timedelta(9_999), timedelta(9_999)),
        pl.Time(): st.times(),
    }[dtype]


def bind(aggregate: Aggregate, dtype: pl.DataType) -> BoundAggregate:
    return aggregate.bind("x", {"v": dtype})


def of(verb: str, dtype: pl.DataType) -> BoundAggregate:
    return bind(AGGREGATES[verb]("v"), dtype)


def partial(bound: BoundAggregate, rows: Sequence[Any], dtype: pl.DataType) -> pl.DataFrame:
    """The accumulators of some elements, made as a map task makes them."""
    frame = pl.DataFrame({"v": pl.Series(rows, dtype=dtype), "g": 0}).with_columns(*bound.inputs)
    expressions = [each.partial.cast(each.dtype).alias(each.name) for each in bound.accumulators]
    return frame.group_by("g").agg(*expressions).drop("g") if rows else identity(bound)


def identity(bound: BoundAggregate) -> pl.DataFrame:
    return pl.select(*(each.identity.cast(each.dtype).alias(each.name) for each in bound.accumulators))


def merge(bound: BoundAggregate, *partials: pl.DataFrame) -> pl.DataFrame:
    """Accumulators as one, as a reduce task joins them."""
    expressions = [each.merge.alias(each.name) for each in bound.accumulators]
    return pl.concat(partials).with_columns(g=0).group_by("g").agg(*expressions).drop("g")


def result(bound: BoundAggregate, accumulators: pl.DataFrame) -> Any:
    return accumulators.select(bound.result.cast(bound.dtype)).item()


def compute(aggregate: Aggregate, rows: Sequence[Any], dtype: pl.DataType) -> Any:
    bound = bind(aggregate, dtype)
    return result(bound, partial(bound, rows, dtype))


# The laws


@pytest.mark.parametrize(("verb", "dtype"), CASES, ids=str)
@settings(max_examples=15)
@given(data=st.data())
def test_laws(verb: str, dtype: pl.DataType, data: st.DataObject) -> None:
    bound = of(verb, dtype)
    lists = st.lists(st.none() | values(dtype), max_size=5)
    rows = data.draw(st.tuples(lists, lists, lists))
    a, b, c = (partial(bound, each, dtype) for each in rows)
    nothing = identity(bound)
    whole = partial(bound, [row for each in rows for row in each], dtype)

    # associative, commutative, with an identity
    assert merge(bound, merge(bound, a, b), c).equals(merge(bound, a, merge(bound, b, c)))
    assert merge(bound, a, b).equals(merge(bound, b, a))
    assert merge(bound, a, nothing).equals(a)
    # any split gives what one batch gives, however it is put together
    assert merge(bound, a, b, c).equals(whole)
    assert reduce(lambda x, y: merge(bound, x, y), [a, b, c], nothing).equals(whole)
    # accumulators keep their declared types, so that state written by one epoch fits the next
    declared = {each.name: each.dtype for each in bound.accumulators}
    for frame in (a, whole, nothing, merge(bound, a, b)):
        assert dict(frame.schema) == declared


# Meaning


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_of_nothing(dtype: pl.DataType) -> None:
    for rows in ([], [None], [None, None]):
        assert compute(tg.sum("v"), rows, dtype) == 0
        assert compute(tg.count("v"), rows, dtype) == 0
        assert compute(tg.count(), rows, dtype) == len(rows)
        assert compute(tg.min("v"), rows, dtype) is None
        assert compute(tg.max("v"), rows, dtype) is None
        assert compute(tg.mean("v"), rows, dtype) is None


def test_nulls_count_for_nothing_but_for_the_number_of_elements() -> None:
    rows = [4, None, 2, None]

    assert compute(tg.count(), rows, pl.Int64()) == 4
    assert compute(tg.count("v"), rows, pl.Int64()) == 2
    assert compute(tg.sum("v"), rows, pl.Int64()) == 6
    assert compute(tg.mean("v"), rows, pl.Int64()) == 3.0
    assert compute(tg.min("v"), rows, pl.Int64()) == 2


@pytest.mark.parametrize(
    ("dtype", "total"),
    [
        (pl.Int8(), pl.Int64()),
        (pl.Int32(), pl.Int64()),
        (pl.UInt8(), pl.UInt64()),
        (pl.Boolean(), pl.Int64()),
        (pl.Float32(), pl.Float64()),
        (pl.Decimal(10, 2), pl.Decimal(38, 2)),
    ],
    ids=str,
)
def test_sums_have_room(dtype: pl.DataType, total: pl.DataType) -> None:
    assert of("sum", dtype).dtype == total
    assert of("mean", dtype).dtype == pl.Float64()
    assert of("min", dtype).dtype == of("max", dtype).dtype == dtype


def test_a_sum_does_not_overflow_the_small_type_of_its_values() -> None:
    assert compute(tg.sum("v"), [127, 127], pl.Int8()) == 254
    assert compute(tg.sum("v"), [255, 255], pl.UInt8()) == 510
    assert compute(tg.sum("v"), [True, True, False], pl.Boolean()) == 2
    assert compute(tg.mean("v"), [127, 127], pl.Int8()) == 127.0
    assert compute(tg.sum("v"), [2**63, 2**63 - 1], pl.UInt64()) == 2**64 - 1


def test_a_sum_of_numbers_of_128_bits_is_refused_for_it_could_overflow() -> None:
    with pytest.raises(tg.PipelineError, match="a Int128 may overflow"):
        tg.sum(pl.col("v").cast(pl.Int128)).bind("total", {"v": pl.Int64()})


def test_decimals_stay_exact() -> None:
    rows = [Decimal("0.10"), Decimal("0.20"), None]

    assert compute(tg.sum("v"), rows, pl.Decimal(10, 2)) == Decimal("0.30")
    assert compute(tg.max("v"), rows, pl.Decimal(10, 2)) == Decimal("0.20")


def test_not_a_number_makes_sums_not_a_number_and_is_no_extreme_beside_numbers() -> None:
    nan = float("nan")

    assert str(compute(tg.sum("v"), [1.0, nan], pl.Float64())) == "nan"
    assert str(compute(tg.mean("v"), [1.0, nan], pl.Float64())) == "nan"
    assert compute(tg.min("v"), [1.0, nan], pl.Float64()) == 1.0
    assert compute(tg.max("v"), [nan, 1.0], pl.Float64()) == 1.0
    assert compute(tg.count("v"), [nan], pl.Float64()) == 1


def test_texts_and_times_have_an_order() -> None:
    assert compute(tg.min("v"), ["b", "ä", "B"], pl.String()) == "B"
    assert compute(tg.max("v"), ["b", "ä", "B"], pl.String()) == "ä"
    assert compute(tg.max("v"), [date(2020, 1, 1), date(2019, 1, 1)], pl.Date()) == date(2020, 1, 1)
    assert compute(tg.max("v"), [True, False], pl.Boolean()) is True


def test_the_input_may_be_an_expression() -> None:
    assert compute(tg.sum(pl.col("v") * 2), [1, 2, None], pl.Int64()) == 6
    assert compute(tg.count(pl.col("v") > 1), [1, 2, None], pl.Int64()) == 2
    assert compute(tg.sum(pl.col("v") > 1), [1, 2, 3, None], pl.Int64()) == 2


def test_a_constant_counts_once_for_each_row() -> None:
    assert compute(tg.sum(pl.lit(2)), [7, 7, None], pl.Int64()) == 6
    assert compute(tg.mean(pl.lit(2)), [7, 7, None], pl.Int64()) == 2.0
    assert compute(tg.max(pl.lit("x")), [7, 7], pl.Int64()) == "x"
    assert compute(tg.count(pl.lit(1)), [7, None], pl.Int64()) == 2
    assert compute(tg.count(pl.lit(None)), [7, 7], pl.Int64()) == 0


@pytest.mark.parametrize(
    ("aggregate", "dtype", "message"),
    [
        (
            tg.sum("v"),
            pl.String(),
            r"agg\(x=sum\(\.\.\.\)\): a String cannot be added up\. Give sum a number",
        ),
        (tg.mean("v"), pl.Date(), r"agg\(x=mean\(\.\.\.\)\): a Date cannot be added up"),
        (tg.max("v"), pl.List(pl.Int64()), r"agg\(x=max\(\.\.\.\)\): a List\(Int64\) has no order"),
        (tg.min(pl.lit(None)), pl.Int64(), "a Null has no order"),
        (
            tg.sum("w"),
            pl.Int64(),
            r"agg\(x=sum\(\.\.\.\)\): there is no column .*w.*columns here are v \(Int64\)",
        ),
        (tg.sum(pl.col("v").cum_sum()), pl.Int64(), "looks at other rows than its own"),
        (tg.sum(pl.col("v") - pl.col("v").min()), pl.Int64(), "looks at other rows than its own"),
        (tg.sum(pl.col("v").sum()), pl.Int64(), "looks at other rows than its own"),
        (tg.sum(pl.col("v", "v")), pl.Int64(), "stands for several columns|cannot work"),
        (tg.sum(pl.lit("x").cast(pl.Int64)), pl.Int64(), "conversion from `str` to `i64` failed"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_mend(
    aggregate: Aggregate, dtype: pl.DataType, message: str
) -> None:
    with pytest.raises(tg.PipelineError, match=message):
        bind(aggregate, dtype)


def test_an_aggregate_describes_itself_by_its_input() -> None:
    assert bind(tg.sum("v"), pl.Int64()).description == bind(tg.sum(pl.col("v")), pl.Int64()).description
    described = [tg.sum("v"), tg.sum(pl.col("v") * 2), tg.min("v"), tg.count("v"), tg.count()]
    assert len({bind(each, pl.Int64()).description for each in described}) == 5


def test_a_decimal_that_may_overflow_when_it_is_added_up_is_refused() -> None:
    with pytest.raises(tg.PipelineError, match="may overflow"):
        tg.sum("v").bind("total", {"v": pl.Decimal(38, 2)})
    assert tg.sum("v").bind("total", {"v": pl.Decimal(28, 2)}).dtype == pl.Decimal(38, 2)
