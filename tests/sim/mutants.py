"""The tester is tested: plausible mistakes in the protocol, each of which the simulation must find.

`python -m tests.sim.mutants` prints the table: after how many seeds each was found, and by which oracle.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import polars as pl

from tests.sim.seeds import simulate
from tidegate.engine import assignment, key_groups, reduce_task
from tidegate.engine.columns import GONE
from tidegate.engine.input_slice import InputSlice, SliceContent
from tidegate.engine.segments import Standing
from tidegate.epochs import (
    action,
    intake,
    lease,
    machine,
    paths,
    reduce_stage,
    repetition,
    settling,
    sweep,
    tasks,
)
from tidegate.epochs.draft import Draft
from tidegate.epochs.generation import generation_of
from tidegate.epochs.head import Head
from tidegate.epochs.machine import Coordinator, Event
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import TaskResult, holds_result, result_key
from tidegate.errors import ConditionFailed, ObjectNotFound
from tidegate.frontier import Frontier, UnionFrontier
from tidegate.outline import Outline
from tidegate.pipeline import Stream
from tidegate.references import Layer, Segment
from tidegate.runtime import control_plane
from tidegate.stores.ports import ANYTHING, Delete, Put, Row
from tidegate.testing.simulation.ports import SimulatedAlarms, SimulatedObjects, SimulatedTable

FOUND = Path(__file__).with_name("mutants.txt")

MOST = 1_000
"""Seeds within which a mutant must be found."""

MUTANTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {}


def mutant(function: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
    """Registers a mutant under its function's name."""
    MUTANTS[function.__name__.replace("_", " ")] = contextmanager(function)
    return function


RARE: dict[str, tuple[str, Callable[[], AbstractContextManager[Any]]]] = {}
"""Mutants that one seed in thousands finds, each with one that does; without it that seed is a regression."""


