"""The epoch record: all that an epoch depends on, frozen before any work begins.

Every choice and every accident is in it (which inputs, what time it is, how the work is cut), so that a
task is a pure function of it and of the state that it names.
"""

from dataclasses import dataclass, field
from typing import Any

from tidegate.epochs import documents, paths
from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Layout, Split
from tidegate.frontier import Frontier, Held, UnionFrontier

KIND = "epoch-record"


@dataclass(frozen=True)
class EpochRecord:
    """Epoch `epoch` of a pipeline, as it was frozen.

    Attributes:
        fingerprint: Of the plan that it was frozen for.
        meaning: The lines that the fingerprint is made of, so that a change can be named.
        now: Processing time in microseconds.
        clock: The machine's clock when it was frozen; how far ahead an event time may lie is counted from
            the later of the two.
        frontier: The watermark before the epoch, with what a backlog holds back.
        close: Whether the source is finished: the watermark goes to `MAX` at the epoch's end.
        inputs: What it reads, in intake order.
        accepted: The last position of the intake log when it was frozen.
        processed: The last position that is processed once it is committed.
        previous: Key and checksum of the manifest before it; empty for the first epoch.
        layout: How its work is cut.
        ended: The sources of a union, by their prefixes, that are finished with this epoch.
        planning: What was measured of the costs of planning it (see `costs`).
    """

    pipeline: str
    epoch: int
    fingerprint: str
    meaning: tuple[str, ...]
    now: int
    clock: int
    frontier: Frontier | UnionFrontier
    close: bool
    inputs: tuple[Accepted, ...]
    accepted: str
    processed: str
    previous: tuple[str, str]
    layout: Layout
    ended: tuple[str, ...] = ()
    planning: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its object's key."""
        return paths.record(self.pipeline, self.epoch)

    def encode(self) -> bytes:
        """The record as a document."""
        body = {
            "pipeline": self.pipeline,
            "epoch": self.epoch,
            "fingerprint": self.fingerprint,
            "meaning": list(self.meaning),
            "now": self.now,
            "clock": self.clock,
            **frontier_body(self.frontier),
            "close": self.close,
            "inputs": [[e.object.key, e.object.version, e.object.size, e.position] for e in self.inputs],
            "accepted": self.accepted,
            "processed": self.processed,
            "previous": list(self.previous),
            "small": self.layout.small,
            "slices": [[_split_body(split) for split in each] for each in self.layout.slices],
            "ranges": [list(each) for each in self.layout.ranges],
            "shuffles": self.layout.shuffles,
        }
        if self.ended:
            body["ended"] = list(self.ended)
        if self.planning:
            body["planning"] = self.planning
        return documents.encode(KIND, body)

    @classmethod
    def decode(cls, key: str, data: bytes) -> "EpochRecord":
        """The record of a document.

        Raises:
            CorruptObject: It is damaged, no epoch record, or that of another epoch or pipeline.
        """
        with documents.shaped(KIND, key):
            record = cls._of(documents.decode(KIND, key, data))
            documents.check_place(KIND, key, record.key)
        return record

    @classmethod
    def _of(cls, body: documents.Body) -> "EpochRecord":
        return cls(
            pipeline=body["pipeline"],
            epoch=body["epoch"],
            fingerprint=body["fingerprint"],
            meaning=tuple(body["meaning"]),
            now=body["now"],
            clock=body["clock"],
            frontier=decode_frontier(body),
            close=body["close"],
            inputs=tuple(
                Accepted(InputObject(name, version, size), position)
                for name, version, size, position in body["inputs"]
            ),
            accepted=body["accepted"],
            processed=body["processed"],
            previous=(body["previous"][0], body["previous"][1]),
            ended=tuple(body.get("ended", ())),
            planning=dict(body.get("planning", {})),
            layout=Layout(
                small=body["small"],
                slices=tuple(tuple(map(_split, each)) for each in body["slices"]),
                ranges=tuple((low, high) for low, high in body["ranges"]),
                # Version 0.1.0 had at most one.
                shuffles=body.get("shuffles", min(1, len(body["ranges"]))),
            ),
        )


def _split_body(split: Split) -> int | list[int | None]:
    """A split in a document: the number of an input that is read whole, or with the range of its bytes."""
    if split == Split(split.input):
        return split.input
    return [split.input, split.start, split.end]


def _split(body: int | list[int]) -> Split:
    return Split(body) if isinstance(body, int) else Split(*body)


def frontier_body(frontier: Frontier | UnionFrontier) -> dict[str, Any]:
    """The frontier for a document's body."""
    if isinstance(frontier, UnionFrontier):
        sources = {name: frontier_body(each) for name, each in frontier.sources.items()}
        return {"watermark": frontier.watermark, "sources": sources}
    return {
        "watermark": frontier.watermark,
        "held": [[each.until, each.watermark, each.producer] for each in frontier.held],
        "marks": dict(frontier.marks),
        "deadlines": dict(frontier.deadlines),
        "behind": frontier.behind,
    }


def decode_frontier(body: dict[str, Any]) -> Frontier | UnionFrontier:
    """The frontier in a document's body; version 0.1.0 knew one source, no producers and no idle ones."""
    if "sources" in body:
        sources = {name: _decode_one(each) for name, each in body["sources"].items()}
        return UnionFrontier(sources, body["watermark"])
    return _decode_one(body)


def _decode_one(body: dict[str, Any]) -> Frontier:
    return Frontier(
        watermark=body["watermark"],
        held=tuple(Held(*each) for each in body["held"]),
        marks=dict(body.get("marks", {})),
        deadlines=dict(body.get("deadlines", {})),
        behind=body.get("behind"),
    )
