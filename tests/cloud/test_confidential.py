"""What is in records never reaches a log: a mark in all of their fields is looked for everywhere else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.localcloud import LocalCloud
from tests.cloud.test_end_to_end import functions_called, logs, settled, upload

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MARK = "TOPSECRET7f3a"


def record(**changes: Any) -> str:
    fields = {"name": f"of {MARK}", "score": 1, "note": "5", "at": "2026-05-01T12:00:00Z"}
    return json.dumps(fields | changes)


GOOD = [record(), record(name=f"also {MARK}"), record(at="2026-05-01T12:05:00Z")]
BAD = [
    f'{{"name": "{MARK}',
    MARK,
    json.dumps([MARK]),
    record(score=MARK),
    record(at=MARK),
    record(at="9999-01-01T00:00:00Z"),
    record(note={MARK: MARK}),
    record(note=MARK),
    record(score=13),
    record(score=14),
]
"""Broken JSON, wrong types, an expression that fails, and Python functions that raise or return nonsense."""

FATAL = [record(score=99)]
"""The function raises what is no fault of its record, so that the task fails as a whole."""


def lines(records: list[str]) -> bytes:
    return "".join(f"{each}\n" for each in records).encode()


def test_the_command_line_shows_no_record(tmp_path: Path) -> None:
    source = tmp_path / "input" / "private"
    source.mkdir(parents=True)
    (source / "a.json").write_bytes(lines(GOOD + BAD))
    pipeline = f"{HERE / 'pipelines' / 'private.py'}:pipeline"
    paths = ["--input", str(tmp_path / "input"), "--output", str(tmp_path / "output")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "run", pipeline, *paths],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{len(BAD)} dead letters" in done.stdout
    assert MARK not in done.stdout + done.stderr
    texts = [path.read_text() for path in (tmp_path / "output").rglob("dead-letters/**/*.json")]
    dead = [json.loads(line) for text in texts for line in text.splitlines()]
    assert [MARK in each["text"] for each in dead] == [True] * len(BAD), "this is where they belong"
    (source / "b.json").write_bytes(lines(FATAL))
    failed = subprocess.run(done.args, env=environment, capture_output=True, text=True, check=False)
    assert (failed.returncode, MARK in failed.stdout + failed.stderr) == (1, False)
    assert "MemoryError" in failed.stderr


SMALL = 400
"""Bytes of an epoch that one function does whole."""


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    parameters = {
        "Pipeline": "pipelines.private:pipeline",
        "SmallEpochBytes": str(SMALL),
        "LogLevel": "DEBUG",
    }
    with LocalCloud(parameters=parameters, pipelines=HERE / "pipelines") as cloud:
        yield cloud


def executions(cloud: LocalCloud) -> str:
    """All that the executions' histories say, inputs and causes of failures included."""
    machines, arn = cloud.client("stepfunctions"), cloud.outputs["EpochMachine"]
    found = []
    for each in machines.list_executions(stateMachineArn=arn)["executions"]:
        found.append(machines.describe_execution(executionArn=each["executionArn"]))
        found.append(machines.get_execution_history(executionArn=each["executionArn"])["events"])
    return json.dumps(found, default=str)


def test_functions_log_no_record_and_fail_without_naming_one(cloud: LocalCloud) -> None:
    for name, records in (("large", GOOD + BAD), ("small", BAD[-2:])):
        upload(cloud, f"private/{name}.json", lines(records))
        assert settled(cloud) == {"SUCCEEDED"}
    assert len(lines(GOOD + BAD)) > SMALL > len(lines(BAD[-2:]))
    assert functions_called(cloud) >= {"Epoch", "Map", "Reduce", "Commit"}
    upload(cloud, "private/fatal.json", lines(FATAL))
    assert settled(cloud) == {"SUCCEEDED", "FAILED"}
    written, told = logs(cloud), executions(cloud)
    assert "MemoryError" in written, "the failure is told"
    assert "private.py" in written, "and where it happened"
    assert "MemoryError" in told
    assert MARK not in written
    assert MARK not in told
    rows = cloud.client("dynamodb").scan(TableName=cloud.outputs["Table"])["Items"]
    assert MARK not in json.dumps(rows)
