"""Generations: what a deployed pipeline built from its input, and builds anew when it is replayed.

A replay on a deployment neither moves nor removes anything: it builds output and state beside the old ones,
as another generation of the pipeline. The number of an epoch says of which generation it is, so everything
that is named after an epoch is new: no late writer of the old generation can touch the new one, nor the
other way round. The first epoch of generation 1 is 1, that of generation 2 is 100,000,001.
"""

EPOCHS = 100_000_000
"""Numbers of epochs that a generation has: an epoch a second for three years."""


def generation_of(epoch: int) -> int:
    """The generation of an epoch, from 1 on."""
    return epoch // EPOCHS + 1


def number_of(epoch: int) -> int:
    """An epoch's number within its generation, from 1 on; 0 stands before the first one."""
    return epoch % EPOCHS


def beginning(generation: int) -> int:
    """What stands before the first epoch of a generation."""
    return (generation - 1) * EPOCHS


def named(folder: str, generation: int) -> str:
    """What a folder is called in a generation: it has its plain name in the first one."""
    return folder if generation == 1 else f"{folder}.generation-{generation}"
