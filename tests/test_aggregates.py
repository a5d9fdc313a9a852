"""What each aggregate means; the laws that all of them keep are in `tests/laws`."""

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidegate as tg
from tidegate.aggregates import Aggregate, BoundAggregate
from tidegate.sources.source import EVENT_TIME

AGGREGATES = {"count": tg.count, "sum": tg.sum, "min": tg.min, "max": tg.max, "mean": tg.mean}

INTEGERS = [pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()]
NUMBERS = [*INTEGERS, pl.Boolean(), pl.Decimal(20, 2), pl.Float32(), pl.Float64()]


def bind(aggregate: Aggregate, dtype: pl.DataType) -> BoundAggregate:
    return aggregate.bind("x", {"v": dtype})


def of(verb: str, dtype: pl.DataType) -> BoundAggregate:
    return bind(AGGREGATES[verb]("v"), dtype)


def partial(bound: BoundAggregate, rows: Sequence[Any], dtype: pl.DataType) -> pl.DataFrame:
    """The accumulators of some elements, made as a map task makes them."""
    given = {"v": pl.Series(rows, dtype=dtype), EVENT_TIME: pl.int_range(len(rows), eager=True), "g": 0}
    frame = pl.DataFrame(given).with_columns(*bound.inputs)
    expressions = [each.partial.cast(each.dtype).alias(each.name) for each in bound.accumulators]
    return frame.group_by("g").agg(*expressions).drop("g") if rows else identity(bound)


def identity(bound: BoundAggregate) -> pl.DataFrame:
    return pl.select(*(each.identity.cast(each.dtype).alias(each.name) for each in bound.accumulators))


def result(bound: BoundAggregate, accumulators: pl.DataFrame) -> Any:
    return accumulators.select(bound.result.cast(bound.dtype)).item()


def compute(aggregate: Aggregate, rows: Sequence[Any], dtype: pl.DataType) -> Any:
    bound = bind(aggregate, dtype)
    return result(bound, partial(bound, rows, dtype))


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


NAN, INF = float("nan"), float("inf")


def signed(aggregate: Aggregate, changes: Sequence[tuple[int, Any]], dtype: pl.DataType) -> Any:
    """The result of inserted and retracted values, each change an epoch of its own."""
    bound = aggregate.bind("x", {"v": dtype}, (), pl.col("sign"))
    parts = []
    for sign, value in changes:
        row = pl.DataFrame({"v": pl.Series([value], dtype=dtype), EVENT_TIME: 0, "sign": sign, "g": 0})
        made = [each.partial.cast(each.dtype).alias(each.name) for each in bound.accumulators]
        parts.append(row.with_columns(*bound.inputs).group_by("g").agg(*made))
    merged = pl.concat(parts).group_by("g").agg(each.merge.alias(each.name) for each in bound.accumulators)
    return result(bound, merged)


# Variance


def test_a_variance_does_not_suffer_from_a_large_mean() -> None:
    rows = [1e9 + each for each in (4, 7, 13, 16)]

    assert compute(tg.var("v"), rows, pl.Float64()) == 30.0
    assert compute(tg.var("v", ddof=0), rows, pl.Float64()) == 22.5
    assert compute(tg.std("v"), rows, pl.Float64()) == math.sqrt(30)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2), st.integers(1, 5))
def test_a_variance_merged_of_parts_is_that_of_polars(rows: list[float], size: int) -> None:
    bound = bind(tg.var("v"), pl.Float64())
    parts = [partial(bound, rows[at : at + size], pl.Float64()) for at in range(0, len(rows), size)]
    merges = [each.merge.alias(each.name) for each in bound.accumulators]
    found = result(bound, pl.concat(parts).with_columns(g=0).group_by("g").agg(*merges))

    meant = pl.Series(rows).var()
    assert math.isclose(found, meant, rel_tol=1e-9, abs_tol=1e-6)