def rare(seed: str) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Registers a mutant that this seed of `make soak` finds."""

    def register(function: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        RARE[function.__name__.replace("_", " ")] = seed, contextmanager(function)
        return function

    return register


def _create(
    which: Callable[[str], bool], instead: Callable[[SimulatedObjects, str, bytes], bool]
) -> AbstractContextManager[Any]:
    """Another way to create the objects with these keys."""
    original = SimulatedObjects.put_if_absent

    def put_if_absent(self: SimulatedObjects, key: str, data: bytes) -> bool:
        return instead(self, key, data) if which(key) else original(self, key, data)

    return patch.object(SimulatedObjects, "put_if_absent", put_if_absent)


def _plain_put(objects: SimulatedObjects, key: str, data: bytes) -> bool:
    objects.put(key, data)
    return True


def _look_then_put(objects: SimulatedObjects, key: str, data: bytes) -> bool:
    try:
        objects.get(key)
    except ObjectNotFound:
        objects.put(key, data)
        return True
    return False


@mutant
def plain_put_of_the_epoch_record() -> Iterator[None]:
    with _create(paths.is_record, _plain_put):
        yield


@mutant
def plain_put_of_task_results() -> Iterator[None]:
    with _create(paths.may_hold_result, _plain_put):
        yield


@mutant
def look_and_then_put_the_epoch_record() -> Iterator[None]:
    with _create(paths.is_record, _look_then_put):
        yield


@mutant
def look_and_then_put_task_results() -> Iterator[None]:
    with _create(paths.may_hold_result, _look_then_put):
        yield


@mutant
def the_planner_goes_on_with_its_own_record() -> Iterator[None]:
    original = Coordinator.plan

    def plan(self: Coordinator, **how: Any) -> Any:
        own: list[Any] = []
        freeze = self._freeze

        def remembered(*given: Any) -> Any:
            own.append(freeze(*given))
            return own[0]

        with patch.object(self, "_freeze", remembered):
            found = original(self, **how)
        return own[0] if own else found

    with patch.object(Coordinator, "plan", plan):
        yield


@mutant
def no_stored_epoch_record() -> Iterator[None]:
    """Every planner freezes anew, and the last one counts."""

    def plan(self: Coordinator, **how: Any) -> Any:
        head = settling.settled(self._head(), self._outline.pipeline, self._objects, self._table)
        record = self._repeat(head) if head.to_repeat else self._freeze(head, close=False, ended=False)
        if record is not None:
            self._objects.put(record.key, record.encode())
        return record

    with patch.object(Coordinator, "plan", plan):
        yield


@mutant
def state_from_a_listing_and_not_from_the_manifest() -> Iterator[None]:
    """Deltas are looked for in the folder, where there are also those of attempts that did not win."""
    original, read = Draft.layers, Standing.read
    stored: dict[str, list[Layer]] = {}

    def layers(self: Draft, *given: Any) -> list[Layer]:
        found = original(self, *given)
        stored[found[0].key] = found
        return found

    def with_listed(objects: Any, segment: Segment) -> Segment:
        last = max(paths.epoch_of(each.key) for each in segment.layers)
        folder = "/".join(segment.layers[0].key.split("/")[:2])
        keys = [each.key for each in objects.list(folder) if paths.epoch_of(each.key) > last]
        found = [layer for key in sorted(keys) for layer in stored.get(key, ())]
        return replace(segment, layers=(*segment.layers, *found))

    def read_listed(self: Standing, objects: Any) -> pl.DataFrame:
        self._read = [with_listed(objects, each) for each in self._read]
        return read(self, objects)

    with patch.object(Draft, "layers", layers), patch.object(Standing, "read", read_listed):
        yield


@mutant
def windows_that_are_gone_come_back() -> Iterator[None]:
    """A delta does not say which windows left the state."""
    original = reduce_task.changes

    def changes(*given: Any, **how: Any) -> pl.DataFrame:
        return original(*given, **how).filter(~pl.col(GONE))

    with patch.object(reduce_task, "changes", changes):
        yield


@mutant
def a_bucket_that_is_not_read_is_lost() -> Iterator[None]:
    original = Standing.after

    def after(self: Standing, *given: Any) -> Any:
        self._carried = []
        return original(self, *given)

    with patch.object(Standing, "after", after):
        yield


@mutant
def folding_forgets_the_base() -> Iterator[None]:
    """New rows take the place of the layers that they are folded with."""
    original = Standing._newest

    def _newest(self: Standing, layers: Sequence[Layer], *over: pl.DataFrame) -> pl.DataFrame:
        return original(self, () if over else layers, *over)

    with patch.object(Standing, "_newest", _newest):
        yield


@mutant
def commit_without_condition() -> Iterator[None]:
    def put(key: str, row: Row, expected: Any = None) -> Put:
        return Put(key, row, ANYTHING if key == paths.HEAD else expected)

    with patch.object(machine, "Put", put):
        yield


@mutant
def head_before_manifest() -> Iterator[None]:
    """The manifest is written once the head has moved."""
    original, late = SimulatedObjects.put_if_absent, SimulatedTable.write
    waiting: dict[int, tuple[SimulatedObjects, str, bytes]] = {}

    def put_if_absent(self: SimulatedObjects, key: str, data: bytes) -> bool:
        if "/manifest.json" not in key:
            return original(self, key, data)
        waiting[id(self._line)] = (self, key, data)
        return True

    def write(self: SimulatedTable, *writes: Any) -> None:
        late(self, *writes)
        if id(self._line) in waiting:
            original(*waiting.pop(id(self._line)))

    with (
        patch.object(SimulatedObjects, "put_if_absent", put_if_absent),
        patch.object(SimulatedTable, "write", write),
    ):
        yield


@mutant
def inputs_leave_the_queue_when_they_are_frozen() -> Iterator[None]:
    original = Coordinator._freeze

    def freeze(self: Coordinator, *given: Any) -> Any:
        record = original(self, *given)
        for each in record.inputs if record else ():
            self._table.write(Delete(paths.pending(each.position)))
        return record

    with patch.object(Coordinator, "_freeze", freeze):
        yield


@mutant
def inputs_stay_in_the_queue_after_a_commit() -> Iterator[None]:
    with patch.object(settling, "Delete", lambda key: Put("forgotten", {"row": key}, ANYTHING)):
        yield


@mutant
def lost_wake_up_when_going_idle() -> Iterator[None]:
    """Going idle compares nothing. Whoever stands by would mend most of that, so nobody does."""

    def release(table: Any, held: lease.Lease, alarms: Any) -> bool:
        table.write(Put(paths.COORDINATOR, {**(held.row or {}), "holder": "", "until": 0}, ANYTHING))
        return True

    with patch.object(lease, "release", release), _nobody_stands_by():
        yield


@mutant
def nobody_stands_by_while_another_holds_the_lease() -> Iterator[None]:
    with _nobody_stands_by():
        yield


@contextmanager
def _nobody_stands_by() -> Iterator[None]:
    """Intake starts nothing when it finds the lease held."""

    def wake(self: Any) -> None:
        held, now = lease.wake(self.table), self.clock.now()
        if not held.is_held(now):
            self.start(f"{self.outline.pipeline}-{held.wake}-{now}")

    with patch.object(control_plane.ControlPlane, "wake", wake):
        yield


@mutant
def whoever_stands_by_counts_as_alive() -> Iterator[None]:
    """As it was once: to start an execution under the name of one that was stopped starts nothing."""
    original = control_plane.ControlPlane.wake

    def wake(self: Any, leaving: str = "") -> None:
        original(replace(self, start=lambda name: self.start(name) or True), leaving)

    with patch.object(control_plane.ControlPlane, "wake", wake):
        yield


@rare("4011854")
def a_coordinator_that_fails_starts_nobody_for_the_one_that_stands_by() -> Iterator[None]:
    original = lease.give_up

    def give_up(table: Any, holder: str) -> bool:
        original(table, holder)
        return False

    with patch.object(lease, "give_up", give_up):
        yield


@rare("4058738")
def the_listing_sets_no_alarm_before_it_accepts() -> Iterator[None]:
    original = control_plane.ControlPlane.reconcile

    def reconcile(self: Any) -> dict[str, Any]:
        return original(replace(self, alarms=SimpleNamespace(set=lambda moment, now: None)))

    with patch.object(control_plane.ControlPlane, "reconcile", reconcile):
        yield


@mutant
def nobody_sets_the_alarm() -> Iterator[None]:
    with patch.object(SimulatedAlarms, "set", lambda self, moment, now: None):
        yield


@mutant
def an_alarm_that_came_too_early_is_not_set_again() -> Iterator[None]:
    with patch.object(lease, "ring", lambda table, alarm: None):
        yield


@mutant
def the_second_grouping_takes_nothing_back() -> Iterator[None]:
    with patch.object(Stream, "sign", None):
        yield


@mutant
def the_watermark_of_a_union_is_the_highest() -> Iterator[None]:
    def of(self: UnionFrontier, sources: Mapping[str, Frontier]) -> UnionFrontier:
        highest = max(each.watermark for each in sources.values())
        return UnionFrontier(sources, max(self.watermark, highest))

    with patch.object(UnionFrontier, "_of", of):
        yield


@mutant
def a_union_does_not_wait_for_a_backlog() -> Iterator[None]:
    original = UnionFrontier.advance

    def advance(self: UnionFrontier, *given: Any, processed: str, **more: Any) -> UnionFrontier:
        return original(self, *given, **more | {"processed": processed, "accepted": processed})

    with patch.object(UnionFrontier, "advance", advance):
        yield


@mutant
def a_silent_source_holds_the_others_back() -> Iterator[None]:
    with patch.object(Frontier, "is_silent", False):
        yield


@mutant
def intake_accepts_for_another_plan() -> Iterator[None]:
    with patch.object(control_plane.ControlPlane, "check", lambda self: None):
        yield


@mutant
def intake_does_not_count_its_calls() -> Iterator[None]:
    with patch.object(lease, "wake", lease.read):
        yield


@mutant
def a_coordinator_ends_when_another_holds_the_lease() -> Iterator[None]:
    original = action.next_action

    def next_action(*given: Any) -> Any:
        found = original(*given)
        return action.Action(Event.NOTHING) if found.event is Event.HELD else found

    with patch.object(control_plane, "next_action", next_action):
        yield


@mutant
def no_check_for_duplicates_at_intake() -> Iterator[None]:
    places = count()

    def rows(each: Any) -> Any:
        position = f"{each.position}-{next(places)}"
        row = {"key": each.object.key, "version": each.object.version, "size": each.object.size}
        return (Put(paths.pending(position), row, ANYTHING),)

    with (
        patch.object(intake, "new", lambda table, objects: list(objects)),
        patch.object(intake, "_rows", rows),
    ):
        yield


@mutant
def intake_writes_its_two_rows_one_after_the_other() -> Iterator[None]:
    original = intake._write

    def write(table: Any, writes: Any) -> bool:
        return all([original(table, [each]) for each in writes])

    with patch.object(intake, "_write", write):
        yield


@mutant
def no_reconciler() -> Iterator[None]:
    def reconcile(self: Any) -> dict[str, Any]:
        return {"accepted": 0}

    with patch.object(control_plane.ControlPlane, "reconcile", reconcile):
        yield


@mutant
def inputs_are_read_without_their_version() -> Iterator[None]:
    def unversioned(key: str, version: str, size: int, *part: Any) -> InputSlice:
        return InputSlice(key, None, size, *part)  # type: ignore[arg-type]

    with patch.object(tasks, "InputSlice", unversioned):
        yield


@mutant
def a_line_on_the_border_of_two_ranges_is_nobodys() -> Iterator[None]:
    def within(self: SliceContent) -> Iterator[bytes]:
        each = self._slice
        data = self._objects.get(each.key, each.version)[each.start : each.end]
        first = 0 if each.opens else data.find(b"\n") + 1
        yield data[first : data.rfind(b"\n") + 1]

    with patch.object(SliceContent, "_lines", within):
        yield


@mutant
def a_range_without_elements_has_nothing_to_do() -> Iterator[None]:
    def _concerned(number: int, record: EpochRecord, previous: object, before: Any, passed: int) -> Any:
        return real(number, record, None, before, passed)

    real = reduce_stage._concerned
    with patch.object(reduce_stage, "_concerned", _concerned):
        yield


@mutant
def the_sweep_forgets_the_state_that_is_carried_along() -> Iterator[None]:
    original = sweep.Manifest.decode

    def decode(key: str, data: bytes) -> Any:
        return replace(original(key, data), segments=())

    with patch.object(sweep, "Manifest", SimpleNamespace(decode=decode)):
        yield


class _HeadForAll:
    """A store in which every manifest is the head's."""

    def __init__(self, objects: Any, head: Any) -> None:
        self.objects, self.head = objects, head

    def get(self, key: str) -> bytes:
        data: bytes = self.objects.get(self.head.key if paths.is_manifest(key) else key)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objects, name)


