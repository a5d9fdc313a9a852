"""Combining in Python: what users write to make an aggregate of their own."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import polars as pl

from tidegate.function_steps import full_name


class CombineFn(ABC):
    """An aggregate in Python, as Beam's CombineFn: accumulators, made of inputs, merged, and read.

    `add_input` and `merge_accumulators` may change the first accumulator and return it. Whatever the order
    in which inputs are added and accumulators are merged, the output must be the same.

    Attributes:
        accumulator: The Polars type in which accumulators are stored between epochs. They are what that type
            holds: numbers, texts, a `dict` for `pl.Struct`, a list for `pl.List`. None is no accumulator.
        output: The Polars type of the outputs.

    Example:
        >>> class Product(CombineFn):
        ...     accumulator = output = pl.Float64()
        ...
        ...     def create_accumulator(self):
        ...         return 1.0
        ...
        ...     def add_input(self, accumulator, value):
        ...         return accumulator * value
        ...
        ...     def merge_accumulators(self, accumulators):
        ...         return math.prod(accumulators)
        ...
        ...     def extract_output(self, accumulator):
        ...         return accumulator
    """

    accumulator: pl.DataType | type[pl.DataType]
    output: pl.DataType | type[pl.DataType]

    @abstractmethod
    def create_accumulator(self) -> Any:
        """An accumulator of no input."""

    @abstractmethod
    def add_input(self, accumulator: Any, value: Any) -> Any:
        """The accumulator with one more input. An element for which it raises becomes a dead letter."""

    @abstractmethod
    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        """One accumulator of all inputs of these, of which there is at least one."""

    @abstractmethod
    def extract_output(self, accumulator: Any) -> Any:
        """The value of an accumulator. A pane for which it raises becomes a dead letter."""

    def retract_input(self, accumulator: Any, value: Any) -> Any:
        """The accumulator with one input less: the inverse of `add_input`, where there is one.

        It may be called before the input was added, also on an accumulator of no input. Without it, over rows
        that may be retracted, all inputs are kept, and combined anew for each pane.
        """
        raise NotImplementedError

    @property
    def has_inverse(self) -> bool:
        """Whether the class defines `retract_input`."""
        return type(self).retract_input is not CombineFn.retract_input

    def describe(self) -> str:
        """What the state depends on; part of the plan's fingerprint. Name settings here that change it."""
        return full_name(type(self))