def test_a_variance_of_too_few_values_is_null_and_of_no_numbers_no_number() -> None:
    assert compute(tg.var("v"), [1.0], pl.Float64()) is None
    assert compute(tg.std("v", ddof=2), [1.0, None, 2.0], pl.Float64()) is None
    assert compute(tg.var("v", ddof=0), [1.0], pl.Float64()) == 0.0
    for rows in ([1.0, INF], [INF, INF], [NAN, 1.0]):
        assert math.isnan(compute(tg.var("v"), rows, pl.Float64()))


# Event order


def test_the_first_and_the_last_value_are_those_of_event_time() -> None:
    bound = {
        name: getattr(tg, name)("v").bind("x", {"v": pl.Int64()}) for name in ("first", "last", "collect")
    }
    frame = pl.DataFrame({"v": [5, None, 3, 4, 9, None], EVENT_TIME: [2, 1, 3, 2, 3, 4], "g": 0})

    def of(name: str) -> Any:
        made = [each.partial.cast(each.dtype).alias(each.name) for each in bound[name].accumulators]
        return result(bound[name], frame.group_by("g").agg(*made))

    # Of several at one moment the smallest is the first and the largest the last; nulls are no values.
    assert of("first") == 4
    assert of("last") == 9
    assert of("collect").to_list() == [4, 5, 3, 9]


def test_a_list_holds_one_nan_and_one_zero_in_place_of_their_kinds() -> None:
    found = compute(tg.collect("v"), [-0.0, -NAN], pl.Float64()).to_list()

    assert math.copysign(1, found[0]) == 1.0
    assert math.isnan(found[1])


# Distinct values and quantiles


def test_distinct_values_are_counted_as_they_compare() -> None:
    assert compute(tg.count_distinct("v"), [0.0, -0.0, NAN, -NAN, None, 1.0], pl.Float64()) == 3
    assert compute(tg.count_distinct("v"), ["a", "A", "ä", "a"], pl.String()) == 3


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
@given(rows=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9), q=st.floats(0, 1))
def test_a_quantile_is_that_of_polars(interpolation: Any, rows: list[float], q: float) -> None:
    found = compute(tg.quantile("v", q, interpolation), rows, pl.Float64())

    assert math.isclose(found, pl.Series(rows).quantile(q, interpolation), rel_tol=1e-9, abs_tol=1e-6)


def test_the_rank_of_a_row_is_a_number_and_what_is_given_may_be_anything() -> None:
    rows = [5.0, NAN, None, 7.0, 6.0]

    assert compute(tg.top(2, by="v", column="v"), rows, pl.Float64()).to_list() == [7.0, 6.0]
    assert compute(tg.top(2, by=-pl.col("v"), column=pl.lit("x")), rows, pl.Float64()).to_list() == ["x", "x"]
    assert compute(tg.top(1, by="v"), rows, pl.Float64()).to_list() == [{"v": 7.0}]
    assert compute(tg.top(9, by="v"), [], pl.Float64()).to_list() == []


def test_the_state_of_the_highest_is_bounded() -> None:
    bound = bind(tg.top(3, by="v", column="v"), pl.Int64())
    (kept,) = partial(bound, list(range(1_000)), pl.Int64()).row(0)

    assert len(kept) == 3


# Sketches: fixed data, so that what holds once holds always


@pytest.mark.parametrize("precision", [4, 10, 12, 16])
def test_approximate_counts_keep_their_standard_error(precision: int) -> None:
    errors = []
    for trial, size in enumerate([1, 10, 300, 3_000, 10_000, 30_000] * 4):
        rows = pl.int_range(size, eager=True) + trial * 1_000_003
        found = compute(tg.approx_count_distinct("v", precision), rows.to_list(), pl.Int64())
        errors.append((found - size) / size)
    root_mean_square = math.sqrt(sum(error * error for error in errors) / len(errors))

    assert max(map(abs, errors)) < 4 * 1.04 / math.sqrt(2**precision)
    assert root_mean_square < 1.3 * 1.04 / math.sqrt(2**precision)