@mutant
def the_sweep_keeps_only_what_the_head_names() -> Iterator[None]:
    """As it was once: a reader of an epoch that is kept did not find state from before it."""
    original, decode = control_plane.sweep, sweep.Manifest.decode

    def any_manifest(key: str, data: bytes) -> Any:
        body = json.loads(data)["body"]
        return decode(paths.manifest(body["pipeline"], body["epoch"]), data)

    def forgetful(objects: Any, head: Any, *given: Any) -> int:
        return original(_HeadForAll(objects, head), head, *given)

    with (
        patch.object(sweep, "Manifest", SimpleNamespace(decode=any_manifest)),
        patch.object(control_plane, "sweep", forgetful),
    ):
        yield


@mutant
def the_sweep_comes_too_early() -> Iterator[None]:
    original = control_plane.sweep
    with patch.object(control_plane, "sweep", lambda objects, head, age, kept: original(objects, head, 0, 1)):
        yield


@mutant
def output_is_published_before_the_claim() -> Iterator[None]:
    original = SimulatedObjects.put_if_absent

    def put_if_absent(self: SimulatedObjects, key: str, data: bytes) -> bool:
        if holds_result(key, data):
            result = TaskResult.decode(key, data)
            output = SimulatedObjects(OUTPUTS[id(self._line.universe)], self._line)
            for each in result.outputs:
                at = each.staged
                within = data if at.key == key else self._bucket.ever(at.key)
                original(output, each.name, within[at.offset : at.offset + at.size])
        return original(self, key, data)

    OUTPUTS: dict[int, Any] = {}
    handle = tasks.TaskStores.__init__

    def remember(self: Any, input: Any, state: Any, output: Any, *more: Any, **other: Any) -> None:
        handle(self, input, state, output, *more, **other)
        if isinstance(output, SimulatedObjects):
            OUTPUTS[id(output._line.universe)] = output._bucket

    with (
        patch.object(SimulatedObjects, "put_if_absent", put_if_absent),
        patch.object(tasks.TaskStores, "__init__", remember),
    ):
        yield


