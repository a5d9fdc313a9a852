"""The repetition of an epoch: what a replay does with the record of an older one, and how one is begun.

A replay does all epochs of the old state once more, from the first one on: each with the inputs and the
processing time that its record froze. Of a record only stays what does not depend on the plan; the frontier
is what the new epochs have led to, and how the work is cut follows from the sizes and the limits.

On a deployment the state machine does it, in another generation of the pipeline (see `generation`). To begin
one takes a single conditional write of the head. It fences the old generation: whoever still works for that
one finds another head, and can commit no more. What was in none of its epochs still waits, and uploads that
come meanwhile wait as always; they are taken when all is repeated.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from tidegate.epochs import history, paths
from tidegate.epochs.generation import beginning, generation_of, named, number_of
from tidegate.epochs.head import Head
from tidegate.epochs.layout import Limits, lay_out
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.settling import settled
from tidegate.errors import ConditionFailed, IncompatiblePipeline, UsageError
from tidegate.frontier import first_frontier
from tidegate.limits import KEY_GROUPS
from tidegate.outline import DEAD_LETTERS, Outline
from tidegate.stores.ports import Objects, Put, Table


def repeated(
    record: EpochRecord,
    head: Head,
    previous: Manifest | None,
    outline: Outline,
    limits: Limits,
    planning: Mapping[str, int],
) -> EpochRecord:
    """The record that does an older epoch once more, as the next one.

    Args:
        record: Of the older epoch; it may be of another plan.
        head: Behind which the new one comes.
        previous: The manifest that the head names.
        outline: Of the plan that the new epoch is frozen for.
        limits: How its work is cut.
        planning: What was measured of the costs of planning it.
    """
    return replace(
        record,
        epoch=head.epoch + 1,
        fingerprint=outline.fingerprint,
        meaning=outline.meaning,
        frontier=previous.frontier if previous else first_frontier(outline.rules),
        ended=tuple(each for each in record.ended if each in outline.bounded),
        planning=dict(planning),
        previous=head.manifest,
        layout=lay_out(record.inputs, limits, outline, previous.segments if previous else ()),
    )


def begin(outline: Outline, objects: Objects, table: Table) -> Head:
    """Begins another generation, which first does all epochs of the one before it once more.

    If that one is itself at repeating, for the same plan, nothing is begun and it goes on; for another plan,
    what it repeats is repeated from the beginning.

    Args:
        outline: Of the plan that the new generation is for; no other one can work for it.
        objects: The store of state.
        table: The pipeline's table.

    Returns:
        The head of the generation that repeats.

    Raises:
        UsageError: No epoch is committed, or not all records of committed epochs are known. Nothing was
            changed.
    """
    while True:
        row = table.get(paths.HEAD)
        if row is None:
            raise UsageError(f"no epoch of the pipeline {outline.pipeline!r} is committed: nothing to replay")
        head = settled(Head.of(row), outline.pipeline, objects, table)
        if head.to_repeat and head.fingerprint == outline.fingerprint:
            return head
        last = head.repeats if head.to_repeat else head.epoch
        _check_known(outline.pipeline, objects, last)
        before = beginning(generation_of(head.epoch) + 1)
        begun = Head(before, ("", ""), before, outline.fingerprint, KEY_GROUPS, repeats=last)
        try:
            table.write(Put(paths.HEAD, begun.row(), expected={"epoch": head.epoch}))
        except ConditionFailed:
            # The old generation committed meanwhile; that epoch is to be repeated, too.
            continue
        return begun


def announcement(outline: Outline, generation: int) -> bytes:
    """What readers are told when a generation takes the place of the one before it, as JSON."""
    body = {
        "generation": generation,
        "sink": named(outline.sink, generation),
        "late": [named(each, generation) for each in outline.late],
        "dead_letters": named(f"{DEAD_LETTERS}/{outline.pipeline}", generation),
    }
    return json.dumps(body, indent=2).encode() + b"\n"


def begun_for_another_plan(pipeline: str) -> IncompatiblePipeline:
    """The error of a plan that finds a replay which was begun for another one."""
    return IncompatiblePipeline(
        f"a replay of the pipeline {pipeline!r} was begun for another plan than the deployed one; deploy the "
        "pipeline that it was begun with, or begin it anew with the deployed one by `tidegate replay`"
    )


def _check_known(pipeline: str, objects: Objects, last: int) -> None:
    known = history.epochs_known(objects, pipeline, last)
    missing = number_of(last) - len(known)
    if missing > 0:
        raise UsageError(
            f"the records of the first {missing:,} epochs of the pipeline {pipeline!r} are gone: version "
            "0.1.0 swept them. Nothing was changed. Deploy the pipeline as a stack of its own, and copy the "
            "input objects into its input bucket (docs/upgrades.md)"
        )
