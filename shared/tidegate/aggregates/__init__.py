"""What is computed: aggregates as partial, merge and result.

Each aggregate keeps one or more accumulators per key and window. `partial` makes them from elements,
before the shuffle; `merge` joins accumulators of the same key and window, and is associative and
commutative; `identity` is the accumulator of no element; `result` reads the value.

Nulls are no values: they count for nothing in all but `count()`.
"""

from tidegate.aggregates.aggregate import Accumulator, Aggregate, BoundAggregate, Input
from tidegate.aggregates.combine_fn import CombineFn
from tidegate.aggregates.distinct import count_distinct
from tidegate.aggregates.event_order import collect, first, last
from tidegate.aggregates.extremes import max, min
from tidegate.aggregates.functions import combine, reduce
from tidegate.aggregates.histogram import approx_quantile
from tidegate.aggregates.hyperloglog import approx_count_distinct
from tidegate.aggregates.moments import std, var
from tidegate.aggregates.quantiles import quantile
from tidegate.aggregates.ranking import top
from tidegate.aggregates.totals import count, mean, sum
from tidegate.aggregates.truth import all, any

__all__ = [
    "Accumulator",
    "Aggregate",
    "BoundAggregate",
    "CombineFn",
    "Input",
    "all",
    "any",
    "approx_count_distinct",
    "approx_quantile",
    "collect",
    "combine",
    "count",
    "count_distinct",
    "first",
    "last",
    "max",
    "mean",
    "min",
    "quantile",
    "reduce",
    "std",
    "sum",
    "top",
    "var",
]
