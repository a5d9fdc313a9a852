"""The history: the records of all epochs since the first, from which output and state can be built anew.

The sweep removes the records of old epochs. Before that it copies them to a place of their own, for good: a
record holds what no other place does, which is how the input was cut into epochs and what time it was then.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from tidegate.epochs import paths
from tidegate.epochs.record import EpochRecord
from tidegate.errors import ObjectNotFound
from tidegate.stores.ports import Objects


def keep(objects: Objects, pipeline: str, epochs: Iterable[int]) -> None:
    """Copies the records of epochs into the history; whoever is stopped here does it again."""
    for epoch in epochs:
        # One that is gone was copied and removed by another sweep.
        with suppress(ObjectNotFound):
            objects.put_if_absent(paths.history(pipeline, epoch), objects.get(paths.record(pipeline, epoch)))


def epochs_known(objects: Objects, pipeline: str, last: int | None = None) -> range:
    """The epochs whose records are known: up to the last one that was frozen, with no gap between them.

    They begin with the first epoch, unless version 0.1.0 swept records.

    Args:
        objects: The store of state.
        pipeline: The pipeline's name.
        last: Up to this epoch instead.
    """
    folder, _ = paths.folders_of_epochs(pipeline)
    known = {paths.epoch_of(each.key) for each in objects.list(folder) if paths.is_record(each.key)}
    known |= {paths.epoch_of_history(each.key) for each in objects.list(paths.folder_of_history(pipeline))}
    end = max([0, *known]) if last is None else last
    first = end + 1
    while first - 1 in known:
        first -= 1
    return range(first, end + 1)


def records(objects: Objects, pipeline: str, epochs: range) -> Iterator[EpochRecord]:
    """The records of these epochs, in order.

    Raises:
        CorruptObject: One of them is damaged.
        ObjectNotFound: One of them is not known.
    """
    for epoch in epochs:
        yield record_of(objects, pipeline, epoch)


def record_of(objects: Objects, pipeline: str, epoch: int) -> EpochRecord:
    """The record of an epoch, be it swept or not; errors are those of `records`."""
    key = paths.record(pipeline, epoch)
    try:
        data = objects.get(key)
    except ObjectNotFound:
        data = objects.get(paths.history(pipeline, epoch))
    return EpochRecord.decode(key, data)
