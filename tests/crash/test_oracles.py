"""The tester is tested: each oracle sees what it is there for."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash import oracles
from tests.crash.oracles import Divergence
from tests.crash.spectator import Spectator
from tests.crash.workload import Workload, draw

Panes = list[dict[str, Any]]


@pytest.fixture
def workload() -> Workload:
    """A pipeline that groups, and discards what it has emitted."""
    chance = random.Random(3)  # noqa: S311
    while True:
        drawn = draw(chance, functions=True, lossless=True, files=6)
        if drawn.size and not drawn.accumulating and drawn.dead():
            return drawn


def right(workload: Workload) -> Panes:
    """Panes that come to the batch answer: one of each group."""
    return [
        {"team": team, "window_start": start.isoformat() if start else None, "pane_index": 0}
        | {"total": each.total, "games": each.games, "best": each.best, "ids": each.ids}
        for (team, start), each in workload.answer().items()
    ]


def look(workload: Workload, panes: Panes) -> None:
    file = "".join(json.dumps(pane) + "\n" for pane in panes).encode()
    oracles.answer(workload, [file], {"panes_on_time": len(panes)}, ended=True)


def add_one(panes: Panes) -> Panes:
    return [panes[0] | {"total": panes[0]["total"] + 1}, *panes[1:]]


def again(panes: Panes) -> Panes:
    return [*panes, panes[0]]


def again_as_a_refinement(panes: Panes) -> Panes:
    return [*panes, panes[0] | {"pane_index": 1}]


@pytest.mark.parametrize("change", [lambda panes: panes[1:], add_one, again, again_as_a_refinement])
def test_panes_that_are_not_the_batch_answer(workload: Workload, change: Callable[[Panes], Panes]) -> None:
    look(workload, right(workload))
    with pytest.raises(Divergence):
        look(workload, change(right(workload)))


def test_a_pane_that_no_manifest_counted(workload: Workload) -> None:
    with pytest.raises(Divergence, match="1 panes in the files, and 0 counted"):
        oracles.answer(workload, [json.dumps(right(workload)[0]).encode()], {}, ended=False)


def test_a_line_that_nobody_counted(workload: Workload) -> None:
    lines, dead = len(list(workload.lines())), workload.dead().total()
    totals = {"records": lines, "dead_letters": dead, "elements": len(workload.events()), "files": 6}
    oracles.conservation(workload, totals)
    for name, count in totals.items():
        with pytest.raises(Divergence, match="the totals are"):
            oracles.conservation(workload, totals | {name: count - 1})


def test_a_dead_letter_that_comes_twice(workload: Workload) -> None:
    letters = [json.dumps({"text": line}).encode() for line in workload.dead().elements()]
    oracles.dead_letters(workload, letters)
    with pytest.raises(Divergence):
        oracles.dead_letters(workload, [*letters, letters[0]])


def test_a_folder_that_differs_in_one_byte() -> None:
    oracles.same_files({"a": b"1"}, {"a": b"1"})
    for found in ({"a": b"2"}, {}, {"a": b"1", "b": b"1"}):
        with pytest.raises(Divergence):
            oracles.same_files(found, {"a": b"1"})


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda path: path.write_text('{"a":2}\n'), "was written anew"),
        (lambda path: path.unlink(), "is gone"),
        (lambda path: (path.parent / "half.json").write_text('{"a":'), "is not whole"),
        (lambda path: (path.parent / "half.json").write_text('{"a":1}'), "ends in the middle"),
    ],
)
def test_a_reader_of_the_output_sees_everything(
    tmp_path: Path, change: Callable[[Path], object], seen: str
) -> None:
    path = tmp_path / "epoch.json"
    path.write_text('{"a":1}\n')
    with Spectator(tmp_path) as calm:
        pass
    assert calm.looks
    with pytest.raises(Divergence, match=seen), Spectator(tmp_path) as spectator:
        while not spectator.looks:
            time.sleep(0.001)
        change(path)
