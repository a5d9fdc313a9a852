"""Whole files for the readers, which take them as streams."""

from collections.abc import Mapping, Sequence

import polars as pl

from tidegate.sources import columnar, compression, delimited, json_lines
from tidegate.sources.content import Content
from tidegate.sources.records import Records, together

LARGE = 1 << 32


def decompress(name: str, data: bytes, max_bytes: int) -> bytes:
    return b"".join(compression.inflated(name, [data], max_bytes))


def read_json_lines(data: bytes, schema: Mapping[str, pl.DataType]) -> Records:
    return together(schema, json_lines.read_json_lines(Content([data], LARGE), schema))


def read_parquet(data: bytes, schema: Mapping[str, pl.DataType], max_bytes: int) -> Records:
    return together(schema, columnar.read_parquet(data, schema, max_bytes))


def read_csv(data: bytes, schema: Mapping[str, pl.DataType], null_values: Sequence[str] = ()) -> Records:
    return together(schema, delimited.read_csv(Content([data], LARGE), schema, null_values))
