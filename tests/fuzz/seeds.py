"""Valid inputs of the targets: what others are made from."""

import gzip
import io
import json
import sys
from collections.abc import Callable, Mapping
from itertools import count

import polars as pl

from tests.epochs.scenario import EARLY_AND_LATE, WAVES, Process, World, compiled
from tidegate.engine.codec import encode_piece, encode_state
from tidegate.epochs import paths
from tidegate.epochs.documents import disclose
from tidegate.epochs.layout import Limits
from tidegate.sources.formats import Format

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SCHEMA: dict[str, pl.DataType] = {
    "key": pl.String(),
    "value": pl.Int64(),
    "real": pl.Float64(),
    "small": pl.Int8(),
    "flag": pl.Boolean(),
    "day": pl.Date(),
    "at": pl.Datetime("ms"),
}
"""The columns that the readers' targets read: one of each kind."""

STATE: dict[str, pl.DataType] = {"__group": pl.UInt16(), "key": pl.String(), "__start": pl.Int64()}
"""The columns of the state target's segments."""

_FRAME = pl.DataFrame(
    {
        "key": ["a", None, 'b"\\,'],
        "value": [1, 2**63 - 1, None],
        "real": [0.5, -1e300, None],
        "small": [1, -128, None],
        "flag": [True, False, None],
        "day": pl.Series([0, 19_000, None], dtype=pl.Date),
        "at": pl.Series([0, 1_500, 1_767_225_600_123], dtype=pl.Datetime("ms")),
    },
    schema=SCHEMA,
)
_JSON = (
    b'{"key":"a","value":1,"real":1.5e3,"small":-1,"flag":true,"day":"2024-02-29","at":"2024-02-29T12:00:00Z"}\n'
    b'{"key":"\\u00e4\\ud83d\\ude00","at":1709208000000,"other":[{"x":null}]}\n\n{"key":null,"value":"1"}',
    b'\xef\xbb\xbf{"at":"1970-01-01T00:00:00.0019+01:00"}\r\n{"real":NaN}\r\n{"real":1e999,"value":9e9}\r\n',
)
_CSV = (
    b"key,value,real,small,flag,day,at\na,1,0.5,1,true,2024-02-29,2024-02-29T12:00:00Z\n,,,,,,\n",
    b"\xef\xbb\xbfother,at,day,flag,small,real,value,key\r\n"
    b'1,0,,False,-1,1e5,+7,"a ""b"", c"\r\n"\r\n",,,,,,,x',
)
MARKS = (
    b'{"watermark": "1970-01-01T12:00:00.5+01:00"}',
    b'{"watermark": 60000000, "of": ["web", null]}\n',
    b'{"watermark": "9999-12-31T23:59:59.999999Z"}',
)
_PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstd.compress,
}


def files(format: Format, suffix: str) -> tuple[bytes, ...]:
    """Valid files of a format; compressed ones also of several members."""
    plain = {"json": _JSON, "csv": _CSV, "parquet": tuple(_parquet())}[format]
    pack = _PACKED[suffix]
    several = pack(plain[0][:50]) + pack(plain[0][50:])
    return (*map(pack, plain), several)


def _parquet() -> list[bytes]:
    found = []
    for compression in ("uncompressed", "snappy", "zstd"):
        file = io.BytesIO()
        _FRAME.write_parquet(file, compression=compression, statistics=False, row_group_size=2)
        found.append(file.getvalue())
    return found


def _world() -> World:
    """What two epochs of the scenario leave: one of them in parts."""
    plan, world = compiled(trigger=EARLY_AND_LATE), World(attempts=(f"a{number}" for number in count()))
    for number, limits in enumerate((Limits(), Limits(small=0, task_bytes=1)), start=1):
        Process(plan, world, limits).run(WAVES[number - 1 : number], close=False)
    return world


def documents(data: bytes) -> tuple[bytes, ...]:
    """A document, and its body without the checksum around it."""
    document, _ = disclose(data)
    return data, json.dumps(json.loads(document)["body"]).encode()


_STATE = _world().state
_KEYS = {
    "record": paths.record("scores", 2),
    "result": paths.result("scores", 2, "reduce", 0),
    "manifest": paths.manifest("scores", 2),
    "manifest of a small epoch": paths.manifest("scores", 1),
}
RECORD, RESULT, MANIFEST, SMALL = ((key, _STATE.get(key)) for key in _KEYS.values())
_ROWS = pl.DataFrame({"__group": [1, 2], "key": ["a", None], "__start": [0, -5]}, schema=STATE)
SEGMENT = encode_state(_ROWS, "f" * 16)
PIECE = encode_piece(_ROWS)
