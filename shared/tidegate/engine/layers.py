"""The layers of a state segment: a base and deltas over it, as in a log-structured merge tree.

An epoch writes the rows that it changed and not the state that it found. Reading takes, for a key and window,
the row of the last layer that has one; a row may say that the window is gone. Layers are folded together so
that each is more than `FOLDED` times as large as the next: a row is written again a number of times that is
logarithmic in the size of the state, and so many layers are read at most ("The log-structured merge-tree",
O'Neil et al., Acta Informatica 1996, section 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from tidegate.engine.codec import decode_state, encode_state, joined
from tidegate.engine.columns import GONE, PANES, SLICE
from tidegate.engine.frames import constant, is_at, parted
from tidegate.engine.key_groups import within
from tidegate.engine.pairs import matches, pairs
from tidegate.engine.state import places, state_schema
from tidegate.grouping import Grouping
from tidegate.references import KeyRange, Layer
from tidegate.stores.ports import Objects

FOLDED = 2
"""How many times as many rows as all above it a layer has that is left as it is."""


def layer_schema(grouping: Grouping) -> dict[str, pl.DataType]:
    """The columns of a layer."""
    return {**state_schema(grouping), GONE: pl.Boolean()}


def read_layers(objects: Objects, layers: Sequence[Layer], grouping: Grouping) -> list[pl.DataFrame]:
    """The rows of each layer that lie in its range; those of one object are got together.

    Raises:
        CorruptObject: A layer is not what was written.
    """
    wanted: dict[str, list[Layer]] = {}
    for each in layers:
        wanted.setdefault(each.key, []).append(each)
    ranges = [(key, [(each.offset, each.length) for each in parts]) for key, parts in wanted.items()]
    frames: dict[Layer, pl.DataFrame] = {}
    for (key, parts), found in zip(wanted.items(), objects.get_many(ranges), strict=True):
        for each, data in zip(parts, found, strict=True):
            rows = decode_state(key, each.verify(data), layer_schema(grouping))
            frames[each] = within(rows, each.range)
    return [frames[each] for each in layers]


def newest(layers: Sequence[pl.DataFrame], grouping: Grouping) -> pl.DataFrame:
    """The last row of each key and window in layers that lie one over the other, oldest first."""
    if not layers:
        return pl.DataFrame(schema=layer_schema(grouping))
    *below, top = layers
    for layer in reversed(below):
        replaced = matches(layer, top, _identity(grouping))
        _, stays = parted(layer, replaced)
        top = pl.concat([stays, top])
    return top


def live(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of windows that are there, in the columns of state."""
    _, there = parted(rows, rows.get_column(GONE))
    return there.drop(GONE)


def changes(
    before: pl.DataFrame, after: pl.DataFrame, grouping: Grouping, *, compared: bool = True
) -> pl.DataFrame:
    """What a layer over one state says to make another one of it.

    Args:
        before: One row for each key and window.
        after: The same.
        grouping: The grouping.
        compared: Whether rows that are the same in both are looked for, and left out.
    """
    found = pairs(before, after, _identity(grouping))
    _, gone = parted(before, is_at(before.height, found.first))
    written = after
    if compared and len(found.first):
        # The panes to take back become others with the index only, and lists take long to compare.
        names = [name for name in after.columns if name != PANES]
        old, new = before[names][found.first], after[names][found.second]
        differs = reduce(or_, (new[name].ne_missing(old[name]) for name in names))
        _, written = parted(after, is_at(after.height, found.second.filter(~differs)))
    written = written.hstack([constant(GONE, False, pl.Boolean(), written.height)])
    if not gone.height:
        return written
    schema, identity = state_schema(grouping), _identity(grouping)
    columns = [
        gone.get_column(name) if name in identity else constant(name, None, dtype, gone.height)
        for name, dtype in schema.items()
    ]
    return pl.concat([written, pl.DataFrame([*columns, constant(GONE, True, pl.Boolean(), gone.height)])])


def untouched(layers: Sequence[Layer], rows: int) -> int:
    """How many layers, from the oldest, stay as they are below one of so many new rows; the others fold.

    Example:
        >>> whole = KeyRange(0, 1024)
        >>> chain = [Layer("a", 0, 1, "", rows, whole) for rows in (1000, 100, 20)]
        >>> [untouched(chain, rows) for rows in (1, 10, 50, 500)]
        [3, 2, 1, 0]
    """
    kept = len(layers)
    while kept and layers[kept - 1].rows <= FOLDED * rows:
        kept -= 1
        rows += layers[kept].rows
    return kept


@dataclass(frozen=True)
class LayerRows:
    """The rows of a layer that is to be stored, and the key groups that they are valid for."""

    rows: pl.DataFrame
    range: KeyRange


def encode_layers(layers: Sequence[LayerRows], plan: str) -> tuple[bytes, list[Layer]]:
    """Layers one behind the other, and the references to them; whoever stores the bytes adds key and offset.

    Args:
        layers: Those to store.
        plan: The plan's fingerprint.
    """
    content, extents = joined([encode_state(each.rows, plan) for each in layers])
    return content, [
        Layer("", place.offset, place.length, place.checksum, each.rows.height, each.range)
        for each, place in zip(layers, extents, strict=True)
    ]


def _identity(grouping: Grouping) -> list[str]:
    """The columns that tell the rows of state apart."""
    return [*places(grouping), *((SLICE,) if SLICE in state_schema(grouping) else ())]
