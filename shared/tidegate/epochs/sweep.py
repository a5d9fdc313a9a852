"""The sweep: removes what no committed manifest names any more.

It touches only epochs well behind the head, and only objects that are old by the clock as well: a stalled
writer can create a swept name again, and by then its epoch must be long past the one commit point, which is
the head row and is never swept.
"""

from tidegate.epochs import paths
from tidegate.epochs.manifest import Manifest
from tidegate.stores.ports import Objects

EPOCHS_KEPT = 20
"""Epochs before the head whose objects stay, for whoever still reads them."""


def sweep(objects: Objects, head: Manifest, written_before: int) -> int:
    """Removes records, results, manifests and data of old epochs, save the state that the head names.

    Args:
        objects: The store of state.
        head: The last committed manifest.
        written_before: Objects written at or after this moment stay, microseconds since 1970.

    Returns:
        How many objects were removed.
    """
    named = {segment.ref.key for segment in head.segments}
    limit = head.epoch - EPOCHS_KEPT
    old = [
        each.key
        for folder in paths.folders_of_epochs(head.pipeline)
        for each in objects.list(folder)
        if each.modified < written_before and paths.epoch_of(each.key) <= limit and each.key not in named
    ]
    objects.delete(old)
    return len(old)
