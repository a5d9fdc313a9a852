"""A pipeline that changed is deployed and replayed, by the command and the functions of the deployment."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.localcloud import LocalCloud
from tests.cloud.test_end_to_end import (
    FIRST,
    HERE,
    LATE,
    SECOND,
    logs,
    panes_in_cloud,
    panes_on_laptop,
    settle,
    tidegate,
    upload,
)


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(
        parameters={"Pipeline": "pipelines.scores:pipeline"}, pipelines=HERE / "pipelines"
    ) as cloud:
        yield cloud


def deploy(cloud: LocalCloud, module: str) -> None:
    """As `sam deploy` with another pipeline: each function has it from its next call on."""
    functions = cloud.client("lambda")
    for each in functions.list_functions()["Functions"]:
        variables = each["Environment"]["Variables"] | {"TIDEGATE_PIPELINE": f"pipelines.{module}:pipeline"}
        functions.update_function_configuration(
            FunctionName=each["FunctionName"], Environment={"Variables": variables}
        )


def refusal(cloud: LocalCloud) -> str:
    """What a coordinator is told; empty if it may go on."""
    payload = json.dumps({"action": "plan", "execution": "arn:somebody", "history": 0}).encode()
    answer = cloud.client("lambda").invoke(FunctionName="tidegate-PlanFunction", Payload=payload)
    if "FunctionError" not in answer:
        return ""
    error: str = json.loads(answer["Payload"].read())["errorType"]
    return error


def test_a_changed_pipeline_is_replayed_in_the_deployment(cloud: LocalCloud, tmp_path: Path) -> None:
    source = tmp_path / "input" / "scores"
    source.mkdir(parents=True)
    for name, content in (("first.json", FIRST), ("second.json", SECOND)):
        upload(cloud, f"scores/{name}", content)
        settle(cloud)
        (source / name).write_bytes(content)
        changed = panes_on_laptop(tmp_path, "scores_changed")
    before = panes_in_cloud(cloud)

    deploy(cloud, "scores_changed")
    assert refusal(cloud) == "IncompatiblePipeline"
    replayed = tidegate(cloud, "replay", "scores_changed", "--stack", cloud.stack)
    assert replayed.returncode == 0, replayed.stderr + logs(cloud)
    assert "2 epochs to repeat" in replayed.stderr
    assert replayed.stdout == "generation 2 counts from now on: totals.generation-2\n"
    assert panes_in_cloud(cloud, "totals.generation-2") == changed
    assert panes_in_cloud(cloud) == before
    told = cloud.client("s3").get_object(
        Bucket=cloud.outputs["OutputBucket"], Key="generations/team-scores/generation-002.json"
    )
    assert json.loads(told["Body"].read())["sink"] == "totals.generation-2"

    upload(cloud, "scores/z late.json", LATE)
    settle(cloud)
    (source / "z late.json").write_bytes(LATE)
    assert panes_in_cloud(cloud, "totals.generation-2") == panes_on_laptop(tmp_path, "scores_changed")
    assert panes_in_cloud(cloud) == before
    stats = tidegate(cloud, "stats", "scores", "--bucket", cloud.resources["StateBucket"]).stdout
    assert "3 epochs of 3 of generation 2" in stats


def test_what_cannot_be_replayed_is_refused_with_the_reason(cloud: LocalCloud) -> None:
    nothing = tidegate(cloud, "replay", "scores", "--stack", cloud.stack)
    assert nothing.returncode == 2
    assert "nothing to replay" in nothing.stderr
    upload(cloud, "scores/first.json", FIRST)
    settle(cloud)
    s3, bucket = cloud.client("s3"), cloud.outputs["InputBucket"]
    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    missing = tidegate(cloud, "replay", "scores", "--stack", cloud.stack)
    assert missing.returncode == 2
    assert "1 (such as scores/first.json) are gone" in missing.stderr
    unknown = tidegate(cloud, "replay", "scores", "--stack", "elsewhere")
    assert unknown.returncode == 2
    assert "elsewhere does not exist" in unknown.stderr
    skipped = tidegate(cloud, "replay", "scores", "--stack", cloud.stack, "--skip-missing")
    assert skipped.returncode == 0, skipped.stderr + logs(cloud)
    listed = s3.list_objects_v2(Bucket=cloud.outputs["OutputBucket"], Prefix="dead-letters/")["Contents"]
    assert [each["Key"].split("/")[1] for each in listed] == ["team-scores.generation-2"]
