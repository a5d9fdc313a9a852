"""The engine beside the naive implementation, over random pipelines, data and cuts into epochs.

`python -m tests.oracle --examples 100000` soaks.
"""

import os
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings

from tests.oracle.built import pipeline
from tests.oracle.comparison import SETTINGS, SHARE, Share, differences
from tests.oracle.draws import Cut, permutations
from tests.oracle.driver import World
from tests.oracle.naive import DAY, Program
from tests.oracle.naive_aggregates import AGGREGATES, Row, comparable
from tests.oracle.naive_windows import MAX, MIN, assign, groups, hull, iso

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "2000"))
WHERE = ("k", "n", "window_start", "window_end")


def test_the_engine_gives_the_panes_of_the_naive_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    found = [each for each in differences([Share(each) for each in range(-(-EXAMPLES // SHARE))]) if each]
    assert not found, found[0]


def test_the_engine_groups_panes_again_as_the_naive_implementation_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    shares = [Share(each, groupings=2, examples=EXAMPLES // 50) for each in range(2)]
    found = [each for each in differences(shares) if each]
    assert not found, found[0]


@settings(SETTINGS, max_examples=EXAMPLES // 10)
@given(case=permutations())
def test_in_the_end_there_is_the_batch_answer_whatever_the_order(case: tuple[Program, Cut]) -> None:
    program, cut = case
    wanted = batch(program, cut)
    world = World(pipeline(program), cut.limits, second=cut.second)

    panes = world.run(cut.arrivals, nows=cut.nows, close=True)

    if program.accumulation == "accumulating":
        # Of a session that grew there are panes of the smaller ones, too.
        last = {where(pane): value(program, pane) for pane in sorted(panes, key=order_of_emission)}
        assert {each: last.get(each) for each in wanted} == wanted
        return
    table: Counter[Any] = Counter()
    for pane in panes:
        table[where(pane), value(program, pane)] += 1 if pane["op"] == "insert" else -1
    assert {row: n for row, n in table.items() if n} == dict.fromkeys(wanted.items(), 1)


def where(pane: Row) -> tuple[Any, ...]:
    return tuple(pane.get(name) for name in WHERE)


def order_of_emission(pane: Row) -> tuple[int, int]:
    return pane["epoch"], pane["pane_index"]


def value(program: Program, row: Row) -> tuple[Any, ...]:
    values = comparable({name: row[name] for name in program.aggregates}).values()
    return tuple(tuple(each) if isinstance(each, list) else each for each in values)


def batch(program: Program, cut: Cut) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What each key and window holds if all elements are known."""
    elements = [row for group in cut.arrivals for file in group for row in file]
    latest = max(cut.nows) + DAY
    placed = defaultdict(lambda: defaultdict(list))
    for row in elements:
        if row["at"] is not None and row["at"] <= latest:
            for window in assign(program.windows, row["at"]):
                placed[tuple(row[name] for name in program.keys)][window].append(row)
    found = {}
    for key, windows in placed.items():
        merging = groups(list(windows)) if program.windows[0] == "sessions" else [[each] for each in windows]
        for group in merging:
            rows = [row for each in group for row in windows[each]]
            named = dict(zip(program.keys, key, strict=True))
            bounds = (None, None) if group == [(MIN, MAX)] else tuple(map(iso, hull(group)))
            results = {name: AGGREGATES[name](rows) for name in program.aggregates}
            found[named.get("k"), named.get("n"), *bounds] = value(program, results)
    return found
