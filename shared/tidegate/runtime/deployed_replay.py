"""The replay of a deployed pipeline: begun from here, done by the functions of the deployment.

See `epochs.repetition` for what it is. Whoever begins it needs the rights to describe the stack, to list the
versions of its input, to list and read its state, to read and write its table and to start its state machine.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tidegate.epochs import intake
from tidegate.epochs.generation import generation_of, number_of
from tidegate.epochs.head import Head
from tidegate.errors import UsageError
from tidegate.outline import Outline
from tidegate.runtime import deployment
from tidegate.runtime.control_plane import ControlPlane
from tidegate.runtime.meter import Meter
from tidegate.runtime.replay import reads_others
from tidegate.stores.aws import asked_by_hand, outputs_of_stack

_OUTPUTS = {
    "InputBucket": "TIDEGATE_INPUT_BUCKET",
    "StateBucket": "TIDEGATE_STATE_BUCKET",
    "OutputBucket": "TIDEGATE_OUTPUT_BUCKET",
    "Table": "TIDEGATE_TABLE",
    "EpochMachine": "TIDEGATE_STATE_MACHINE_ARN",
}
"""The variables of a function's environment, by the outputs of the stack that have their values."""

_NAMED = 3
"""Objects that a message names at most."""

POLL = 2.0
"""Seconds between two looks at the head."""

STILL = 300.0
"""Seconds without a new epoch after which whoever watches is told so: no function runs longer for one."""


@dataclass(frozen=True)
class Repeated:
    """How far a replay is.

    Attributes:
        generation: The new one.
        epochs: How many were done again.
        of: How many there are to do.
        still: Whether nothing was done for a while.
    """

    generation: int
    epochs: int
    of: int
    still: bool = False

    @classmethod
    def at(cls, head: Head) -> "Repeated":
        """How far it is by the head."""
        of = number_of(head.repeats)
        return cls(generation_of(head.epoch), min(number_of(head.epoch), of), of)


def control_plane_of(stack: str, outline: Outline) -> ControlPlane:
    """The control functions of a deployed stack, to be called from here.

    Raises:
        UsageError: There is no such stack, or it is none of Tidegate's.
    """
    values = outputs_of_stack(stack)
    if lacking := sorted(set(_OUTPUTS) - set(values)):
        raise UsageError(
            f"the stack {stack!r} has no outputs {', '.join(lacking)}; give the name of a stack that was "
            "deployed from Tidegate's template.yaml"
        )
    environment = {variable: values[output] for output, variable in _OUTPUTS.items()}
    return deployment.control_plane({**os.environ, **environment}, outline)


def begin(control: ControlPlane, *, skip_missing: bool) -> Repeated:
    """Begins a replay.

    Args:
        control: Of the deployment.
        skip_missing: Whether input objects that are gone become dead letters.

    Raises:
        UsageError: There is nothing to replay, or it cannot be replayed as it was. Nothing was changed.
    """
    with asked_by_hand():
        missing = _missing(control)
    if missing and not skip_missing:
        named = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
        raise UsageError(
            f"of the objects that the state was built from, {len(missing):,} (such as {named}) are gone from "
            f"s3://{control.input_bucket}; or say --skip-missing: each of them is a dead letter then"
        )
    with asked_by_hand():
        return Repeated.at(control.replay())


def watched(
    control: ControlPlane, begun: Repeated, pause: Callable[[float], None] = time.sleep
) -> Iterator[Repeated]:
    """How far the replay is, whenever that changes and each time that it did not for `STILL` seconds.

    Ends when readers were told of the new generation.

    Raises:
        UsageError: Another replay was begun meanwhile.
    """
    meter, last, waited = Meter(), begun, 0.0
    while not _is_over(control, last):
        pause(POLL)
        waited += POLL
        head = control.head(meter)
        if head is None or generation_of(head.epoch) != begun.generation:
            raise UsageError(
                f"generation {begun.generation} was given up: another replay was begun meanwhile"
            )
        now = Repeated(begun.generation, min(number_of(head.epoch), begun.of), begun.of)
        if now != last:
            last, waited = now, 0.0
            yield now
        elif waited >= STILL:
            waited = 0.0
            yield replace(now, still=True)


def _is_over(control: ControlPlane, last: Repeated) -> bool:
    return last.epochs == last.of and control.is_announced(last.generation)


def _missing(control: ControlPlane) -> list[str]:
    """The objects that were accepted and are gone."""
    outline = control.outline
    prefixes = [each.prefix for each in outline.sources]
    there = {(each.key, each.version) for prefix in prefixes for each in control.uploads.list(prefix)}
    log = intake.read_log(control.table)
    for each in log.accepted:
        if not outline.takes(each.object.key):
            raise reads_others(each.object.key, outline)
    return [each.object.key for each in log.accepted if (each.object.key, each.object.version) not in there]
