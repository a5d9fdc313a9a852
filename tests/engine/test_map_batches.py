"""A file is read in batches: their size changes no outcome, and what a file comes to counts whole or not."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tidegate.engine import map_task
from tidegate.engine.input_slice import InputSlice
from tidegate.engine.map_task import MapOutput, map_epoch
from tidegate.epochs.layout import Limits
from tidegate.errors import ObjectNotFound
from tidegate.plan import Plan, compile_plan
from tidegate.stores.memory import MemoryObjects
from tidegate.testing.memory_runner import MemoryRunner
from tidegate.timestamps import MIN
from tidegate.windows import WindowFn

SECOND = 1_000_000
NOW = 1_750_000_000 * SECOND
SCHEMA = {"k": pl.String, "v": pl.Int64, "at": pl.Datetime("us")}

WINDOWS: dict[str, WindowFn] = {
    "fixed": tg.FixedWindows("10s"),
    "sliding": tg.SlidingWindows("10s", every="5s"),
    "sessions": tg.Sessions("3s"),
}


class Longest(tg.CombineFn):
    """The number of values, and the largest."""

    accumulator = pl.List(pl.Int64())
    output = pl.List(pl.Int64())

    def create_accumulator(self) -> list[int]:
        return []

    def add_input(self, accumulator: list[int], value: int) -> list[int]:
        return self.merge_accumulators([accumulator, [1, value]])

    def merge_accumulators(self, accumulators: Iterable[list[int]]) -> list[int]:
        filled = [each for each in accumulators if each]
        return [sum(each[0] for each in filled), max(each[1] for each in filled)] if filled else []

    def extract_output(self, accumulator: list[int]) -> list[int]:
        return accumulator


def events(read: Any = tg.read_json) -> tg.Stream:
    return (
        read("events", schema=SCHEMA, event_time="at", watermark=tg.BoundedDelay("0s"))
        .with_columns(rest=60 // pl.col("v").cast(pl.String).str.replace("13", "x").cast(pl.Int64))
        .flat_map(lambda row: [row] * (row["v"] % 3 if row["v"] != 7 else row["none"]))
    )


def plan(window_fn: WindowFn, read: Any = tg.read_json) -> Plan:
    panes = (
        events(read)
        .window(window_fn, late_to="late")
        .group_by("k")
        .agg(
            total=tg.sum("v"),
            first=tg.first("v"),
            last=tg.last("v"),
            all=tg.collect("v"),
            kinds=tg.count_distinct("v"),
            most=tg.reduce("v", max),
            longest=tg.combine("v", Longest()),
        )
    )
    return compile_plan(tg.Pipeline("p", panes.write_json("out")))


PLANS = {name: plan(window_fn) for name, window_fn in WINDOWS.items()} | {
    "rows": compile_plan(tg.Pipeline("p", events().write_json("out")))
}

PARQUET_PLANS = {
    "fixed": plan(WINDOWS["fixed"], tg.read_parquet),
    "rows": compile_plan(tg.Pipeline("p", events(tg.read_parquet).write_json("out"))),
}

ROWS = st.one_of(
    st.builds(
        lambda k, v, at: json.dumps({"k": k, "v": v, "at": at * SECOND}).encode(),
        st.sampled_from(["a", "b", None]),
        st.integers(0, 15),
        st.integers(0, 40),
    ),
    st.sampled_from([b"no json", b'{"k":1}', b'{"k":"a"}', b"", b'{"k":"a","v":1,"at":"9000-01-01"}']),
)
FILES = st.lists(st.lists(ROWS, max_size=25).map(b"\n".join), max_size=3)


def rows_of(runner: MemoryRunner) -> Counter[bytes]:
    """All rows that a run has published, and how often."""
    written = [data for manifest in runner.manifests for data in runner.outputs(manifest)]
    return Counter(line for data in written for line in data.splitlines())


def outcome(of: Plan, waves: Sequence[Sequence[bytes]], batch: int | None) -> dict[str, Any]:
    """All that a run leaves behind; the batches are so small, or each file is one."""
    runner = MemoryRunner(of, NOW)
    with pytest.MonkeyPatch.context() as patch:
        if batch:
            patch.setattr(map_task, "BATCH_BYTES", batch)
            patch.setattr(map_task, "PARTIALS_APART", 3)
        for number, wave in enumerate(waves):
            runner.upload({f"events/{number}-{file}.json": data for file, data in enumerate(wave)})
            runner.run()
        runner.run(close=True)
    return {
        "rows": rows_of(runner),
        "late": [row for manifest in runner.manifests for row in runner.late(manifest)],
        "dead": runner.dead_letters(),
        "totals": {name: count for name, count in runner.totals.items() if "bytes" not in name},
        "watermarks": [manifest.frontier.watermark for manifest in runner.manifests],
    }


@pytest.mark.parametrize("name", PLANS)
@settings(max_examples=25, deadline=None)
@given(st.lists(FILES, min_size=1, max_size=2), st.integers(1, 400))
def test_the_size_of_batches_changes_nothing(name: str, waves: list[list[bytes]], batch: int) -> None:
    assert outcome(PLANS[name], waves, batch) == outcome(PLANS[name], waves, None)


def test_a_file_in_which_all_fails_is_not_searched_anew_in_each_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(map_task, "REJECTED_ONE_BY_ONE", 12)
    monkeypatch.setattr(map_task, "REJECTED_IN_LATER_BATCHES", 2)
    found = mapped(stored(LINES.replace(b'"v":1', b'"v":13')), monkeypatch, 500)
    reasons = [str(letter["reason"]) for letter in found.dead.entries]
    assert len(reasons) == 100
    unsearched = [reason for reason in reasons if reason.startswith("not tried by itself, as 2 other rows")]
    assert len(unsearched) > 50


# What a file comes to counts whole or not at all


class Watched(MemoryObjects):
    """Notes each read, and does something before the second one of a range."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int] | None] = []
        self.meanwhile = lambda: None

    def get(self, key: str, version: str | None = None) -> bytes:
        self.reads.append(None)
        return super().get(key, version)

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        if self.reads:
            self.meanwhile()
        self.reads += ranges
        return [MemoryObjects.get(self, key, version)[start : start + length] for start, length in ranges]


