"""Uploads to the emulated bucket become the same panes as `tidegate run` makes of the same files.

All between is real: the template, the notification, the queue, the handlers, the state machine, the stores.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from infra.localcloud import LocalCloud
from infra.localcloud.template import REGION
from tidegate.limits import INLINE_TASKS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SETTLE_SECONDS = 60
Panes = Counter[tuple[tuple[str, Any], ...]]


def rows(*games: tuple[str, int, str]) -> bytes:
    return b"".join(
        json.dumps({"team": team, "score": score, "at": f"2026-05-01T{at}Z"}).encode() + b"\n"
        for team, score, at in games
    )


# window             [12:00          )[12:02          )[12:04          )[12:06
# first upload        red 3, blue 5     red 2                                   -> watermark 12:03:50
# second upload                                          blue 7   red 1         -> watermark 12:06:20
# late upload         red 4 (late)                                 red 9        -> 12:00 fires again
FIRST = rows(("red", 3, "12:00:26"), ("blue", 5, "12:01:25"), ("red", 2, "12:04:00"))
SECOND = rows(("blue", 7, "12:05:19"), ("red", 1, "12:06:30"))
LATE = rows(("red", 4, "12:01:59"), ("red", 9, "12:08:30"))
BONUSES = b"""at,team,score
2026-05-01T12:00:40Z,red,10
2026-05-01T12:05:00Z,blue,20
2026-05-01T12:07:00Z,red,30
"""


CONTROL = {"Intake", "Plan", "Reconcile", "Sweep"}
SMALL = "8388608"
PATHS = [(SMALL, CONTROL | {"Epoch"}), ("0", CONTROL | {"Map", "Reduce", "Commit"})]


@pytest.fixture
def module() -> str:
    """The module of the pipeline that is deployed."""
    return "scores"


@pytest.fixture
def cloud(small_epoch_bytes: str, module: str) -> Iterator[LocalCloud]:
    parameters = {"Pipeline": f"pipelines.{module}:pipeline", "SmallEpochBytes": small_epoch_bytes}
    parameters |= {"MaxTasks": str(INLINE_TASKS + 1), "TaskBytes": "1", "WorkerConcurrency": "1"}
    with LocalCloud(parameters=parameters, pipelines=HERE / "pipelines") as cloud:
        yield cloud


MARK = "2026-05-01T12:06:30Z"
"""What the producer of the bonuses states when it has sent them."""


def upload(cloud: LocalCloud, name: str, content: bytes, **metadata: str) -> dict[str, Any]:
    """Uploads a file and returns the message that S3 sends about it."""
    bucket = cloud.outputs["InputBucket"]
    put = cloud.client("s3").put_object(Bucket=bucket, Key=name, Body=content, Metadata=metadata)
    file = {"key": name, "size": len(content), "eTag": put["ETag"].strip('"'), "versionId": put["VersionId"]}
    return {
        "Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": file}}]
    }


def settle(cloud: LocalCloud) -> None:
    """Waits until nothing is at work, and everything went well."""
    assert settled(cloud) == {"SUCCEEDED"}, logs(cloud)


def settled(cloud: LocalCloud) -> set[str]:
    """Waits until nothing is at work; returns how executions ended.

    Intake deletes a message only after it woke the coordinator. An execution that stands by is not at work.
    """
    sqs, machines = cloud.client("sqs"), cloud.client("stepfunctions")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = {"QueueUrl": cloud.outputs["IntakeQueue"], "AttributeNames": names}
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        messages = sqs.get_queue_attributes(**queue)["Attributes"]
        executions = machines.list_executions(stateMachineArn=cloud.outputs["EpochMachine"])["executions"]
        running = [each["executionArn"] for each in executions if each["status"] == "RUNNING"]
        if set(messages.values()) == {"0"} and all(stands_by(machines, each) for each in running):
            return {each["status"] for each in executions} - {"RUNNING"}
        time.sleep(0.05)
    pytest.fail(f"still at work after {SETTLE_SECONDS} seconds\n{logs(cloud)}")


def stands_by(machines: Any, execution: str) -> bool:
    # The emulator knows neither `reverseOrder` nor `maxResults`.
    events = machines.get_execution_history(executionArn=execution)["events"]
    return bool(events) and max(events, key=lambda event: event["id"])["type"] == "WaitStateEntered"


def logs(cloud: LocalCloud) -> str:
    assert cloud.logs
    return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(cloud.logs.glob("*.log")))


def functions_called(cloud: LocalCloud) -> set[str]:
    assert cloud.logs
    return {path.stem.removeprefix("tidegate-").removesuffix("Function") for path in cloud.logs.glob("*.log")}


def panes_of(documents: list[str]) -> Panes:
    parsed = [json.loads(line) for document in documents for line in document.splitlines()]
    return Counter(tuple(sorted((k, v) for k, v in pane.items() if k != "emitted_at")) for pane in parsed)


def panes_in_cloud(cloud: LocalCloud, folder: str = "totals") -> Panes:
    s3, bucket = cloud.client("s3"), cloud.outputs["OutputBucket"]
    found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/").get("Contents", [])
    keys = [item["Key"] for item in found]
    return panes_of([s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys])


def panes_on_laptop(folder: Path, module: str = "scores") -> Panes:
    pipeline = f"{HERE / 'pipelines' / module}.py:pipeline"
    paths = ["--input", str(folder / "input"), "--output", str(folder / "output")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
    command = [sys.executable, "-m", "tidegate", "run", pipeline, *paths]
    subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True, timeout=60)
    return panes_of([path.read_text() for path in sorted((folder / "output").rglob("epoch-*.json"))])


def stats_of(cloud: LocalCloud) -> str:
    """What `tidegate stats` prints about the deployment."""
    asked = tidegate(cloud, "stats", "scores", "--bucket", cloud.resources["StateBucket"])
    assert asked.returncode == 0, asked.stderr
    return asked.stdout


def tidegate(cloud: LocalCloud, command: str, module: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command line with a pipeline, as somebody who has the account's keys."""
    pipeline = f"{HERE / 'pipelines' / module}.py:pipeline"
    aws = {"AWS_ENDPOINT_URL": cloud.endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "shared"), **aws, **keys}
    asked = [sys.executable, "-m", "tidegate", command, pipeline, *more]
    return subprocess.run(asked, check=False, env=environment, capture_output=True, text=True, timeout=90)


