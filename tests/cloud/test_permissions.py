"""Each function may do what it does, and nothing else: the real code over ports that note every call."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from infra.localcloud.template import transformed
from tests.epochs.scenario import NOON, SECOND, WAVES, compiled, lines
from tidegate.epochs import intake, paths
from tidegate.epochs.layout import Limits
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.repetition import begin
from tidegate.epochs.result import Task
from tidegate.epochs.sweep import EPOCHS_KEPT
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.errors import IncompatiblePipeline, ObjectNotFound
from tidegate.limits import ATTACHED_BYTES, EXECUTION_HISTORY
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.control_plane import ControlPlane
from tidegate.stores.memory import ManualClock, MemoryObjects, MemoryTable
from tidegate.stores.ports import Add, Delete, InTurn, ObjectInfo, Objects, Put, Row, Write
from tidegate.testing.permissions import Call, Grant, Permissions, alarm

RESOURCES: dict[str, Any] = transformed(Path(__file__).parents[2] / "template.yaml", {})["Resources"]
PERMISSIONS = Permissions.of(RESOURCES)
FUNCTIONS = ("intake", "plan", "epoch", "map", "reduce", "commit", "reconcile", "sweep")
OPERATIONS = {Put: "put", Add: "update", Delete: "delete"}

Note = Callable[[Call], None]


def _is_named(version: str | None) -> bool:
    return version is not None and not version.startswith('"')


@dataclass
class NotedObjects(InTurn):
    """A store that notes the calls of one function."""

    objects: Objects
    store: str
    note: Note

    def get(self, key: str, version: str | None = None) -> bytes:
        self.note(Call(self.store, "get_version" if _is_named(version) else "get", key))
        return self.objects.get(key, version)

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        self.note(Call(self.store, "get_version" if _is_named(version) else "get_ranges", key))
        return self.objects.get_ranges(key, ranges, version)

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        # To IAM a HEAD is a GET.
        self.note(Call(self.store, "get_version" if _is_named(version) else "get", key))
        return self.objects.metadata(key, version)

    def put(self, key: str, data: bytes) -> None:
        self.note(Call(self.store, "put", key))
        self.objects.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.note(Call(self.store, "put_if_absent", key))
        return self.objects.put_if_absent(key, data)

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        self.note(Call(self.store, "list_versions" if self.store == "input" else "list", folder))
        return self.objects.list(folder)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.note(Call(self.store, "delete", key))
        self.objects.delete(keys)


@dataclass
class NotedTable:
    table: MemoryTable
    note: Note

    def get(self, key: str) -> Row | None:
        self.note(Call("table", "get", key))
        return self.table.get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        self.note(Call("table", "get_many", f"{len(keys)} rows"))
        return self.table.get_many(keys)

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        self.note(Call("table", "query", prefix))
        return self.table.query(prefix, limit, last=last)

    def write(self, *writes: Write) -> None:
        for each in writes:
            self.note(Call("table", OPERATIONS[type(each)], each.key))
        self.table.write(*writes)


@dataclass
class NotedAlarms:
    note: Note

    def set(self, moment: int, now: int) -> None:
        self.note(alarm(moment, now))


@dataclass
class Deployed:
    """A deployed pipeline in memory, and what each function called."""

    plan: Plan
    limits: Limits
    calls: dict[str, set[Call]]
    input: MemoryObjects = field(default_factory=MemoryObjects)
    state: MemoryObjects = field(default_factory=MemoryObjects)
    output: MemoryObjects = field(default_factory=MemoryObjects)
    table: MemoryTable = field(default_factory=MemoryTable)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON + 400 * SECOND))
    started: list[str] = field(default_factory=list)
    attempts: Any = field(default_factory=count)
    attached: int = 0

    def objects(self, function: str, store: str) -> NotedObjects:
        return NotedObjects(getattr(self, store), store, self.calls[function].add)

    def control(self, function: str) -> ControlPlane:
        def start(execution: str) -> bool:
            self.calls[function].add(Call("machine", "start", execution))
            self.started.append(execution)
            return True

        return ControlPlane(
            outline=self.plan.outline(),
            table=NotedTable(self.table, self.calls[function].add),
            state=self.objects(function, "state"),
            output=self.objects(function, "output"),
            uploads=self.objects(function, "input"),
            input_bucket="input",
            limits=self.limits,
            clock=self.clock,
            alarms=NotedAlarms(self.calls[function].add),
            start=start,
            # Objects in memory have no age.
            swept_after=0,
        )

    def task(self, function: str, task: dict[str, Any]) -> None:
        found = (self.objects(function, name) for name in ("input", "state", "output"))
        stores = TaskStores(*found, attached=self.attached)
        wanted = Task(task["epoch"], task["stage"], task["task"])
        run_task(self.plan, stores, wanted, f"attempt{next(self.attempts)}")

    def upload(self, name: str, text: str, version: str | None = None) -> None:
        self.input.put(name, text.encode())
        known = {each.key: each.version for each in self.input.list("scores")}
        self.control("intake").check()
        self.control("intake").accept("input", name, version or known[name], len(text))
        self.control("intake").wake()

    def run(self, *, twice: bool = False) -> None:
        """The state machine, from `Plan` until it is idle; `twice` runs each function of an epoch again."""
        execution = self.started.pop()
        self.clock.moment += 60 * SECOND
        history = 0
        while True:
            answer = self.control("plan").plan(execution, history)
            history = answer.get("history", 0)
            for _ in range(1 + twice):
                match answer["action"]:
                    case "idle":
                        return
                    case "reconcile":
                        self.control("reconcile").reconcile()
                    case "sweep":
                        self.control("sweep").sweep()
                    case "epoch":
                        self.task("epoch", {"epoch": answer["epoch"], "stage": "epoch", "task": 0})
                        self.control("epoch").commit(answer["epoch"])
                    case "fan_out":
                        for task in answer["map"]:
                            self.task("map", task)
                        self._reduce(answer)
                        self.control("commit").commit(answer["epoch"])

    def _reduce(self, answer: dict[str, Any]) -> None:
        for task in answer["reduce"]:
            self.task("reduce", task)
        if answer["later"]:
            given = (answer[name] for name in ("epoch", "stage", "later", "history"))
            self._reduce(self.control("plan").next_stage("an execution", *given))


SMALL, FANNED_OUT = Limits(), Limits(small=0, task_bytes=1)


def without_shuffle() -> Plan:
    stream = tg.read_json(
        "scores",
        schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay("0s"),
    )
    return compile_plan(tg.Pipeline("copies", stream.write_json("copies")))


def marked() -> Plan:
    """With producers that state the watermark by the metadata of their files."""
    stream = tg.read_json(
        "scores",
        schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.Marks(metadata=True),
    )
    return compile_plan(tg.Pipeline("copies", stream.write_json("copies")))


def grouped_twice(early: str) -> Plan:
    """With early panes by the clock, whose alarms somebody has to set."""
    stream = tg.read_json(
        "scores",
        schema={"team": pl.String, "score": pl.Int64, "at": pl.Datetime("ms")},
        event_time="at",
        watermark=tg.BoundedDelay("0s"),
    )
    for _ in range(2):
        windows = stream.window(tg.FixedWindows("1m"), allowed_lateness="1h")
        by_clock = windows.trigger(
            tg.AfterWatermark(early=tg.AfterProcessingTime(early), late=tg.AfterCount(1))
        )
        stream = by_clock.accumulate(tg.ACCUMULATING_AND_RETRACTING).group_by("team").agg(games=tg.count())
    return compile_plan(tg.Pipeline("twice", stream.write_json("twice")))


def waves(deployed: Deployed, *, twice: bool) -> None:
    """Early, on-time and late panes, and a dead letter."""
    for wave in WAVES:
        for name, text in wave:
            deployed.upload(name, text)
        deployed.run(twice=twice)


def a_crash_between_commit_and_settling(deployed: Deployed) -> None:
    """The head is moved, and rows of its inputs still wait: whoever comes next takes them out."""
    head = deployed.table.get(paths.HEAD)
    assert head is not None
    key = paths.record(deployed.plan.outline().pipeline, int(head["epoch"]))
    intake.wait(deployed.table, EpochRecord.decode(key, deployed.state.get(key)).inputs)
    deployed.table.write(Put(paths.HEAD, {**head, "settled": int(head["epoch"]) - 1}, expected=head))
    deployed.control("plan").plan("another", 0)
    deployed.control("plan").release("another")


def a_full_history(deployed: Deployed) -> None:
    deployed.control("plan").plan("long", EXECUTION_HISTORY)
    assert deployed.started, "another execution goes on"


def a_replay(deployed: Deployed) -> None:
    """Of swept epochs, too; begun by somebody with rights of his own."""
    begin(deployed.plan.outline(), deployed.state, deployed.table)
    deployed.upload("scores/meanwhile.json", lines(("x", 1, 2)))
    deployed.run()
    assert [each.key for each in deployed.output.list("generations")], "readers were told"


def another_plan(deployed: Deployed) -> None:
    other = Deployed(compiled(accumulation=tg.DISCARDING), SMALL, deployed.calls)
    other.state, other.table = deployed.state, deployed.table
    with pytest.raises(IncompatiblePipeline):
        other.control("sweep").sweep()


@pytest.fixture(scope="module")
def calls() -> dict[str, set[Call]]:
    """What each function called on all paths that it has."""
    calls: dict[str, set[Call]] = defaultdict(set)
    for plan in (compiled(), without_shuffle(), marked(), grouped_twice("1h"), grouped_twice("5m")):
        for limits in (SMALL, FANNED_OUT):
            waves(Deployed(plan, limits, calls), twice=True)
            deployed = Deployed(plan, limits, calls)
            waves(deployed, twice=False)
            a_crash_between_commit_and_settling(deployed)
            a_full_history(deployed)
            # Uploaded while the bucket kept no versions: it is known by its ETag.
            deployed.upload("scores/old.json", lines(("x", 1, 301)), version='"0123"')
            deployed.run()
    for limits, other in ((SMALL, FANNED_OUT), (FANNED_OUT, SMALL)):
        # State in the results of one layout, and read by the other.
        deployed = Deployed(compiled(), limits, calls, attached=ATTACHED_BYTES)
        deployed.upload("scores/before.json", lines(("x", 1, 0)))
        deployed.run()
        deployed.limits = other
        deployed.upload("scores/behind.json", lines(("x", 1, 1)))
        deployed.run()
    deployed = Deployed(compiled(), SMALL, calls)
    deployed.input.put("scores/lost.json", lines(("x", 1, 0)).encode())
    for number in range(EPOCHS_KEPT + 5):
        deployed.upload(f"scores/{number}.json", lines(("x", 1, number)))
        deployed.run()
    first = paths.record("scores", 1)
    assert deployed.state.get(first)
    deployed.clock.moment += 7 * 24 * 3600 * SECOND
    deployed.upload("scores/last.json", lines(("x", 1, 1)))
    deployed.run()
    with pytest.raises(ObjectNotFound):
        deployed.state.get(first)
    another_plan(deployed)
    a_replay(deployed)
    return calls


def test_every_function_was_at_work(calls: dict[str, set[Call]]) -> None:
    assert set(PERMISSIONS) == set(FUNCTIONS) == set(calls)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_all_that_it_does(calls: dict[str, set[Call]], function: str) -> None:
    assert not {call for call in calls[function] if not PERMISSIONS[function].allows(call)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_nothing_else(calls: dict[str, set[Call]], function: str) -> None:
    assert not PERMISSIONS[function].unused(calls[function])


def test_what_nobody_uses_is_found(calls: dict[str, set[Call]]) -> None:
    resources = deepcopy(RESOURCES)
    statements = resources["MapRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    manifests = {"Fn::Sub": "${StateBucket.Arn}/*/epochs/*/manifest.json"}
    statements.append({"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": manifests})
    unused = Permissions.of(resources)["map"].unused(calls["map"])
    assert unused == {Grant("s3:PutObject", "arn:StateBucket/*/epochs/*/manifest.json")}


RECORD = paths.record("p", 1)
MANIFEST = paths.manifest("p", 1)
PANES = paths.output("totals", 1, 0, "json")
HEAD = Call("table", "put", paths.HEAD)


def result(stage: str) -> str:
    return paths.result("p", 1, stage, 0)


def data(stage: str) -> str:
    return paths.data("p", 1, stage, 0, "attempt", "state.layers")


def who(call: Call) -> set[str]:
    """The functions that may make a call."""
    return {function for function in FUNCTIONS if PERMISSIONS[function].allows(call)}


@pytest.mark.parametrize(
    ("call", "functions"),
    [
        (Call("state", "put_if_absent", RECORD), {"plan"}),
        (Call("state", "put_if_absent", MANIFEST), {"epoch", "commit"}),
        (Call("state", "put_if_absent", result("map")), {"map"}),
        (Call("state", "put_if_absent", result("reduce")), {"reduce"}),
        (Call("state", "put", data("map")), {"map"}),
        (Call("state", "put", data("reduce")), {"reduce"}),
        (Call("state", "put", data("epoch")), {"epoch"}),
        (Call("state", "get", data("reduce")), {"reduce", "epoch"}),
        (Call("output", "put_if_absent", PANES), {"map", "reduce", "epoch"}),
        (Call("output", "put_if_absent", paths.dead_letters("p", 1, "map", 0)), {"map", "reduce", "epoch"}),
        (Call("output", "put_if_absent", "totals/anything.json"), set()),
        (Call("input", "get_version", "scores/a.json"), {"map", "epoch"}),
        (Call("input", "put", "scores/a.json"), set()),
        (Call("input", "put_if_absent", "scores/a.json"), set()),
        (Call("input", "list_versions", "scores"), {"map", "epoch", "reconcile"}),
        (Call("input", "delete", "scores/a.json"), set()),
        (Call("output", "delete", PANES), set()),
        (Call("state", "delete", RECORD), {"sweep"}),
        (Call("state", "delete", data("map")), {"sweep"}),
        (Call("state", "delete", "somebody/elses.json"), set()),
        (Call("table", "delete", "pending#1"), {"plan", "epoch", "commit"}),
        (Call("table", "update", "coordinator"), {"intake", "plan", "reconcile"}),
        (HEAD, {"intake", "plan", "epoch", "commit", "reconcile"}),
        (Call("machine", "start", "an execution"), {"intake", "plan", "reconcile"}),
        (alarm(SECOND, 0), {"plan", "reconcile"}),
        (alarm(86_400 * SECOND, 0), {"plan"}),
    ],
    ids=lambda given: " ".join(sorted(given)) or "nobody" if isinstance(given, set) else str(given),
)
def test_who_may_do_what(call: Call, functions: set[str]) -> None:
    assert who(call) == functions


@pytest.mark.parametrize("key", [RECORD, MANIFEST, result("map"), result("reduce")])
def test_what_is_written_once_cannot_be_written_over(key: str) -> None:
    assert not who(Call("state", "put", key)), "the bucket's policy asks for If-None-Match"
    assert who(Call("state", "put_if_absent", key))


def test_panes_and_dead_letters_cannot_be_written_over() -> None:
    for key in (PANES, paths.dead_letters("p", 1, "map", 0)):
        assert not who(Call("output", "put", key))


@pytest.mark.parametrize(
    ("store", "policy"), [("state", "StateBucketPolicy"), ("output", "OutputBucketPolicy")]
)
def test_it_is_the_buckets_policy_that_forbids_to_write_over(store: str, policy: str) -> None:
    resources = {name: each for name, each in RESOURCES.items() if name != policy}
    call = Call(store, "put", {"state": result("map"), "output": PANES}[store])
    assert Permissions.of(resources)["map"].allows(call)


@pytest.mark.parametrize("bucket", ["InputBucket", "StateBucket", "OutputBucket"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_may_remove_old_versions_or_change_a_bucket(function: str, bucket: str) -> None:
    actions = ("DeleteObjectVersion", "PutBucketPolicy", "PutBucketVersioning", "PutLifecycleConfiguration")
    for action in (*actions, "PutObjectAcl", "BypassGovernanceRetention"):
        for resource in (bucket, f"{bucket}/p/epochs/1/record.json"):
            assert not PERMISSIONS[function].may(f"s3:{action}", resource)


def test_a_statement_that_is_not_understood_is_not_passed_over() -> None:
    for unknown in (
        {"NotAction": "s3:GetObject", "Resource": "*"},
        {"Action": "s3:GetObject", "Resource": "*", "Condition": {"StringNotLike": {"s3:prefix": "x"}}},
        {"Action": "s3:GetObject", "Resource": {"Fn::ImportValue": "a-bucket"}},
    ):
        resources = deepcopy(RESOURCES)
        statements = resources["MapRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        statements.append({"Effect": "Allow", **unknown})
        with pytest.raises(ValueError, match="not evaluated here"):
            Permissions.of(resources)
