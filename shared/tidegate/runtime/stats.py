"""What `tidegate stats` says: what the last epochs took, and all of them together, from their manifests."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.epochs import paths
from tidegate.epochs.costs import Counts
from tidegate.epochs.generation import generation_of, number_of
from tidegate.epochs.manifest import Manifest
from tidegate.errors import UsageError
from tidegate.prices import REGION, SINCE, price
from tidegate.stores.embedded import LocalObjects
from tidegate.stores.ports import Objects

_REQUESTS = ("get", "put", "list", "delete")

_ZEROS = ("0", "0 B", "0.000", "0.000000")
"""How nothing looks as a number, bytes, seconds and dollars."""

_ALL = "all"
"""The row of a table that is the sum of the others."""

Row = tuple[str, ...]


@dataclass(frozen=True)
class Stats:
    """What is known of a pipeline's epochs.

    Attributes:
        manifests: Of the last epochs, the older first; at least one.
    """

    manifests: Sequence[Manifest]

    @classmethod
    def of(cls, state: Objects, place: str, pipeline: str, epochs: int) -> "Stats":
        """What a pipeline's state says of its last epochs.

        A manifest that was written just now may still wait for the head to move to it: there is no other one
        of its epoch.

        Args:
            state: The store of state.
            place: What people call it.
            pipeline: The pipeline's name.
            epochs: How many epochs at most; the manifests of older ones are swept.

        Raises:
            UsageError: There is no committed epoch of this pipeline.
        """
        folder, _ = paths.folders_of_epochs(pipeline)
        keys = {
            paths.epoch_of(each.key): each.key for each in state.list(folder) if paths.is_manifest(each.key)
        }
        last = max(keys, default=0)
        if not last:
            raise UsageError(
                f"no epoch of a pipeline {pipeline!r} is committed in {place}; run it first with "
                "`tidegate run`, or say where its state lies with --state, or --bucket for a deployment"
            )
        first = last
        while first - 1 in keys and last - first + 1 < epochs:
            first -= 1
        return cls([Manifest.decode(keys[n], state.get(keys[n])) for n in range(first, last + 1)])

    @classmethod
    def of_folder(cls, folder: Path, pipeline: str, epochs: int) -> "Stats":
        """The same of a folder of state.

        Raises:
            UsageError: It is no folder, or there is no committed epoch of this pipeline in it.
        """
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {folder} with state; run the pipeline first with `tidegate run`, or say "
                "where its state lies with --state, or --bucket for a deployment"
            )
        return cls.of(LocalObjects(folder), str(folder), pipeline, epochs)

    def text(self) -> str:
        """All of it, for people."""
        last = self.manifests[-1]
        shown = [each.costs.stages for each in self.manifests]
        parts = [
            f"{last.pipeline}: {_epochs(len(self.manifests))} of {_all(last)}",
            _table(_EPOCH, [_of_epoch(each) for each in self.manifests]),
        ]
        if not last.costs.epochs:
            return "\n\n".join([*parts, "  these epochs are of a version that counted nothing"])
        parts += [
            f"{'this epoch' if len(shown) == 1 else f'these {len(shown):,} epochs'} by stage",
            _stages(shown),
            f"all {_epochs(last.costs.epochs)} {_since(last)}by stage",
            _stages([last.costs.totals]),
            _priced(_sum(last.costs.totals.values())),
        ]
        return "\n\n".join(parts)


_EPOCH = ("epoch", "files", "records", "input", "CPU s", "wall s", "requests", "calls", "transitions", "USD")

_STAGE = (
    *("stage", "CPU s", "wall s", "inputs", "gets", "puts", "lists", "deletes", "table reads"),
    *("table writes", "input", "read", "written", "calls", "transitions"),
)


def _of_epoch(manifest: Manifest) -> Row:
    counts = _sum(manifest.costs.stages.values())
    requests = sum(
        n for name, n in counts.items() if name.rpartition(".")[2] in (*_REQUESTS, "read", "write")
    )
    return (
        str(number_of(manifest.epoch)),
        f"{manifest.counters['files']:,}",
        f"{manifest.counters.get('records', 0):,}",
        _bytes(counts["input.bytes_read"]),
        _seconds(counts["cpu"]),
        _seconds(counts["wall"]),
        f"{requests:,}",
        f"{counts['calls']:,}",
        f"{counts['transitions']:,}",
        _dollars(counts),
    )


def _stages(epochs: Sequence[Mapping[str, Counts]]) -> str:
    """A table of the stages of epochs, and what all of them took."""
    stages: dict[str, Counter[str]] = {}
    for epoch in epochs:
        for stage, counts in epoch.items():
            stages.setdefault(stage, Counter()).update(counts)
    ordered = sorted(stages.items(), key=lambda each: _place(each[0]))
    return _table(_STAGE, [_of_stage(*each) for each in [*ordered, (_ALL, _sum(stages.values()))]])


def _place(stage: str) -> tuple[int, str]:
    """In which order an epoch goes through its stages."""
    known = ("plan", "epoch", "map")
    if stage in known:
        return known.index(stage), stage
    return (len(known) + (stage == "commit"), stage)


def _of_stage(stage: str, counts: Counter[str]) -> Row:
    # What the system does for itself is apart from the reading of inputs.
    own = {kind: counts[f"state.{kind}"] + counts[f"output.{kind}"] for kind in _REQUESTS}
    return (
        stage,
        _seconds(counts["cpu"]),
        _seconds(counts["wall"]),
        f"{counts['input.get']:,}",
        *(f"{number:,}" for number in own.values()),
        f"{counts['table.read']:,}",
        f"{counts['table.write']:,}",
        _bytes(counts["input.bytes_read"]),
        _bytes(counts["state.bytes_read"] + counts["output.bytes_read"]),
        _bytes(counts["state.bytes_written"] + counts["output.bytes_written"]),
        f"{counts['calls']:,}",
        f"{counts['transitions']:,}",
    )


def _table(head: Row, rows: Sequence[Row]) -> str:
    """Rows below their head; columns of zeros are left out."""
    kept = [number for number in range(len(head)) if any(row[number] not in _ZEROS for row in rows)]
    lines = [[line[number] for number in kept] for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(kept))]
    return "\n".join(
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def _priced(counts: Counter[str]) -> str:
    """What all epochs cost on AWS, and what is in it."""
    paid = ", ".join(f"{service} {dollars:.6f}" for service, dollars in sorted(price(counts).items()))
    time = "" if counts["memory"] else "; without the time of functions, whose memory is not known here"
    return f"  USD   {paid}\n        at list prices of {REGION} since {SINCE}{time}"


def _all(last: Manifest) -> str:
    """How many epochs there are, and of which generation, if there were several."""
    generation, number = generation_of(last.epoch), number_of(last.epoch)
    return f"{number:,}" if generation == 1 else f"{number:,} of generation {generation}"


def _since(manifest: Manifest) -> str:
    """From which epoch on costs were counted, if older ones were not."""
    first = number_of(manifest.epoch) - manifest.costs.epochs + 1
    return "" if first == 1 else f"since epoch {first:,} (older versions counted nothing) "


def _sum(stages: Iterable[Mapping[str, int]]) -> Counter[str]:
    whole: Counter[str] = Counter()
    for counts in stages:
        whole.update(counts)
    return whole


def _epochs(count: int) -> str:
    return f"{count:,} epoch" if count == 1 else f"{count:,} epochs"


def _seconds(microseconds: int) -> str:
    return f"{microseconds / 1_000_000:,.3f}"


def _dollars(counts: Mapping[str, int]) -> str:
    return f"{sum(price(counts).values()):.6f}"


def _bytes(number: int) -> str:
    """A number of bytes for people."""
    size = float(number)
    for unit in ("B", "kB", "MB"):
        if size < 1_000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:,.1f} GB"
