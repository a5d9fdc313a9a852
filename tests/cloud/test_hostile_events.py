"""The real intake function on a queue to which anybody seems to write; only the stores are in memory."""

import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.epochs.scenario import NOON, compiled
from tidegate.epochs import intake, lease
from tidegate.epochs.layout import Limits
from tidegate.runtime import deployment
from tidegate.runtime.control_plane import ControlPlane
from tidegate.stores.memory import ManualClock, MemoryAlarms, MemoryObjects, MemoryTable

ROOT = Path(__file__).parents[2]
OURS = "tidegate-input-123456789012-eu-west-1"
CONTEXT = SimpleNamespace(
    function_name="tidegate",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:tidegate",
    aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    get_remaining_time_in_millis=lambda: 30_000,
)


@dataclass
class Queue:
    """A batch of messages, the intake function, and what came of it."""

    table: MemoryTable
    started: list[str] = field(default_factory=list)

    def deliver(self, *bodies: str) -> list[int]:
        """Calls the function with these messages; returns the numbers of those that it did not take."""
        records = [
            {"messageId": str(number), "receiptHandle": "x", "body": body, "eventSource": "aws:sqs"}
            for number, body in enumerate(bodies)
        ]
        spec = importlib.util.spec_from_file_location("intake_app", ROOT / "functions" / "intake" / "app.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        answer = module.handler({"Records": records}, CONTEXT)
        return [int(each["itemIdentifier"]) for each in answer["batchItemFailures"]]

    @property
    def accepted(self) -> list[str]:
        return [each.object.key for each in intake.waiting(self.table, 10_000)]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Queue:
    # Powertools keeps one logger a service name, with the standard output of the test that made it.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tidegate")
    queue = Queue(MemoryTable())
    control = ControlPlane(
        outline=compiled().outline(),
        table=queue.table,
        state=MemoryObjects(),
        output=MemoryObjects(),
        uploads=MemoryObjects(),
        input_bucket=OURS,
        limits=Limits(),
        clock=ManualClock(NOON),
        alarms=MemoryAlarms(),
        start=lambda name: not queue.started.append(name),
    )
    monkeypatch.setattr(deployment, "control_plane", lambda environment: control)
    return queue


def upload(key: str, bucket: str = OURS, **changes: Any) -> str:
    file = {"key": key, "size": 7, "versionId": "v1"}
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": file}}
    return json.dumps({"Records": [record | changes]})


FOREIGN = (
    "tidegate-input-999999999999-eu-west-1",
    "somebody-elses-bucket",
    OURS.upper(),
    f"{OURS}/",
    f"{OURS}.s3.amazonaws.com",
    f"arn:aws:s3:::{OURS}",
    f" {OURS}",
)


@pytest.mark.parametrize("bucket", FOREIGN)
def test_an_event_for_another_bucket_is_refused(queue: Queue, bucket: str) -> None:
    assert queue.deliver(upload("scores/a.json"), upload("scores/b.json", bucket)) == [1]
    assert queue.accepted == ["scores/a.json"]


def test_one_bad_record_in_a_message_fails_the_message_and_the_good_ones_are_accepted_once(
    queue: Queue,
) -> None:
    mixed = json.loads(upload("scores/a.json"))
    mixed["Records"] += json.loads(upload("scores/b.json", "somebody-elses-bucket"))["Records"]
    assert queue.deliver(json.dumps(mixed)) == [0]
    assert queue.deliver(json.dumps(mixed)) == [0]
    assert queue.accepted == ["scores/a.json"]


def test_nothing_that_comes_spoils_the_rest_of_the_batch(queue: Queue) -> None:
    inner = upload("scores/x.json")
    bad = [
        "",
        "no JSON",
        "[" * 100_000,
        "null",
        "{}",
        '{"Records": 5}',
        json.dumps({"Type": "Notification", "Message": inner}),
        json.dumps(
            {"detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": {"name": OURS}}}
        ),
        upload("scores/x.json", s3=None),
        upload("scores/x.json", s3={"bucket": {"name": OURS}, "object": {"key": 5, "size": "7"}}),
        upload("scores/x.json", eventName="ObjectRemoved:Delete"),
    ]
    bodies = [body for each in bad for body in (each, upload(f"scores/{len(each)}.json"))]
    assert queue.deliver(*bodies) == list(range(0, len(bodies), 2))
    assert sorted(queue.accepted) == sorted({f"scores/{len(each)}.json" for each in bad})


def test_a_batch_of_nothing_but_nonsense_is_no_crash(queue: Queue) -> None:
    assert queue.deliver(*["nonsense"] * 200) == list(range(200))
    assert queue.accepted == []


def test_a_full_batch_with_duplicates_accepts_each_object_once(queue: Queue) -> None:
    bodies = [upload(f"scores/{number % 50}.json") for number in range(200)]
    assert queue.deliver(*bodies) == []
    assert len(queue.accepted) == 50
    assert len(queue.started) == 1
    assert lease.read(queue.table).wake == 1


def test_keys_are_decoded_exactly_once(queue: Queue) -> None:
    assert queue.deliver(upload("scores/a%252Fb%2Bc+d.json")) == []
    assert queue.accepted == ["scores/a%2Fb+c d.json"]


@pytest.mark.parametrize(
    "key",
    ["other/a.json", "scores", "scoresx/a.json", "..%2Fscores%2Fa.json", "%2Fscores%2Fa.json", "scores%2F"],
)
def test_objects_outside_of_the_source_are_nobodys_input(queue: Queue, key: str) -> None:
    assert queue.deliver(upload(key)) == []
    assert queue.accepted == []


def test_what_is_wrong_is_logged_and_what_was_sent_is_not(
    capsys: pytest.CaptureFixture[str], queue: Queue
) -> None:
    queue.deliver("SECRET no JSON", upload("scores/a.json", s3={"SECRET": "SECRET"}))
    logged = capsys.readouterr()
    assert logged.out.count("no notification of S3 about uploads") == 2
    assert "SECRET" not in logged.out + logged.err
