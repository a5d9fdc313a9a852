"""The engine beside the naive implementation, over examples of a seed."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, given, note, seed, settings

from tests.oracle.built import pipeline
from tests.oracle.draws import Cut, cases
from tests.oracle.driver import World
from tests.oracle.naive import Naive, Program
from tests.oracle.naive_aggregates import Row, comparable
from tests.oracle.regrouping_draws import regrouped_cases

SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck))
SHARE = 250
"""Examples of one seed, which a process takes at once."""


@dataclass(frozen=True)
class Share:
    """Examples of a seed.

    Attributes:
        groupings: Of each of the programs: one, or two of which the second groups the panes of the first.
    """

    seed: int
    groupings: int = 1
    examples: int = SHARE


def order(row: Row) -> tuple[str, ...]:
    """Sorts panes, whatever the order in which tasks gave them."""
    names = ("epoch", "op", "k", "n", "window_start", "window_end", "pane_index")
    return tuple(str(row.get(name)) for name in names)


def shown(panes: list[Row]) -> list[Row]:
    """Panes as they are compared."""
    return sorted(map(comparable, panes), key=order)


def compare(program: Program, cut: Cut) -> None:
    """Fails where the engine and the naive implementation differ."""
    naive = Naive(program)
    naive.run(cut.arrivals, cut.nows, cut.limits.files, cut.second, cut.bounded)
    world = World(pipeline(program), cut.limits, second=cut.second)

    panes = world.run(cut.arrivals, nows=cut.nows, close=True, bounded=cut.bounded)

    note(f"{naive.panes=}")
    assert shown(panes) == shown(naive.panes)
    ignored = {"files", "epochs"}
    assert {name: n for name, n in world.totals.items() if n and name not in ignored} == naive.counts
    assert world.watermark == naive.watermark
    assert [behind for each in world.manifests for behind in each.watermarks] == naive.watermarks


def difference(share: Share) -> str:
    """What differs over the examples of a seed, as the smallest one found; nothing if all are equal."""

    @settings(SETTINGS, max_examples=share.examples, database=None)
    @seed(share.seed)
    @given(case=regrouped_cases() if share.groupings > 1 else cases())
    def examples(case: tuple[Program, Cut]) -> None:
        compare(*case)

    try:
        examples()
    except Exception as error:
        return "\n".join([f"{share}: {error!r}", *getattr(error, "__notes__", [])])
    return ""


def differences(shares: Sequence[Share]) -> Iterator[str]:
    """What differs, seed by seed, on all cores."""
    # The frames are tiny: threads would only wait for each other. A new process has none yet.
    os.environ["POLARS_MAX_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from pool.imap_unordered(difference, shares)
