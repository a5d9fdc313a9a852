"""The inputs of the benchmarks are the same for a seed, on every machine and however they are cut."""

import hashlib

import polars as pl
import pytest

from bench import inputs, nexmark
from bench.chance import Chance

_ALL = 2**64 - 1


def split_mix(number: int) -> int:
    """The reference: SplitMix64's mixing step."""
    mixed = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _ALL
    return mixed ^ (mixed >> 31)


def digest(frame: pl.DataFrame) -> str:
    return hashlib.sha256(frame.write_ndjson().encode()).hexdigest()[:16]


def test_random_numbers_are_those_of_splitmix64() -> None:
    numbers = pl.select(Chance(0, pl.lit(pl.Series([0, 1, 2]))).bits("")).to_series().to_list()

    assert numbers == [split_mix(row * 0x9E3779B97F4A7C15 & _ALL) for row in range(3)]


@pytest.mark.parametrize("name", ["events", "words", "persons", "auctions", "bids"])
def test_rows_are_the_same_on_every_machine(name: str) -> None:
    golden = {
        "events": "b0ff47dfca14ab84",
        "words": "0e60bef29afd9d63",
        "persons": "1a2c81879a122747",
        "auctions": "d0493d6c98fc2683",
        "bids": "6e48a5ea0d49292e",
    }
    if name in {"events", "words"}:
        frame = getattr(inputs, name)(0, 1_000, number=1_000)
    else:
        frame = getattr(nexmark, name)(nexmark.arrivals(0, 10_000, number=10_000))

    assert digest(frame) == golden[name]


def test_another_seed_gives_other_rows() -> None:
    arrived = nexmark.arrivals(0, 1_000, number=1_000)

    assert digest(nexmark.bids(arrived, seed=2)) != digest(nexmark.bids(arrived, seed=1))


def test_files_hold_what_one_file_would() -> None:
    whole = nexmark.arrivals(0, 100_000, number=100_000)
    cuts = [nexmark.arrivals(first, last, number=100_000) for _, first, last in nexmark.cuts(100_000, 3)]

    assert pl.concat(cuts).equals(whole)
    assert sorted(whole["event"]) == list(range(100_000))


def test_of_fifty_events_one_is_a_person_and_three_are_auctions() -> None:
    arrived = nexmark.arrivals(0, 5_000, number=5_000)

    heights = [make(arrived).height for make in (nexmark.persons, nexmark.auctions, nexmark.bids)]

    assert heights == [100, 300, 4_600]


def test_half_of_the_bids_go_to_the_hot_auction() -> None:
    # The 99th auction was opened in the 33rd period, and the 200th is not until the 67th.
    events = pl.DataFrame({"event": pl.int_range(34 * 50, 66 * 50, eager=True)})

    bids = nexmark.bids(events)

    assert (bids["auction"] == 1_100).mean() == pytest.approx(0.5, abs=0.05)


def test_sizes_are_near_those_of_the_definition() -> None:
    arrived = nexmark.arrivals(0, 50_000, number=50_000)

    extra = nexmark.bids(arrived)["extra"].str.len_bytes()

    assert extra.mean() == pytest.approx(100 - 4 * 8, abs=1)


def test_every_word_occurs() -> None:
    words = inputs.words(0, 50_000, number=50_000)

    assert words["word"].n_unique() == 10_000
