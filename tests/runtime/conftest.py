import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXPRESSIONS = """
import polars as pl
import tidegate as tg

scores = tg.read_json(
    "scores",
    schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
    event_time="at",
    watermark=tg.BoundedDelay("10s"),
)
double = scores.filter(pl.col("score") > 0).with_columns(score=pl.col("score") * 2)
panes = (
    double.window(tg.FixedWindows("1m"), allowed_lateness="1m")
    .trigger(tg.AfterWatermark(early=tg.AfterCount(5), late=tg.AfterCount(1)))
    .group_by("team").agg(total=tg.sum("score"), games=tg.count())
)
pipeline = tg.Pipeline("scores", panes.write_json("totals"))
"""

FUNCTIONS = EXPRESSIONS.replace(
    'double = scores.filter(pl.col("score") > 0).with_columns(score=pl.col("score") * 2)',
    'double = scores.filter(lambda row: row["score"] > 0).map(lambda row: row | {"score": row["score"] * 2})',
)


@pytest.fixture
def write_pipeline(tmp_path: Path) -> Callable[..., str]:
    """Writes a module of a pipeline; returns its file's name."""

    def write(text: str = EXPRESSIONS, name: str = "scores_pipeline.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(autouse=True)
def imports_are_undone() -> Iterator[None]:
    """Pipelines of other tests have the same names, and leave their folders on the search path."""
    path, modules = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if "pytest" in origin and "site-packages" not in origin:
            del sys.modules[name]
