"""What a value in a file must be for a column of a type: the rules of every text format, value by value.

They are strict, so that a mistake in the data shows as a dead letter and not as a wrong sum:

- an integer column takes an integer that fits; in JSON `1.0` and `"1"` are none;
- a float column takes any finite number that fits; `NaN` and `Infinity` are none;
- a Boolean column takes `true` and `false`, in CSV also `True`, `TRUE`, `False` and `FALSE`;
- a String column takes texts; in JSON a number is none;
- a Date column takes `YYYY-MM-DD`;
- a Datetime column takes an ISO 8601 text (see `iso8601`) or an integer in the column's unit since 1970.

Values are what `series` builds columns from: `int`, `float`, `bool` and `str`, dates and times as integers.
"""

import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import polars as pl

from tidegate.errors import PipelineError
from tidegate.sources import iso8601
from tidegate.sources.records import LINE

Value = int | float | str | bool | None

INTEGERS: Mapping[pl.DataType, tuple[int, int]] = {
    pl.Int8(): (-(2**7), 2**7 - 1),
    pl.Int16(): (-(2**15), 2**15 - 1),
    pl.Int32(): (-(2**31), 2**31 - 1),
    pl.Int64(): (-(2**63), 2**63 - 1),
    pl.UInt8(): (0, 2**8 - 1),
    pl.UInt16(): (0, 2**16 - 1),
    pl.UInt32(): (0, 2**32 - 1),
    pl.UInt64(): (0, 2**64 - 1),
}
"""The integer types with the smallest and the largest value."""

FLOATS = (pl.Float32(), pl.Float64())
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = r"[+-]?[0-9]+"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"

_INTEGER = re.compile(INTEGER)
_NUMBER = re.compile(NUMBER)
_SHOWN = 40


def check_schema(schema: Mapping[str, pl.DataType]) -> None:
    """Refuses a schema that files cannot be read with.

    Raises:
        PipelineError: It has no column, one with a reserved name, or one of a type that no reader knows.
    """
    if not schema:
        raise PipelineError("schema", "there is no column", "Name at least the column of the event time.")
    for name, dtype in schema.items():
        if name == LINE:
            raise PipelineError(f"column {name}", "the name is the system's", "Choose another name.")
        if not _known(dtype):
            raise PipelineError(f"column {name}", f"files cannot be read as {dtype}", _mend(dtype))


