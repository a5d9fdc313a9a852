"""What an aggregate is: accumulators with partial, merge and result, as expressions.

This is the combiner of MapReduce (OSDI 2004, section 4.3) and Beam's CombineFn, written for whole columns.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import polars as pl

from tidegate.errors import PipelineError
from tidegate.expressions import HIDDEN, check_expression, describe_expression
from tidegate.panes import EMITTED_AT, INDEX, IS_LAST, OP, TIMING

Schema = Mapping[str, pl.DataType]

Input = str | pl.Expr
"""A column's name or a row-by-row expression."""

EMISSION = (TIMING, INDEX, IS_LAST, OP, EMITTED_AT)
"""What a pane says of its emission: a retraction does not repeat it, and it is no part of a row."""


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
        result: From the accumulators to the value. It may fail on a row; that pane is a dead letter.
        description: One line that changes whenever the aggregate does.
        inputs: Hidden columns that the partials read, to be computed row by row before; none where the
            input is a column of the stream.
        is_python: Whether a Python function is called for the elements.
    """

    name: str
    dtype: pl.DataType
    accumulators: tuple[Accumulator, ...]
    result: pl.Expr
    description: str = ""
    inputs: tuple[pl.Expr, ...] = ()
    is_python: bool = False


@dataclass(frozen=True, eq=False)
class Operand:
    """What an aggregate is built over.

    Attributes:
        name: The output column.
        verb: The aggregate's function, for messages.
        value: The input; null where a row has no value.
        dtype: Its type.
        sign: 1 for a row that is inserted and -1 for one that is retracted; None if nothing is retracted.
    """

    name: str
    verb: str
    value: pl.Expr
    dtype: pl.DataType
    sign: pl.Expr | None = None

    @property
    def label(self) -> str:
        """How messages name the aggregate."""
        return _label(self.name, self.verb)

    @property
    def fields(self) -> Schema:
        """The fields of values that are structs, with types."""
        return pl.Schema(self.dtype.to_schema()) if isinstance(self.dtype, pl.Struct) else {}

    def column(self, part: str) -> str:
        """The name of a hidden column of this aggregate."""
        return f"{HIDDEN}agg.{self.name}.{part}"

    def refusal(self, what: str, mend: str) -> PipelineError:
        """The error for an input that does not fit."""
        return PipelineError(self.label, what, mend)

    def comparable(self, dtype: pl.DataType | None = None) -> None:
        """Refuses values without an order of their own.

        Raises:
            PipelineError: The type is nested, or has no values.
        """
        dtype = self.dtype if dtype is None else dtype
        if dtype.is_nested() or dtype in (pl.Null(), pl.Object()) or isinstance(dtype, pl.Categorical):
            raise self.refusal(f"a {dtype} has no order", f"Give {self.verb} a column whose values compare.")


Build = Callable[[Operand], BoundAggregate]


@dataclass(frozen=True, eq=False)
class Aggregate:
    """An aggregate over an input, before it has a name; `sum`, `count`, … make one.

    Attributes:
        verb: The function that made it.
        over: What it is computed over, or that from the columns of the stream; None for whole rows that
            are counted only.
        build: Gives its accumulators.
        parameters: What else it was given, as text; part of the description.
        trial: From the aggregate's label to what every input is tried with before it is grouped: a function
            that gives a column as it is or raises. A row that it fails on is rejected alone.
    """

    verb: str
    over: pl.Expr | Callable[[Schema], pl.Expr] | None
    build: Build
    parameters: str = ""
    trial: Callable[[str], Callable[[pl.Series], pl.Series]] | None = None

    def bind(
        self,
        name: str,
        schema: Schema,
        replaced: Collection[str] = (),
        sign: pl.Expr | None = None,
    ) -> BoundAggregate:
        """The aggregate as the output column `name` over elements of this schema.

        Args:
            name: Of the output column; empty for an aggregate whose fields become the columns.
            schema: The elements' columns.
            replaced: Columns that a key of the same name replaces before the partials are computed.
            sign: 1 for an element that is inserted, -1 for one that is retracted (Int8); a retraction takes
                an equal element out again, in whatever order the two arrive. None if all are inserted.

        Raises:
            PipelineError: The input is no column or row-by-row expression of the schema, or its type does
                not fit the aggregate.
        """
        label = _label(name, self.verb)
        signed = "" if sign is None else " of signed rows"
        if self.over is None:
            bound = self.build(Operand(name, self.verb, pl.lit(True), pl.Boolean(), sign))
            return replace(bound, description=f"{self.verb}(){signed}")
        given = self.over if isinstance(self.over, pl.Expr) else self.over(schema)
        (dtype,) = check_expression(label, given, schema).values()
        if sign is not None:
            _check_repeated(label, given)
        description = f"{self.verb}({describe_expression(given)}{self.parameters}){signed}"
        plain = given.meta.is_column() and given.meta.output_name() not in replaced and self.trial is None
        if plain:
            return replace(self.build(Operand(name, self.verb, given, dtype, sign)), description=description)
        # A column of its own, so that a row which the expression fails on is rejected alone, and a constant
        # counts once for each row.
        operand = Operand(name, self.verb, pl.lit(None), dtype, sign)
        column = operand.column("input")
        tried = given
        if self.trial is not None:
            tried = given.map_batches(self.trial(label), dtype, is_elementwise=True)
        bound = self.build(replace(operand, value=pl.col(column)))
        return replace(bound, description=description, inputs=(tried.alias(column),))


def expression(column: Input) -> pl.Expr:
    """A column's name as an expression; expressions as they are."""
    return pl.col(column) if isinstance(column, str) else column


def canonical(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The value with one form for equal ones: of the two zeros the positive, one NaN, also inside of it."""
    if isinstance(dtype, pl.Struct):
        fields = pl.Schema(dtype.to_schema())
        parts = [canonical(value.struct.field(name), each).alias(name) for name, each in fields.items()]
        return pl.when(value.is_not_null()).then(pl.struct(parts)) if _has_floats(dtype) else value
    if isinstance(dtype, pl.List):
        (inner,) = pl.Schema({"item": dtype.inner}).values()
        return value.list.eval(canonical(pl.element(), inner)) if _has_floats(dtype) else value
    if not dtype.is_float():
        return value
    nan, zero = pl.lit(float("nan"), dtype=dtype), pl.lit(0.0, dtype=dtype)
    return pl.when(value.is_nan()).then(nan).when(value == 0).then(zero).otherwise(value)


def _has_floats(dtype: pl.DataType) -> bool:
    return "Float" in str(dtype)


def _label(name: str, verb: str) -> str:
    return f"agg({name}={verb}(...))" if name else f"{verb}(...)"


def _check_repeated(label: str, given: pl.Expr) -> None:
    for name in given.meta.root_names():
        if name in EMISSION:
            raise PipelineError(
                label,
                f"{name} tells of one emission, and a retraction does not repeat it",
                "Compute over keys, windows and values only.",
            )
