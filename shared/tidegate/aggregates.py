"""What is computed: aggregates as partial, merge and result.

Each aggregate keeps one or more accumulators per key and window. `partial` makes them from elements,
before the shuffle; `merge` joins accumulators of the same key and window, and is associative and
commutative; `identity` is the accumulator of no element; `result` reads the value. This is the combiner
of MapReduce (OSDI 2004, section 4.3) and Beam's CombineFn, written as expressions.

Nulls are no values: they count for nothing in all but `count()`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import check_expression, describe_expression

Input = str | pl.Expr
"""A column's name or a row-by-row expression."""


@dataclass(frozen=True, eq=False)
class Accumulator:
    """One column of an aggregate's state.

    Attributes:
        name: Its column's name.
        dtype: Its type, the same in every epoch.
        partial: From the elements of a group to the accumulator.
        merge: From accumulators of a group to one.
        identity: The accumulator of no element.
    """

    name: str
    dtype: pl.DataType
    partial: pl.Expr
    merge: pl.Expr
    identity: pl.Expr


@dataclass(frozen=True, eq=False)
class BoundAggregate:
    """An aggregate with its name and its input's type: what the engine works with.

    Attributes:
        name: The output column.
        dtype: The output column's type.
        accumulators: Its state.
        result: From the accumulators to the value.
        description: One line that changes whenever the aggregate does.
        inputs: Hidden columns that the partials read, to be computed row by row before; none where the
            input is a column of the stream.
    """

    name: str
    dtype: pl.DataType
    accumulators: tuple[Accumulator, ...]
    result: pl.Expr
    description: str
    inputs: tuple[pl.Expr, ...] = ()


_DECIMAL_DIGITS = 28
"""Digits that a decimal may have to be added up: 38 are kept, so ten thousand million of them fit."""

Build = Callable[[str, pl.Expr, pl.DataType], BoundAggregate]


@dataclass(frozen=True, eq=False)
class Aggregate:
    """An aggregate over an input, before it has a name; `sum`, `count`, … make one."""

    verb: str
    input: pl.Expr | None
    build: Build

    def bind(
        self, name: str, schema: Mapping[str, pl.DataType], replaced: Collection[str] = ()
    ) -> BoundAggregate:
        """The aggregate as the output column `name` over elements of this schema.

        Args:
            name: Of the output column.
            schema: The elements' columns.
            replaced: Columns that a key of the same name replaces before the partials are computed.

        Raises:
            PipelineError: The input is no column or row-by-row expression of the schema, or its type does
                not fit the aggregate.
        """
        if self.input is None:
            return _build_number(name)
        label = f"agg({name}={self.verb}(...))"
        (dtype,) = check_expression(label, self.input, schema).values()
        if self.input.meta.is_column() and self.input.meta.output_name() not in replaced:
            return self.build(name, self.input, dtype)
        # A column of its own, so that a row which the expression fails on is rejected alone, and a constant
        # counts once for each row.
        column = _column(name, "input")
        bound = self.build(name, pl.col(column), dtype)
        description = f"{self.verb}({describe_expression(self.input)})"
        return replace(bound, description=description, inputs=(self.input.alias(column),))


def sum(column: Input) -> Aggregate:
    """The sum of the values; 0 if there are none.

    Integers give Int64 (UInt64 if unsigned), Booleans count the true ones, floats give Float64. Integers
    are added up in 128 bits; a pane whose sum does not fit into 64 is a dead letter. Sums of floats may
    differ in their last bits with the order of arrival, as any floating-point addition does.
    """
    return Aggregate("sum", _expression(column), _build_sum)


def count(column: Input | None = None) -> Aggregate:
    """The number of elements, or of those whose column is not null."""
    return Aggregate("count", None if column is None else _expression(column), _build_count)


def min(column: Input) -> Aggregate:
    """The smallest value; null if there are none."""
    return Aggregate("min", _expression(column), _build_min)


def max(column: Input) -> Aggregate:
    """The largest value; null if there are none."""
    return Aggregate("max", _expression(column), _build_max)


def mean(column: Input) -> Aggregate:
    """The arithmetic mean of the values as Float64; null if there are none."""
    return Aggregate("mean", _expression(column), _build_mean)


def _expression(column: Input) -> pl.Expr:
    return pl.col(column) if isinstance(column, str) else column


def _column(name: str, part: str) -> str:
    return f"__agg.{name}.{part}"


