"""The sweep: removes what no committed manifest names any more.

It touches only epochs well behind the head that were superseded long ago: a stalled writer can create a
swept name again, and by then its epoch must be long past the one commit point, which is the head row and is
never swept. A reader who finds a head has as long from that moment to read what its manifest names.

How long ago is told by the store's clock alone, for the clock of the machine that sweeps may be wrong.
"""

from tidegate.epochs import paths
from tidegate.epochs.history import keep
from tidegate.epochs.manifest import Manifest
from tidegate.errors import ObjectNotFound
from tidegate.stores.ports import Objects

EPOCHS_KEPT = 20
"""Epochs, up to the head, whose objects stay, for whoever still reads them."""

_TOGETHER = 200
"""Epochs that are removed before the next ones are begun with."""


def sweep(objects: Objects, head: Manifest, age: int, epochs_kept: int = EPOCHS_KEPT) -> int:
    """Removes records, results, manifests and data of old epochs, save the state that later ones name.

    Args:
        objects: The store of state.
        head: The last committed manifest.
        age: How long before the store's newest object an epoch must have been superseded, microseconds.
        epochs_kept: Epochs, up to the head, whose objects stay; at least 1.

    Returns:
        How many objects were removed.
    """
    listed = [each for folder in paths.folders_of_epochs(head.pipeline) for each in objects.list(folder)]
    newest = max((each.modified for each in listed), default=0)
    # When a record is frozen, the head has come to the epoch before, and has left the one before that. The
    # manifest would not do: it may lie there for long before the head moves to it.
    superseded = [
        paths.epoch_of(each.key) - 2
        for each in listed
        if paths.is_record(each.key) and each.modified <= newest - age
    ]
    limit = min(head.epoch - epochs_kept, max(superseded, default=0))
    if limit < 1:
        return 0
    # State of the old epochs that any later manifest names was carried along by the first of them.
    key = paths.manifest(head.pipeline, limit + 1)
    try:
        carried = Manifest.decode(key, objects.get(key))
    except ObjectNotFound:
        # Another sweep is ahead of this one.
        return 0
    named = {layer.key for layer in carried.layers}
    old: dict[int, list[str]] = {}
    for each in listed:
        epoch = paths.epoch_of(each.key)
        if epoch <= limit and each.key not in named:
            old.setdefault(epoch, []).append(each.key)
    oldest_first = sorted(old)
    for start in range(0, len(oldest_first), _TOGETHER):
        # Bit by bit, so that a call that runs into its timeout has removed some of them.
        keys = [key for epoch in oldest_first[start : start + _TOGETHER] for key in old[epoch]]
        keep(objects, head.pipeline, [paths.epoch_of(key) for key in keys if paths.is_record(key)])
        objects.delete(keys)
    return sum(map(len, old.values()))
