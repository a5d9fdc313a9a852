"""The template as SAM transforms it: complete, closed, and with no more rights than needed."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.localcloud.template import Scope, creation_order, transformed

ROOT = Path(__file__).parents[2]
TEMPLATE = transformed(ROOT / "template.yaml", {})
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
MACHINE = yaml.safe_load((ROOT / "infra" / "epoch.asl.yaml").read_text())
FUNCTIONS = ("Intake", "Plan", "Epoch", "Map", "Reduce", "Commit", "Reconcile", "Sweep")
BUCKETS = ("InputBucket", "StateBucket", "OutputBucket")


def of_type(kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == kind}


def statements(role: str) -> list[dict[str, Any]]:
    policies = RESOURCES[role]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def actions(statement: dict[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def test_no_resource_waits_for_itself() -> None:
    assert set(creation_order(TEMPLATE)) == set(RESOURCES)


def test_every_folder_of_a_function_is_deployed() -> None:
    deployed = {one["Code"]["S3Key"].strip("/") for one in of_type("AWS::Lambda::Function").values()}
    assert deployed == {
        f"functions/{path.name}" for path in (ROOT / "functions").iterdir() if (path / "app.py").exists()
    }
    assert deployed == {f"functions/{name.lower()}" for name in FUNCTIONS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_role_of_its_own(name: str) -> None:
    function = RESOURCES[f"{name}Function"]["Properties"]
    assert function["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
    assert function["Runtime"] == "python3.13"
    assert statements(f"{name}Role")


@pytest.mark.parametrize("role", [f"{name}Role" for name in FUNCTIONS] + ["EpochMachineRole"])
def test_no_role_may_do_more_than_it_names(role: str) -> None:
    for statement in statements(role):
        assert not [action for action in actions(statement) if "*" in action]
        logs_delivery = all(action.startswith("logs:") for action in actions(statement))
        assert statement["Resource"] != "*" or logs_delivery


def test_no_role_has_a_policy_of_aws_that_covers_every_resource() -> None:
    attached = [role.get("ManagedPolicyArns", []) for role in of_type("AWS::IAM::Role").values()]
    assert all(policy == {"Ref": "WriteFunctionLogs"} for policies in attached for policy in policies)


def test_map_and_reduce_cannot_touch_the_table() -> None:
    for role in ("MapRole", "ReduceRole"):
        assert not [one for one in statements(role) if any(a.startswith("dynamodb:") for a in actions(one))]


def test_only_intake_plan_reconcile_and_the_machine_start_executions() -> None:
    starters = {
        role
        for role in of_type("AWS::IAM::Role")
        if any("states:StartExecution" in actions(statement) for statement in statements(role))
    }
    assert starters == {"IntakeRole", "PlanRole", "ReconcileRole", "EpochMachineRole"}


def test_the_state_machine_starts_and_stops_executions_of_itself_alone() -> None:
    """For a Distributed Map: AWS names them `execution:MACHINE/LABEL:ID`."""
    of_states = [one for one in statements("EpochMachineRole") if actions(one)[0].startswith("states:")]
    here = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:"
    name = RESOURCES["EpochMachine"]["Properties"]["StateMachineName"]["Fn::Sub"]
    assert [(actions(one), one["Resource"]) for one in of_states] == [
        (["states:StartExecution"], {"Fn::Sub": f"{here}stateMachine:{name}"}),
        (
            ["states:DescribeExecution", "states:StopExecution"],
            [{"Fn::Sub": f"{here}execution:{name}{end}"} for end in (":*", "/*")],
        ),
    ]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_is_private_encrypted_and_for_tls_only(bucket: str) -> None:
    properties = RESOURCES[bucket]["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["BucketEncryption"]
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    policy = RESOURCES[f"{bucket}Policy"]["Properties"]
    assert policy["Bucket"] == {"Ref": bucket}
    resources = [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]
    assert tls_only("s3", resources) in policy["PolicyDocument"]["Statement"]
    assert RESOURCES[bucket]["DeletionPolicy"] == RESOURCES[bucket]["UpdateReplacePolicy"] == "Retain"


def tls_only(service: str, resource: Any) -> dict[str, Any]:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": f"{service}:*",
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


@pytest.mark.parametrize(
    ("bucket", "days"), [("InputBucket", None), ("StateBucket", 7), ("OutputBucket", 90)]
)
def test_a_bucket_keeps_versions_for_a_time(bucket: str, days: int | None) -> None:
    properties = RESOURCES[bucket]["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = properties["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    # A replaced upload is an input of its own, and a replay reads it years later.
    kept = [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules if days is not None]
    assert kept == [days] * (days is not None)
    for rule in rules:
        assert not {"ExpirationInDays", "ExpirationDate", "Transitions"} & set(rule), "a current object stays"


@pytest.mark.parametrize(
    ("policy", "queue"),
    [("IntakeQueuePolicy", "IntakeQueue"), ("IntakeDeadLettersPolicy", "IntakeDeadLetters")],
)
def test_a_queue_is_encrypted_and_for_tls_only(policy: str, queue: str) -> None:
    properties = RESOURCES[policy]["Properties"]
    assert properties["Queues"] == [{"Ref": queue}]
    resource = {"Fn::GetAtt": [queue, "Arn"]}
    assert tls_only("sqs", resource) in properties["PolicyDocument"]["Statement"]
    assert RESOURCES[queue]["Properties"]["SqsManagedSseEnabled"] is True


def test_only_the_input_bucket_of_this_account_may_send_notifications() -> None:
    statements = RESOURCES["IntakeQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = [each for each in statements if each["Effect"] == "Allow"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "s3.amazonaws.com"}, "sqs:SendMessage")
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    (source,) = allowed["Condition"]["ArnEquals"].values()
    name = RESOURCES["InputBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert source == {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::{name}"}


def test_the_table_can_be_restored_and_is_not_removed_by_mistake() -> None:
    properties = RESOURCES["Table"]["Properties"]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["DeletionProtectionEnabled"] is True
    assert RESOURCES["Table"]["DeletionPolicy"] == "Retain"


def test_logs_end_and_hold_no_data_of_executions() -> None:
    for group in of_type("AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] == {"Ref": "LogRetention"}
    logging = RESOURCES["EpochMachine"]["Properties"]["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)


def test_a_message_that_fails_again_and_again_is_kept_and_noticed() -> None:
    queue = RESOURCES["IntakeQueue"]["Properties"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["IntakeDeadLetters", "Arn"]}
    assert queue["VisibilityTimeout"] >= 6 * RESOURCES["IntakeFunction"]["Properties"]["Timeout"]
    (source,) = of_type("AWS::Lambda::EventSourceMapping").values()
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_an_alarm_tells_whatever_needs_somebody() -> None:
    alarms = of_type("AWS::CloudWatch::Alarm").values()
    watched = Counter((each["Namespace"], each["MetricName"]) for each in alarms)
    assert watched == {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): 1,
        ("AWS/States", "ExecutionsFailed"): 1,
        ("AWS/States", "ExecutionsAborted"): 1,
        ("AWS/States", "ExecutionsTimedOut"): 1,
        ("AWS/Lambda", "Errors"): 2,
    }
    errors = [each["Dimensions"] for each in alarms if each["MetricName"] == "Errors"]
    # The state machine goes on when these two fail, so no failed execution tells of it.
    assert [dimension["Value"] for (dimension,) in errors] == [
        {"Ref": "ReconcileFunction"},
        {"Ref": "SweepFunction"},
    ]
    for each in alarms:
        assert (each["Threshold"], each["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
        assert each["AlarmActions"]["Fn::If"][:2] == ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}]]


def test_only_an_emulator_gets_an_endpoint() -> None:
    for parameters, present in (({}, False), ({"EndpointUrl": "http://127.0.0.1:4566"}, True)):
        scope = Scope(TEMPLATE, parameters, "tidegate")
        assert bool(scope.resolve({"Fn::If": ["OnEmulator", "yes", {"Ref": "AWS::NoValue"}]})) is present


def test_the_state_machine_gets_every_name_that_it_uses() -> None:
    text = (ROOT / "infra" / "epoch.asl.yaml").read_text()
    substitutions = RESOURCES["EpochMachine"]["Properties"]["DefinitionSubstitutions"]
    assert {name for name in substitutions if f"${{{name}}}" in text} == set(substitutions)
    assert text.count("${") == sum(text.count(f"${{{name}}}") for name in substitutions)
    for name, value in substitutions.items():
        if name != "Partition":
            assert value["Fn::GetAtt"][0] in of_type("AWS::Lambda::Function")
            assert value in statements("EpochMachineRole")[0]["Resource"]


def every_state(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = dict(machine["States"])
    for state in machine["States"].values():
        found |= every_state(state["ItemProcessor"]) if "ItemProcessor" in state else {}
    return found


def test_every_state_is_reached() -> None:
    states = MACHINE["States"]
    reached, ahead = set(), [MACHINE["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            state = states[name]
            branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
            ahead += [branch["Next"] for branch in branches if "Next" in branch]
            ahead += [state["Default"]] if "Default" in state else []
    assert reached == set(states)


def test_every_task_is_retried_with_backoff_and_jitter() -> None:
    tasks = [state for state in every_state(MACHINE).values() if state["Type"] == "Task"]
    assert len(tasks) == 11
    for task in tasks:
        for retry in task["Retry"]:
            assert retry["BackoffRate"] > 1
            assert retry["JitterStrategy"] == "FULL"
            assert retry["MaxDelaySeconds"] <= 60


def test_every_failure_gives_the_lease_back() -> None:
    states = MACHINE["States"]
    for name in ("Plan", "Epoch", "MapStage", "WideMapStage", "ReduceStage", "WideReduceStage", "Commit"):
        assert [catch["Next"] for catch in states[name]["Catch"]] == ["Release"]
    for name in ("Reconcile", "Sweep"):
        assert [catch["Next"] for catch in states[name]["Catch"]] == ["Plan"]
    assert {states["Release"]["Next"], states["Release"]["Catch"][0]["Next"]} == {"Failed"}
