import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

from tidegate.errors import ObjectNotFound, TidegateError
from tidegate.stores.ports import Objects
from tidegate.stores.s3 import S3Objects
from tidegate.testing.objects import ObjectsConformance

_buckets = count()

TOGETHER = 6


@pytest.fixture
def bucket(aws_environment: str) -> str:
    import boto3

    name = f"bucket-{next(_buckets)}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    client.close()
    return name


def _objects(bucket: str, endpoint: str) -> S3Objects:
    return S3Objects(
        bucket,
        region="us-east-1",
        endpoint=endpoint,
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )


class TestS3Objects(ObjectsConformance):
    @pytest.fixture
    def objects(self, bucket: str, aws_environment: str) -> Objects:
        return _objects(bucket, aws_environment)


def test_a_version_id_reads_that_version(bucket: str, aws_environment: str) -> None:
    import boto3

    client = boto3.client("s3")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=bucket, Key="folder/a", Body=b"one")["VersionId"]
    second = client.put_object(Bucket=bucket, Key="folder/a", Body=b"two")["VersionId"]
    client.close()
    objects = _objects(bucket, aws_environment)
    assert objects.get("folder/a", first) == b"one"
    assert objects.get("folder/a", second) == b"two"
    assert objects.get("folder/a") == b"two"
    assert objects.get_ranges("folder/a", [(1, 2), (0, 1)], first) == [b"ne", b"o"]
    assert objects.get_ranges("folder/a", [(0, 1)], second) == [b"t"]


def test_an_etag_reads_only_what_it_names(bucket: str, aws_environment: str) -> None:
    import boto3

    client = boto3.client("s3")
    etag = client.put_object(Bucket=bucket, Key="folder/a", Body=b"one")["ETag"]
    objects = _objects(bucket, aws_environment)
    assert objects.get("folder/a", etag) == b"one"
    client.put_object(Bucket=bucket, Key="folder/a", Body=b"two")
    client.close()
    with pytest.raises(ObjectNotFound, match="of version"):
        objects.get("folder/a", etag)


def test_metadata_is_that_of_the_version_and_its_names_are_in_lower_case(
    bucket: str, aws_environment: str
) -> None:
    import boto3

    client = boto3.client("s3")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [
        client.put_object(Bucket=bucket, Key="folder/a", Body=b"x", Metadata=metadata)["VersionId"]
        for metadata in ({"Tidegate-Producer": "Web", "content-type": "mine"}, {"tidegate-producer": "app"})
    ]
    client.close()
    objects = _objects(bucket, aws_environment)
    assert objects.metadata("folder/a", versions[0]) == {"tidegate-producer": "Web", "content-type": "mine"}
    assert objects.metadata("folder/a", versions[1]) == {"tidegate-producer": "app"}
    assert objects.metadata("folder/a") == {"tidegate-producer": "app"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda objects: objects.get("folder/a"), "s3://bucket/folder/a cannot be read: "),
        (lambda objects: objects.get_ranges("folder/a", [(0, 1)]), "s3://bucket/folder/a cannot be read: "),
        (lambda objects: objects.metadata("folder/a"), "s3://bucket/folder/a cannot be read: "),
        (lambda objects: objects.put("folder/a", b"x"), "s3://bucket/folder/a cannot be written: "),
        (lambda objects: objects.put_if_absent("folder/a", b"x"), "s3://bucket/folder/a cannot be written: "),
        (lambda objects: objects.list("folder"), "s3://bucket/folder/ cannot be listed: "),
        (lambda objects: objects.delete(["folder/a"]), "s3://bucket/folder/a cannot be removed: "),
    ],
)
def test_a_store_that_does_not_answer_is_told_in_one_line(
    aws_environment: str, call: Callable[[S3Objects], object], message: str
) -> None:
    nobody = S3Objects(
        "bucket",
        region="us-east-1",
        endpoint="http://127.0.0.1:9",
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
        retry_config={"max_retries": 0},
    )
    with pytest.raises(TidegateError) as raised:
        call(nobody)
    assert not isinstance(raised.value, ObjectNotFound)
    assert str(raised.value).startswith(message)
    assert "run it again" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bucket_that_is_not_there_is_named(aws_environment: str) -> None:
    with pytest.raises(TidegateError, match=r"s3://no-such-bucket/folder/a cannot be written: "):
        _objects("no-such-bucket", aws_environment).put_if_absent("folder/a", b"x")


