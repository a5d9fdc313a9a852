"""What the pipeline should have given: the naive implementation by epochs, and a batch query of it all."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from tests.oracle.built import PREFIXES
from tests.oracle.comparison import order
from tests.oracle.naive import DAY, File, Mark, Naive, Policy, Program
from tests.oracle.naive_aggregates import AGGREGATES, Row, comparable
from tests.oracle.naive_grouping import Key
from tests.oracle.naive_windows import Spec, Window, assign, groups, hull
from tests.sim.scenarios import FLUSH_AT, LATENESS, Case
from tidegate.epochs.generation import named, number_of
from tidegate.epochs.record import EpochRecord
from tidegate.sources.marks import is_mark, producer_of
from tidegate.testing.simulation.faults import HOUR
from tidegate.testing.simulation.simulation import Run
from tidegate.timestamps import from_datetime

ADDITIVE = {"number", "present", "total", "weight", "double", "ones"}
"""Aggregates whose discarding panes sum up to the whole."""


ENDLESS = ("global", "calendar")
"""Windows that the last element of a run does not end."""

Where = tuple[Key, int, int]
"""Key, and start and end of a window."""


def check(case: Case, run: Run) -> None:
    """Compares what a run committed with what it should have; what differs becomes a violation."""
    if run.violations:
        # What is broken already says more than what follows from it.
        return
    panes = list(_panes(run))
    program = case.changed if run.cloud.plan is case.scenario.incompatible else case.program
    if program is None:
        _equals_filtered(run, panes)
        return
    totals = run.watch.manifests[-1].totals
    if case.regrouped:
        _equals_table(program, case.regrouped, run, panes, totals)
        return
    _equals_naive(program, run, panes, totals, ignored=() if case.scenario.repeatable else ("weight",))
    _conserved(program, run, panes, totals)
    if case.scenario.repeatable:
        _equals_batch(program, run, panes, totals)


def _equals_filtered(run: Run, panes: list[Row]) -> None:
    """Without a shuffle, every row with a usable time comes once."""
    good = _usable(run)
    wanted = Counter((row["k"], row["v"] * 2) for row in good if row["v"] is not None and row["v"] > 0)
    found = Counter((pane["k"], pane["double"]) for pane in panes)
    if found != wanted:
        run.violations.append(f"the rows are {found}, and should be {wanted}")
    totals = run.watch.manifests[-1].totals
    rows = list(_all_rows(run))
    if (totals["records"], totals.get("dead_letters", 0)) != (len(rows), len(rows) - len(good)):
        run.violations.append(f"of {len(rows)} records {len(good)} are good, and it counts {totals}")


def _equals_table(
    program: Program, regrouped: Spec, run: Run, panes: list[Row], totals: dict[str, int]
) -> None:
    """Grouped again, inserts less retractions are the batch answer, unless something was dropped."""
    if totals.get("dropped_late") or totals.get("dropped_closed"):
        return
    table: Counter[tuple[Where, Any, Any, Any]] = Counter()
    for pane in panes:
        where = ((pane["k"],), _microseconds(pane["window_start"]), _microseconds(pane["window_end"]))
        table[where, pane["totals"], pane["points"], pane["highest"]] += 1 if pane["op"] == "insert" else -1
    rows = [row for row in _usable(run) if row["at"] < FLUSH_AT]
    sums = {
        where: AGGREGATES["total"](of) for where, of in _windows(program.keys, program.windows, rows).items()
    }
    # A pane lies in the window of its own window's last microsecond.
    totals_of = [
        {"k": k, "at": end - 1, "total": total} for ((k, _), _, end), total in sums.items() if total > 0
    ]
    whole = {
        where: [each["total"] for each in of] for where, of in _windows(("k",), regrouped, totals_of).items()
    }
    wanted = Counter((where, len(all_), sum(all_), max(all_)) for where, all_ in whole.items())
    found = Counter({row: n for row, n in table.items() if n and row[0][1] < FLUSH_AT - HOUR})
    if found != wanted:
        run.violations.append(f"inserts less retractions are {found}, and a batch query gives {wanted}")


def _equals_naive(
    program: Program, run: Run, panes: list[Row], totals: dict[str, int], ignored: Collection[str]
) -> None:
    naive = Naive(program)
    for record in run.watch.records:
        naive.now = record.now
        naive.epoch(_files(run, record), record.now, record.accepted, record.processed)  # type: ignore[arg-type]

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
    plain = (Policy(delay=each.delay) for each in program.policies)
    if program.windows[0] in ENDLESS or _outdated(program) or tuple(plain) != program.policies:
        # Where sources are idle, or producers state the watermark, the last elements may be late themselves.
        return
    # An element counts once in each of its windows, and is dropped for each of them.
    usable = [row["at"] for row in _usable(run)]
    places = sum(len(assign(program.windows, at)) for at in usable if at < FLUSH_AT)
    counted = sum(row["number"] for row in _whole(program, panes, ("number",)).values())
    if counted + dropped != places:
        run.violations.append(f"{counted} elements in panes and {dropped} dropped, of {places} in windows")


def _equals_batch(program: Program, run: Run, panes: list[Row], totals: dict[str, int]) -> None:
    """Where nothing was dropped, all panes together are the batch answer."""
    if program.windows[0] in ENDLESS or totals.get("dropped_late") or totals.get("dropped_closed"):
        return
    if program.windows[0] == "sessions" and program.lateness < LATENESS[-1]:
        # Where a session has expired another one may begin, although a batch query would see one.
        return
    names = [name for name in program.aggregates if program.accumulation != "discarding" or name in ADDITIVE]
    rows = [row for row in _usable(run) if row["at"] < FLUSH_AT]
    windows = _windows(program.keys, program.windows, rows)
    wanted = {where: _results(names, rows) for where, rows in windows.items()}
    found = _whole(program, panes, names)
    if program.windows[0] == "sessions" and program.accumulation == "discarding":
        found = _gathered(found, wanted)
    if _outdated(program):
        found = {where: found[where] for where in wanted if where in found}
    if found != wanted:
        run.violations.append(f"all panes give {found}, and a batch query gives {wanted}")


def _outdated(program: Program) -> bool:
    """Whether panes of sessions stay that grew into others."""
    return program.windows[0] == "sessions" and program.accumulation == "accumulating"


def _windows(keys: Sequence[str], spec: Spec, rows: list[Row]) -> dict[Where, list[Row]]:
    """The elements of each key and window."""
    placed: dict[Key, dict[Window, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for window in assign(spec, row["at"]):
            placed[tuple(row[name] for name in keys)][window].append(row)
    merges = spec[0] == "sessions"
    return {
        (key, *hull(group)): [row for each in group for row in windows[each]]
        for key, windows in placed.items()
        for group in (groups(list(windows)) if merges else [[each] for each in windows])
    }


def _results(names: Collection[str], rows: list[Row]) -> Row:
    return comparable({name: AGGREGATES[name](rows) for name in names})


def _whole(program: Program, panes: list[Row], names: Collection[str]) -> dict[Where, Row]:
    """What a table of results holds in the end: discarding panes add up, others take their place."""
    whole: dict[Where, Row] = {}
    for pane in sorted(panes, key=lambda each: (each["epoch"], each["op"] == "insert", each["pane_index"])):
        key = tuple(pane[name] for name in program.keys)
        where = (key, _microseconds(pane["window_start"]), _microseconds(pane["window_end"]))
        values = comparable({name: pane[name] for name in names})
        if pane["op"] == "retract":
            # One that takes back something else leaves it there, where it shows.
            if whole.get(where) == values:
                del whole[where]
        elif program.accumulation == "discarding" and where in whole:
            whole[where] = {name: whole[where][name] + values[name] for name in names}
        else:
            whole[where] = values
    # The last element is there to end the windows of the others; its own is still open.
    return {where: values for where, values in whole.items() if where[1] < FLUSH_AT - HOUR}


def _gathered(found: dict[Where, Row], wanted: Collection[Where]) -> dict[Where, Row]:
    """What sessions gave, with that of those that they grew from."""
    gathered: dict[Where, Row] = {}
    for (key, start, end), values in found.items():
        for where in wanted:
            if where[0] == key and where[1] <= start and end <= where[2]:
                before = gathered.get(where, dict.fromkeys(values, 0))
                gathered[where] = {name: before[name] + values[name] for name in values}
    return gathered


def _panes(run: Run) -> Iterator[Row]:
    for manifest in run.watch.manifests:
        for name in manifest.outputs:
            if name.startswith(f"{named('panes', run.watch.generation)}/"):
                for line in run.cloud.output.current[name].data.splitlines():
                    yield {"epoch": number_of(manifest.epoch)} | json.loads(line)


def _files(run: Run, record: EpochRecord) -> list[File]:
    return [
        (of, _content(of, each.object.key, stored.data))
        for each in record.inputs
        for of in [PREFIXES.index(each.object.key.split("/")[0])]
        for stored in run.cloud.input.history[each.object.key]
        if stored.version == each.object.version
    ]


def _content(source: int, key: str, data: bytes) -> list[Row] | Mark:
    if not is_mark(key):
        return _parsed(data)
    (row,) = _parsed(data)
    return Mark(source, producer_of(key), row["watermark"])


def _usable(run: Run) -> list[Row]:
    """The rows whose event time is one, and not too far ahead."""
    ahead = max(record.now for record in run.watch.records) + DAY
    return [row for row in _all_rows(run) if row["at"] is not None and row["at"] <= ahead]


def _all_rows(run: Run) -> Iterator[Row]:
    for key, versions in run.cloud.input.history.items():
        for stored in () if is_mark(key) else versions:
            yield from _parsed(stored.data)


def _parsed(data: bytes) -> list[Row]:
    return [json.loads(line) for line in data.splitlines()]


def _microseconds(moment: str) -> int:
    return from_datetime(datetime.fromisoformat(moment))
