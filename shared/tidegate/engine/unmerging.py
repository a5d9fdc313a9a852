"""Windows that merge where elements may be taken back: they are taken apart again.

An element lies in its *own window*, the one that it has before it merges. State has a slice for each key and
own window that is live, which is one with more elements inserted than taken back, and a row for each window.
What merges is asked anew of the live own windows, so that the windows are those of a batch query over the
elements that are left. (Elements with signs that add up are the Z-sets of DBSP, PVLDB 2023.)

A window that lost one of its own windows, and that those left do not merge to, is *parted*. It has no
elements any more; its row stays until it has fired once more, which takes its panes back. What is left of it
comes to other windows as if it had just arrived.
"""

from collections.abc import Sequence

import polars as pl

from tidegate.engine.columns import (
    ADDED,
    CLOSED,
    INDEX,
    LIVE,
    PANES,
    SLICE,
    content,
    identities,
    retracts,
)
from tidegate.engine.frames import evaluated, parted
from tidegate.engine.merging import STAYS, with_merged_windows
from tidegate.engine.pairs import matches
from tidegate.engine.state import (
    combine,
    fresh_windows,
    join_moved,
    merged_content,
    partial_schema,
    places,
    slice_rows,
    state_schema,
    without_added,
    without_elements_of_closed,
)
from tidegate.grouping import Grouping
from tidegate.windows import END, START

_WAS = {START: "__was_start", END: "__was_end"}
"""The window that an own window was merged into before the epoch; null if it was not live."""

_IS = {START: "__is_start", END: "__is_end"}
"""The one that it is merged into after the epoch; null if it is not live."""

_LOST = "__lost"
"""Whether a window has lost one of its own windows."""

_PARTED = "__parted"
"""Whether the window that an own window was part of is parted."""