def test_approximate_counts_do_not_grow_with_repetition_nor_the_state_with_values() -> None:
    bound = bind(tg.approx_count_distinct("v", precision=6), pl.String())
    rows = [str(number % 50_000) for number in range(100_000)]
    state = partial(bound, rows, pl.String())

    assert len(state.item()) <= 2**6
    assert result(bound, state) == result(bound, partial(bound, rows[:50_000], pl.String()))


@pytest.mark.parametrize(
    ("dtype", "rows", "registers"),
    [
        (pl.Int64(), [1, 2], [(1538, 4), (2939, 2)]),
        (pl.Float64(), [1.0, 2.0], [(2644, 2), (3649, 4)]),
        (pl.String(), ["a", "ä"], [(2776, 2), (3364, 1)]),
        (pl.Binary(), [b"a", b"b"], [(1924, 2), (3364, 1)]),
        (pl.Datetime("us"), [datetime(1970, 1, 1), datetime(1970, 1, 2)], [(1587, 2), (3294, 3)]),  # noqa: DTZ001
        (pl.Boolean(), [True, False], [(1587, 2), (2939, 2)]),
        (pl.Decimal(9, 2), [Decimal("1.00"), Decimal("2.00")], [(596, 3), (1364, 1)]),
    ],
    ids=str,
)
def test_hashes_stay_what_they_are(
    dtype: pl.DataType, rows: list[Any], registers: list[tuple[int, int]]
) -> None:
    """State that is there already must fit what is hashed later, on whatever machine."""
    (state,) = partial(bind(tg.approx_count_distinct("v"), dtype), rows, dtype).row(0)

    assert [(each["register"], each["number"]) for each in state] == registers


@pytest.mark.parametrize("relative_error", [0.5, 0.1, 0.01, 0.001])
def test_approximate_quantiles_keep_their_relative_error(relative_error: float) -> None:
    rows = [(-1) ** (n % 3 == 0) * math.exp(9 * math.sin(n)) for n in range(5_000)] + [0.0, INF, -INF, NAN]
    ordered = [*sorted(each for each in rows if not math.isnan(each)), NAN]
    for q in (0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.999, 0.9999, 1):
        found = compute(tg.approx_quantile("v", q, relative_error), rows, pl.Float64())
        exact = ordered[math.floor(q * (len(rows) - 1))]
        assert found == exact or math.isnan(exact) or abs(found - exact) <= relative_error * abs(exact)
        assert math.isnan(found) == math.isnan(exact)


def test_an_approximate_quantile_has_64_buckets_for_each_doubling() -> None:
    bound = bind(tg.approx_quantile("v", 0.5), pl.Float64())

    assert len(partial(bound, [1 + each / 10_000 for each in range(10_000)], pl.Float64()).item()) == 64


# Over rows that are retracted


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=6), st.lists(st.floats(), max_size=6)
)
def test_floats_of_any_size_leave_no_trace_in_a_sum(kept: list[float], gone: list[float]) -> None:
    changes = [*((1, each) for each in gone), *((1, each) for each in kept), *((-1, each) for each in gone)]
    if not changes:
        return
    found = signed(tg.sum("v"), changes, pl.Float64())
    infinities = {each for each in kept if math.isinf(each)}
    if any(map(math.isnan, kept)) or len(infinities) == 2:
        assert math.isnan(found)
    elif infinities:
        assert found == infinities.pop()
    else:
        try:
            meant = math.fsum(kept)
        except OverflowError:
            return
        assert math.isclose(found, meant, rel_tol=1e-12, abs_tol=1e-12 * max(map(abs, kept), default=0.0))


def test_a_huge_number_does_not_swallow_small_ones() -> None:
    assert signed(tg.sum("v"), [(1, 1e300), (1, 1.0), (-1, 1e300)], pl.Float64()) == 1.0
    assert signed(tg.mean("v"), [(1, 5e-324), (1, 1e308), (-1, 1e308)], pl.Float64()) == 5e-324
    assert signed(tg.sum("v"), [(1, INF), (1, 2.0), (-1, INF)], pl.Float64()) == 2.0


