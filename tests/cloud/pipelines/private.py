"""Steps that fail in every way that is theirs, with the record in what they raise."""

from typing import Any

import polars as pl

import tidegate as tg


def fussy(row: dict[str, Any]) -> dict[str, Any]:
    """Raises what its record's score says, and always about the record."""
    match row["score"]:
        case 13:
            raise ValueError(f"cannot work with {row}")
        case 14:
            return {row["name"]: 1}
        case 99:
            # Of all that a function raises, the only thing that is not the record's own fault.
            raise MemoryError(f"no room for {row}")
    return row


private = (
    tg.read_json(
        "private",
        schema={"name": pl.String, "score": pl.Int64, "note": pl.String, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay("0s"),
    )
    .with_columns(number=pl.col("note").cast(pl.Int64))
    .map(fussy)
    .window(tg.FixedWindows("1m"), allowed_lateness="1h")
    .group_by("name")
    .agg(total=tg.sum("score"), numbers=tg.sum("number"))
)
pipeline = tg.Pipeline("private", private.write_json("totals"))
