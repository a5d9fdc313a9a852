"""What must hold when the dust has settled, whatever was killed on the way."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tests.crash.workload import Group, Sum, Workload

Panes = list[dict[str, Any]]


class Divergence(Exception):
    """What a run left is not what it had to leave."""


def demand(holds: bool, what: str) -> None:
    """Raises a divergence unless something holds."""
    if not holds:
        raise Divergence(what)


def same_files(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> None:
    """Both folders hold the same files with the same bytes."""
    demand(found.keys() == expected.keys(), f"other files: {sorted(found.keys() ^ expected.keys())[:5]}")
    different = [name for name, data in found.items() if expected[name] != data]
    demand(not different, f"files differ: {different[:5]}")


def conservation(workload: Workload, totals: Mapping[str, int]) -> None:
    """Each line of each file was counted once: as an element, as filtered out, or as a dead letter."""
    expected = {
        "records": sum(1 for _ in workload.lines()),
        "dead_letters": workload.dead().total(),
        "elements": len(workload.events()),
        "files": len(workload.files),
    }
    found = {name: totals.get(name, 0) for name in expected}
    demand(found == expected, f"the totals are {found}, and the input has {expected}")


def dead_letters(workload: Workload, files: Iterable[bytes]) -> None:
    """The dead letters are the broken lines, each once."""
    found = Counter(json.loads(line)["text"] for data in files for line in data.splitlines())
    demand(found == workload.dead(), f"dead letters {(found - workload.dead()) + (workload.dead() - found)}")


def answer(workload: Workload, files: Iterable[bytes], totals: Mapping[str, int], *, ended: bool) -> None:
    """The sink's files come to the batch answer.

    Args:
        workload: What was run.
        files: The sink's files.
        totals: The last manifest's.
        ended: Whether every window gave its last pane.
    """
    rows: Panes = [json.loads(line) for data in files for line in data.splitlines()]
    if workload.size is None:
        found = Counter((row["id"], row["team"], row["score"]) for row in rows)
        demand(found == workload.rows(), "the rows are not those of the input")
        return
    panes = sum(count for name, count in totals.items() if name.startswith("panes_"))
    demand(len(rows) == panes, f"{len(rows)} panes in the files, and {panes} counted")
    sums = summed(rows, accumulating=workload.accumulating)
    if not ended:
        return
    expected = workload.answer()
    dropped = totals.get("dropped_late", 0) + totals.get("dropped_closed", 0)
    if workload.lossless:
        demand(dropped == 0, f"{dropped} elements were dropped, and nothing was late")
        wrong = [group for group in sums.keys() | expected.keys() if sums.get(group) != expected.get(group)]
        demand(not wrong, f"{len(wrong)} groups are not the batch answer's, such as {wrong[:1]}")
    games = sum(each.games for each in sums.values()) + dropped
    expected_games = sum(each.games for each in expected.values())
    demand(games == expected_games, f"{games} elements in panes or dropped, and {expected_games} came")


def summed(panes: Panes, *, accumulating: bool) -> dict[Group, Sum]:
    """What the panes of each group come to; their numbers must go from 0 upwards without a gap."""
    groups: dict[Group, Panes] = defaultdict(list)
    for pane in panes:
        start = pane["window_start"]
        groups[pane["team"], datetime.fromisoformat(start) if start else None].append(pane)
    sums = {}
    for group, refinements in groups.items():
        refinements.sort(key=lambda pane: pane["pane_index"])
        numbers = [pane["pane_index"] for pane in refinements]
        demand(numbers == list(range(len(numbers))), f"the panes of {group} have the numbers {numbers}")
        last = [Sum.of(pane) for pane in refinements]
        sums[group] = last[-1] if accumulating else sum(last, Sum())
    return sums
