"""What the pipeline should have given: the naive implementation by epochs, and a batch query of it all."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from tests.oracle.naive import DAY, Naive, Program
from tests.oracle.naive_aggregates import AGGREGATES, Row, comparable
from tests.oracle.naive_grouping import Key
from tests.oracle.naive_windows import Window, assign
from tests.oracle.test_oracle import order
from tests.sim.scenarios import FLUSH_AT, Case
from tidegate.epochs.record import EpochRecord
from tidegate.testing.simulation.faults import HOUR
from tidegate.testing.simulation.simulation import Run
from tidegate.timestamps import from_datetime

ADDITIVE = {"number", "present", "total", "weight", "double", "ones"}
"""Aggregates whose discarding panes sum up to the whole."""


def check(case: Case, run: Run) -> None:
    """Compares what a run committed with what it should have; what differs becomes a violation."""
    if run.violations:
        # What is broken already says more than what follows from it.
        return
    panes = list(_panes(run))
    if case.program is None:
        _equals_filtered(run, panes)
        return
    totals = run.watch.manifests[-1].totals
    _equals_naive(case.program, run, panes, totals, ignored=() if case.scenario.repeatable else ("weight",))
    _conserved(case.program, run, panes, totals)
    if case.scenario.repeatable:
        _equals_batch(case.program, run, panes, totals)


def _equals_filtered(run: Run, panes: list[Row]) -> None:
    """Without a shuffle, every row with a usable time comes once."""
    ahead = max(record.now for record in run.watch.records) + DAY
    good = [row for row in _all_rows(run) if row["at"] is not None and row["at"] <= ahead]
    wanted = Counter((row["k"], row["v"] * 2) for row in good if row["v"] is not None and row["v"] > 0)
    found = Counter((pane["k"], pane["double"]) for pane in panes)
    if found != wanted:
        run.violations.append(f"the rows are {found}, and should be {wanted}")
    totals = run.watch.manifests[-1].totals
    rows = list(_all_rows(run))
    if (totals["records"], totals.get("dead_letters", 0)) != (len(rows), len(rows) - len(good)):
        run.violations.append(f"of {len(rows)} records {len(good)} are good, and it counts {totals}")


def _equals_naive(
    program: Program, run: Run, panes: list[Row], totals: dict[str, int], ignored: Collection[str]
) -> None:
    naive = Naive(program)
    for record in run.watch.records:
        naive.now = record.now
        naive.epoch(_rows(run, record), record.now, record.accepted, record.processed)  # type: ignore[arg-type]

    def shown(rows: list[Row]) -> list[Row]:
        ordered = map(comparable, sorted(rows, key=order))
        return [{name: row[name] for name in row if name not in ignored} for row in ordered]

    if shown(panes) != shown(naive.panes):
        run.violations.append(f"the panes are {shown(panes)}, and should be {shown(naive.panes)}")
    counted = {name: n for name, n in totals.items() if n and name not in ("files", "epochs")}
    if counted != naive.counts:
        run.violations.append(f"the counters are {counted}, and should be {naive.counts}")


def _conserved(program: Program, run: Run, panes: list[Row], totals: dict[str, int]) -> None:
    """Every record that was accepted is counted in a window, dropped and counted, or a dead letter."""
    rows = list(_all_rows(run))
    dropped = totals.get("dropped_late", 0) + totals.get("dropped_closed", 0)
    dead = totals.get("dead_letters", 0)
    if totals["records"] != len(rows) or totals["records"] != totals.get("elements", 0) + dead:
        run.violations.append(f"{len(rows)} records were uploaded, and the counters are {totals}")
    if program.windows[0] != "global":
        counted = sum(_sums(program, panes, "number").values()) + 1
        if counted + dropped != totals["elements"]:
            run.violations.append(
                f"{counted} elements in panes and {dropped} dropped, of {totals['elements']}"
            )


def _equals_batch(program: Program, run: Run, panes: list[Row], totals: dict[str, int]) -> None:
    """Where nothing was dropped, all panes together are the batch answer."""
    if program.windows[0] == "global" or totals.get("dropped_late") or totals.get("dropped_closed"):
        return
    windows: dict[tuple[Key, Window], list[Row]] = defaultdict(list)
    ahead = max(record.now for record in run.watch.records) + DAY
    for row in _all_rows(run):
        if row["at"] is not None and row["at"] <= ahead and row["k"] != "flush":
            (window,) = assign(program.windows, row["at"])
            windows[tuple(row[name] for name in program.keys), window].append(row)
    for name in program.aggregates:
        if program.accumulation == "discarding" and name not in ADDITIVE:
            continue
        wanted = {where: AGGREGATES[name](rows) for where, rows in windows.items()}
        found = _sums(program, panes, name)
        if comparable(found) != comparable({(key, window[0]): wanted[key, window] for key, window in wanted}):
            run.violations.append(f"all panes give for {name} {found}, and a batch query gives {wanted}")


def _sums(program: Program, panes: list[Row], name: str) -> dict[tuple[Key, int], Any]:
    """The whole that a window's panes say: their sum, or the last of them; a retraction takes away."""
    whole: dict[tuple[Key, int], Any] = {}
    for pane in sorted(panes, key=lambda each: (each["epoch"], each["pane_index"])):
        where = tuple(pane[key] for key in program.keys), _microseconds(pane["window_start"])
        sign = -1 if pane["op"] == "retract" else 1
        before = 0 if program.accumulation == "accumulating" else whole.get(where, 0)
        whole[where] = before + sign * pane[name] if name in ADDITIVE else pane[name]
    # The last element is there to end the windows of the others; its own is still open.
    return {where: value for where, value in whole.items() if where[1] < FLUSH_AT - HOUR}


def _panes(run: Run) -> Iterator[Row]:
    for manifest in run.watch.manifests:
        for name in manifest.outputs:
            if name.startswith("panes/"):
                for line in run.cloud.output.current[name].data.splitlines():
                    yield {"epoch": manifest.epoch} | json.loads(line)


def _rows(run: Run, record: EpochRecord) -> list[Row]:
    return [
        row
        for each in record.inputs
        for stored in run.cloud.input.history[each.object.key]
        if stored.version == each.object.version
        for row in _parsed(stored.data)
    ]


def _all_rows(run: Run) -> Iterator[Row]:
    for versions in run.cloud.input.history.values():
        for stored in versions:
            yield from _parsed(stored.data)


def _parsed(data: bytes) -> list[Row]:
    return [json.loads(line) for line in data.splitlines()]


def _microseconds(moment: str) -> int:
    return from_datetime(datetime.fromisoformat(moment))