def _accumulated(dtype: pl.DataType) -> pl.DataType:
    """The type that a sum of this type is kept in: whole numbers in 128 bits, which they cannot overflow."""
    return pl.Int128() if dtype.is_integer() else dtype


def _summable(verb: str, name: str, dtype: pl.DataType) -> pl.DataType:
    if dtype in (pl.Int128(), pl.UInt128()):
        raise PipelineError(
            f"agg({name}={verb}(...))",
            f"a {dtype} may overflow when it is added up",
            f"Give {verb} a number of at most 64 bits, or a pl.Decimal or pl.Float64.",
        )
    if dtype.is_unsigned_integer():
        return pl.UInt64()
    if dtype.is_integer() or dtype == pl.Boolean():
        return pl.Int64()
    if dtype.is_float():
        return pl.Float64()
    if isinstance(dtype, pl.Decimal):
        if dtype.precision > _DECIMAL_DIGITS:
            raise PipelineError(
                f"agg({name}={verb}(...))",
                f"a {dtype} may overflow when it is added up",
                f"Give {verb} at most {_DECIMAL_DIGITS} digits, as pl.col(...).cast(pl.Decimal(28, 2)) does.",
            )
        return pl.Decimal(38, dtype.scale)
    raise PipelineError(
        f"agg({name}={verb}(...))",
        f"a {dtype} cannot be added up",
        f"Give {verb} a number, for instance with pl.col(...).cast(pl.Float64).",
    )


def _sum_accumulator(column: str, value: pl.Expr, dtype: pl.DataType) -> Accumulator:
    kept = _accumulated(dtype)
    return Accumulator(column, kept, value.cast(kept).sum(), pl.col(column).sum(), pl.lit(0).cast(kept))


def _count_accumulator(column: str, value: pl.Expr) -> Accumulator:
    number = value.is_not_null().cast(pl.Int64).sum()
    return Accumulator(column, pl.Int64(), number, pl.col(column).sum(), pl.lit(0, dtype=pl.Int64))


def _build_sum(name: str, value: pl.Expr, dtype: pl.DataType) -> BoundAggregate:
    kind = _summable("sum", name, dtype)
    column = _column(name, "sum")
    total = _sum_accumulator(column, value, kind)
    return BoundAggregate(name, kind, (total,), pl.col(column), f"sum({value})")


def _build_count(name: str, value: pl.Expr, dtype: pl.DataType) -> BoundAggregate:
    column = _column(name, "count")
    number = _count_accumulator(column, value)
    return BoundAggregate(name, pl.Int64(), (number,), pl.col(column), f"count({value})")


def _build_number(name: str) -> BoundAggregate:
    column = _column(name, "count")
    elements = pl.len().cast(pl.Int64)
    number = Accumulator(column, pl.Int64(), elements, pl.col(column).sum(), pl.lit(0, dtype=pl.Int64))
    return BoundAggregate(name, pl.Int64(), (number,), pl.col(column), "count()")


def _build_min(name: str, value: pl.Expr, dtype: pl.DataType) -> BoundAggregate:
    return _extreme("min", name, value, dtype, pl.Expr.min)


def _build_max(name: str, value: pl.Expr, dtype: pl.DataType) -> BoundAggregate:
    return _extreme("max", name, value, dtype, pl.Expr.max)


def _extreme(
    verb: str, name: str, value: pl.Expr, dtype: pl.DataType, choose: Callable[[pl.Expr], pl.Expr]
) -> BoundAggregate:
    if dtype.is_nested() or dtype == pl.Null():
        raise PipelineError(
            f"agg({name}={verb}(...))",
            f"a {dtype} has no order",
            f"Give {verb} a column whose values compare.",
        )
    column = _column(name, verb)
    best = Accumulator(column, dtype, choose(value), choose(pl.col(column)), pl.lit(None, dtype=dtype))
    return BoundAggregate(name, dtype, (best,), pl.col(column), f"{verb}({value})")


def _build_mean(name: str, value: pl.Expr, dtype: pl.DataType) -> BoundAggregate:
    kind = _summable("mean", name, dtype)
    total = _sum_accumulator(_column(name, "sum"), value, kind)
    number = _count_accumulator(_column(name, "count"), value)
    quotient = pl.col(total.name).cast(pl.Float64) / pl.col(number.name)
    result = pl.when(pl.col(number.name) > 0).then(quotient)
    return BoundAggregate(name, pl.Float64(), (total, number), result, f"mean({value})")
