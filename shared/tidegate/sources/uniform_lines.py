r"""Lines of JSON that are all alike: the same keys in the same order, and nothing but texts and numbers.

Machines write most files of events so. Cut at its commas such a line is columns, and what stands around the
values is the same in each: `{"key":"` and `"`, then `"value":` and nothing, and so on. With these known from
the first line, Polars' reader of CSV does in two thirds of the time what its parser of JSON does, for that
builds a tree of each line.

What is not sure to be right is not read: with a comma, quote, backslash or control character in a text, a
number that JSON does not have, keys in another order or a space more, all lines are left to the parser.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from tidegate.sources.pieces import Piece
from tidegate.sources.values import FLOATS, INTEGERS, stored

_FIELD = re.compile(
    rb'(?P<before>[ \t]*(?P<first>\{[ \t]*)?"(?P<key>[^"]*)"[ \t]*:[ \t]*(?P<text>")?)'
    rb'(?P<value>(?(text)[^"]*|-?[0-9][0-9.eE+-]*))'
    rb'(?P<behind>(?(text)")[ \t]*(?P<last>\}[ \t]*)?)'
)
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_FOR_TEXTS = (pl.String(), pl.Date())

_ORDINARY = bytes(set(range(0x20, 0x100)) - set(b'"\\'))

MANY_BYTES = 1024 * 1024
"""From so many on it is worth it to see whether all lines are alike: that takes some thirty queries."""

_PROBES = 8
"""Lines that are looked at before all of them are read."""


@dataclass(frozen=True)
class _Field:
    """A field of every line: its key, what stands before and behind its value, and whether that is a text."""

    key: str
    before: str
    behind: str
    is_text: bool


class UniformReader:
    """Reads the pieces of a file for as long as all lines of each are alike.

    Args:
        schema: The columns to read; one that no line has is null.
    """

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._schema = schema
        self._alike = True

    def read(self, piece: Piece) -> pl.DataFrame | None:
        """As `read_uniform`; None also of a small piece, and of all that follow the first one refused."""
        if not self._alike or len(piece.data) < MANY_BYTES:
            return None
        frame = read_uniform(piece, self._schema)
        self._alike = frame is not None
        return frame


def read_uniform(piece: Piece, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    r"""The values of lines that are all alike; None if they are not, or that is not sure.

    Args:
        piece: Lines, none of which is longer than a record may be.
        schema: The columns to read; one that no line has is null.

    Returns:
        A row for each line: texts as String, numbers in the type that `stored` gives.

    Example:
        >>> piece = Piece(b'{"k": "a", "n": 1}\n{"k": "b", "n": 20}\n', 1)
        >>> frame = read_uniform(piece, {"n": pl.Int64(), "k": pl.String()})
        >>> frame.rows()
        [(1, 'a'), (20, 'b')]
    """
    probed = _probed(piece.data)
    fields = next(probed)
    if fields is None or any(each != fields for each in probed):
        return None
    if len(fields) > 2 * sum(each.key in schema for each in fields):
        # Most of what would be cut and checked is read by nobody, and the parser passes it by.
        return None
    quotes = sum(each.before.count('"') + each.behind.count('"') for each in fields)
    lines = _plain_lines(piece.data, quotes)
    if lines is None:
        return None
    names = [str(number) for number in range(len(fields))]
    try:
        cut = pl.read_csv(
            piece.data, has_header=False, quote_char=None, schema=dict.fromkeys(names, pl.String())
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if cut.height != lines:
        return None
    columns: dict[str, pl.Series] = {}
    for field, column in zip(fields, cut.get_columns(), strict=True):
        values = _values(column, field, schema.get(field.key))
        if values is None:
            return None
        columns[field.key] = values
    for name in schema.keys() - columns.keys():
        dtype = pl.String() if schema[name] in _FOR_TEXTS else stored(schema[name])
        columns[name] = pl.Series([None], dtype=dtype).new_from_index(0, cut.height)
    piece.counted(lines)
    return pl.DataFrame([columns[name].alias(name) for name in schema])


def _probed(data: bytes) -> Iterator[tuple[_Field, ...] | None]:
    """The fields of the first line and of some others."""
    for number in range(_PROBES):
        start = data.rfind(b"\n", 0, len(data) * number // _PROBES) + 1
        end = data.find(b"\n", start)
        yield _fields(data[start : end if end >= 0 else len(data)])


def _fields(line: bytes) -> tuple[_Field, ...] | None:
    """The fields of a line; None if it has others than texts and numbers, or a key twice."""
    found = [_FIELD.fullmatch(part) for part in line.removesuffix(b"\r").split(b",")]
    fields: list[_Field] = []
    for number, match in enumerate(found, 1):
        if (
            match is None
            or bool(match["first"]) != (number == 1)
            or bool(match["last"]) != (number == len(found))
        ):
            return None
        key, before, behind = (match[name].decode(errors="replace") for name in ("key", "before", "behind"))
        fields.append(_Field(key, before, behind, is_text=bool(match["text"])))
    return tuple(fields) if len({each.key for each in fields}) == len(fields) else None


def _plain_lines(data: bytes, quotes: int) -> int | None:
    """How many lines there are; None unless each has so many quotes, no backslash, no control character."""
    special = data.translate(None, _ORDINARY)
    for end in (b"\n", b"\r\n"):
        line = b'"' * quotes + end
        whole, rest = divmod(len(special), len(line))
        # The last one may lack its end.
        open_lines = int(rest == quotes)
        if special == line * whole + line[:quotes] * open_lines:
            return whole + open_lines
    return None


def _values(column: pl.Series, field: _Field, dtype: pl.DataType | None) -> pl.Series | None:
    """The values of a field; None unless all lines have it as the first one, with a value of this type."""
    text = column.str
    around = len(field.before.encode()) + len(field.behind.encode())
    alike = text.starts_with(field.before) & text.ends_with(field.behind) & (text.len_bytes() >= around)
    # A line with too few fields has null.
    if column.null_count() or not alike.all():
        return None
    values = text.slice(len(field.before))
    if field.behind:
        values = values.str.head(-len(field.behind))
    if field.is_text:
        fits = dtype is None or dtype in _FOR_TEXTS or isinstance(dtype, pl.Datetime)
        return values if fits else None
    return _numbers(values, dtype)


def _numbers(values: pl.Series, dtype: pl.DataType | None) -> pl.Series | None:
    """The numbers that these texts are; None if one of them is none of this type, or not in JSON."""
    whole = dtype in INTEGERS or isinstance(dtype, pl.Datetime)
    if not whole and dtype is not None and dtype not in FLOATS:
        return None
    doubtful = values
    if whole:
        # Polars reads 007 and +7, too, which as texts are less than what begins with another digit.
        doubtful = values.filter(values < "1")
    # As in Python `-0` is whole, and so it is 0, and -0.0 is not.
    if not doubtful.str.contains(_NUMBER).all() or (not whole and (values == "-0").any()):
        return None
    if dtype is None:
        return values
    numbers = values.cast(stored(dtype), strict=False)
    return None if numbers.null_count() or (not whole and not numbers.is_finite().all()) else numbers