def join_epoch(
    state: pl.DataFrame, partials: Sequence[pl.DataFrame], grouping: Grouping
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Windows and slices after the epoch's elements joined them; windows with the column `ADDED`."""
    held, windows = parted(without_added(state), state.get_column(SLICE))
    held = held[list(partial_schema(grouping))]
    fresh = [frame for frame in partials if frame.height]
    if not fresh:
        return windows, held
    closed, standing = parted(windows, windows.get_column(CLOSED))
    added = combine(fresh, grouping)
    # An element whose own window is live already belongs to that one's window, which is open.
    known, others = parted(added, matches(added, held, places(grouping)))
    closed, others = without_elements_of_closed(closed, others, grouping)
    slices = combine([held, known, others], grouping)
    live, _ = parted(slices, slices.get_column(LIVE) > 0)
    parts = _parts(held, slices, live, grouping)
    moved = _moved(standing, parts, grouping)
    arrived = pl.concat([_content(live, parts, grouping), _taken_back(parts, grouping)])
    rows = fresh_windows(arrived, grouping).with_columns(pl.lit(True).alias(STAYS))
    joined = join_moved(pl.concat([moved, rows]), grouping)
    return pl.concat([closed, joined.filter(~_is_forgotten(grouping))]), live


def with_slices(windows: pl.DataFrame, slices: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The state to store: windows, and the slices of those that are open."""
    merged = slices.select(places(grouping)).lazy().with_row_index("row")
    whole = with_merged_windows(evaluated(merged), grouping)
    needed = matches(whole, windows.filter(~pl.col(CLOSED)), places(grouping))
    rows = slices[whole.get_column("row").filter(needed).sort()]
    return pl.concat([windows[list(state_schema(grouping))], slice_rows(rows, grouping)])


def without_parted(fired: pl.DataFrame) -> pl.DataFrame:
    """The windows that fired without those that are parted: these have taken back what they had given."""
    return fired.filter(pl.col(LIVE) > 0)


def _parts(held: pl.DataFrame, slices: pl.DataFrame, live: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """What became of each own window, by `_WAS`, `_IS`, `_LOST` and `_PARTED`, and the elements in it."""
    own, keys = places(grouping), [each for each in places(grouping) if each not in (START, END)]
    was, is_ = _merged(held, _WAS, grouping), _merged(live, _IS, grouping)
    there = is_.select(
        *keys, *(pl.col(name).alias(_WAS[at]) for at, name in _IS.items()), pl.lit(True).alias(STAYS)
    )
    lost = pl.col(_IS[START]).is_null().any().over(*keys, *_WAS.values())
    is_known = pl.col(_WAS[START]).is_not_null()
    return evaluated(
        slices.lazy()
        .select(*own, ADDED, LIVE)
        .join(was, on=own, how="left", nulls_equal=True, maintain_order="left")
        .join(is_, on=own, how="left", nulls_equal=True, maintain_order="left")
        .join(there.unique(), on=[*keys, *_WAS.values()], how="left", nulls_equal=True, maintain_order="left")
        .with_columns((is_known & lost).alias(_LOST))
        .with_columns((pl.col(_LOST) & pl.col(STAYS).is_null()).alias(_PARTED))
    )


def _merged(slices: pl.DataFrame, names: dict[str, str], grouping: Grouping) -> pl.LazyFrame:
    """Own windows with those that they merge to, under other names."""
    own = {START: "__own_start", END: "__own_end"}
    rows = slices.select(*places(grouping), *(pl.col(at).alias(name) for at, name in own.items()))
    merged = with_merged_windows(rows, grouping).lazy().drop(STAYS)
    return merged.rename(names).rename({name: at for at, name in own.items()})


def _moved(windows: pl.DataFrame, parts: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Windows of the state, without content, where they are after the epoch; with the column `STAYS`."""
    own = places(grouping)
    became = (
        parts.lazy()
        .filter(~pl.col(_LOST) & pl.col(_WAS[START]).is_not_null())
        .select(*(each for each in own if each not in _WAS), *_WAS.values(), *_IS.values())
        .rename({name: at for at, name in _WAS.items()})
        .unique(subset=own, keep="first", maintain_order=True)
    )
    stays = (pl.col(_IS[START]) == pl.col(START)) & (pl.col(_IS[END]) == pl.col(END))
    return evaluated(
        windows.lazy()
        .join(became, on=own, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(stays.fill_null(True).alias(STAYS), **identities(content(grouping)))
        .with_columns(pl.coalesce(name, at).alias(at) for at, name in _IS.items())
        .select(*windows.columns, STAYS)
    )


def _content(live: pl.DataFrame, parts: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The windows after the epoch, as partials: what they hold, and the elements that count as added."""
    own = places(grouping)
    counted = pl.when(pl.col(_PARTED)).then(pl.col(LIVE)).otherwise(pl.col(ADDED)).alias(ADDED)
    brought = parts.lazy().filter(pl.col(_IS[START]).is_not_null()).select(*own, *_IS.values(), counted)
    return evaluated(
        live.lazy()
        .drop(ADDED)
        .join(brought, on=own, how="inner", nulls_equal=True, maintain_order="left")
        .drop(START, END)
        .rename({name: at for at, name in _IS.items()})
        .group_by(own, maintain_order=True)
        .agg(*merged_content(grouping), pl.col(ADDED).sum())
        .select(list(partial_schema(grouping)))
    )


def _taken_back(parts: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """The elements that came for windows in which they leave nothing, as partials without content."""
    schema = partial_schema(grouping)
    gone = pl.col(_IS[START]).is_null() & pl.col(_WAS[START]).is_not_null()
    own = places(grouping)
    rows = (
        parts.lazy()
        .filter(gone)
        .drop(START, END)
        .rename({name: at for at, name in _WAS.items()})
        .group_by(own, maintain_order=True)
        .agg(pl.col(ADDED).sum())
    )
    return evaluated(rows.with_columns(**identities(content(grouping))).select(list(schema)))


def _is_forgotten(grouping: Grouping) -> pl.Expr:
    """Whether a window is parted and has no pane that it could take back."""
    had_pane = (pl.col(PANES).list.len() > 0) if retracts(grouping) else pl.col(INDEX) > 0
    return (pl.col(LIVE) == 0) & ~had_pane.fill_null(False)
