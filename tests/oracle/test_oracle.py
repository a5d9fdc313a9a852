"""The engine against the naive implementation, over random pipelines, data and cuts into epochs.

`python -m tests.oracle --examples 100000` soaks.
"""

import os

from hypothesis import HealthCheck, given, note, settings

from tests.oracle.draws import Cut, cases
from tests.oracle.driver import World
from tests.oracle.naive import Naive, Program
from tests.oracle.naive_aggregates import Row, comparable
from tests.oracle.pipelines import pipeline

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "2000"))


def order(row: Row) -> tuple[str, ...]:
    names = ("epoch", "op", "window_start", "window_end", "k", "n", "pane_index")
    return tuple(str(row.get(name)) for name in names)


def shown(panes: list[Row]) -> list[Row]:
    return sorted(map(comparable, panes), key=order)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_the_engine_gives_the_panes_of_the_naive_implementation(case: tuple[Program, Cut]) -> None:
    program, cut = case
    naive = Naive(program)
    naive.run(cut.arrivals, cut.nows, cut.limits.files)
    world = World(pipeline(program), cut.limits)

    panes = world.run(cut.arrivals, nows=cut.nows, close=True)

    note(f"{naive.panes=}")
    assert shown(panes) == shown(naive.panes)
    ignored = {"files", "epochs"}
    assert {name: n for name, n in world.totals.items() if n and name not in ignored} == naive.counts
    assert world.watermark == naive.watermark