@mutant
def the_loser_of_a_claim_publishes_its_own() -> Iterator[None]:
    create, get = SimulatedObjects.put_if_absent, SimulatedObjects.get
    own: dict[tuple[int, str, str], bytes] = {}

    def put_if_absent(self: SimulatedObjects, key: str, data: bytes) -> bool:
        won = create(self, key, data)
        if not won and paths.may_hold_result(key):
            own[id(self._line.universe), self._line.process.name, key] = data
        return won

    def read(self: SimulatedObjects, key: str, version: str | None = None) -> bytes:
        data = get(self, key, version)
        return own.pop((id(self._line.universe), self._line.process.name, key), data)

    with (
        patch.object(SimulatedObjects, "put_if_absent", put_if_absent),
        patch.object(SimulatedObjects, "get", read),
    ):
        yield


@mutant
def attempts_share_their_data_paths() -> Iterator[None]:
    original = paths.data

    def data(pipeline: str, epoch: int, stage: str, task: int, attempt: str, what: str) -> str:
        return original(pipeline, epoch, stage, task, "attempt", what)

    with patch.object(paths, "data", data):
        yield


@mutant
def a_lost_create_is_taken_for_a_failure() -> Iterator[None]:
    """412 on a write's own success: whoever takes it for an error never gets on."""
    original = SimulatedObjects.put_if_absent

    def put_if_absent(self: SimulatedObjects, key: str, data: bytes) -> bool:
        if not original(self, key, data):
            raise ConditionFailed(f"{key} exists")
        return True

    with patch.object(SimulatedObjects, "put_if_absent", put_if_absent):
        yield


