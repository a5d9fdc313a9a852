"""What is counted is what S3 is asked: a proxy before an emulated one counts along."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tidegate.stores.metered import MeteredObjects
from tidegate.stores.s3 import S3Objects

MIB = 1024 * 1024


class Proxy(ThreadingHTTPServer):
    """Passes requests on and counts them by their kind, as S3 is paid for them."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Forward)
        self.backend = urlsplit(endpoint).netloc
        self.kinds: Counter[str] = Counter()


class Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        url = urlsplit(self.path)
        kind = {"PUT": "put", "GET": "list" if "list-type" in url.query else "get", "HEAD": "get"}
        self.server.kinds[kind.get(self.command, "delete")] += 1
        backend = HTTPConnection(self.server.backend)
        backend.request(self.command, self.path, body, dict(self.headers))
        answer = backend.getresponse()
        data = answer.read()
        backend.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test counts."""


@pytest.fixture
def proxy(aws_environment: str) -> Iterator[Proxy]:
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket="metered")
    client.close()
    with Proxy(aws_environment) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_requests_that_s3_gets_are_those_that_are_counted(proxy: Proxy) -> None:
    counted: Counter[str] = Counter()
    store = S3Objects(
        "metered",
        region="us-east-1",
        endpoint=f"http://127.0.0.1:{proxy.server_port}",
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )

    def count(name: str, number: int) -> None:
        counted[name.removeprefix("state.")] += number

    objects = MeteredObjects(store, "state", count)
    objects.put("f/large", bytes(3 * MIB))
    (info,) = objects.list("f")
    calls: list[Callable[[], object]] = [
        lambda: objects.put("f/a", b"1"),
        lambda: objects.put_if_absent("f/b", b"1"),
        lambda: objects.put_if_absent("f/b", b"2"),
        lambda: objects.get("f/a"),
        lambda: objects.metadata("f/a"),
        lambda: objects.get_ranges("f/large", [(0, 10), (MIB, 10), (2 * MIB + 10, 10)]),
        lambda: objects.get_ranges("f/large", [(0, 10), (MIB + 11, 10)]),
        lambda: objects.get_ranges("f/large", [(0, 10), (20, 10)], info.version),
        lambda: list(objects.list("f")),
        lambda: list(objects.list("nothing")),
        lambda: objects.delete(["f/a", "f/b"]),
    ]
    for number, call in enumerate(calls):
        counted.clear()
        proxy.kinds.clear()
        call()
        kinds = {kind: n for kind, n in counted.items() if not kind.startswith("bytes") and n}
        assert kinds == dict(proxy.kinds), f"call {number}"
