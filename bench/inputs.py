"""Seeded inputs of the benchmarks: events with keys and values, and words."""

from itertools import pairwise
from pathlib import Path

import polars as pl

from bench.chance import Chance

START = 1_767_225_600_000
"""2026-01-01T00:00:00Z in milliseconds."""

HOURS = 2
KEYS = 5_000

SAME_KEY = 5
"""Rows of one word, on average."""


def events(first: int, last: int, *, number: int, keys: int = KEYS, seed: int = 1) -> pl.DataFrame:
    """The events from one position to another of `number`, in the order in which they arrive.

    They have so many keys, are spread over two hours of event time, and come up to ten seconds out of order.
    """
    row = pl.int_range(first, last)
    chance = Chance(seed, row)
    on_time = row * (HOURS * 3_600_000) // number
    return pl.select(
        key=pl.format("key-{}", chance.below(keys, "key").cast(pl.String).str.zfill(5)),
        value=chance.below(1_000, "value"),
        at=START + on_time - chance.below(10_000, "delay"),
    )


def words(first: int, last: int, *, number: int, seed: int = 1) -> pl.DataFrame:
    """The rows from one position to another of `number`: a fifth as many words, each of which occurs."""
    distinct = max(1, number // SAME_KEY)
    row = pl.int_range(first, last)
    # The largest prime below 2**31 shares no factor with so few words: each occurs once in every fifth row.
    spread = (row // SAME_KEY * 2_147_483_647) % distinct
    drawn = Chance(seed, row).below(distinct, "word")
    word = pl.when(row % SAME_KEY == 0).then(spread).otherwise(drawn)
    return pl.select(
        word=pl.format("word-{}", word),
        at=START + row * (HOURS * 3_600_000) // number,
    )


def write_events(folder: Path, number: int, files: int) -> None:
    """The events as `events/*.json`, lines of JSON, and the same as `parquet/*.parquet`."""
    for name, first, last in cuts(number, files):
        frame = events(first, last, number=number)
        frame.write_ndjson(below(folder, "events") / f"{name}.json")
        moments = frame.with_columns(pl.col("at").cast(pl.Datetime("ms")))
        moments.write_parquet(below(folder, "parquet") / f"{name}.parquet")


def write_words(folder: Path, number: int, files: int) -> None:
    """The words as `words/*.json`, lines of JSON."""
    for name, first, last in cuts(number, files):
        words(first, last, number=number).write_ndjson(below(folder, "words") / f"{name}.json")


def cuts(number: int, files: int) -> list[tuple[str, int, int]]:
    """The name of each of some files, and from which row to which it goes."""
    edges = [number * file // files for file in range(files + 1)]
    return [(f"{file:04}", first, last) for file, (first, last) in enumerate(pairwise(edges))]


def below(folder: Path, name: str) -> Path:
    """A folder in another one, made if it is not there."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    return folder / name
