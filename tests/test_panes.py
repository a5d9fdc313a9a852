"""Timing is a matter of the watermark alone."""

import polars as pl
import pytest

from tidegate.panes import PANE_COLUMNS, PANE_SCHEMA, Timing, timing

END = 100


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        #             before ... end ... after
        (10, 99, Timing.EARLY),  # the watermark is still before the end
        (10, 100, Timing.ON_TIME),  # it reaches the end in this epoch
        (10, 500, Timing.ON_TIME),  # it jumps over the end in this epoch
        (99, 100, Timing.ON_TIME),
        (100, 100, Timing.LATE),  # it was there before the epoch
        (100, 500, Timing.LATE),
    ],
)
def test_timing(before: int, after: int, label: Timing) -> None:
    frame = pl.DataFrame({"end": [END]})

    assert frame.select(timing(pl.col("end"), before, after)).item() == label.value


def test_a_pane_has_these_columns() -> None:
    assert tuple(PANE_SCHEMA) == PANE_COLUMNS
    assert [each.value for each in Timing] == ["early", "on_time", "late"]
