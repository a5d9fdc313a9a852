"""Aggregates whose work is done by Python functions."""

from collections.abc import Callable, Iterable
from functools import reduce as fold
from typing import Any

import polars as pl

from tidegate.aggregates.aggregate import Aggregate, BoundAggregate, Input, Operand, expression
from tidegate.aggregates.combine_fn import CombineFn
from tidegate.aggregates.function_state import FunctionState, call, failed
from tidegate.aggregates.tally import as_often
from tidegate.aggregates.values import ValueTally
from tidegate.arguments import called_as, takes
from tidegate.errors import PipelineError
from tidegate.function_steps import full_name, function_name
from tidegate.schema import declared_schema


@called_as("tg.reduce('score', max)")
def reduce(column: Input, function: Callable[[Any, Any], Any]) -> Aggregate:
    """One value of all, by a Python function of two; null if there are none.

    Args:
        column: Any values; of several columns a `dict`, as `pl.struct("a", "b")`.
        function: From two values to one of the same kind. It must be associative and commutative, for values
            come in any order, and those of different files in groups. If it raises, the panes of that key and
            window become dead letters that say why: nobody knows which of the two values was wrong.

    Raises:
        PipelineError: `function` cannot be called with two values, or `column` is none.

    Example:
        >>> words.group_by("letter").agg(longest=tg.reduce("word", longer))  # doctest: +SKIP
    """
    _check_column("reduce", column, "then the function, as in tg.reduce('score', max)")
    if not callable(function):
        raise PipelineError("reduce", f"{function!r} cannot be called", "Give a function of two values.")
    if not takes(function, 2):
        raise PipelineError(
            "reduce",
            f"{full_name(function)} cannot be called with two values",
            "Give a function that makes one value of two, such as max.",
        )

    def reduced(values: list[Any]) -> Any:
        return fold(function, values)

    def build(operand: Operand) -> BoundAggregate:
        def row(values: list[Any]) -> Any:
            return _complete(reduced(values), operand.fields.keys())

        work = row if operand.fields else reduced
        state = FunctionState(
            operand.label, function_name(function), operand.dtype, work, work, values_are_accumulators=True
        )
        if operand.sign is not None:
            return _kept(operand, operand.dtype, lambda values: state.of(values) if values else None)
        accumulator = state.accumulator(operand.column("reduced"), _imploded(operand))
        result = state.read(accumulator.name, operand.dtype, None)
        return BoundAggregate(operand.name, operand.dtype, (accumulator,), result, is_python=True)

    return Aggregate("reduce", expression(column), build, f", {full_name(function)}")


@called_as("tg.combine('rate', Product())")
def combine(column: Input, combine_fn: CombineFn) -> Aggregate:
    """What a `CombineFn` makes of the values; with none, what it makes of an empty accumulator.

    An element that `add_input` raises on, asked with an empty accumulator, becomes a dead letter by itself.
    Where `merge_accumulators` or `extract_output` raises, or gives what does not fit its declared type, the
    panes of that key and window become dead letters that say why.

    Args:
        column: Any values; of several columns a `dict`, as `pl.struct("a", "b")`.
        combine_fn: An instance of a class of yours.

    Raises:
        PipelineError: It is none, or its types are no Polars types; `column` is none.

    Example:
        >>> rates.group_by("fund").agg(growth=tg.combine("rate", Product()))  # doctest: +SKIP
    """
    _check_column("combine", column, "then the CombineFn, as in tg.combine('rate', Product())")
    if not isinstance(combine_fn, CombineFn):
        raise PipelineError(
            "combine", f"{combine_fn!r} is no CombineFn", "Give an instance of a subclass, such as Product()."
        )
    types = {each: getattr(combine_fn, each, None) for each in ("accumulator", "output")}
    declared = declared_schema(f"combine({type(combine_fn).__qualname__})", types)  # type: ignore[arg-type]
    parameters = f", {combine_fn.describe()}: {declared['accumulator']} -> {declared['output']}"

    def build(operand: Operand) -> BoundAggregate:
        return _build_combine(operand, combine_fn, declared["accumulator"], declared["output"])

    def trial(label: str) -> Callable[[pl.Series], pl.Series]:
        def tried(inputs: pl.Series) -> pl.Series:
            for value in inputs.drop_nulls().to_list():
                _, error = call(label, f"{name}.add_input", lambda given: add(combine_fn, [given]), value)
                if error is not None:
                    raise failed(error)
            return inputs

        return tried

    name = type(combine_fn).__qualname__
    return Aggregate("combine", expression(column), build, parameters, trial)


def add(combine_fn: CombineFn, values: Iterable[Any]) -> Any:
    """The accumulator of these inputs."""
    accumulator = combine_fn.create_accumulator()
    for value in values:
        accumulator = combine_fn.add_input(accumulator, value)
    return accumulator


def _check_column(step: str, column: object, then: str) -> None:
    if not isinstance(column, str | pl.Expr):
        mend = f"Give a column's name or an expression first, {then}."
        raise PipelineError(step, f"{column!r} is no column", mend)


def _build_combine(
    operand: Operand, combine_fn: CombineFn, kept: pl.DataType, output: pl.DataType
) -> BoundAggregate:
    def extracted(accumulator: Any) -> Any:
        if accumulator is None:
            accumulator = combine_fn.create_accumulator()
        return combine_fn.extract_output(accumulator)

    def added(values: list[Any]) -> Any:
        return add(combine_fn, values)

    def signed(changes: list[dict[str, Any]]) -> Any:
        accumulator = combine_fn.create_accumulator()
        for change in changes:
            work = combine_fn.retract_input if change["sign"] < 0 else combine_fn.add_input
            accumulator = work(accumulator, change["value"])
        return accumulator

    if operand.sign is not None and not combine_fn.has_inverse:
        return _kept(operand, output, lambda values: extracted(added(values)))
    made = added if operand.sign is None else signed
    name = type(combine_fn).__qualname__
    state = FunctionState(operand.label, name, kept, made, combine_fn.merge_accumulators)
    accumulator = state.accumulator(operand.column("accumulator"), _imploded(operand))
    result = state.read(accumulator.name, output, extracted)
    return BoundAggregate(operand.name, output, (accumulator,), result, is_python=True)


def _imploded(operand: Operand) -> pl.Expr:
    """The values of a group as a list, with their signs where there are some."""
    value = operand.value
    given = value if operand.sign is None else pl.struct(value.alias("value"), operand.sign.alias("sign"))
    return given.filter(value.is_not_null()).implode()


def _kept(operand: Operand, output: pl.DataType, work: Callable[[list[Any]], Any]) -> BoundAggregate:
    """All values are kept, and worked on anew for each pane."""
    kept = ValueTally(operand)
    values = kept.read(pl.col("value").implode(), pl.List(operand.dtype), [], as_often)
    state = FunctionState(operand.label, operand.verb, output, work, work)
    result = values.map_batches(state.results, output, is_elementwise=True)
    return BoundAggregate(operand.name, output, (kept.accumulator,), result, is_python=True)


def _complete(row: Any, columns: Iterable[str]) -> Any:
    if not isinstance(row, dict):
        raise TypeError(f"it returned {type(row).__name__} and not a dict")
    if set(row) != set(columns):
        raise KeyError(f"it returned the columns {sorted(row)} and not {sorted(columns)}")
    return row
