"""The services that boto3 speaks to: rows in DynamoDB, executions of Step Functions, alarms.

The only import of boto3. Objects have a file of their own (`s3`), since map and reduce need no more.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tidegate.errors import ConditionFailed, TidegateError, UsageError
from tidegate.stores.ports import QUEUE_DELAY, Add, Anything, Delete, ObjectInfo, Put, Row, Write

_ATTEMPTS = 8
"""How often a write is tried that meets another one under way, and a read that is answered in part."""

_SCHEDULE_PRECISION = 60
"""Seconds that a schedule may be late."""

_READ_TOGETHER = 100
"""Rows that one request reads at most."""


class DynamoTable:
    """The rows of one pipeline in a DynamoDB table with the keys `pk` (the pipeline) and `sk`.

    Args:
        table: The table's name.
        pipeline: The pipeline's name.
    """

    def __init__(self, table: str, pipeline: str) -> None:
        self._client = boto3.client("dynamodb")
        self._table = table
        self._pipeline = pipeline

    def get(self, key: str) -> Row | None:
        """See `Table.get`; the read is consistent, as all of them here are."""
        answer = self._client.get_item(TableName=self._table, Key=self._key(key), ConsistentRead=True)
        return _row(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """See `Table.get_many`; what the service leaves out of an answer is asked for again."""
        found: dict[str, Row] = {}
        wanted = [self._key(key) for key in dict.fromkeys(keys)]
        for attempt in range(_ATTEMPTS):
            left: list[dict[str, Any]] = []
            for start in range(0, len(wanted), _READ_TOGETHER):
                asked = {"Keys": wanted[start : start + _READ_TOGETHER], "ConsistentRead": True}
                answer = self._client.batch_get_item(RequestItems={self._table: asked})
                found |= {item["sk"]["S"]: _row(item) for item in answer["Responses"].get(self._table, ())}
                left += answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", ())
            if not left:
                return found
            wanted = left
            _pause(attempt)
        raise self._busy()

    def query(self, prefix: str, limit: int, *, last: bool = False) -> list[tuple[str, Row]]:
        """See `Table.query`."""
        found: list[tuple[str, Row]] = []
        following: dict[str, Any] = {}
        while len(found) < limit:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues={":pk": {"S": self._pipeline}, ":sk": {"S": prefix}},
                ConsistentRead=True,
                ScanIndexForward=not last,
                Limit=limit - len(found),
                **following,
            )
            found += [(item["sk"]["S"], _row(item)) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            following = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return found[::-1] if last else found

    def write(self, *writes: Write) -> None:
        """See `Table.write`; a conflict with another write under way is tried again."""
        actions = [self._action(write) for write in writes]
        for attempt in range(_ATTEMPTS):
            try:
                self._client.transact_write_items(TransactItems=actions)
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = {reason.get("Code", "") for reason in error.response.get("CancellationReasons", [])}
                if "ConditionalCheckFailed" in reasons:
                    raise ConditionFailed(f"a row of {self._table} is not as it was expected") from None
                if not reasons & {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}:
                    raise
                _pause(attempt)
            else:
                return
        raise self._busy()

    def _action(self, write: Write) -> dict[str, Any]:
        if isinstance(write, Delete):
            return {"Delete": {"TableName": self._table, "Key": self._key(write.key)}}
        if isinstance(write, Add):
            return {
                "Update": {
                    "TableName": self._table,
                    "Key": self._key(write.key),
                    "UpdateExpression": "ADD #name :amount",
                    "ExpressionAttributeNames": {"#name": write.attribute},
                    "ExpressionAttributeValues": {":amount": {"N": str(write.amount)}},
                }
            }
        item = self._key(write.key) | {name: _typed(value) for name, value in write.row.items()}
        return {"Put": {"TableName": self._table, "Item": item, **_condition(write)}}

    def _busy(self) -> TidegateError:
        return TidegateError(
            f"the table {self._table} was too busy for {_ATTEMPTS} attempts; it will be tried again"
        )

    def _key(self, key: str) -> dict[str, Any]:
        return {"pk": {"S": self._pipeline}, "sk": {"S": key}}


class UploadedVersions:
    """The versions of the objects in a bucket, as events of uploads name them.

    Args:
        bucket: The bucket's name.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def list(self, folder: str) -> Iterator[ObjectInfo]:
        """The versions of all objects below a folder; those of a bucket without versions have their ETag."""
        pages = boto3.client("s3").get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._bucket, Prefix=f"{folder}/"):
            for each in page.get("Versions", ()):
                version = each["VersionId"] if each["VersionId"] != "null" else each["ETag"]
                modified = int(each["LastModified"].timestamp() * 1_000_000)
                yield ObjectInfo(each["Key"], each["Size"], version, modified)


