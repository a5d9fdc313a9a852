"""What a failure that nobody expected says, and what it does not."""

import polars as pl
import pytest

from tidegate.epochs.result import Task
from tidegate.errors import TidegateError
from tidegate.runtime.failure import unexpected


def fail(record: dict[str, object]) -> None:
    raise ValueError(f"cannot work with {record}")


def fail_in_polars(record: dict[str, object]) -> None:
    pl.DataFrame([record]).select(pl.col("name").cast(pl.Int64))


@pytest.mark.parametrize(
    ("work", "kind", "place"),
    [
        (fail, "ValueError", " fail, called by"),
        (fail_in_polars, "InvalidOperationError", " fail_in_polars, "),
    ],
)
def test_type_and_place_are_told_and_no_record(work: object, kind: str, place: str) -> None:
    with pytest.raises(TidegateError) as raised:
        try:
            work({"name": "SECRET"})  # type: ignore[operator]
        except Exception as error:
            raise unexpected(Task(3, "map", 7), error) from None
    told = str(raised.value)
    assert told.startswith(f"map task 7 of epoch 3 failed with {kind} in ")
    assert place in told
    assert "test_failure.py:" in told
    assert "SECRET" not in told
    assert "\n" not in told
    assert raised.value.__suppress_context__, "whoever prints it prints nothing else"
