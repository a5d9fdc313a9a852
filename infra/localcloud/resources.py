"""Makes each resource of a template with the ordinary API calls, one function a type."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from infra.localcloud.functions import FunctionDefinition, FunctionPool
from infra.localcloud.queue_poller import EventSource
from infra.localcloud.template import ACCOUNT, LOCAL, REGION

Properties = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What a template sees of a resource: the value of `Ref`, and those of `Fn::GetAtt`."""

    ref: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Workshop:
    """Where resources are made.

    Attributes:
        stack: the stack's name, which names without one of their own start with.
        root: the folder that the template's paths start from.
        client: gives the boto3 client of a service.
        pool: where functions are deployed.
        search_path: what functions import from, after their own folder.
        event_sources: the event source mappings that were made.
        schedule_groups: the names of the groups of schedules that were made.
    """

    stack: str
    root: Path
    client: Callable[[str], Any]
    pool: FunctionPool
    search_path: tuple[Path, ...]
    event_sources: list[EventSource] = field(default_factory=list)
    schedule_groups: list[str] = field(default_factory=list)

    def name(self, logical_id: str) -> str:
        """Returns a physical name for a resource that has none of its own."""
        return f"{self.stack}-{logical_id}"


def _local_path(bucket: str, key: str) -> Path:
    if f"s3://{bucket}/" != LOCAL:
        raise NotImplementedError(f"code in the bucket {bucket} cannot be run here, only local folders")
    return Path(key)


def _bucket(work: Workshop, logical_id: str, given: Properties) -> Made:
    s3, name = work.client("s3"), given.get("BucketName", work.name(logical_id).lower())
    s3.create_bucket(Bucket=name)
    if "VersioningConfiguration" in given:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=given["VersioningConfiguration"])
    if "PublicAccessBlockConfiguration" in given:
        configuration = given["PublicAccessBlockConfiguration"]
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=configuration)
    if "NotificationConfiguration" in given:
        queues = [
            {"QueueArn": one["Queue"], "Events": [one["Event"]]}
            for one in given["NotificationConfiguration"]["QueueConfigurations"]
        ]
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": queues}
        )
    return Made(name, {"Arn": f"arn:aws:s3:::{name}"})


def _queue(work: Workshop, logical_id: str, given: Properties) -> Made:
    sqs, name = work.client("sqs"), given.get("QueueName", work.name(logical_id))
    attributes = {
        key: str(value) for key, value in given.items() if key not in {"QueueName", "RedrivePolicy"}
    }
    if "RedrivePolicy" in given:
        attributes["RedrivePolicy"] = json.dumps(given["RedrivePolicy"])
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return Made(url, {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "QueueName": name, "QueueUrl": url})


def _queue_policy(work: Workshop, logical_id: str, given: Properties) -> Made:
    for url in given["Queues"]:
        policy = json.dumps(given["PolicyDocument"])
        work.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return Made(work.name(logical_id))


def _table(work: Workshop, logical_id: str, given: Properties) -> Made:
    name = given.get("TableName", work.name(logical_id))
    keys = ("BillingMode", "AttributeDefinitions", "KeySchema")
    work.client("dynamodb").create_table(TableName=name, **{key: given[key] for key in keys})
    return Made(name, {"Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"})


def _schedule_group(work: Workshop, logical_id: str, given: Properties) -> Made:
    name = given.get("Name", work.name(logical_id))
    arn = work.client("scheduler").create_schedule_group(Name=name)["ScheduleGroupArn"]
    work.schedule_groups.append(name)
    return Made(name, {"Arn": arn})