LINES = b"".join(b'{"k":"a","v":1,"at":%d}\n' % (number * SECOND) for number in range(100))


def mapped(objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch, batch: int) -> MapOutput:
    monkeypatch.setattr(map_task, "BATCH_BYTES", batch)
    slices = [InputSlice(each.key, each.version, each.size) for each in objects.list("events")]
    return map_epoch(PLANS["fixed"], objects, slices, MIN, NOW)


def stored(data: bytes, name: str = "events/a.json") -> Watched:
    objects = Watched()
    objects.put(name, data)
    return objects


def test_a_small_file_is_one_request_and_a_large_one_a_request_for_each_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small, large = stored(LINES), stored(LINES)
    mapped(small, monkeypatch, len(LINES))
    assert small.reads == [None]
    mapped(large, monkeypatch, 1_000)
    assert large.reads == [(start, min(1_000, len(LINES) - start)) for start in range(0, len(LINES), 1_000)]


def test_an_object_that_is_replaced_between_two_reads_is_one_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = stored(LINES)
    objects.meanwhile = partial(objects.put, "events/a.json", LINES * 2)
    found = mapped(objects, monkeypatch, 1_000)
    (letter,) = found.dead.entries
    assert letter["line"] == 0
    assert str(letter["reason"]).startswith("it cannot be read as it was accepted")
    assert found.partials is not None
    assert (found.partials.height, found.stated, found.late) == (0, {}, b"")
    assert found.counters == {"records": 1, "elements": 0, "dropped_late": 0, "dead_letters": 1}


# Where a file is cut up for several tasks


def placed(letter: dict[str, Any], whole: dict[str, bytes]) -> dict[str, Any]:
    """A dead letter with its line counted from the file's beginning."""
    first = letter.pop("from_byte", 0)
    return letter | {"line": letter["line"] + whole[letter["file"]][:first].count(b"\n")}


def cut_up(of: Plan, files: dict[str, bytes], limits: Limits | None) -> dict[str, Any]:
    """What a run over the files comes to, each of them cut up as the limits have it."""
    runner = MemoryRunner(of, NOW, limits)
    runner.upload(files)
    runner.run(close=True)
    dead = [placed(letter, files) for letter in runner.dead_letters()]
    order = ("file", "line", "reason")
    return {
        "rows": rows_of(runner),
        "dead": sorted(dead, key=lambda letter: [letter[name] for name in order]),
        "totals": runner.totals,
        "watermarks": [manifest.frontier.watermark for manifest in runner.manifests],
    }


ENDS = st.sampled_from([b"", b"\n", b"\r\n", b"\n\n\n"])
TEXTS = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf"]), st.lists(ROWS, max_size=25).map(b"\r\n".join), ENDS
).map(b"".join)


@pytest.mark.parametrize("name", PLANS)
@settings(max_examples=10, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(2, 40), st.integers(1, 200))
def test_where_files_are_cut_up_changes_nothing(name: str, data: list[bytes], tasks: int, part: int) -> None:
    files = {f"events/{number}.json": each for number, each in enumerate(data)}
    limits = Limits(small=0, tasks=tasks, task_bytes=1, split_bytes=part)
    assert cut_up(PLANS[name], files, limits) == cut_up(PLANS[name], files, None)