@mutant
def reads_of_the_table_are_not_consistent() -> Iterator[None]:
    original, before = SimulatedTable.write, SimulatedTable.get
    stale: dict[tuple[int, str], Any] = {}

    def write(self: SimulatedTable, *writes: Any) -> None:
        rows = {(id(self._rows), each.key): self._rows.get(each.key) for each in writes}
        original(self, *writes)
        stale.update(rows)

    def get(self: SimulatedTable, key: str) -> Any:
        found = before(self, key)
        chance = self._line.universe.chaos.stream("stale").random()
        return stale.get((id(self._rows), key), found) if chance < 0.1 else found

    with patch.object(SimulatedTable, "write", write), patch.object(SimulatedTable, "get", get):
        yield


@mutant
def tasks_look_at_the_clock() -> Iterator[None]:
    """Processing time is not the record's, but when the task runs."""
    original = tasks._Attempt._times

    def times(self: Any, *given: Any) -> Any:
        store = self.stores.state
        while hasattr(store, "_objects"):
            store = store._objects
        line = getattr(store, "_line", None)
        now = line.universe.scheduler.moment if line else self.record.now
        return replace(original(self, *given), now=now)

    with patch.object(tasks._Attempt, "_times", times):
        yield


@mutant
def key_groups_differ_between_processes() -> Iterator[None]:
    """As with Python's own hash, which has another seed in every process."""
    original = key_groups.with_key_groups
    seeds = count(1)

    def with_key_groups(frame: Any, keys: Any) -> Any:
        shift = next(seeds) * 97
        grouped = original(frame, keys)
        moved = (pl.col(key_groups.GROUP).cast(pl.Int64) + shift) % 1_024
        return grouped.with_columns(moved.cast(pl.UInt16).alias(key_groups.GROUP))

    with patch.object(assignment, "with_key_groups", with_key_groups):
        yield


@mutant
def the_fingerprint_is_not_checked() -> Iterator[None]:
    with patch.object(Outline, "check", lambda self, *given: None):
        yield


@mutant
def a_task_that_is_done_is_published_for_any_pipeline() -> Iterator[None]:
    """As it was once: the result was looked for before the record."""
    original = tasks.run_task

    def run_task(plan: Any, stores: Any, task: Any, *more: Any) -> Any:
        key = result_key(plan.name, task)
        try:
            return tasks._publish(stores, key, TaskResult.decode(key, stores.state.get(key)), {})
        except ObjectNotFound:
            return original(plan, stores, task, *more)

    with (
        patch("tidegate.testing.simulation.cloud.run_task", run_task),
        patch("tidegate.runtime.small_epoch.run_task", run_task),
    ):
        yield


@mutant
def a_replay_leaves_out_the_last_epoch() -> Iterator[None]:
    whole = Head.to_repeat.fget

    def to_repeat(self: Head) -> int:
        epoch = whole(self)  # type: ignore[misc]
        return epoch if epoch != self.repeats else 0

    with patch.object(Head, "to_repeat", property(to_repeat)):
        yield


