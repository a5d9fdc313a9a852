"""The targets of `make fuzz` with some inputs of Hypothesis and those of earlier bugs, and their own test."""

import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import __main__ as command
from tests.fuzz import targets
from tests.fuzz.mutation import TOKENS, edited, generated
from tests.fuzz.process import noting, plain, regressions
from tests.fuzz.targets import TARGETS, Target, read_file
from tests.sources.whole import read_records
from tidegate.errors import CorruptObject
from tidegate.sources import formats, json_lines
from tidegate.sources.content import Content
from tidegate.sources.records import DeadLetter, Records

EDITS = st.tuples(
    st.integers(0, 4),
    st.integers(0, 4_000),
    st.integers(0, 200),
    st.sampled_from(TOKENS) | st.binary(max_size=8),
)
FAST = [name for name in TARGETS if name != "keys"]


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    mutated = st.builds(
        edited, st.sampled_from(target.seeds), st.lists(EDITS, max_size=6), st.just(target.longest)
    )
    return mutated | st.binary(max_size=200)


@pytest.mark.parametrize("name", FAST)
def test_the_promise_holds_for_any_input(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=60)
    @given(inputs(target))
    def holds(data: bytes) -> None:
        target.run(data)

    holds()


@pytest.mark.parametrize("name", FAST)
def test_the_promise_holds_for_valid_inputs_and_those_that_broke_it(name: str) -> None:
    for data in (*TARGETS[name].seeds, *regressions(name), b""):
        TARGETS[name].run(data)


def test_the_seeds_are_valid() -> None:
    for format in ("json", "csv", "parquet"):
        for suffix in ("", ".gz", ".zst"):
            for data in TARGETS[f"{format}{suffix}"].seeds:
                assert read_records(f"a.{format}{suffix}", data, format, targets.SCHEMA).frame.height
    for name in ("record", "result", "manifest", "state", "shuffle"):
        assert TARGETS[name].seeds


# The tester is tested: each of these breaks a promise, and the target says so.


def lost_record(content: Content, schema: object) -> Iterator[Records]:
    for records in json_lines.read_json_lines(content, targets.SCHEMA):
        yield Records(records.frame.head(0), records.dead, records.texts)


def endless_reason(content: Content, schema: object) -> Iterator[Records]:
    for records in json_lines.read_json_lines(content, targets.SCHEMA):
        yield Records(records.frame, [*records.dead, DeadLetter(9, "x" * 2_000, "")], records.texts)


def panic(content: Content, schema: object) -> Iterator[Records]:
    raise pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value")


@pytest.mark.parametrize("reader", [lost_record, endless_reason, panic])
def test_a_reader_that_breaks_its_promise_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reader: object
) -> None:
    monkeypatch.setattr(formats, "read_json_lines", reader)
    noting(lambda data: read_file("json", "", data), tmp_path)(b'{"value": 1}')
    assert [path.read_bytes() for path in tmp_path.glob("*") if not path.suffix] == [b'{"value": 1}']
    assert len(list(tmp_path.glob("*.txt"))) == 1


def test_a_fast_reader_that_takes_more_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_half_surrogates", lambda data: False)
    with pytest.raises(AssertionError):
        read_file("json", "", b'{"key":"\\ud800\\ue000"}')


def test_a_codec_that_raises_something_else_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(key: str, data: bytes) -> None:
        raise KeyError("epoch")

    with pytest.raises(KeyError):
        targets._decode(lacking, "key", b"{}")

    def unnamed(key: str, data: bytes) -> None:
        raise CorruptObject("it is damaged")

    with pytest.raises(AssertionError):
        targets._decode(unnamed, "key", b"{}")


def test_one_mistake_is_noted_once(tmp_path: Path) -> None:
    def broken(data: bytes) -> None:
        assert not data, "always"

    run = noting(broken, tmp_path)
    for data in (b"a", b"", b"b"):
        run(data)
    assert [path.read_bytes() for path in tmp_path.glob("*") if not path.suffix] == [b"a"]


def test_the_same_seed_gives_the_same_inputs() -> None:
    def first(seed: int) -> list[bytes]:
        made = generated(TARGETS["json"].seeds, 300, random.Random(seed))  # noqa: S311
        return [next(made) for _ in range(50)]

    assert first(1) == first(1) != first(2)
    assert len(set(first(1))) > 40
    assert max(map(len, first(1))) <= 300


def test_without_atheris_the_inputs_are_edits_at_random(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain("shuffle", 50, 1, tmp_path)
    assert "Done 50 runs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_a_table_and_ends_with_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "FOLDER", tmp_path / "fuzz")
    monkeypatch.setattr("sys.argv", ["fuzz", "shuffle", "--inputs", "40"])
    assert command.main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].split()[:3] == ["shuffle", "40", "0"]
    assert printed[-1].split()[:3] == ["total", "40", "0"]

    def broken(name: str, inputs: int, seed: int) -> tuple[int, int, float]:
        return inputs, 2, 0.5

    monkeypatch.setattr(command, "run", broken)
    assert command.main() == 1
    assert "each with what it raised" in capsys.readouterr().out