def _known(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone in (None, "UTC")
    return dtype in INTEGERS or dtype in FLOATS or dtype in (pl.Boolean(), pl.String(), pl.Date())


def _mend(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return f"Use pl.Datetime({dtype.time_unit!r}): offsets in the data are heeded, the values are UTC."
    if dtype.is_nested():
        return "Write the fields that you need as columns of their own at the top of each record."
    if dtype.is_decimal():
        return "Use pl.Float64, or pl.Int64 with a smaller unit, such as cents."
    return (
        "Use pl.Int8 to pl.Int64, pl.UInt8 to pl.UInt64, pl.Float32, pl.Float64, pl.Boolean, pl.String, "
        "pl.Date or pl.Datetime."
    )


def json_reader(dtype: pl.DataType) -> Callable[[object], Value]:
    """What makes a column's value of a value that a JSON decoder gave.

    It raises a `ValueError` for one that is none of the type; the message says what it is.
    """
    numbers = _json_numbers(dtype)
    texts = _texts(dtype)

    def read(value: object) -> Value:
        kind = type(value)
        if value is None:
            return None
        if kind is str and texts:
            return texts(cast(str, value))
        if kind in numbers:
            return numbers[kind](value)
        raise ValueError(f"{_shown(value)} is no {dtype}")

    return read


def _json_numbers(dtype: pl.DataType) -> Mapping[type, Callable[[Any], Value]]:
    """How the kinds of values that are no texts are read."""
    if dtype in INTEGERS:
        return {int: partial(_fitting, INTEGERS[dtype])}
    if dtype in FLOATS:
        finite = partial(_finite, "<f" if dtype == pl.Float32() else "<d")
        return {int: finite, float: finite}
    if isinstance(dtype, pl.Datetime):
        return {int: partial(iso8601.in_bounds, unit=dtype.time_unit)}
    return {bool: bool} if dtype == pl.Boolean() else {}


def _texts(dtype: pl.DataType) -> Callable[[str], Value] | None:
    """How texts are read in JSON, if at all."""
    if isinstance(dtype, pl.Datetime):
        return partial(_moment, partial(iso8601.parse_datetime, unit=dtype.time_unit))
    if dtype == pl.Date():
        return partial(_moment, iso8601.parse_date)
    return _encodable if dtype == pl.String() else None


def text_reader(dtype: pl.DataType) -> Callable[[str], Value]:
    """What makes a column's value of a text without quotes, as CSV has it.

    It raises a `ValueError` for one that is no value of the type; the message quotes it.
    """
    if dtype == pl.String():
        return str
    if dtype == pl.Boolean():
        pattern, numbers = None, None
    else:
        pattern = _NUMBER if dtype in FLOATS else _INTEGER
        numbers = _json_numbers(dtype).get(int)
    convert: Callable[[str], float] = float if dtype in FLOATS else _integer
    texts = _texts(dtype)

    def read(text: str) -> Value:
        if numbers and pattern and pattern.fullmatch(text):
            return numbers(convert(text))
        if texts:
            return texts(text)
        if dtype == pl.Boolean() and text in BOOLEANS:
            return BOOLEANS[text]
        raise ValueError(f"{_shown(text)} is no {dtype}")

    return read


def series(name: str, values: Sequence[Value], dtype: pl.DataType) -> pl.Series:
    """A column of values that `json_reader` or `text_reader` gave."""
    return pl.Series(name, values, dtype=stored(dtype), strict=True).cast(dtype)


def within(column: pl.Series, smallest: int, largest: int) -> pl.Series:
    """A column of integers; null where one lies outside these limits."""
    return column.set(~column.is_between(smallest, largest), None)


def stored(dtype: pl.DataType) -> pl.DataType:
    """The type that holds a column's values before their last cast, which cannot fail any more."""
    if isinstance(dtype, pl.Datetime):
        return pl.Int64()
    if dtype == pl.Date():
        return pl.Int32()
    return pl.Float64() if dtype == pl.Float32() else dtype


def _integer(text: str) -> int:
    """The integer, or one that fits nowhere: Python refuses to read thousands of digits."""
    sign, digits = text.startswith("-"), text.lstrip("+-").lstrip("0")
    size = int(digits or 0) if len(digits) <= 20 else 10**20
    return -size if sign else size


def _fitting(limits: tuple[int, int], number: int) -> int:
    if not limits[0] <= number <= limits[1]:
        raise ValueError(f"{_shown(number)} is not from {limits[0]} to {limits[1]}")
    return number


def _finite(packing: str, number: float) -> float:
    try:
        nearest = float(number)
        # Packing rounds like a cast, and refuses (with a byte order) what would become infinite.
        struct.pack(packing, nearest)
    except OverflowError:
        nearest = math.inf
    if math.isinf(nearest):
        raise ValueError(f"the number does not fit into {'32' if packing == '<f' else '64'} bits")
    return nearest


def _moment(parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{_shown(text)} {error}") from None


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{_shown(text)} has half a surrogate pair, which is no character") from None
    return text


def _shown(value: object) -> str:
    """A value as JSON in ASCII, short; only the kind of one that can be long in other ways than a text."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str) and len(value) > _SHOWN:
        return json.dumps(value[:_SHOWN])[:-1] + '..."'
    if isinstance(value, int) and abs(value) > 2**64:
        return "a number of many digits"
    return json.dumps(value)