@pytest.mark.parametrize(("small_epoch_bytes", "called"), PATHS, ids=["one function", "fanned out"])
def test_uploads_become_the_panes_of_the_embedded_runner(
    cloud: LocalCloud, called: set[str], tmp_path: Path
) -> None:
    source = tmp_path / "input" / "scores"
    source.mkdir(parents=True)
    seen = []
    for name, content in (("first.json", FIRST), ("second.json", SECOND), ("z late.json", LATE)):
        message = upload(cloud, f"scores/{name}", content)
        settle(cloud)
        (source / name).write_bytes(content)
        expected = panes_on_laptop(tmp_path)
        assert panes_in_cloud(cloud) == expected, logs(cloud)
        assert set(expected.values()) == {1}
        seen.append(len(expected))
        if name == "second.json":
            body = json.dumps(message)
            cloud.client("sqs").send_message(QueueUrl=cloud.outputs["IntakeQueue"], MessageBody=body)
            settle(cloud)
            assert panes_in_cloud(cloud) == expected
    assert seen == sorted(set(seen)), "every upload fires something"
    assert functions_called(cloud) == called
    if "Map" in called:
        a_stage_too_wide_for_an_inline_map(cloud, tmp_path)
    stats = stats_of(cloud)
    assert all(f"\n{stage.lower():>8}  " in stats for stage in {"Plan", *called - CONTROL, "Commit"}), stats
    assert "Lambda time" in stats, "functions know their memory"
    timings = Counter(dict(pane)["pane_timing"] for pane in panes_in_cloud(cloud))
    assert timings["late"] == 1
    names = ["ApproximateNumberOfMessages"]
    dead = cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.outputs["IntakeDeadLetters"], AttributeNames=names
    )
    assert dead["Attributes"] == {"ApproximateNumberOfMessages": "0"}