VALUES = st.tuples(
    st.sampled_from(["a", "b", None]), st.none() | st.integers(0, 15), st.none() | st.integers(0, 40)
)
TABLES = st.tuples(st.lists(VALUES, max_size=40), st.integers(1, 20))


def table(rows: Sequence[tuple[str | None, int | None, int | None]], group: int) -> bytes:
    """A Parquet file with so many rows in a row group."""
    file = io.BytesIO()
    frame = pl.DataFrame(rows, schema={"k": pl.String, "v": pl.Int64, "at": pl.Int64}, orient="row")
    times = (pl.col("at") * SECOND).cast(pl.Datetime("us"))
    frame.with_columns(times, other=pl.lit("x" * 30)).write_parquet(file, row_group_size=group)
    return file.getvalue()


@pytest.mark.parametrize("name", ["fixed", "rows"])
@settings(max_examples=10, deadline=None)
@given(st.lists(TABLES, min_size=1, max_size=3), st.integers(2, 40), st.integers(1, 2_000))
def test_where_parquet_files_are_cut_up_changes_nothing(
    name: str, tables: list[Any], tasks: int, part: int
) -> None:
    files = {f"events/{number}.parquet": table(*each) for number, each in enumerate(tables)}
    limits = Limits(small=0, tasks=tasks, task_bytes=1, split_bytes=part)
    assert cut_up(PARQUET_PLANS[name], files, limits) == cut_up(PARQUET_PLANS[name], files, None)


def test_of_a_parquet_file_of_which_a_row_group_is_damaged_the_other_parts_count() -> None:
    data = bytearray(table([("a", 1, second) for second in range(40)], 10))
    quarter = len(data) // 4
    # The second row group begins in the second part, with its column `k`.
    place = data.index(b"\x28\xb5\x2f\xfd", quarter)
    data[place : place + 4] = b"nozs"
    found = cut_up(PARQUET_PLANS["rows"], {"events/a.parquet": bytes(data)}, CUT)
    [letter] = found["dead"]
    assert letter["reason"].startswith(f"of what begins in bytes {quarter} to ")
    assert ": damaged Parquet: " in letter["reason"]
    assert found["totals"]["dead_letters"] == 1
    assert 20 <= found["totals"]["elements"] <= 30


CUT = Limits(small=0, tasks=4, task_bytes=1, split_bytes=1)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe" + LINES, gzip.compress(LINES, mtime=0), b"no json\n" * 40], ids=["16", "gz", "bad"]
)
def test_a_file_that_cannot_be_read_counts_once_however_it_is_cut(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr("tidegate.sources.records.DEAD_LETTERS_PER_FILE", 5)
    files = {"events/a.json": data, "events/b.json": LINES}
    found = cut_up(PLANS["rows"], files, CUT)
    assert found["totals"]["dead_letters"] == 1
    assert found["totals"]["records"] == 101
    assert {letter["line"] for letter in found["dead"]} == {0}


def test_a_file_of_which_a_part_is_gone_counts_once_and_each_part_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is replaced while it is read: what the first task read of it stays."""
    found: list[Any] = []
    for lost in (0, 2):
        runner = MemoryRunner(PLANS["rows"], NOW, CUT)
        runner.upload({"events/a.json": LINES})
        reader = runner._stores.input.get_ranges

        def gone(key: str, ranges: Any, version: Any = None, lost: int = lost, reader: Any = reader) -> Any:
            if ranges[-1][0] >= lost * len(LINES) // 4 - 1:
                raise ObjectNotFound(f"{key} is not there any more")
            return reader(key, ranges, version)

        monkeypatch.setattr(runner._stores.input, "get_ranges", gone)
        runner.run(close=True)
        found.append((runner.totals["records"], runner.totals["dead_letters"], runner.dead_letters()))
    (records, dead, letters), (some, one, others) = found
    assert (records, dead, len(letters)) == (1, 1, 4)
    half = len(LINES) // 2
    assert (some, one, len(others)) == (LINES[: half - 1].count(b"\n") + 1 + 1, 1, 2)
    assert str(others[0]["reason"]).startswith(f"of what begins in bytes {half} to ")


def test_of_a_file_whose_end_is_damaged_nothing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = b"no json\n" + LINES * 5
    objects = stored(gzip.compress(bad)[:-3], "events/a.json.gz")
    objects.put("events/b.json", LINES)
    found = mapped(objects, monkeypatch, 100)
    (letter,) = found.dead.entries
    assert (letter["file"], letter["line"]) == ("events/a.json.gz", 0)
    assert "cut off" in str(letter["reason"])
    alone = mapped(stored(LINES, "events/b.json"), monkeypatch, 100)
    assert alone.partials is not None
    assert found.partials is not None
    assert found.partials.equals(alone.partials)
    assert found.stated == alone.stated
    assert found.counters == alone.counters | {"records": 101, "dead_letters": 1}
