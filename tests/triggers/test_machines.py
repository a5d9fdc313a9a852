"""Triggers as columns are compared with machines in plain Python, many windows at a time."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.triggers.machines import NaiveWindow
from tests.triggers.windows import evaluate, initial
from tidegate.timestamps import MAX
from tidegate.triggers import Earliest, Trigger

WINDOWS, EPOCHS = 40, 10


def one_after_the_other(parts: Sequence[Trigger]) -> Trigger:
    """Without those behind which none would have its turn."""
    *first, last = parts
    kept = [part for part in first if part.outlook.finishes is not Earliest.NEVER]
    return tg.AfterEach(*kept, last) if kept else last


ON_TIME = st.sampled_from(["always", "if_new"])
LEAVES: st.SearchStrategy[Trigger] = st.one_of(
    st.integers(1, 4).map(tg.AfterCount),
    st.integers(0, 5).map(lambda delay: tg.AfterProcessingTime(f"{delay}us")),
    st.integers(1, 6).map(lambda period: tg.AlignedDelay(f"{period}us")),
    st.builds(tg.AfterWatermark, on_time=ON_TIME),
)


KINDS = ["leaf", "repeatedly", "each", "each", "finally", "watermark", "watermark", "any", "all"]


@st.composite
def triggers(draw: st.DrawFn, depth: int) -> Trigger:
    """A trigger of any kind, nested so deep at the most."""
    kind = draw(st.sampled_from(KINDS)) if depth > 1 else "leaf"
    inner = triggers(depth - 1)
    several = st.lists(inner, min_size=2, max_size=3)
    if kind == "leaf":
        return draw(LEAVES) if draw(st.integers(0, 9)) else tg.Never()
    if kind == "repeatedly":
        return tg.Repeatedly(draw(inner))
    if kind == "each":
        return one_after_the_other(draw(several))
    if kind == "finally":
        return tg.OrFinally(draw(inner), draw(inner))
    if kind == "watermark":
        return tg.AfterWatermark(draw(st.none() | inner), draw(st.none() | inner), on_time=draw(ON_TIME))
    return (tg.AfterAny if kind == "any" else tg.AfterAll)(*draw(several))


# For each window and epoch a byte: its remainders say how many elements come and how far the end moves.
noise = st.binary(min_size=WINDOWS * (EPOCHS + 1), max_size=WINDOWS * (EPOCHS + 1))
steps_of_watermark = st.lists(st.sampled_from([0, 0, 1, 2, 5, 20]), min_size=EPOCHS, max_size=EPOCHS)
steps_of_clock = st.lists(st.sampled_from([0, 1, 1, 2, 3, 7]), min_size=EPOCHS, max_size=EPOCHS)


def windows_of(noise: bytes) -> list[tuple[list[int], list[int]]]:
    """For each window the elements that every epoch adds, and its end in every epoch."""
    found = []
    for start in range(0, len(noise), EPOCHS + 1):
        first, *rest = noise[start : start + EPOCHS + 1]
        added = [max(0, byte % 6 - 2) for byte in rest]
        # Only what touches a window moves its end, as elements do that make a session grow.
        grows = [
            byte // 6 % 8 if byte // 48 % 3 == 0 and more else 0
            for byte, more in zip(rest, added, strict=True)
        ]
        found.append((added, list(accumulate(grows, initial=first % 30))[1:]))
    return found


@given(triggers(4) | triggers(3).map(tg.Repeatedly), noise, steps_of_watermark, steps_of_clock)
@settings(max_examples=250)
def test_triggers_do_what_their_machines_do(
    trigger: Trigger, noise: bytes, watermarks: list[int], clocks: list[int]
) -> None:
    """Firings, panes, ends and alarms; 40 windows an example, so 10,000 time lines in all."""
    rows = windows_of(noise)
    naive = [NaiveWindow(trigger) for _ in rows]
    state = initial(trigger, len(rows))
    pending, closed, exists = [0] * len(rows), [False] * len(rows), [False] * len(rows)
    moments = zip(pairwise(accumulate(watermarks, initial=0)), accumulate(clocks), strict=True)
    for number, ((before, watermark), now) in enumerate(moments):
        added, ends = ([row[which][number] for row in rows] for which in (0, 1))
        exists = [had or more > 0 for had, more in zip(exists, added, strict=True)]
        pending = [had + more for had, more in zip(pending, added, strict=True)]
        is_open = [each and not shut for each, shut in zip(exists, closed, strict=True)]
        windows = state.with_columns(
            added=pl.Series(added, dtype=pl.Int64),
            end=pl.Series(ends, dtype=pl.Int64),
            pending=pl.Series(pending, dtype=pl.Int64),
            open=pl.Series(is_open),
        )
        judged = evaluate(trigger, windows, before, watermark, now)
        expected = [
            window.epoch(more, end, before, watermark, now)
            for window, more, end in zip(naive, added, ends, strict=True)
        ]
        assert judged.select("fires", "shows", "finished").rows() == expected, f"epoch {number}"

        state = judged.select(state.columns)
        pending = [0 if shows else had for had, (_, shows, _) in zip(pending, expected, strict=True)]
        closed = [was or ends for was, (_, _, ends) in zip(closed, expected, strict=True)]
        alarms = [
            MAX if not each or shut else at
            for each, shut, at in zip(exists, closed, judged["alarm"], strict=True)
        ]
        assert alarms == [window.alarm for window in naive], f"epoch {number}"
