import json
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.errors import PipelineError
from tidegate.sinks.sink import Sink

JSON, PARQUET = Sink("json", "out"), Sink("parquet", "out")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def line(dtype: pl.DataType, value: Any) -> str:
    return JSON.encode(pl.DataFrame({"x": pl.Series([value], dtype=dtype)})).decode()


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        (pl.Datetime("us", "UTC"), NOON, '"2026-01-05T12:00:00Z"'),
        (pl.Datetime("us", "UTC"), NOON.replace(microsecond=120_000), '"2026-01-05T12:00:00.120Z"'),
        (pl.Datetime("us", "UTC"), NOON.replace(microsecond=7), '"2026-01-05T12:00:00.000007Z"'),
        (pl.Datetime("ms"), NOON.replace(tzinfo=None), '"2026-01-05T12:00:00Z"'),
        (pl.Datetime("us", "Europe/Paris"), NOON, '"2026-01-05T12:00:00Z"'),
        (pl.Datetime("us"), datetime.min.replace(tzinfo=UTC).replace(tzinfo=None), '"0001-01-01T00:00:00Z"'),
        (pl.Date(), date(2026, 1, 5), '"2026-01-05"'),
        (pl.Decimal(10, 2), Decimal("1.50"), '"1.50"'),
        (pl.Int64(), 2**62, str(2**62)),
        (pl.Float64(), 0.1, "0.1"),
        (pl.Float64(), float("nan"), "null"),
        (pl.Float64(), float("inf"), "null"),
        (pl.Boolean(), True, "true"),
        (pl.String(), 'ä"\n', '"ä\\"\\n"'),
        (pl.String(), None, "null"),
        (pl.List(pl.Int64()), [1, None], "[1,null]"),
    ],
)
def test_a_value_in_json(dtype: pl.DataType, value: Any, text: str) -> None:
    assert line(dtype, value) == f'{{"x":{text}}}\n'


def test_json_is_one_object_a_line_in_the_order_of_the_columns() -> None:
    data = JSON.encode(pl.DataFrame({"b": [1, 2], "a": ["x", None]}))

    assert data == b'{"b":1,"a":"x"}\n{"b":2,"a":null}\n'


def test_parquet_keeps_types_and_is_zstd() -> None:
    frame = pl.DataFrame(
        {"at": [NOON], "d": [Decimal("1.50")], "b": [b"x"]}, schema_overrides={"d": pl.Decimal(9, 2)}
    )
    data = PARQUET.encode(frame)

    assert pl.read_parquet(BytesIO(data)).equals(frame)
    assert data[:4] == data[-4:] == b"PAR1"


@pytest.mark.parametrize("sink", [JSON, PARQUET], ids=lambda each: each.kind)
def test_the_same_rows_give_the_same_bytes(sink: Sink) -> None:
    frame = pl.DataFrame({"at": [NOON, None], "x": [1.5, None]})

    assert sink.encode(frame) == sink.encode(frame.clone())


def test_bytes_cannot_go_into_json_and_that_is_known_when_the_pipeline_is_built() -> None:
    stream = tg.read_json(
        "x",
        schema={"text": pl.String, "at": pl.Datetime("us")},
        event_time="at",
        watermark=tg.BoundedDelay("0s"),
    ).with_columns(raw=pl.col("text").cast(pl.Binary))

    with pytest.raises(
        PipelineError, match=r"write_json\('out'\): raw is a Binary, and JSON has no bytes\. Use write_p"
    ):
        stream.write_json("out")
    stream.write_parquet("out")


@pytest.mark.parametrize(
    "prefix", ["", "/", "a b", "../x", "a//b", "a/../b", ".hidden", "dead-letters", "dead-letters/x"]
)
def test_a_prefix_that_is_no_folder_of_the_users_is_refused(prefix: str) -> None:
    stream = tg.read_json(
        "x", schema={"at": pl.Datetime("us")}, event_time="at", watermark=tg.BoundedDelay("0s")
    )

    for write in (stream.write_json, stream.write_parquet):
        with pytest.raises(PipelineError, match="the prefix"):
            write(prefix)


def test_slashes_at_the_ends_of_a_prefix_do_not_matter() -> None:
    stream = tg.read_json(
        "/in/", schema={"at": pl.Datetime("us")}, event_time="at", watermark=tg.BoundedDelay("0s")
    )

    assert stream.write_json("/a/b=1/").sink == Sink("json", "a/b=1")
    assert stream.branches[0].source.prefix == "in"


def test_special_names_do_not_disturb_json() -> None:
    assert json.loads(JSON.encode(pl.DataFrame({'a "b"\n': [1]}))) == {'a "b"\n': 1}
