"""Key groups are the same for ever: state lies under them."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.engine.key_groups import GROUP, with_key_groups, within
from tidegate.references import KeyRange

GOLDEN = Path(__file__).with_name("key_groups.json")

NAIVE = datetime(2026, 1, 5, 12, 0, 0, 123_000)  # noqa: DTZ001
CASES: dict[str, tuple[list[pl.DataType], list[list[Any]]]] = {
    "String": (
        [pl.String()],
        [
            ["a"],
            ["b"],
            [""],
            [None],
            ["-"],
            ["1:a"],
            ["ä"],
            ["a\u0308"],
            ["日本"],
            ["🌊"],
            ["a\0b"],
            ["x" * 300],
        ],
    ),
    "Int64": ([pl.Int64()], [[0], [1], [-1], [None], [2**63 - 1], [-(2**63)]]),
    "Int8": ([pl.Int8()], [[0], [1], [-1], [127]]),
    "UInt64": ([pl.UInt64()], [[0], [1], [2**64 - 1]]),
    "Boolean": ([pl.Boolean()], [[True], [False], [None]]),
    "Date": ([pl.Date()], [[date(1970, 1, 1)], [date(2026, 1, 5)], [date(1, 1, 1)], [None]]),
    "Datetime(ms)": ([pl.Datetime("ms")], [[NAIVE], [None]]),
    "Datetime(us)": ([pl.Datetime("us")], [[NAIVE], [None]]),
    "Datetime(ns)": ([pl.Datetime("ns")], [[NAIVE]]),
    "Datetime(us, UTC)": ([pl.Datetime("us", "UTC")], [[NAIVE.replace(tzinfo=UTC)]]),
    "Decimal(10, 2)": (
        [pl.Decimal(10, 2)],
        [[Decimal("1.25")], [Decimal("-1.25")], [Decimal("0.00")], [None]],
    ),
    "Decimal(38, 10)": (
        [pl.Decimal(38, 10)],
        [[Decimal("1.25")], [Decimal("1234567890123456789012345678.0123456789")]],
    ),
    "String, String": (
        [pl.String(), pl.String()],
        [["a", "b"], ["ab", ""], ["", "ab"], ["a", None], [None, "a"], [None, None], ["1:a", "-"]],
    ),
    "String, Int64, Boolean": ([pl.String(), pl.Int64(), pl.Boolean()], [["a", 1, True], ["a", -1, None]]),
    "no key": ([], [[]]),
}


def groups(dtypes: list[pl.DataType], keys: list[list[Any]]) -> list[int]:
    names = {f"k{number}": dtype for number, dtype in enumerate(dtypes)}
    columns = {
        name: pl.Series([key[number] for key in keys], dtype=dtype)
        for number, (name, dtype) in enumerate(names.items())
    }
    frame = pl.DataFrame({"row": range(len(keys))} | columns)
    result = with_key_groups(frame.lazy(), names).collect()
    assert result.columns == [*frame.columns, GROUP]
    assert result.schema[GROUP] == pl.UInt16()
    return result[GROUP].to_list()


def current() -> dict[str, list[int]]:
    return {name: groups(dtypes, keys) for name, (dtypes, keys) in CASES.items()}


def as_text(dtype: pl.DataType, value: Any) -> str:
    """What the key is hashed as, in plain Python."""
    if value is None:
        return "-"
    if isinstance(dtype, pl.Datetime):
        per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.time_unit]
        span = value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        seconds = span.days * 86_400 + span.seconds
        text = str(seconds * per_second + span.microseconds * per_second // 10**6)
    elif isinstance(value, date):
        text = str((value - date(1970, 1, 1)).days)
    elif isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        text = str((-1 if sign else 1) * int("".join(map(str, digits))) * 10 ** (dtype.scale + exponent))
    else:
        text = str(int(value)) if isinstance(value, bool) else str(value)
    return f"{len(text.encode())}:{text}"


def test_they_are_what_they_always_were() -> None:
    """A change here makes the state of every running pipeline unreadable."""
    assert current() == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", CASES)
def test_they_are_xxhash_of_the_keys_text_modulo_1024(name: str) -> None:
    dtypes, keys = CASES[name]

    expected = [
        xxhash.xxh64_intdigest("".join(map(as_text, dtypes, key)).encode(), seed=0) % 1024 for key in keys
    ]

    assert groups(dtypes, keys) == expected


@given(st.lists(st.none() | st.text(max_size=6), min_size=1, max_size=5), st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=40)
def test_any_text_and_number(texts: list[str | None], number: int) -> None:
    dtypes = [pl.String(), pl.Int64()]
    texts = [None if text is None else text.encode(errors="replace").decode() for text in texts]

    assert groups(dtypes, [[text, number] for text in texts]) == [
        xxhash.xxh64_intdigest((as_text(dtypes[0], text) + as_text(dtypes[1], number)).encode()) % 1024
        for text in texts
    ]


@given(
    st.lists(
        st.lists(st.none() | st.text("ab:-1", max_size=3), min_size=2, max_size=2), min_size=2, max_size=2
    )
)
def test_different_keys_have_different_texts(keys: list[list[str | None]]) -> None:
    first, second = ("".join(as_text(pl.String(), part) for part in key) for key in keys)

    assert (first == second) == (keys[0] == keys[1])


def test_they_are_the_same_in_another_process() -> None:
    script = "import json; from tests.engine.test_key_groups import current; print(json.dumps(current()))"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout) == current()


def test_they_spread_keys_over_all_groups() -> None:
    found = groups([pl.String()], [[f"key-{number}"] for number in range(20_000)])

    sizes = pl.Series(found).value_counts()["count"]
    assert len(sizes) == 1_024
    assert sizes.max() < 50


def test_a_range_is_half_open() -> None:
    frame = pl.DataFrame({GROUP: pl.Series([0, 9, 10, 19, 20], dtype=pl.UInt16)})

    assert within(frame, KeyRange(10, 20))[GROUP].to_list() == [10, 19]
