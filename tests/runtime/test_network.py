"""Nothing that a record names is fetched."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import tidegate as tg
from tests.runtime.runs import opened

FIELDS = {"url": pl.String, "at": pl.Datetime("ms")}
stream = tg.read_json("urls", schema=FIELDS, event_time="at", watermark=tg.BoundedDelay("0s"))
counted = stream.with_columns(host=pl.col("url").str.extract("//([^/]+)")).window(tg.FixedWindows("1m"))
pipeline = tg.Pipeline("urls", counted.group_by("url").agg(count=tg.count()).write_json("counts"))


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, list[object]]]:
    """A port of this machine and who came to it, besides whatever Python connected to or looked up.

    Polars and obstore have sockets of their own, which nobody blocks in Python: they would come to the port.
    """
    came: list[object] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def listen() -> None:
            while not over.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                came.append(address)
                connection.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        with monkeypatch.context() as patch:

            def refuse(*target: object, **how: object) -> None:
                came.append(target)
                raise OSError("no network in this test")

            for name in ("connect", "connect_ex", "sendto"):
                patch.setattr(socket.socket, name, refuse)
            for name in ("getaddrinfo", "gethostbyname", "create_connection"):
                patch.setattr(socket, name, refuse)
            yield server.getsockname()[1], came
        over.set()
        thread.join()


def test_urls_in_records_open_no_socket(listener: tuple[int, list[object]], tmp_path: Path) -> None:
    port, came = listener
    urls = [
        f"http://127.0.0.1:{port}/latest/meta-data/",
        f"http://127.0.0.1:{port}",
        f"s3://127.0.0.1:{port}/bucket/key",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "file:///etc/passwd",
        "s3://somebody/elses.parquet",
    ]
    source = tmp_path / "in" / "urls"
    source.mkdir(parents=True)
    rows = [json.dumps({"url": url, "at": "2026-05-01T12:00:00Z"}) for url in urls]
    broken = [f"http://127.0.0.1:{port}/", json.dumps({"url": 5, "at": f"http://127.0.0.1:{port}/"})]
    (source / "a.json").write_text("\n".join(rows + broken))
    (source / f"http:127.0.0.1:{port}.json").write_text(rows[0])
    with opened(f"{__file__}:pipeline", tmp_path) as runner:
        manifest = runner.run(drain=True)
    assert manifest is not None
    assert manifest.totals["records"] == len(rows) + len(broken) + 1
    assert manifest.totals["dead_letters"] == len(broken)
    panes = [
        json.loads(line)
        for path in (tmp_path / "out" / "counts").iterdir()
        for line in path.read_text().splitlines()
    ]
    assert sorted(pane["url"] for pane in panes) == sorted(urls), "the URLs went through, as text"
    assert came == []


def test_whoever_came_would_be_seen(listener: tuple[int, list[object]]) -> None:
    """Polars fetches a URL that it is told to read, with sockets of its own."""
    port, came = listener
    with pytest.raises((OSError, pl.exceptions.PolarsError)):
        pl.scan_parquet(f"http://127.0.0.1:{port}/a.parquet", storage_options={"max_retries": 0}).collect()
    assert came
