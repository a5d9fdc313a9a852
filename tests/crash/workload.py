"""A drawn pipeline with its input, and what a batch computation in plain Python says about it.

The answer is computed from the events alone: no Polars, no windows of Tidegate's, no state.
"""

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.runtime.events import NOON, age

PIPELINE = """
import polars as pl
import tidegate as tg

scores = tg.read_json(
    "scores",
    schema={{"id": pl.Int64, "team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")}},
    event_time="at",
    watermark=tg.BoundedDelay("{delay}"),
)
{steps}
pipeline = tg.Pipeline("scores", {stream}.write_json("totals"))
"""

EXPRESSIONS = 'double = scores.filter(pl.col("score") > 0).with_columns(score=pl.col("score") * 2)'

FUNCTIONS = """
def twice(row):
    if row["score"] == 13:
        raise ValueError("unlucky")
    return row | {"score": row["score"] * 2}

double = scores.filter(lambda row: row["score"] > 0).map(twice)
"""

PANES = """(
    double.window({window}, allowed_lateness="{lateness}").accumulate(tg.{accumulation}).trigger({trigger})
    .group_by("team")
    .agg(total=tg.sum("score"), games=tg.count(), best=tg.max("score"), ids=tg.sum("id"))
)"""

ROWS = 'double.select("id", "team", "score")'

TRIGGERS = (
    "tg.AfterWatermark(late=tg.AfterCount(1))",
    "tg.AfterWatermark(early=tg.AfterCount(5), late=tg.AfterCount(1))",
    "tg.AfterWatermark(early=tg.AfterCount(1), late=tg.AfterCount(3))",
    "tg.Repeatedly(tg.AfterCount(2))",
    "tg.AfterWatermark(), allow_unsafe_trigger=True",
)
"""The last one closes its windows: what comes later is dropped and counted."""

WINDOWS = ((60, 0), (30, 10), (300, 0), (0, 0))
"""Sizes and offsets of fixed windows in seconds; 0 is the global window."""

BROKEN = ("no record", '{"id":1,"team":"t","score":"many","at":0}', '{"id":1,"team":"t","score":1}', "[1,2]")

Group = tuple[str, datetime | None]
"""A team and its window's start; None in the global window."""


@dataclass(frozen=True)
class Sum:
    """What the panes of one group come to."""

    total: int = 0
    games: int = 0
    best: int | None = None
    ids: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        best = max((each for each in (self.best, other.best) if each is not None), default=None)
        return Sum(self.total + other.total, self.games + other.games, best, self.ids + other.ids)

    @classmethod
    def of(cls, pane: dict[str, Any]) -> "Sum":
        return cls(pane["total"], pane["games"], pane["best"], pane["ids"])