def notify(cloud: LocalCloud, configurations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sets what the input bucket tells the queue, and returns what it told before."""
    s3, bucket = cloud.client("s3"), cloud.outputs["InputBucket"]
    before = s3.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": configurations}
    )
    return before


def a_stage_too_wide_for_an_inline_map(cloud: LocalCloud, folder: Path) -> None:
    """As many files, of one key, that are told of together."""
    assert not map_runs(cloud)
    notify(cloud, [])
    records = []
    for number in range(INLINE_TASKS + 1):
        name, content = f"scores/{number:02}.json", rows(("red", number, f"12:10:{number:02}"))
        records += upload(cloud, name, content)["Records"]
        (folder / "input" / name).write_bytes(content)
    body = json.dumps({"Records": records})
    cloud.client("sqs").send_message(QueueUrl=cloud.outputs["IntakeQueue"], MessageBody=body)
    settle(cloud)
    assert panes_in_cloud(cloud) == panes_on_laptop(folder), logs(cloud)
    assert map_runs(cloud) == ["MapRunSucceeded"]


def map_runs(cloud: LocalCloud) -> list[str]:
    """How the Distributed Maps of all executions ended."""
    machines = cloud.client("stepfunctions")
    executions = machines.list_executions(stateMachineArn=cloud.outputs["EpochMachine"])["executions"]
    histories = [
        machines.get_execution_history(executionArn=each["executionArn"])["events"] for each in executions
    ]
    types = [event["type"] for events in histories for event in events]
    return [each for each in types if each in ("MapRunSucceeded", "MapRunFailed")]


@pytest.mark.parametrize("small_epoch_bytes", [SMALL])
@pytest.mark.parametrize("module", ["both"])
def test_of_two_sources_an_upload_whose_event_is_lost_is_found_by_the_next_coordinator(
    cloud: LocalCloud, module: str, tmp_path: Path
) -> None:
    configurations = notify(cloud, [])
    stated = {"tidegate-watermark": MARK, "tidegate-producer": "shop"}
    lost = upload(cloud, "bonuses/a b+ü.csv", BONUSES, **stated)
    notify(cloud, configurations)
    files = {"bonuses/a b+ü.csv": BONUSES, "scores/first.json": FIRST, "scores/second.json": SECOND}
    for name, content in files.items():
        path = tmp_path / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if name.startswith("scores/"):
            upload(cloud, name, content)
    # A folder has no metadata: there an object of its own says the same.
    (tmp_path / "input" / "bonuses" / "shop.watermark").write_text(json.dumps({"watermark": MARK}))
    settle(cloud)
    found = panes_in_cloud(cloud)
    assert found == panes_on_laptop(tmp_path, module), logs(cloud)
    # The minimum of both watermarks, 12:06:20 and 12:06:30, is past the windows of 12:00 and 12:04.
    batch = {("blue", "00", 5, 1), ("red", "00", 13, 2), ("blue", "04", 27, 2), ("red", "04", 2, 1)}
    shown = [dict(pane) for pane in found]
    assert {(p["team"], p["window_start"][14:16], p["total"], p["games"]) for p in shown} == batch
    assert set(found.values()) == {1}
    # The event was late, not lost: it names the version that the listing found, so nothing counts twice.
    file = lost["Records"][0]["s3"]["object"]
    file["key"] = quote_plus(file["key"])
    cloud.client("sqs").send_message(QueueUrl=cloud.outputs["IntakeQueue"], MessageBody=json.dumps(lost))
    settle(cloud)
    assert accepted(cloud) == 3
    assert panes_in_cloud(cloud) == found


def accepted(cloud: LocalCloud) -> int:
    """How many input objects the intake log knows."""
    rows = cloud.client("dynamodb").scan(TableName=cloud.outputs["Table"])["Items"]
    return len([row for row in rows if row["sk"]["S"].startswith("seen#")])


@pytest.mark.parametrize("small_epoch_bytes", [SMALL])
def test_messages_that_are_no_uploads_end_as_dead_letters_and_hold_up_nobody(cloud: LocalCloud) -> None:
    sqs, queue = cloud.client("sqs"), cloud.outputs["IntakeQueue"]
    # Six times a function's timeout is long to wait for five receipts.
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    foreign = upload(cloud, "scores/first.json", FIRST)
    foreign["Records"][0]["s3"]["bucket"]["name"] = "tidegate-input-999999999999-us-east-1"
    bad = {"no JSON", json.dumps({"Type": "Notification", "Message": "{}"}), json.dumps(foreign)}
    for body in bad:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    dead: set[str] = set()
    deadline = time.monotonic() + SETTLE_SECONDS
    while dead != bad and time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=cloud.outputs["IntakeDeadLetters"], MaxNumberOfMessages=10)
        dead |= {message["Body"] for message in answer.get("Messages", [])}
    assert dead == bad, logs(cloud)
    settle(cloud)
    assert accepted(cloud) == 1
    assert panes_in_cloud(cloud)
