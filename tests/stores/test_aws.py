from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tidegate.stores.aws import AlarmQueue, DynamoTable, UploadedVersions
from tidegate.stores.ports import Put, Table
from tidegate.testing.table import TableConformance

_pipelines, _buckets = count(), count()


@pytest.fixture(scope="session")
def table_name(aws: str) -> str:
    import boto3

    session = boto3.Session("test", "test", region_name="us-east-1")
    client = session.client("dynamodb", endpoint_url=aws)
    client.create_table(
        TableName="pipelines",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.close()
    return "pipelines"


class TestDynamoTable(TableConformance):
    @pytest.fixture
    def table(self, table_name: str, aws_environment: str) -> Table:
        return DynamoTable(table_name, f"pipeline-{next(_pipelines)}")


def test_pipelines_do_not_see_each_other(table_name: str, aws_environment: str) -> None:
    first, second = DynamoTable(table_name, "one"), DynamoTable(table_name, "two")
    first.write(Put("row", {"n": 1}))
    assert second.get("row") is None
    assert second.query("row", 10) == []
    second.write(Put("row", {"n": 2}))
    assert first.get("row") == {"n": 1}


@pytest.fixture
def s3(aws_environment: str) -> Iterator[Any]:
    import boto3

    client = boto3.client("s3")
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"uploads-{next(_buckets)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def test_every_version_of_an_upload_is_listed_as_its_event_names_it(s3: Any, versioned: str) -> None:
    versions = [
        s3.put_object(Bucket=versioned, Key="in/a.json", Body=body)["VersionId"] for body in (b"1", b"22")
    ]
    listed = list(UploadedVersions(versioned).list("in"))
    assert {(each.key, each.version, each.size) for each in listed} == {
        ("in/a.json", versions[0], 1),
        ("in/a.json", versions[1], 2),
    }
    written = s3.head_object(Bucket=versioned, Key="in/a.json")["LastModified"].timestamp()
    assert all(abs(each.modified / 1_000_000 - written) < 60 for each in listed)


def test_a_removed_upload_is_listed_while_its_version_can_be_read(s3: Any, versioned: str) -> None:
    version = s3.put_object(Bucket=versioned, Key="in/a.json", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=versioned, Key="in/a.json")
    assert marker["DeleteMarker"]
    assert [each.version for each in UploadedVersions(versioned).list("in")] == [version]
    s3.delete_object(Bucket=versioned, Key="in/a.json", VersionId=version)
    assert list(UploadedVersions(versioned).list("in")) == []


def test_more_uploads_are_listed_than_one_answer_holds(s3: Any, versioned: str) -> None:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    names = {f"in/{number:04d}.json" for number in range(510)}
    for name in sorted(names) * 2:
        # A request for each would take half a minute.
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(versioned, name, b"1")
    assert s3.list_object_versions(Bucket=versioned)["IsTruncated"]
    listed = list(UploadedVersions(versioned).list("in"))
    assert (len(listed), {each.key for each in listed}) == (1_020, names)
    assert len({(each.key, each.version) for each in listed}) == 1_020


def test_without_versions_an_upload_has_its_etag_in_quotes(s3: Any, bucket: str) -> None:
    """As intake makes of an event that has no version; it is what a conditional read takes."""
    etag = s3.put_object(Bucket=bucket, Key="in/a.json", Body=b"1")["ETag"]
    (only,) = UploadedVersions(bucket).list("in")
    assert only.version == etag
    assert only.version.startswith('"')


@pytest.mark.parametrize("key", ["in/a b+ü.json", "in/50%25.json", "in/a&b=c?.json", "in/deep/er/ß.json"])
def test_keys_are_listed_as_they_were_uploaded(s3: Any, versioned: str, key: str) -> None:
    s3.put_object(Bucket=versioned, Key=key, Body=b"1")
    s3.put_object(Bucket=versioned, Key="inside.json", Body=b"not below the folder")
    assert [each.key for each in UploadedVersions(versioned).list("in")] == [key]


NOON = 1_800_000_000_000_000
SECOND = 1_000_000


@pytest.fixture
def alarms(aws_environment: str) -> Iterator[tuple[AlarmQueue, Any, Any]]:
    import boto3

    sqs, scheduler = boto3.client("sqs"), boto3.client("scheduler")
    url = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    group = f"group{next(_buckets)}"
    scheduler.create_schedule_group(Name=group)
    role = "arn:aws:iam::123456789012:role/alarms"
    yield AlarmQueue(url, arn, group, role, "alarm at {}".format), sqs, scheduler
    sqs.delete_queue(QueueUrl=url)
    sqs.close()
    scheduler.close()


def test_a_near_alarm_is_a_delayed_message(alarms: Any) -> None:
    queue, sqs, _ = alarms
    queue.set(NOON, now=NOON + 5 * SECOND)
    queue.set(NOON + 60 * SECOND + 1, now=NOON)
    queue.set(NOON + 900 * SECOND, now=NOON)
    url = sqs.get_queue_url(QueueName="alarms")["QueueUrl"]
    at_once = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    assert [each["Body"] for each in at_once] == [f"alarm at {NOON}"], "one that is past comes at once"
    names = ["ApproximateNumberOfMessagesDelayed"]
    waiting = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert waiting == {"ApproximateNumberOfMessagesDelayed": "2"}, "never before its moment"


def test_a_far_alarm_is_one_schedule_that_comes_early_and_goes(alarms: Any) -> None:
    queue, _, scheduler = alarms
    moment = NOON + 3_600 * SECOND + 7
    queue.set(moment, now=NOON)
    queue.set(moment, now=NOON + 1)
    (listed,) = scheduler.list_schedules(GroupName=queue._group)["Schedules"]
    schedule = scheduler.get_schedule(GroupName=queue._group, Name=listed["Name"])
    assert schedule["ScheduleExpression"] == "at(2027-01-15T08:59:00)", "a minute before 09:00:00"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["Target"]["Input"] == f"alarm at {moment}"
