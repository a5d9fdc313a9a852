from itertools import count

import pytest

from tidegate.stores.aws import DynamoTable
from tidegate.stores.ports import Put, Table
from tidegate.testing.table import TableConformance

_pipelines = count()


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