def _role(work: Workshop, logical_id: str, given: Properties) -> Made:
    iam, name = work.client("iam"), given.get("RoleName", work.name(logical_id))
    document = json.dumps(given["AssumeRolePolicyDocument"])
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for policy in given.get("Policies", []):
        text = json.dumps(policy["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=text)
    for policy in given.get("ManagedPolicyArns", []):
        if not policy.startswith("arn:aws:iam::aws:"):  # AWS's own policies do not exist here
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    return Made(name, {"Arn": arn})


def _managed_policy(work: Workshop, logical_id: str, given: Properties) -> Made:
    document = json.dumps(given["PolicyDocument"])
    answer = work.client("iam").create_policy(PolicyName=work.name(logical_id), PolicyDocument=document)
    return Made(answer["Policy"]["Arn"])


def _log_group(work: Workshop, logical_id: str, given: Properties) -> Made:
    name = given.get("LogGroupName", work.name(logical_id))
    work.client("logs").create_log_group(logGroupName=name)
    return Made(name, {"Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"})


def _layer(work: Workshop, logical_id: str, given: Properties) -> Made:
    name = given.get("LayerName", work.name(logical_id))
    return Made(f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}:1")


def _function(work: Workshop, logical_id: str, given: Properties) -> Made:
    name = given.get("FunctionName", work.name(logical_id))
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    folder = work.root / _local_path(given["Code"]["S3Bucket"], given["Code"]["S3Key"])
    variables = given.get("Environment", {}).get("Variables", {})
    work.pool.deploy(
        FunctionDefinition(
            name=name,
            arn=arn,
            handler=given["Handler"],
            search_path=(folder.resolve(), *work.search_path),
            environment={key: str(value) for key, value in variables.items()},
            timeout=int(given.get("Timeout", 3)),
            memory=int(given.get("MemorySize", 128)),
        )
    )
    return Made(name, {"Arn": arn})


def _event_source(work: Workshop, logical_id: str, given: Properties) -> Made:
    arn = given["EventSourceArn"]
    url = work.client("sqs").get_queue_url(QueueName=arn.split(":")[-1])["QueueUrl"]
    work.event_sources.append(
        EventSource(
            queue_url=url,
            queue_arn=arn,
            function=given["FunctionName"].split(":function:")[-1],
            batch_size=int(given.get("BatchSize", 10)),
            batch_window=int(given.get("MaximumBatchingWindowInSeconds", 0)),
            concurrency=int(given.get("ScalingConfig", {}).get("MaximumConcurrency", 5)),
            partial_failures="ReportBatchItemFailures" in given.get("FunctionResponseTypes", []),
        )
    )
    return Made(work.name(logical_id))


def _state_machine(work: Workshop, logical_id: str, given: Properties) -> Made:
    location = given["DefinitionS3Location"]
    path = work.root / _local_path(location["Bucket"], location["Key"])
    substitutions = given.get("DefinitionSubstitutions", {})
    text = re.sub(
        r"\$\{(\w+)\}", lambda match: str(substitutions[match[1]]), path.read_text(encoding="utf-8")
    )
    answer = work.client("stepfunctions").create_state_machine(
        name=given.get("StateMachineName", work.name(logical_id)),
        definition=json.dumps(yaml.safe_load(text)),
        roleArn=given["RoleArn"],
        type=given.get("StateMachineType", "STANDARD"),
    )
    arn = answer["stateMachineArn"]
    return Made(arn, {"Arn": arn, "Name": arn.split(":")[-1]})


@dataclass(frozen=True)
class ResourceType:
    """How a type is made, and which of its properties have an effect; the others are reported as inert."""

    make: Callable[[Workshop, str, Properties], Made]
    properties: frozenset[str]


def _type(make: Callable[[Workshop, str, Properties], Made], *properties: str) -> ResourceType:
    return ResourceType(make, frozenset(properties))


TYPES = {
    "AWS::S3::Bucket": _type(
        _bucket,
        *(
            "BucketName",
            "VersioningConfiguration",
            "PublicAccessBlockConfiguration",
            "NotificationConfiguration",
        ),
    ),
    "AWS::SQS::Queue": _type(
        _queue, "QueueName", "VisibilityTimeout", "RedrivePolicy", "MessageRetentionPeriod", "DelaySeconds"
    ),
    "AWS::SQS::QueuePolicy": _type(_queue_policy),
    "AWS::DynamoDB::Table": _type(_table, "TableName", "BillingMode", "AttributeDefinitions", "KeySchema"),
    "AWS::Scheduler::ScheduleGroup": _type(_schedule_group, "Name"),
    "AWS::IAM::Role": _type(_role),
    "AWS::IAM::ManagedPolicy": _type(_managed_policy),
    "AWS::Logs::LogGroup": _type(_log_group, "LogGroupName"),
    "AWS::Lambda::LayerVersion": _type(_layer, "LayerName", "Content"),
    "AWS::Lambda::Function": _type(
        _function, "FunctionName", "Code", "Handler", "Environment", "Timeout", "Layers"
    ),
    "AWS::Lambda::EventSourceMapping": _type(
        _event_source,
        *("EventSourceArn", "FunctionName", "BatchSize", "MaximumBatchingWindowInSeconds"),
        *("FunctionResponseTypes", "ScalingConfig"),
    ),
    "AWS::StepFunctions::StateMachine": _type(
        _state_machine,
        *(
            "StateMachineName",
            "DefinitionS3Location",
            "DefinitionSubstitutions",
            "RoleArn",
            "StateMachineType",
        ),
    ),
}
