"""A task's result: what its first finished attempt did. It is created once, and the first one wins."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tidegate.epochs import documents, paths
from tidegate.frontier import SOURCE
from tidegate.references import KeyRange, Layer, ObjectRef, Piece, Segment
from tidegate.stores.ports import Objects
from tidegate.timestamps import MAX, MIN

KIND = "task-result"

MANIFEST = "manifest"
"""What the result of a small epoch's task is attached to."""

WHOLE = "epoch"
"""The stage of the one task that does all of a small epoch."""


@dataclass(frozen=True)
class Task:
    """A task of an epoch: one stage on one slice of input or one range of key groups.

    Attributes:
        stage: A stage's name, or `WHOLE`.
        number: From 0.
    """

    epoch: int
    stage: str
    number: int


@dataclass(frozen=True)
class Published:
    """An output object: its final name, and where the same bytes lie that it is made from."""

    name: str
    staged: ObjectRef


@dataclass(frozen=True)
class TaskResult:
    """What a task did.

    Attributes:
        attempt: Whose result it is.
        watermark: What a map task's elements give, before a backlog holds it back; None without elements,
            and where several sources are united: `marks` has it then, for each of them.
        shuffle: Key of the object with its pieces, empty if there is none.
        pieces: Its pieces.
        segments: The task's new state.
        unchanged: Whether the state of the task's range stays as it was, so that `segments` does not count.
        outputs: What it publishes.
        counters: Counts of this task.
        pipeline: Whose task it is; empty in a result of version 0.1.0, which does not say it.
        epoch: Of the task; 0 where the pipeline is empty.
        marks: The highest mark that the task read of each producer; of a union also what elements give.
        unread: The numbers of the inputs of which it was to read a part, and could not.
        costs: What was measured of its costs up to the moment when it was written (see `costs`).
        size: Bytes of the object that it was read from.
        attached: What lies in that object before the document: segments, pieces and outputs that are named
            with the result's own key.
    """

    stage: str
    task: int
    attempt: str
    counters: dict[str, int]
    watermark: int | None = None
    shuffle: str = ""
    pieces: tuple[Piece, ...] = ()
    segments: tuple[Segment, ...] = ()
    unchanged: bool = False
    outputs: tuple[Published, ...] = ()
    pipeline: str = ""
    epoch: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    unread: tuple[int, ...] = ()
    costs: dict[str, int] = field(default_factory=dict)
    size: int = field(default=0, compare=False)
    attached: bytes = field(default=b"", compare=False, repr=False)

    @property
    def stated(self) -> dict[str, int]:
        """The watermark that each producer gives, before a backlog holds it back."""
        return self.marks if self.watermark is None else {SOURCE: self.watermark, **self.marks}

    def encode(self) -> bytes:
        """The result as an object: a document, and before it what is attached."""
        body: dict[str, Any] = {
            "stage": self.stage,
            "task": self.task,
            "attempt": self.attempt,
            "counters": self.counters,
            "watermark": self.watermark,
            "shuffle": self.shuffle,
            "pieces": [[each.task, each.offset, each.length, each.checksum] for each in self.pieces],
            "segments": [segment_body(each) for each in self.segments],
            "unchanged": self.unchanged,
            "outputs": [[each.name, asdict(each.staged)] for each in self.outputs],
            "pipeline": self.pipeline,
            "epoch": self.epoch,
            "marks": self.marks,
            "costs": self.costs,
        }
        if self.unread:
            body["unread"] = list(self.unread)
        return documents.encode(KIND, body, self.attached)

    @classmethod
    def decode(cls, key: str, data: bytes) -> "TaskResult":
        """The result of an object; that of a small epoch's task is attached to the epoch's manifest.

        Raises:
            CorruptObject: It is damaged, no task result, or that of another task, epoch or pipeline.
        """
        if paths.is_manifest(key):
            _, data = documents.decode_with_attached(MANIFEST, key, data)
        with documents.shaped(KIND, key):
            body, attached = documents.decode_with_attached(KIND, key, data)
            result = replace(cls._of(body), size=len(data), attached=attached)
            if result.pipeline:
                own = result_key(result.pipeline, Task(result.epoch, result.stage, result.task))
                documents.check_place(KIND, key, own)
        return result

    @classmethod
    def _of(cls, body: documents.Body) -> "TaskResult":
        return cls(
            stage=body["stage"],
            task=body["task"],
            attempt=body["attempt"],
            counters=body["counters"],
            watermark=body["watermark"],
            shuffle=body["shuffle"],
            pieces=tuple(Piece(*each) for each in body["pieces"]),
            segments=tuple(segment_from(each) for each in body["segments"]),
            unchanged=body["unchanged"],
            outputs=tuple(Published(name, ObjectRef(**staged)) for name, staged in body["outputs"]),
            pipeline=body.get("pipeline", ""),
            epoch=body.get("epoch", 0),
            marks=dict(body.get("marks", {})),
            unread=tuple(body.get("unread", ())),
            costs=dict(body.get("costs", {})),
        )


def result_key(pipeline: str, task: Task) -> str:
    """The key of the object that a task's result lies in, which it claims the task with."""
    if task.stage == WHOLE:
        return paths.manifest(pipeline, task.epoch)
    return paths.result(pipeline, task.epoch, task.stage, task.number)


def holds_result(key: str, data: bytes) -> bool:
    """Whether an object of an epoch holds a task's result; of manifests those do of small epochs."""
    return paths.may_hold_result(key) and (not paths.is_manifest(key) or bool(documents.disclose(data)[1]))


def read_results(objects: Objects, keys: Sequence[str]) -> list[TaskResult]:
    """The results with these keys.

    Raises:
        ObjectNotFound: One of the tasks has no result yet.
        CorruptObject: One of them is damaged, or that of another task.
    """
    found = objects.get_many([(key, None) for key in keys])
    return [TaskResult.decode(key, data) for key, (data,) in zip(keys, found, strict=True)]


def segment_body(segment: Segment) -> dict[str, Any]:
    """A segment in a document."""
    return asdict(segment)


def segment_from(body: dict[str, Any]) -> Segment:
    """A segment of a document."""
    valid = KeyRange(**body["range"])
    return Segment(
        range=valid,
        layers=tuple(_layer(each) for each in body["layers"]) if "layers" in body else (_whole(body, valid),),
        due=body["due"],
        alarm=body.get("alarm", MAX),
        hold=body.get("hold", MAX),
        stage=body.get("stage", 1),
        bucket=body.get("bucket"),
        span=(body["span"][0], body["span"][1]) if "span" in body else (MIN, MAX),
        windows=body.get("windows", body.get("rows", 0)),
    )


def _layer(body: dict[str, Any]) -> Layer:
    return Layer(**(body | {"range": KeyRange(**body["range"])}))


def _whole(body: dict[str, Any], valid: KeyRange) -> Layer:
    """The one layer of a segment of version 0.1.0, which is an object of its own."""
    ref = ObjectRef(**body["ref"])
    return Layer(ref.key, 0, ref.size, ref.checksum, body["rows"], valid)


def tasks_of(epoch: int, stage: str, count: int) -> Sequence[Task]:
    """The tasks of a stage."""
    return [Task(epoch, stage, number) for number in range(count)]
