"""The only builder of object keys and row keys.

Of the store of state, below the pipeline's name:

    epochs/<n>/record.json                      the epoch record      create-only
    epochs/<n>/results/<stage>-<task>.json      a task's result       create-only, with small data before it
    epochs/<n>/manifest.json                    the manifest          create-only, that of a small epoch with
                                                                      its task's result before it
    history/<n>.json                            a swept epoch's record create-only
    data/<n>/<stage>-<task>-<attempt>-<what>    what tasks write      unique for each attempt

Of the store of output: `<sink>/epoch-<n>-<task>.<format>`, also for a late sink, and for what could not be
processed `dead-letters/<pipeline>/epoch-<n>-<stage>-<task>.json`. Later generations have folders of their
own, and the last one of these says what counts:

    generations/<pipeline>/generation-<g>.json  that it counts, and not the ones before    create-only
"""

import hashlib

from tidegate.epochs.generation import generation_of, named
from tidegate.outline import DEAD_LETTERS

HEAD = "head"
COORDINATOR = "coordinator"
PENDING = "pending#"
SEEN = "seen#"

GENERATIONS = "generations"
"""The folder of the output that says which generation of each pipeline counts."""


def record(pipeline: str, epoch: int) -> str:
    """The epoch record."""
    return f"{_epoch(pipeline, epoch)}/record.json"


def result(pipeline: str, epoch: int, stage: str, task: int) -> str:
    """A task's result: whoever creates it has won the task."""
    return f"{_epoch(pipeline, epoch)}/results/{stage}-{task:05d}.json"


def manifest(pipeline: str, epoch: int) -> str:
    """The manifest of a committed epoch."""
    return f"{_epoch(pipeline, epoch)}/manifest.json"


def data(pipeline: str, epoch: int, stage: str, task: int, attempt: str, what: str) -> str:
    """A data object that one attempt of a task writes, such as `shuffle.arrow`."""
    return f"{pipeline}/data/{epoch:010d}/{stage}-{task:05d}-{attempt}-{what}"


def output(sink: str, epoch: int, task: int, kind: str) -> str:
    """The final name of a task's output."""
    return f"{named(sink, generation_of(epoch))}/epoch-{epoch:010d}-{task:05d}.{kind}"


def dead_letters(pipeline: str, epoch: int, stage: str, task: int) -> str:
    """The final name of a task's dead letters."""
    folder = named(f"{DEAD_LETTERS}/{pipeline}", generation_of(epoch))
    return f"{folder}/epoch-{epoch:010d}-{stage}-{task:05d}.json"


def generation(pipeline: str, number: int) -> str:
    """What says that a generation counts, and none before it; in the store of output."""
    return f"{GENERATIONS}/{pipeline}/generation-{number:03d}.json"


def seen(key: str, version: str) -> str:
    """The row that remembers for good that an input object was accepted."""
    identity = hashlib.sha256(key.encode() + b"\0" + version.encode())
    return f"{SEEN}{identity.hexdigest()[:40]}"


def position(accepted_at: int, sequence: int, key: str, version: str) -> str:
    """A place in the intake log; positions sort in the order of acceptance."""
    return f"{accepted_at:020d}-{sequence:09d}-{seen(key, version).removeprefix(SEEN)[:12]}"


def pending(place: str) -> str:
    """The row of an accepted input object that no committed epoch has processed."""
    return f"{PENDING}{place}"


def history(pipeline: str, epoch: int) -> str:
    """The copy of an epoch's record that stays for good."""
    return f"{folder_of_history(pipeline)}/{epoch:010d}.json"


def folder_of_history(pipeline: str) -> str:
    """The folder of these copies."""
    return f"{pipeline}/history"


def epoch_of_history(key: str) -> int:
    """The epoch of such a copy."""
    return int(key.rsplit("/", maxsplit=1)[1].removesuffix(".json"))


def is_record(key: str) -> bool:
    """Whether an object below the folders of epochs is an epoch record."""
    return key.endswith("/record.json")


def folders_of_epochs(pipeline: str) -> tuple[str, str]:
    """The folders that hold a folder for each epoch."""
    return f"{pipeline}/epochs", f"{pipeline}/data"


def epoch_of(key: str) -> int:
    """The epoch of an object below one of those folders."""
    return int(key.split("/")[2])


def is_manifest(key: str) -> bool:
    """Whether an object below one of those folders is a manifest."""
    return key.endswith("/manifest.json")


def is_document(key: str) -> bool:
    """Whether a key of the store of state is that of a record, a result or a manifest: created once."""
    return key.split("/")[1:2] == ["epochs"]


def may_hold_layers(key: str) -> bool:
    """Whether an object below one of those folders may hold layers of state."""
    return key.endswith(".layers") or may_hold_result(key)


def may_hold_result(key: str) -> bool:
    """Whether an object below one of those folders may hold the result of a task."""
    return "/results/" in key or is_manifest(key)


def _epoch(pipeline: str, epoch: int) -> str:
    return f"{pipeline}/epochs/{epoch:010d}"
