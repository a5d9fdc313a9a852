"""How much a Parquet file's pages inflate to, from the headers that a reader allocates memory by.

A page's header says how large it is once it is uncompressed and how many values it has, and readers take that
much memory before they look at its data: a gigabyte for a file of 31 kB. Polars offers no limit, and ends the
whole process where a number is below zero, hence this look at the file before Polars has it. It reads no
data: only the footer and the pages' headers.

See the Parquet format, https://parquet.apache.org/docs/file-format/metadata/, for the numbers of the fields.
"""

from collections.abc import Iterator

from tidegate.sources.thrift import Fields, Thrift

VALUE_BYTES = 8
"""What a value of most types takes in memory."""

MAGIC = b"PAR1"
UNFIT = (LookupError, TypeError, AttributeError)
"""What a struct raises that is no metadata of Parquet: a field is missing, or is of another kind."""


def page_sizes(data: bytes) -> Iterator[int]:
    """The bytes that each page of every column takes uncompressed, or its values if that is more.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        for group in _footer(data)[4]:
            for column in group[1]:
                yield from _pages_of(data, column[3])
    except UNFIT:
        raise ValueError("its footer or the header of a page cannot be read") from None


def _footer(data: bytes) -> Fields:
    length = int.from_bytes(data[-8:-4], "little")
    if len(data) < 12 or data[-4:] != MAGIC or length > len(data) - 12:
        raise ValueError("it has no footer")
    return Thrift(data, len(data) - 8 - length).struct()


def _pages_of(data: bytes, column: Fields) -> Iterator[int]:
    # As Polars has it: the dictionary's page comes first, if there is one.
    place = int(column.get(11, column[9]))
    end = place + int(column[7])
    if not 0 <= place <= end <= len(data):
        raise ValueError("a column lies outside of the file")
    left = int(column[5])
    while place < end:
        thrift = Thrift(data, place)
        try:
            header = thrift.struct()
            size, stored = int(header[2]), int(header[3])
        except (*UNFIT, ValueError):
            if left <= 0:
                return
            raise
        values = _values_of(header)
        if size < 0 or stored < 0:
            raise ValueError("a page has a size below zero")
        yield max(size, values * VALUE_BYTES)
        left -= values if 7 not in header else 0
        if left < 0:
            raise ValueError("a column has more values than it says")
        place = thrift.place + stored


def _values_of(header: Fields) -> int:
    """The values that a page's header promises: data of the first or second version, or a dictionary."""
    counts = [header[number][1] for number in (5, 7, 8) if number in header]
    numbers = [value for number in (5, 7, 8) for value in header.get(number, {}).values()]
    if any(isinstance(value, int) and value < 0 for value in numbers):
        raise ValueError("a page has a number below zero")
    return sum(map(int, counts))
