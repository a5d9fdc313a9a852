"""The deployed template on the local cloud, with its functions' processes killed in the middle of calls."""

import json
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from infra.localcloud import LocalCloud
from tests.crash import oracles
from tests.crash.command import Process
from tests.crash.oracles import Divergence, demand
from tests.crash.workload import InputFile, Workload, draw
from tidegate.epochs import paths
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord

LONGEST = 240
"""Seconds that a stack may take to come to rest once nobody is killed any more."""

VISIBILITY = "5"
"""Seconds until a message comes again whose function was killed. The template's are three minutes."""


class Killer:
    """Kills, or stops for a while, functions in the middle of their calls.

    Attributes:
        counts: Of `kills` that hit, and of other `faults`.
    """

    def __init__(self, cloud: LocalCloud, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._calls = (cloud.logs or Path()) / "at-work"
        self._chance = chance
        # The least of it lets retries run out now and then.
        self._mercy = chance.choice((12, 8, 3))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._hunt, daemon=True)
        self._due: list[tuple[float, Process, Path, str]] = []

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()

    def _hunt(self) -> None:
        seen: set[tuple[str, int]] = set()
        while not self._stopped.wait(0.002):
            for mark in self._calls.iterdir():
                call = self._call(mark)
                if call and call not in seen:
                    seen.add(call)
                    self._plan(mark)
            due = [each for each in self._due if each[0] <= time.monotonic()]
            self._due = [each for each in self._due if each not in due]
            for _, process, mark, what in due:
                self._strike(process, mark, what)
        for _, process, _, what in self._due:
            if what == "go on":
                process.send(signal.SIGCONT)

    @staticmethod
    def _call(mark: Path) -> tuple[str, int] | None:
        """A call, told from others of the same process by when it began."""
        try:
            return mark.name, mark.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _plan(self, mark: Path) -> None:
        """Decides what becomes of a call."""
        what = self._chance.choices(("nothing", "kill", "stop"), (self._mercy, 5, 1))[0]
        # A warm call takes tens of milliseconds; one that starts a process, a second.
        delay = self._chance.choice((self._chance.uniform(0, 0.06), self._chance.uniform(0, 1.2)))
        process = Process.of(int(mark.name))
        if process and what != "nothing":
            self._due.append((time.monotonic() + delay, process, mark, what))

    def _strike(self, process: Process, mark: Path, what: str) -> None:
        if what == "go on":
            process.send(signal.SIGCONT)
        elif not mark.exists():
            # The call has ended, and killing an idle process disturbs nobody.
            return
        elif what == "kill":
            self.counts["kills"] += process.send(signal.SIGKILL)
        else:
            self.counts["faults"] += process.send(signal.SIGSTOP)
            self._due.append((time.monotonic() + self._chance.uniform(0.1, 2), process, mark, "go on"))