@pytest.mark.parametrize("key", ["folder/a b", "folder/ü", "folder/50%", "folder/a%20b", "folder/a+b"])
def test_keys_of_other_writers_are_read(bucket: str, aws_environment: str, key: str) -> None:
    import boto3

    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key=key, Body=b"theirs")
    client.close()
    assert _objects(bucket, aws_environment).get(key) == b"theirs"


@pytest.mark.parametrize("key", ["folder//a", "folder/./a", "folder/../a", "folder/line\nend"])
def test_a_key_that_obstore_cannot_address_is_not_found(bucket: str, aws_environment: str, key: str) -> None:
    """And so a dead letter, where it is an upload's, instead of a pipeline that cannot go on."""
    with pytest.raises(ObjectNotFound, match="cannot be addressed"):
        _objects(bucket, aws_environment).get(key)


@pytest.fixture
def requests() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A bucket that takes everything: its endpoint, and the headers of the requests that came."""
    seen: list[dict[str, str]] = []
    together = threading.Barrier(TOGETHER)

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.see()
            # Nobody is answered before as many have asked.
            together.wait(60)
            asked = self.headers["Range"]
            first, last = map(int, asked.removeprefix("bytes=").split("-")) if asked else (0, 99)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Range", f"bytes {first}-{last}/1000")
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            self.send_header("ETag", '"0123"')
            self.end_headers()
            self.wfile.write(bytes(range(first, last + 1)))

        def see(self) -> None:
            seen.append({"path": self.path} | {name.lower(): value for name, value in self.headers.items()})

        def do_PUT(self) -> None:
            self.see()
            left = int(self.headers["Content-Length"])
            while left:
                left -= len(self.rfile.read(min(left, 1 << 20)))
            self.send_response(200)
            self.send_header("ETag", '"0123"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def test_a_create_says_so_to_the_bucket_whose_policy_asks_for_it(
    requests: tuple[str, list[dict[str, str]]], aws_environment: str
) -> None:
    endpoint, seen = requests
    objects = _objects("state", endpoint)
    assert objects.put_if_absent("p/epochs/0000000001/record.json", b"{}")
    objects.put("p/data/0000000001/map-00000-a-shuffle.arrow", b"x")
    assert [each.get("if-none-match") for each in seen] == ["*", None]


def test_many_objects_are_asked_for_at_the_same_time_and_neighbouring_parts_in_one_request(
    requests: tuple[str, list[dict[str, str]]], aws_environment: str
) -> None:
    endpoint, seen = requests
    wanted = [(f"folder/{number}", [(number, 2), (number + 2, 3)]) for number in range(TOGETHER)]
    found = _objects("state", endpoint).get_many(wanted)
    assert found == [[bytes(range(n, n + 2)), bytes(range(n + 2, n + 5))] for n in range(TOGETHER)]
    assert sorted((each["path"], each["range"]) for each in seen) == [
        (f"/state/folder/{n}", f"bytes={n}-{n + 4}") for n in range(TOGETHER)
    ]


def test_many_versions_are_asked_for_at_the_same_time(
    requests: tuple[str, list[dict[str, str]]], aws_environment: str
) -> None:
    endpoint, seen = requests
    wanted = [(f"folder/{number}", f"v{number}") for number in range(TOGETHER)]
    assert len(_objects("state", endpoint).get_versions(wanted)) == TOGETHER
    assert sorted(each["path"] for each in seen) == sorted(
        f"/state/{key}?versionId={version}" for key, version in wanted
    )


def test_a_large_object_is_sent_in_one_request(
    requests: tuple[str, list[dict[str, str]]], aws_environment: str
) -> None:
    """Parts carry no condition: the policy that enforces creates would refuse them."""
    endpoint, seen = requests
    assert _objects("output", endpoint).put_if_absent("totals/epoch-1.json", bytes(20_000_000))
    (only,) = seen
    assert (only["path"], only["if-none-match"]) == ("/output/totals/epoch-1.json", "*")
    assert int(only["content-length"]) == 20_000_000
