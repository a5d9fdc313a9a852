"""Tidegate: serverless stream processing with event-time windows and exactly-once panes.

The public names, loaded when they are first used, so that the coordinator's functions start without Polars.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.accumulation import (
        ACCUMULATING,
        ACCUMULATING_AND_RETRACTING,
        DISCARDING,
    )
    from tidegate.aggregates import (
        CombineFn,
        all,
        any,
        approx_count_distinct,
        approx_quantile,
        collect,
        combine,
        count,
        count_distinct,
        first,
        last,
        max,
        mean,
        min,
        quantile,
        reduce,
        std,
        sum,
        top,
        var,
    )
    from tidegate.calendar_windows import (
        CalendarWindows,
    )
    from tidegate.custom_windows import (
        CustomWindows,
    )
    from tidegate.errors import (
        PipelineError,
        TidegateError,
    )
    from tidegate.pipeline import (
        Pipeline,
        Stream,
    )
    from tidegate.readers import (
        read_csv,
        read_json,
        read_parquet,
    )
    from tidegate.triggers import (
        AfterAll,
        AfterAny,
        AfterCount,
        AfterEach,
        AfterProcessingTime,
        AfterWatermark,
        AlignedDelay,
        Never,
        OrFinally,
        Repeatedly,
    )
    from tidegate.unions import (
        union,
    )
    from tidegate.watermarks import (
        BoundedDelay,
        Idle,
        Marks,
        Perfect,
    )
    from tidegate.windows import (
        FixedWindows,
        GlobalWindows,
        Sessions,
        SlidingWindows,
        merge_overlapping,
    )

__version__ = "0.1.0"

_HOME = {
    "tidegate.accumulation": (
        "ACCUMULATING",
        "ACCUMULATING_AND_RETRACTING",
        "DISCARDING",
    ),
    "tidegate.aggregates": (
        "CombineFn",
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
    ),
    "tidegate.calendar_windows": ("CalendarWindows",),
    "tidegate.custom_windows": ("CustomWindows",),
    "tidegate.errors": (
        "PipelineError",
        "TidegateError",
    ),
    "tidegate.pipeline": (
        "Pipeline",
        "Stream",
    ),
    "tidegate.readers": (
        "read_csv",
        "read_json",
        "read_parquet",
    ),
    "tidegate.triggers": (
        "AfterAll",
        "AfterAny",
        "AfterCount",
        "AfterEach",
        "AfterProcessingTime",
        "AfterWatermark",
        "AlignedDelay",
        "Never",
        "OrFinally",
        "Repeatedly",
    ),
    "tidegate.unions": ("union",),
    "tidegate.watermarks": (
        "BoundedDelay",
        "Idle",
        "Marks",
        "Perfect",
    ),
    "tidegate.windows": (
        "FixedWindows",
        "GlobalWindows",
        "Sessions",
        "SlidingWindows",
        "merge_overlapping",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ACCUMULATING",
    "ACCUMULATING_AND_RETRACTING",
    "DISCARDING",
    "AfterAll",
    "AfterAny",
    "AfterCount",
    "AfterEach",
    "AfterProcessingTime",
    "AfterWatermark",
    "AlignedDelay",
    "BoundedDelay",
    "CalendarWindows",
    "CombineFn",
    "CustomWindows",
    "FixedWindows",
    "GlobalWindows",
    "Idle",
    "Marks",
    "Never",
    "OrFinally",
    "Perfect",
    "Pipeline",
    "PipelineError",
    "Repeatedly",
    "Sessions",
    "SlidingWindows",
    "Stream",
    "TidegateError",
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
    "merge_overlapping",
    "min",
    "quantile",
    "read_csv",
    "read_json",
    "read_parquet",
    "reduce",
    "std",
    "sum",
    "top",
    "union",
    "var",
]


def __getattr__(name: str) -> Any:
    """Loads a public name from the module that defines it (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tidegate' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
