"""A full disk and a read-only folder, once each; `make crash` draws them again and again."""

import random
from pathlib import Path

import pytest

from tests.crash import starved


@pytest.mark.parametrize("case", ["full_disk", "disk_filled_meanwhile", "full_tmp", "read_only_output"])
def test_a_run_that_is_starved_says_so_and_goes_on_once_that_is_mended(case: str, tmp_path: Path) -> None:
    reason = starved.hindrance()
    if reason:
        pytest.skip(reason)
    counts, reasons = starved.starve(case, tmp_path, random.Random(1), files=4)  # noqa: S311
    assert counts["faults"] > 0
    assert (case == "full_tmp") == (not reasons)
