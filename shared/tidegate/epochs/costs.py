"""What an epoch costs: requests by kind, bytes, function calls, state transitions, CPU and time on the wall.

A manifest holds its epoch's costs by stage, and a running total. They are measured, so they differ from one
attempt to the next: nothing depends on them, and whoever compares manifests leaves them out
(`Manifest.without_costs`).

Counted are the attempts that won, from their beginning:

* `plan`: until the record is frozen, and its put. On AWS with the lease, which a laptop has none of.
* each stage of tasks: until a task's result is written, its put, and the outputs that it names. What it takes
  to write these is counted, and the time for it is not.
* `commit`: until the manifest is written, its put, and the writes to the table. Of a small epoch, whose task
  writes the manifest with its result, the requests to the table, as in a function that has the manifest at
  hand; CPU and time are not counted then.

The bytes of the record and of the manifest are not counted where they are written, for the costs are in them.
Calls and transitions are those of the state machine on AWS (`infra/epoch.asl.yaml`), on a laptop too.

Not an epoch's, and not counted: attempts that lost, were tried again or failed; what intake, reconciliation
and the sweep do; an execution's beginning and end, which are 4 transitions and a call of the plan function.

Only their calls and transitions are counted, and not their requests, CPU and time: of reduce tasks that are
called unseen and find that they have nothing to do; and of the plan function where it looks which tasks of a
reduce stage have work.

A commit that is stopped while its inputs leave the table counts as if all had left; planning, which goes on
with that, counts what it does.

| name | what |
|---|---|
| `<store>.get` `.put` `.list` `.delete` | requests to `input`, `state` or `output`, counted as S3 does |
| `<store>.bytes_read` `.bytes_written` | bytes |
| `table.read` `table.write` | requests to the table |
| `table.read_units` `table.write_units` | the capacity that they take, counted as DynamoDB does |
| `calls` `transitions` | calls of functions, transitions of the state machine |
| `cpu` `wall` | microseconds |
| `memory` | megabytes times milliseconds of functions, where their memory is known |
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidegate.epochs.head import ROWS_TOGETHER
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import TaskResult
from tidegate.epochs.settling import leave_at_once
from tidegate.limits import INLINE_TASKS
from tidegate.outline import stage_name

Counts = dict[str, int]
"""Numbers by the names above; those that are 0 are left out."""

PLAN = "plan"
"""The stage that freezes the record."""

COMMIT = "commit"
"""The stage that moves the head."""


HEAD_READ: Counts = {"table.read": 1, "table.read_units": 1}
"""What a commit does before it moves the head, if the manifest is there and at hand."""


class Meter(Protocol):
    """The port that says what was spent; epochs touch no clock."""

    def begin(self) -> None:
        """Counts from now on."""
        ...

    def spent(self) -> Counts:
        """What was spent since then."""
        ...


class Unmetered:
    """A meter that measures nothing."""

    def begin(self) -> None:
        """See `Meter.begin`."""

    def spent(self) -> Counts:
        """See `Meter.spent`."""
        return {}


UNMETERED = Unmetered()


@dataclass(frozen=True)
class Costs:
    """The costs of an epoch, and of all epochs so far that were counted.

    Attributes:
        stages: Of the epoch, by stage: `plan`, its stages of tasks, `commit`.
        totals: The same of all epochs together.
        epochs: How many these are; version 0.1.0 counted none.
    """

    stages: Mapping[str, Counts] = field(default_factory=dict)
    totals: Mapping[str, Counts] = field(default_factory=dict)
    epochs: int = 0

    def body(self) -> dict[str, Any]:
        """The costs in a document."""
        return {"stages": self.stages, "totals": self.totals, "epochs": self.epochs}

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Costs":
        """The costs of a document; an older version's has none."""
        return cls(_numbers(body.get("stages", {})), _numbers(body.get("totals", {})), body.get("epochs", 0))


def epoch_costs(
    record: EpochRecord, results: Sequence[TaskResult], committing: Counts, before: Costs
) -> Costs:
    """The costs of an epoch that is about to be committed.

    Args:
        record: Of the epoch; what was measured of planning is in it.
        results: Of all tasks, as they were read; what was measured of the winner is in each.
        committing: What was measured of the commit, or `HEAD_READ` where it is still to come.
        before: Those of the epoch before it.
    """
    stages = {PLAN: Counter(record.planning), **{each.stage: Counter[str]() for each in results}}
    stages[PLAN] += Counter({"state.put": 1})
    for result in results:
        sizes = [each.staged.size for each in result.outputs]
        # Of a small epoch this is the manifest's.
        written = {"state.put": 1, "state.bytes_written": result.size}
        published = {"output.put": len(sizes), "output.bytes_written": sum(sizes)}
        stages[result.stage] += Counter(result.costs) + Counter(written) + Counter(published)
    if not record.layout.small:
        committing = {**committing, "state.put": committing.get("state.put", 0) + 1}
    stages[COMMIT] = Counter(committing) + Counter(_moving_the_head(len(record.inputs)))
    for stage, counts in _invocations(record, results).items():
        stages.setdefault(stage, Counter()).update(counts)
    totals = {stage: Counter(counts) for stage, counts in before.totals.items()}
    for stage, each in stages.items():
        totals[stage] = totals.get(stage, Counter()) + each
    return Costs(_numbers(stages), _numbers(totals), before.epochs + 1)


def _moving_the_head(inputs: int) -> Counts:
    """What a commit does once its costs are known, and the manifest is put."""
    at_once = leave_at_once(inputs)
    # Rows that are too many for one write leave in others, and the head is written again after them.
    writes = 1 if at_once else 2 + -(-inputs // ROWS_TOGETHER)
    rows = inputs + (1 if at_once else 2)
    return {"table.write": writes, "table.write_units": 2 * rows}


def _invocations(record: EpochRecord, results: Sequence[TaskResult]) -> dict[str, Counts]:
    """Calls and transitions that an epoch takes on AWS.

    Each state that is entered is a transition, also each of a task in a Map. Where a stage has so many tasks
    that its Map is a distributed one, another is the beginning of each task's own execution.
    """
    tasks = Counter(each.stage for each in results)
    if record.layout.small:
        # Plan, Decide; Epoch, which commits as well.
        return {PLAN: {"calls": 1, "transitions": 2}, "epoch": {"calls": 1, "transitions": 1}}
    layout = record.layout
    looks = layout.looked_at
    if looks < layout.shuffles:
        # Also those that have nothing to do.
        tasks[stage_name(1)] = len(layout.ranges)
    # Plan, Decide, and NextStage, which is a call of the same function.
    found = {PLAN: {"calls": 1 + looks, "transitions": 2 + looks}}
    for number in range(1 + max(1, layout.shuffles)):
        stage = stage_name(number)
        # The Map and its tasks; behind a reduce stage Staged.
        states = 2 if number else 1
        found[stage] = {"calls": tasks[stage], "transitions": states + tasks[stage]}
        if tasks[stage] > INLINE_TASKS:
            # A wide reduce stage comes behind an inline one without tasks.
            found[stage]["transitions"] += tasks[stage] + (states if number else 0)
    if looks and looks == layout.shuffles:
        # A reduce stage without tasks comes before the first one that has some.
        found[stage_name(1)]["transitions"] += 2
    return found | {COMMIT: {"calls": 1, "transitions": 1}}


def _numbers(stages: Mapping[str, Mapping[str, int]]) -> dict[str, Counts]:
    return {
        stage: {name: int(number) for name, number in sorted(counts.items()) if number}
        for stage, counts in stages.items()
    }