class AlarmQueue:
    """Alarms as messages of the intake queue, delayed; those beyond the longest delay as one-time schedules.

    Args:
        queue: The queue's URL.
        queue_arn: Its ARN.
        group: The group of schedules.
        role: ARN of the role with which a schedule sends its message.
        message: What the message of an alarm says.
    """

    def __init__(
        self, queue: str, queue_arn: str, group: str, role: str, message: Callable[[int], str]
    ) -> None:
        self._queue = queue
        self._queue_arn = queue_arn
        self._group = group
        self._role = role
        self._message = message

    def set(self, moment: int, now: int) -> None:
        """See `Alarms.set`."""
        seconds = max(0, -(-(moment - now) // 1_000_000))
        if moment - now <= QUEUE_DELAY:
            boto3.client("sqs").send_message(
                QueueUrl=self._queue, MessageBody=self._message(moment), DelaySeconds=seconds
            )
            return
        scheduler = boto3.client("scheduler")
        # Early by as much as a schedule may be late; the rest is a message's delay.
        at = datetime.fromtimestamp(moment // 1_000_000 - _SCHEDULE_PRECISION, UTC)
        # One schedule for a moment, however often it is set.
        with suppress(scheduler.exceptions.ConflictException):
            scheduler.create_schedule(
                Name=f"alarm-{moment}",
                GroupName=self._group,
                ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={"Arn": self._queue_arn, "RoleArn": self._role, "Input": self._message(moment)},
            )


class StateMachine:
    """A Step Functions state machine.

    Args:
        arn: Its ARN.
    """

    def __init__(self, arn: str) -> None:
        self._client = boto3.client("stepfunctions")
        self._arn = arn

    def start(self, execution: str) -> bool:
        """Starts an execution, unless one of this name runs.

        Returns:
            Whether one of this name runs now. The service takes a name for the one that runs under it,
            and refuses it for 90 days once that one has ended.
        """
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=execution, input="{}")
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True


@contextmanager
def asked_by_hand() -> Iterator[None]:
    """Says what is wrong with the names, the region or the keys that somebody gave, in the service's words.

    Raises:
        UsageError: A service refused a request, or could not be asked.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UsageError(f"AWS: {error}; see to the names, the region and the keys that you gave") from None


def outputs_of_stack(stack: str) -> dict[str, str]:
    """The values of a deployed stack's outputs, by their keys.

    Raises:
        UsageError: See `asked_by_hand`.
    """
    with asked_by_hand():
        (described,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311  (jitter, not a secret)


def _condition(write: Put) -> dict[str, Any]:
    if isinstance(write.expected, Anything):
        return {}
    if write.expected is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    names = {f"#n{number}": name for number, name in enumerate(write.expected)}
    values = {f":v{number}": _typed(value) for number, value in enumerate(write.expected.values())}
    tests = ["attribute_exists(pk)", *(f"#n{number} = :v{number}" for number in range(len(names)))]
    condition: dict[str, Any] = {"ConditionExpression": " AND ".join(tests)}
    if names:
        condition |= {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return condition


def _typed(value: str | int) -> dict[str, str]:
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _row(item: Mapping[str, Any]) -> Row:
    return {
        name: value["S"] if "S" in value else int(value["N"])
        for name, value in item.items()
        if name not in ("pk", "sk")
    }