def test_a_retraction_may_come_before_its_insertion() -> None:
    for aggregate, meant in (
        (tg.max("v"), 3),
        (tg.collect("v"), [3]),
        (tg.top(1, "v", "v"), [3]),
        (tg.sum("v"), 3),
    ):
        found = signed(aggregate, [(-1, 9), (1, 3), (1, 9)], pl.Int64())
        assert (found.to_list() if isinstance(found, pl.Series) else found) == meant


def test_what_tells_of_one_emission_cannot_be_aggregated_where_it_is_retracted() -> None:
    schema = {"emitted_at": pl.Datetime("us", "UTC")}

    with pytest.raises(tg.PipelineError, match="a retraction does not repeat it"):
        tg.max("emitted_at").bind("x", schema, (), pl.col("sign"))
    assert tg.max("emitted_at").bind("x", schema).dtype == schema["emitted_at"]


# What is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tg.var("v", ddof=-1), r"var\(ddof=-1\): it is no whole number from 0 on"),
        (lambda: tg.std("v", ddof=0.5), r"std\(ddof=0.5\)"),  # type: ignore[arg-type]
        (lambda: tg.quantile("v", 1.5), r"quantile\(q=1.5\): it is no number from 0 to 1. Give 0.5"),
        (lambda: tg.quantile("v", 0.5, "middle"), "Give one of linear, lower"),  # type: ignore[arg-type]
        (lambda: tg.approx_quantile("v", NAN), "no number from 0 to 1"),
        (
            lambda: tg.approx_quantile("v", 0.5, 0),
            r"relative_error=0\): it is no number from 0.000010 to 0.5",
        ),
        (lambda: tg.approx_count_distinct("v", 20), r"precision=20\): it is no whole number from 4 to 16"),
        (lambda: tg.top(0, by="v"), r"top\(n=0\): it is no whole number from 1 on"),
        (lambda: bind(tg.any("v"), pl.Int64()), "a Int64 is neither true nor false. Give any a condition"),
        (lambda: bind(tg.var("v"), pl.String()), "a String cannot be added up"),
        (lambda: bind(tg.quantile("v", 0.5), pl.Date()), "a Date cannot be added up"),
        (lambda: bind(tg.first("v"), pl.List(pl.Int8())), r"a List\(Int8\) has no order"),
        (lambda: bind(tg.top(1, by="v"), pl.Struct({"a": pl.Int8()})), "has no order"),
        (lambda: bind(tg.top(1, by="w"), pl.Int64()), "there is no column 'w'"),
        (lambda: bind(tg.collect("v"), pl.Null()), "a Null has no values"),
        (lambda: bind(tg.approx_count_distinct("v"), pl.List(pl.Int8())), "has no hash"),
        (lambda: tg.reduce("v", 3), r"reduce: 3 cannot be called"),  # type: ignore[arg-type]
        (lambda: tg.combine("v", len), "is no CombineFn. Give an instance"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(tg.PipelineError, match=message):
        make()


def test_settings_are_part_of_the_description() -> None:
    described = [
        *(tg.quantile("v", q) for q in (0.5, 0.9)),
        *(tg.approx_quantile("v", 0.5, error) for error in (0.1, 0.01)),
        *(tg.approx_count_distinct("v", precision) for precision in (12, 14)),
        *(tg.top(n, by="v") for n in (1, 2)),
        *(tg.var("v", ddof) for ddof in (0, 1)),
        tg.reduce("v", max),
        tg.reduce("v", min),
    ]
    assert len({bind(each, pl.Int64()).description for each in described}) == len(described)
    unsigned = bind(tg.sum("v"), pl.Int64())
    assert tg.sum("v").bind("x", {"v": pl.Int64()}, (), pl.col("sign")).description != unsigned.description