@mutant
def readers_are_told_of_a_replay_when_it_begins() -> Iterator[None]:
    original = Coordinator._repeat

    def repeat(self: Coordinator, head: Head) -> EpochRecord:
        self._announce(generation_of(head.epoch))
        return original(self, head)

    with patch.object(Coordinator, "_repeat", repeat):
        yield


@mutant
def readers_are_never_told_of_a_replay() -> Iterator[None]:
    with patch.object(control_plane.ControlPlane, "_announce", lambda self, generation: None):
        yield


@mutant
def a_replay_begins_whatever_was_committed_meanwhile() -> Iterator[None]:
    """The head that begins it is written without a condition."""

    def begin(outline: Outline, objects: Any, table: Any) -> Head:
        given = SimpleNamespace(get=table.get, query=table.query)
        given.write = lambda *writes: table.write(*map(unconditional, writes))
        return original(outline, objects, given)

    def unconditional(write: Any) -> Any:
        begins = isinstance(write, Put) and Head.of(write.row).begins
        return replace(write, expected=ANYTHING) if begins else write

    original = repetition.begin
    with patch.object(control_plane, "begin", begin):
        yield


@mutant
def a_replay_settles_nothing_before() -> Iterator[None]:
    """What the last epoch took is still waiting, and taken again when all is repeated."""
    with patch.object(repetition, "settled", lambda head, *given: head):
        yield


@mutant
def what_is_repeated_has_the_frontier_of_old() -> Iterator[None]:
    original = repetition.repeated

    def repeated(record: EpochRecord, *given: Any) -> EpochRecord:
        return replace(original(record, *given), frontier=record.frontier)

    with patch.object(machine, "repeated", repeated):
        yield


@mutant
def a_generation_that_was_begun_takes_any_plan() -> Iterator[None]:
    original = Coordinator._checked

    def checked(self: Coordinator, head: Head) -> Head:
        return head if head.begins and head.epoch else original(self, head)

    with patch.object(Coordinator, "_checked", checked):
        yield


def seeds_until_caught(name: str, most: int = MOST) -> tuple[int, str] | None:
    """How many seeds it takes until a mutant breaks a promise, and which; None if it survives them all."""
    for number in range(most):
        promise = broken_promise(MUTANTS[name], f"mutant/{number}")
        if promise:
            return number + 1, promise
    return None


def broken_promise(mutant: Callable[[], AbstractContextManager[Any]], seed: str) -> str:
    """The promise that a mutant breaks with a seed; empty if it breaks none."""
    with mutant():
        run = simulate(seed)
    return run.violations[0] if run.violations else ""


def found_last() -> dict[str, int]:
    """For each mutant the number of the seed that found it when the table was kept last."""
    lines = (line.rsplit(maxsplit=1) for line in FOUND.read_text().splitlines() if not line.startswith("#"))
    return {name: int(number) for name, number in lines}


def main() -> int:
    """Prints the table; returns 1 if a mutant survived."""
    survived = 0
    kept = ["# The seed that found a mutant, as `python -m tests.sim.mutants` wrote it last."]
    print(f"{'mutant':66} {'seeds':>6}  found by")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for name, found in zip(MUTANTS, pool.map(_in_a_process, MUTANTS), strict=True):
            survived += found is None
            seeds, promise = found or ("-", f"SURVIVED {MOST} seeds")
            kept += [f"{name} {found[0] - 1}"] if found else []
            print(f"{name:66} {seeds:>6}  {promise[:90]}", flush=True)
    print(f"{len(MUTANTS) - survived} of {len(MUTANTS)} mutants found, each within {MOST} seeds")
    for name, (seed, found_by) in RARE.items():
        promise = broken_promise(found_by, seed)
        survived += not promise
        print(f"{name:66} {'seed':>6}  {seed}: {promise[:90] or 'SURVIVED it'}")
    FOUND.write_text("\n".join(kept) + "\n")
    return int(survived > 0)


def _in_a_process(name: str) -> tuple[int, str] | None:
    # By its full name, which a process that is spawned can import.
    from tests.sim import mutants

    return mutants.seeds_until_caught(name)


if __name__ == "__main__":
    sys.exit(main())
