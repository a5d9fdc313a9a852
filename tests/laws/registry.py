"""Every aggregate, with the types that it is tried on and what it means. A new one is registered here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

import tidegate as tg
from tests.laws import batch
from tests.laws.batch import Batch
from tidegate.aggregates import Aggregate

INTEGERS = (pl.Int8(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt64())
FLOATS = (pl.Float32(), pl.Float64())
DECIMAL = pl.Decimal(20, 2)
NUMBERS = (*INTEGERS, *FLOATS, DECIMAL, pl.Boolean())
TIMES = (pl.Date(), pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Duration("us"), pl.Time())
COMPARABLE = (pl.Int64(), *FLOATS, DECIMAL, pl.Boolean(), pl.String(), pl.Enum(["a", "b", "c"]), *TIMES)
NESTED = (
    pl.Struct({"a": pl.Int64(), "b": pl.String()}),
    pl.Struct({"f": pl.Float64()}),
    pl.List(pl.Float32()),
)


@dataclass(frozen=True, eq=False)
class Case:
    """An aggregate over the column `v`, which may look at `w` as well.

    Attributes:
        verb: Its public function.
        dtypes: The types of `v`.
        batch: Its meaning.
        within: How far from its meaning a number may be, relative to the largest number in it.
        rounded: Types for which the order in which partials are merged shows in the last bits.
    """

    verb: str
    aggregate: Aggregate
    dtypes: Sequence[pl.DataType]
    batch: Batch
    within: float = 0.0
    rounded: Sequence[pl.DataType] = ()


class Total(tg.CombineFn):
    """Number and sum, as a struct."""

    accumulator = pl.Struct({"number": pl.Int64(), "total": pl.Int64()})
    output = pl.List(pl.Int64())

    def create_accumulator(self) -> dict[str, int]:
        return {"number": 0, "total": 0}

    def add_input(self, accumulator: dict[str, int], value: int) -> dict[str, int]:
        return {"number": accumulator["number"] + 1, "total": accumulator["total"] + value}

    def merge_accumulators(self, accumulators: Iterable[dict[str, int]]) -> dict[str, int]:
        given = list(accumulators)
        return {name: sum(each[name] for each in given) for name in ("number", "total")}

    def extract_output(self, accumulator: dict[str, int]) -> list[int]:
        return [accumulator["number"], accumulator["total"]]


class ReversibleTotal(Total):
    """The same with an inverse."""

    def retract_input(self, accumulator: dict[str, int], value: int) -> dict[str, int]:
        return {"number": accumulator["number"] - 1, "total": accumulator["total"] - value}


def number_and_total(elements: Sequence[batch.Element]) -> list[int]:
    given = batch.values(elements)
    return [len(given), sum(given)]


def larger(a: Any, b: Any) -> Any:
    return max(a, b)


def row_with_more(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return max(a, b, key=lambda row: (row["w"], row["v"]))


def with_more(elements: Sequence[batch.Element]) -> dict[str, Any] | None:
    rows = [{"v": each.value or 0, "w": each.other} for each in elements]
    return max(rows, key=lambda row: (row["w"], row["v"])) if rows else None


ROUNDING = 1e-9
"""What sums of floats may be wrong by."""

CASES = (
    Case("count", tg.count("v"), (pl.Int64(), pl.String()), lambda e: len(batch.values(e))),
    Case("count", tg.count(), (pl.Int64(),), len),
    Case("sum", tg.sum("v"), NUMBERS, batch.total, ROUNDING, FLOATS),
    Case("mean", tg.mean("v"), NUMBERS, batch.mean, ROUNDING, FLOATS),
    Case("min", tg.min("v"), COMPARABLE, batch.least),
    Case("max", tg.max("v"), COMPARABLE, batch.greatest),
    Case("var", tg.var("v"), NUMBERS, partial(batch.variance, ddof=1), ROUNDING, rounded=NUMBERS),
    Case(
        "var", tg.var("v", ddof=0), (pl.Int64(),), partial(batch.variance, ddof=0), ROUNDING, rounded=NUMBERS
    ),
    Case(
        "std", tg.std("v"), (pl.Int8(), pl.Float64()), partial(batch.deviation, ddof=1), 1e-6, rounded=NUMBERS
    ),
    Case("first", tg.first("v"), COMPARABLE, batch.first),
    Case("last", tg.last("v"), COMPARABLE, batch.last),
    Case("collect", tg.collect("v"), (*COMPARABLE, pl.Binary(), *NESTED), batch.in_event_order),
    Case("any", tg.any("v"), (pl.Boolean(),), lambda e: any(batch.values(e))),
    Case("all", tg.all("v"), (pl.Boolean(),), lambda e: all(batch.values(e))),
    Case("count_distinct", tg.count_distinct("v"), (*COMPARABLE, pl.Binary(), *NESTED), batch.distinct),
    Case(
        "approx_count_distinct",
        tg.approx_count_distinct("v"),
        (*COMPARABLE, pl.Binary()),
        batch.distinct,
        0.2,
    ),
    *(
        Case(
            "quantile",
            tg.quantile("v", 0.4, how),
            (pl.Float64(),),
            partial(batch.quantile, q=0.4, interpolation=how),
            1e-12,
        )
        for how in ("lower", "higher", "nearest", "midpoint")
    ),
    Case(
        "quantile",
        tg.quantile("v", 0.9),
        NUMBERS,
        partial(batch.quantile, q=0.9, interpolation="linear"),
        1e-12,
    ),
    Case(
        "approx_quantile",
        tg.approx_quantile("v", 0.5),
        NUMBERS,
        partial(batch.quantile, q=0.5, interpolation="lower"),
        0.01,
    ),
    Case("top", tg.top(2, by="w", column="v"), (*COMPARABLE, pl.Binary(), *NESTED), partial(batch.top, n=2)),
    Case("top", tg.top(2, by="v"), COMPARABLE, partial(batch.largest, n=2)),
    Case(
        "reduce",
        tg.reduce("v", larger),
        (pl.Int64(), pl.String(), DECIMAL, *TIMES),
        partial(batch.reduced, function=larger),
    ),
    Case(
        "reduce", tg.reduce(pl.struct(pl.col("v").fill_null(0), "w"), row_with_more), (pl.Int64(),), with_more
    ),
    Case("combine", tg.combine("v", Total()), (pl.Int16(),), number_and_total),
    Case("combine", tg.combine("v", ReversibleTotal()), (pl.Int16(),), number_and_total),
)