@dataclass
class Operator:
    """What somebody does who watches the alarms, and what the stack looks like.

    Attributes:
        started: How often the machine was started again by hand.
    """

    cloud: LocalCloud
    started: int = 0
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.cloud.client(service)
        return self._clients[service]

    def upload(self, file: InputFile) -> str:
        """Uploads a file; returns the message that S3 sends about it."""
        bucket, key, body = self.cloud.outputs["InputBucket"], f"scores/{file.name}", file.content()
        put = self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        found = {"key": key, "size": len(body), "eTag": put["ETag"].strip('"'), "versionId": put["VersionId"]}
        record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": found}}
        return json.dumps({"Records": [record]})

    def send_again(self, message: str) -> None:
        """The notification comes once more."""
        self.client("sqs").send_message(QueueUrl=self.cloud.outputs["IntakeQueue"], MessageBody=message)

    def quicken(self) -> None:
        """Messages whose function was killed come again soon."""
        self.client("sqs").set_queue_attributes(
            QueueUrl=self.cloud.outputs["IntakeQueue"], Attributes={"VisibilityTimeout": VISIBILITY}
        )

    def bring_to_rest(self, seconds: float = LONGEST) -> bool:
        """Waits until nothing is at work and nothing waits, mending what an alarm would tell of.

        Returns:
            Whether it came to rest in this time.
        """
        deadline, last_start = time.monotonic() + seconds, 0.0
        while self._messages("IntakeQueue") or self._is_running() or self._waiting():
            if time.monotonic() > deadline:
                return False
            self._redrive()
            if self._waiting() and not self._is_running() and time.monotonic() - last_start > 3:
                last_start = time.monotonic()
                self._start()
            time.sleep(0.1)
        return True

    def state(self) -> dict[str, Any]:
        """Where things are, for whoever looks into a stack that does not come to rest."""
        return {
            "executions": Counter(each["status"] for each in self._executions()),
            "messages": self._messages("IntakeQueue"),
            "dead": self._messages("IntakeDeadLetters"),
            "waiting": len(self._waiting()),
            "coordinator": self._row(paths.COORDINATOR),
        }

    def failed(self) -> int:
        """How many executions failed."""
        return sum(each["status"] not in ("SUCCEEDED", "RUNNING") for each in self._executions())

    def contents(self, bucket: str, prefix: str) -> dict[str, bytes]:
        """The objects of a bucket."""
        s3, name = self.client("s3"), self.cloud.outputs[bucket]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {key: s3.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}

    def versions(self) -> set[tuple[str, str]]:
        """Keys and versions of all uploads."""
        listed = self.client("s3").list_object_versions(Bucket=self.cloud.outputs["InputBucket"])
        return {(each["Key"], each["VersionId"]) for each in listed["Versions"]}

    def _redrive(self) -> None:
        """Takes messages out of the queue of dead letters and sends them again."""
        sqs, queue = self.client("sqs"), self.cloud.outputs["IntakeDeadLetters"]
        if self._messages("IntakeDeadLetters"):
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                self.send_again(message["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def _start(self) -> None:
        """Starts the machine again, as the alarm of failed executions asks for."""
        holder = (self._row(paths.COORDINATOR).get("holder") or {}).get("S", "")
        if holder:
            # The execution that failed could not give its lease back either, as it was killed on every try.
            payload = json.dumps({"action": "release", "execution": holder})
            name = self.cloud.resources["PlanFunction"]
            self.client("lambda").invoke(FunctionName=name, Payload=payload)
        self.client("stepfunctions").start_execution(stateMachineArn=self.cloud.outputs["EpochMachine"])
        self.started += 1

    def _executions(self) -> list[dict[str, Any]]:
        machine = self.cloud.outputs["EpochMachine"]
        pages = self.client("stepfunctions").get_paginator("list_executions")
        return [each for page in pages.paginate(stateMachineArn=machine) for each in page["executions"]]

    def _is_running(self) -> bool:
        """Whether an execution is at work; one on standby waits for the end of a lease that another has."""
        running = [each for each in self._executions() if each["status"] == "RUNNING"]
        return not all(self._is_on_standby(each["executionArn"]) for each in running)

    def _is_on_standby(self, execution: str) -> bool:
        pages = self.client("stepfunctions").get_paginator("get_execution_history")
        events = [event for page in pages.paginate(executionArn=execution) for event in page["events"]]
        return bool(events) and events[-1]["type"] == "WaitStateEntered"

    def _messages(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(
            QueueUrl=self.cloud.outputs[queue], AttributeNames=names
        )
        return sum(int(answer["Attributes"][name]) for name in names)

    def _waiting(self) -> list[dict[str, Any]]:
        answer = self.client("dynamodb").query(
            TableName=self.cloud.outputs["Table"],
            KeyConditionExpression="pk = :pipeline AND begins_with(sk, :waiting)",
            ExpressionAttributeValues={":pipeline": {"S": "scores"}, ":waiting": {"S": paths.PENDING}},
            ConsistentRead=True,
        )
        rows: list[dict[str, Any]] = answer["Items"]
        return rows

    def _row(self, key: str) -> dict[str, Any]:
        answer = self.client("dynamodb").get_item(
            TableName=self.cloud.outputs["Table"],
            Key={"pk": {"S": "scores"}, "sk": {"S": key}},
            ConsistentRead=True,
        )
        row: dict[str, Any] = answer.get("Item", {})
        return row


def cloud_round(base: Path, chance: random.Random) -> Counter[str]:
    """Uploads while functions are killed; the panes must come to the batch answer."""
    workload = draw(
        chance, functions=chance.random() < 0.5, lossless=True, files=chance.randint(8, 16), prompt=True
    )
    pipelines = base / "pipelines"
    pipelines.mkdir()
    (pipelines / "crash.py").write_text(workload.text)
    parameters = {
        "Pipeline": "pipelines.crash:pipeline",
        "SmallEpochBytes": chance.choice(("0", "8388608")),
        "MaxFilesPerEpoch": str(chance.choice((1, 2, 4))),
        "MaxTasks": str(chance.choice((2, 3))),
        "IntakeBatchSize": str(chance.choice((1, 3))),
    }
    logs = base / "logs"
    with LocalCloud(parameters=parameters, pipelines=pipelines, logs=logs) as cloud:
        operator = Operator(cloud)
        operator.quicken()
        with Killer(cloud, chance) as killer:
            *files, last = workload.files
            for file in files:
                message = operator.upload(file)
                for _ in range(chance.choice((0, 0, 1, 3))):
                    operator.send_again(message)
                    killer.counts["faults"] += 1
                time.sleep(chance.uniform(0, 1))
            operator.bring_to_rest(20)
        _rest(operator)
        with Killer(cloud, chance) as last_killer:
            operator.upload(last)
            operator.bring_to_rest(10)
        _rest(operator)
        _check(workload, operator)
        return killer.counts + last_killer.counts + Counter(faults=operator.failed())


def _rest(operator: Operator) -> None:
    if not operator.bring_to_rest():
        raise Divergence(f"still at work after {LONGEST} s: {operator.state()}")


def _check(workload: Workload, operator: Operator) -> None:
    epochs = operator.contents("StateBucket", "scores/epochs/")
    records = [EpochRecord.decode(key, data) for key, data in epochs.items() if key.endswith("/record.json")]
    taken = Counter((each.object.key, each.object.version) for record in records for each in record.inputs)
    demand(set(taken.values()) == {1}, f"objects in several epochs: {taken.most_common(3)}")
    demand(set(taken) == operator.versions(), "some uploads are in no epoch")
    numbers = sorted(record.epoch for record in records)
    demand(numbers == list(range(1, len(numbers) + 1)), f"the epochs are {numbers}")
    key = paths.manifest("scores", numbers[-1])
    demand(key in epochs, f"epoch {numbers[-1]} was begun and is not committed")
    totals = Manifest.decode(key, epochs[key]).totals
    oracles.conservation(workload, totals)
    named = {name for each in epochs if each.endswith("/manifest.json") for name in _outputs(each, epochs)}
    output = operator.contents("OutputBucket", "")
    demand(set(output) == named, f"objects that no manifest names, or missing: {set(output) ^ named}")
    sink = [data for name, data in sorted(output.items()) if name.startswith("totals/")]
    oracles.answer(workload, sink, totals, ended=True)
    dead = [data for name, data in sorted(output.items()) if name.startswith("dead-letters/")]
    oracles.dead_letters(workload, dead)


def _outputs(key: str, epochs: dict[str, bytes]) -> tuple[str, ...]:
    return Manifest.decode(key, epochs[key]).outputs