@dataclass(frozen=True)
class InputFile:
    """A file of the input: its name, its lines, and when it was changed (seconds since 1970)."""

    name: str
    lines: tuple[str, ...]
    changed: int

    def content(self) -> bytes:
        data = "".join(f"{line}\n" for line in self.lines).encode()
        return gzip.compress(data, mtime=0) if self.name.endswith(".gz") else data

    def write(self, folder: Path) -> Path:
        """Writes it below a folder, as old as it claims to be."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name
        path.write_bytes(self.content())
        age(path, self.changed)
        return path


@dataclass(frozen=True)
class Workload:
    """A pipeline and its input.

    Attributes:
        functions: Whether Python functions do the work, in worker processes.
        size: Of its windows in seconds; 0 for the global window, None if it does not group.
        lossless: Whether it can drop nothing, whatever the epochs are.
    """

    text: str
    functions: bool
    size: int | None
    offset: int
    accumulating: bool
    lossless: bool
    files: tuple[InputFile, ...]

    def lines(self) -> Iterable[str]:
        """All lines of the input."""
        return (line for file in self.files for line in file.lines)

    def events(self) -> list[dict[str, Any]]:
        """The events that reach the grouping."""
        parsed = [json.loads(line) for line in self.lines() if self._is_good(line)]
        return [event for event in parsed if event["score"] > 0]

    def dead(self) -> Counter[str]:
        """The lines that must become dead letters."""
        return Counter(line for line in self.lines() if not self._is_good(line))

    def answer(self) -> dict[Group, Sum]:
        """The batch answer: what each team comes to in each window."""
        sums: dict[Group, Sum] = {}
        for event in self.events():
            group = event["team"], self._window(event["at"])
            score = event["score"] * 2
            sums[group] = sums.get(group, Sum()) + Sum(score, 1, score, event["id"])
        return sums

    def rows(self) -> Counter[tuple[int, str, int]]:
        """The rows of a pipeline that does not group."""
        return Counter((event["id"], event["team"], event["score"] * 2) for event in self.events())

    def _is_good(self, line: str) -> bool:
        return line not in BROKEN and not (self.functions and '"score": 13,' in line)

    def _window(self, milliseconds: int) -> datetime | None:
        if not self.size:
            return None
        second = milliseconds // 1_000
        start = (second - self.offset) // self.size * self.size + self.offset
        return datetime.fromtimestamp(start, UTC)


def draw(
    chance: random.Random, *, functions: bool, lossless: bool, files: int, prompt: bool = False
) -> Workload:
    """A workload.

    Args:
        chance: What it is drawn from.
        functions: Whether Python functions do the work.
        lossless: Whether nothing may be dropped, so that the batch answer is the only one.
        files: How many files its input has.
        prompt: Whether every element is in a pane as soon as the watermark has passed its window, so that the
            stream need not be finished. A last file takes the watermark past all of them.
    """
    size, offset = chance.choice(WINDOWS)
    accumulation = chance.choice(("ACCUMULATING", "DISCARDING"))
    lateness = "100d" if lossless else chance.choice(("0s", "30s", "1m"))
    triggers = TRIGGERS[:2] if prompt else TRIGGERS[:-1] if lossless else TRIGGERS
    endless = "tg.Repeatedly(tg.AfterCount(1))" if prompt else "tg.Repeatedly(tg.AfterCount(2))"
    panes = PANES.format(
        window=f'tg.FixedWindows("{size}s", offset="{offset}s")' if size else "tg.GlobalWindows()",
        lateness=lateness,
        accumulation=accumulation,
        # The global window has no end that the watermark could pass before the stream is finished.
        trigger=chance.choice(triggers) if size else endless,
    )
    groups = chance.random() < 0.9
    text = PIPELINE.format(
        delay=chance.choice(("0s", "10s")),
        steps=FUNCTIONS if functions else EXPRESSIONS,
        stream=panes if groups else ROWS,
    )
    return Workload(
        text=text,
        functions=functions,
        size=size if groups else None,
        offset=offset,
        accumulating=accumulation == "ACCUMULATING",
        lossless=lossless,
        files=(*(_file(chance, number) for number in range(files)), *((_last(files),) if prompt else ())),
    )


def _last(number: int) -> InputFile:
    """A file whose only event is filtered out, and moves the watermark."""
    line = json.dumps({"id": 0, "team": "none", "score": 0, "at": (NOON + 7_200) * 1_000})
    return InputFile(f"{number:03}.json", (line,), NOON + 3_600 + number)


def _file(chance: random.Random, number: int) -> InputFile:
    """Event time moves on with the files' numbers; some events are late, some lines are no records."""
    lines = []
    for event in range(chance.randint(5, 30)):
        late = chance.choice((0, 0, 0, 60_000, 600_000))
        moment = (NOON + number * 20) * 1_000 + chance.randrange(-30_000, 20_000) - late
        team, score = f"team{chance.randrange(5)}", chance.randrange(-2, 20)
        lines.append(json.dumps({"id": number * 100 + event, "team": team, "score": score, "at": moment}))
    if chance.random() < 0.3:
        lines.insert(chance.randrange(len(lines)), chance.choice(BROKEN))
    suffix = chance.choice((".json", ".json", ".jsonl", ".json.gz"))
    return InputFile(f"{number:03}{suffix}", tuple(lines), NOON + 3_600 + number)
