"""Records that a user's function fails on: each is a dead letter, and the rest goes on."""

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.epochs.layout import Limits
from tidegate.limits import DEAD_LETTER_REASON
from tidegate.sources.records import DEAD_LETTER_TEXT_BYTES

NOW = 1_750_000_000_000_000
SCHEMA = {"k": pl.String, "v": pl.Int64, "at": pl.Datetime("us")}
LAYOUTS = {"one task": ONE_CALL, "many tasks": many_tasks(3)}
Step = Callable[[tg.Stream, Callable[[Any], None]], tg.Stream]


def _mapped(stream: tg.Stream, fail: Callable[[Any], None]) -> tg.Stream:
    def score(row: dict[str, Any]) -> dict[str, Any]:
        fail(row["v"])
        return row

    return stream.map(score)


def _flat_mapped(stream: tg.Stream, fail: Callable[[Any], None]) -> tg.Stream:
    def twice(row: dict[str, Any]) -> Any:
        yield row | {"v": 0}
        fail(row["v"])
        yield row

    return stream.flat_map(twice)


def _filtered(stream: tg.Stream, fail: Callable[[Any], None]) -> tg.Stream:
    def keep(row: dict[str, Any]) -> bool:
        fail(row["v"])
        return True

    return stream.filter(keep)


def _computed(stream: tg.Stream, fail: Callable[[Any], None]) -> tg.Stream:
    def same(value: int) -> int:
        fail(value)
        return value

    return stream.with_columns(v=pl.col("v").map_elements(same, return_dtype=pl.Int64))


STEPS: dict[str, Step] = {
    "map": _mapped,
    "flat_map": _flat_mapped,
    "filter": _filtered,
    "map_elements": _computed,
}


def world(step: Step, fail: Callable[[Any], None], limits: Limits) -> World:
    stream = tg.read_json("events", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"))
    panes = step(stream, fail).window(tg.FixedWindows("1m")).group_by("k").agg(total=tg.sum("v"))
    return World(tg.Pipeline("p", panes.write_json("out")), limits=limits, now=NOW)


def on(values: tuple[int, ...], error: Callable[[], BaseException]) -> Callable[[Any], None]:
    def fail(value: Any) -> None:
        if value in values:
            raise error()

    return fail


@pytest.mark.parametrize("limits", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", STEPS)
def test_each_is_a_dead_letter_with_its_file_line_and_error(name: str, limits: Limits) -> None:
    here = world(STEPS[name], on((3, 6, 7), lambda: ValueError("no such score")), limits)
    files = [[{"k": "a", "v": 3 * file + row, "at": row} for row in range(3)] for file in range(3)]
    here.upload(*files)
    (pane,) = here.run(close=True)
    assert pane["total"] == sum(range(9)) - 3 - 6 - 7
    letters = sorted(here.dead_letters(), key=lambda letter: (letter["file"], letter["line"]))
    assert [(letter["file"], letter["line"]) for letter in letters] == [
        ("events/000001.json", 1),
        ("events/000002.json", 1),
        ("events/000002.json", 2),
    ]
    assert [letter["text"] for letter in letters] == [
        f'{{"k": "a", "v": {value}, "at": {value % 3}}}' for value in (3, 6, 7)
    ]
    for letter in letters:
        assert "no such score" in letter["reason"]
    assert here.totals["records"] == 9
    assert here.totals["dead_letters"] == 3
    assert here.totals["elements"] == 6 * (1 + (name == "flat_map"))


def recursion() -> BaseException:
    return RecursionError("maximum recursion depth exceeded")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("not even this")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (lambda: ValueError("x" * 10_000_000), "ValueError: xxx"),
        (lambda: ValueError("\ud800 half\nsecond line\0"), "ValueError: \ud800 half"),
        (lambda: StopIteration("end"), "StopIteration: end"),
        (lambda: SystemExit(3), "SystemExit: 3"),
        (recursion, "RecursionError: maximum recursion depth exceeded"),
        (lambda: CancelledError("gone"), "CancelledError: gone"),
        (lambda: pl.exceptions.PanicException("oh"), "PanicException: oh"),
        (Unspeakable, "Unspeakable, whose text cannot be read"),
    ],
    ids=[
        "long",
        "half a character",
        "StopIteration",
        "SystemExit",
        "RecursionError",
        "CancelledError",
        "PanicException",
        "an error whose text raises",
    ],
)
@pytest.mark.parametrize("name", ["map", "filter"])
def test_any_error_has_a_short_reason(name: str, error: Callable[[], BaseException], reason: str) -> None:
    here = world(STEPS[name], on((1,), error), ONE_CALL)
    here.upload([{"k": "a", "v": value, "at": 0} for value in range(3)])
    (pane,) = here.run(close=True)
    (letter,) = here.dead_letters()
    assert pane["total"] == 2
    assert reason in letter["reason"]
    assert len(letter["reason"]) <= DEAD_LETTER_REASON


def test_a_file_of_nothing_but_poison_commits_its_epoch() -> None:
    here = world(_mapped, on(tuple(range(2_000)), lambda: KeyError("v")), ONE_CALL)
    here.upload([{"k": "a", "v": value, "at": 0} for value in range(2_000)])
    assert here.run(close=True) == []
    assert (here.totals["records"], here.totals["elements"], here.totals["dead_letters"]) == (2_000, 0, 2_000)


def test_a_pane_that_a_function_fails_on_has_a_short_text() -> None:
    stream = tg.read_json("events", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"))
    panes = stream.window(tg.FixedWindows("1m")).group_by("k").agg(total=tg.sum("v"))

    def refuse(row: dict[str, Any]) -> bool:
        raise ValueError("x" * 5_000)

    here = World(tg.Pipeline("p", panes.filter(refuse).write_json("out")), now=NOW)
    here.upload([{"k": "k" * 200_000, "v": 1, "at": 0}])
    assert here.run(close=True) == []
    (letter,) = here.dead_letters()
    assert (letter["file"], letter["line"]) == ("", 0)
    assert len(letter["text"].encode()) <= DEAD_LETTER_TEXT_BYTES
    assert len(letter["reason"]) == DEAD_LETTER_REASON
    assert letter["text"].startswith('{"k":"kkk')
