"""Inputs made of valid ones by small edits: for Hypothesis, and where there is no atheris."""

import random
from collections.abc import Iterator, Sequence

Edit = tuple[int, int, int, bytes]
"""What to do, where, with how many bytes, and with which."""

TOKENS = (
    *(
        b"\n",
        b"\r\n",
        b'"',
        b"\\",
        b",",
        b"{",
        b"}",
        b"[",
        b"]",
        b"null",
        b"NaN",
        b"-Infinity",
        b"\0",
        b"\xff",
    ),
    *(
        b"\\ud800",
        b"1e999",
        b"-1e-999",
        b"9223372036854775808",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xed\xa0\x80",
    ),
    *(b"0001-01-01", b"9999-12-31T23:59:59.999999999Z", b"-62135596800001", b"253402300800000", b"PAR1", b""),
    *(
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"\x50\x2a\x4d\x18",
        b"\xff\xff\xff\x7f",
        b"\x80\x80\x80\x80\x08",
    ),
)
"""What readers treat in a special way."""


def edited(data: bytes, edits: Sequence[Edit], longest: int) -> bytes:
    """The input after these edits, one after the other."""
    for kind, place, length, token in edits:
        at = place % (len(data) + 1)
        end = min(len(data), at + length)
        if kind == 0:
            data = data[:at] + token + data[at + len(token) :]
        elif kind == 1:
            data = data[:at] + token + data[at:]
        elif kind == 2:
            data = data[:at] + data[end:]
        elif kind == 3:
            data = data[:end] + data[at:end] + data[end:]
        elif at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << length % 8)]) + data[at + 1 :]
    return data[:longest]


def generated(seeds: Sequence[bytes], longest: int, chance: random.Random) -> Iterator[bytes]:
    """Inputs without end."""
    while True:
        edits = [
            (
                chance.randrange(5),
                chance.randrange(longest + 1),
                1 << chance.randrange(8),
                chance.choice(TOKENS) if chance.randrange(2) else chance.randbytes(1 + chance.randrange(4)),
            )
            for _ in range(1 + chance.randrange(6))
        ]
        yield edited(chance.choice(seeds), edits, longest)
