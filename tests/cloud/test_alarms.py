"""Processing time comes to a moment while nothing arrives: in the local cloud it really does."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.localcloud import LocalCloud
from tests.cloud.test_end_to_end import logs, settle

HERE = Path(__file__).parent
PATIENCE = 60


@pytest.fixture(params=["8388608", "0"], ids=["one function", "fanned out"])
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    parameters = {"Pipeline": "pipelines.clock:pipeline", "SmallEpochBytes": request.param}
    with LocalCloud(parameters=parameters, pipelines=HERE / "pipelines") as cloud:
        yield cloud


def eventually(cloud: LocalCloud, wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < deadline, logs(cloud)
        time.sleep(0.2)


def upload(cloud: LocalCloud, name: str, *games: tuple[str, int, str]) -> None:
    rows = [{"team": team, "score": score, "at": f"2026-05-01T{at}Z"} for team, score, at in games]
    body = "".join(json.dumps(row) + "\n" for row in rows)
    cloud.client("s3").put_object(Bucket=cloud.outputs["InputBucket"], Key=f"scores/{name}", Body=body)


def panes(cloud: LocalCloud) -> list[dict[str, Any]]:
    s3, bucket = cloud.client("s3"), cloud.outputs["OutputBucket"]
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="totals/").get("Contents", [])]
    documents = [s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in sorted(keys)]
    return [json.loads(line) for document in documents for line in document.splitlines()]


def left(cloud: LocalCloud) -> Counter[tuple[int, int]]:
    table: Counter[tuple[int, int]] = Counter()
    for pane in panes(cloud):
        table[pane["best"], pane["panes"]] += 1 if pane["op"] == "insert" else -1
    return +table


def test_early_panes_come_by_the_clock_and_are_grouped_again(cloud: LocalCloud) -> None:
    upload(cloud, "a.json", ("red", 3, "12:00:26"), ("blue", 5, "12:00:30"))
    eventually(cloud, lambda: left(cloud) == Counter({(5, 2): 1}))
    assert {pane["pane_timing"] for pane in panes(cloud)} == {"early"}
    upload(cloud, "b.json", ("red", 4, "12:00:31"))
    eventually(cloud, lambda: left(cloud) == Counter({(7, 2): 1}))
    assert [pane["op"] for pane in panes(cloud)] == ["insert", "retract", "insert"]
    settle(cloud)


def executions(cloud: LocalCloud) -> list[dict[str, Any]]:
    machines = cloud.client("stepfunctions")
    found: list[dict[str, Any]] = machines.list_executions(stateMachineArn=cloud.outputs["EpochMachine"])[
        "executions"
    ]
    return found


@pytest.mark.parametrize("cloud", ["8388608"], indirect=True, ids=["one function"])
def test_a_schedule_sends_its_message_and_is_gone(cloud: LocalCloud) -> None:
    """What an alarm beyond the longest delay of a queue comes to; here it is due at once."""
    scheduler, sqs = cloud.client("scheduler"), cloud.client("sqs")
    queue = cloud.outputs["IntakeQueue"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    scheduler.create_schedule(
        Name="alarm-1",
        GroupName=cloud.resources["AlarmGroup"],
        ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": arn,
            "RoleArn": "arn:aws:iam::123456789012:role/any",
            "Input": '{"tidegate-alarm": 1}',
        },
    )
    eventually(cloud, lambda: '"Alarms":[1.0]' in logs(cloud))
    eventually(cloud, lambda: bool(executions(cloud)))
    assert scheduler.list_schedules(GroupName=cloud.resources["AlarmGroup"])["Schedules"] == []
