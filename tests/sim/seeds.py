"""A seed's run, with all oracles; and the smallest run that still breaks a promise."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from random import Random
from unittest.mock import patch

from infra.localcloud.template import transformed
from tests.sim.batch import check
from tests.sim.regressions import Regression
from tests.sim.scenarios import DEFINITION, ROOT, draw_case
from tidegate.epochs import costs, settling
from tidegate.epochs.head import ROWS_TOGETHER
from tidegate.testing.permissions import Call, Permissions
from tidegate.testing.simulation.cloud import OPERATOR
from tidegate.testing.simulation.faults import draw_faults
from tidegate.testing.simulation.simulation import Run, Simulation


def simulate(seed: str, *, without: Iterable[str] = (), left_out: Collection[int] = ()) -> Run:
    """Runs a seed.

    Args:
        seed: Decides everything.
        without: Faults that are off in spite of it.
        left_out: Numbers of uploads that do not happen.
    """
    case = draw_case(seed)
    kept = [number for number in range(len(case.scenario.uploads)) if number not in left_out]
    uploads = [case.scenario.uploads[number] for number in kept]
    replays = [kept.index(number) for number in case.scenario.replays if number in kept]
    scenario = replace(case.scenario, uploads=uploads, replays=replays)
    faults = draw_faults(Random(f"{seed}/faults")).without(without)  # noqa: S311  (repeatable, not secret)
    with few_rows_together(seed):
        run = Simulation(seed, scenario, faults, DEFINITION).run()
    try:
        check(replace(case, scenario=scenario), run)
    except Exception as error:
        run.violations.append(f"what was committed cannot be read: {error!r}")
    return run


@contextmanager
def few_rows_together(seed: str) -> Iterator[None]:
    """In half of the seeds inputs leave the rows of waiting objects as many do, in several writes.

    It is drawn by itself, so that nothing else of a seed depends on it.
    """
    rows = Random(f"{seed}/rows").choice((2, 3, ROWS_TOGETHER, ROWS_TOGETHER))  # noqa: S311  (repeatable, not secret)
    with patch.object(settling, "ROWS_TOGETHER", rows), patch.object(costs, "ROWS_TOGETHER", rows):
        yield


def reduced(seed: str) -> Regression:
    """The seed with as few faults and uploads as still break a promise."""
    without: tuple[str, ...] = ()
    left_out: tuple[int, ...] = ()
    for fault in simulate(seed).faults.on:
        if simulate(seed, without=(*without, fault)).violations:
            without += (fault,)
    for number in range(len(draw_case(seed).scenario.uploads)):
        if simulate(seed, without=without, left_out=(*left_out, number)).violations:
            left_out += (number,)
    return Regression(seed, without, left_out)


@cache
def permissions() -> dict[str, Permissions]:
    """What each deployed function may do."""
    return Permissions.of(transformed(ROOT / "template.yaml", {})["Resources"])


def unexpected_calls(run: Run) -> list[str]:
    """The calls of a run that the role of its function does not allow."""
    return [
        f"{function} may not {operation} {store}/{key}"
        for function, store, operation, key in run.cloud.universe.calls
        if function != OPERATOR
        and not _allowed(function, store, operation, re.sub("[0-9a-f]{3,}|[0-9]+", "0", key))
    ]


@cache
def _allowed(function: str, store: str, operation: str, key: str) -> bool:
    return permissions()[function].allows(Call(store, operation, key))
