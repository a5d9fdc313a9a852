"""`python -m bench.small_inputs`: a map task of many small files, of a store that takes its time.

The store is S3's adapter, and behind it a server that answers each request after 20 ms, as S3 does about.
Printed are the seconds of a map task that gets its files one after the other, and of one that gets many at a
time, in turn; both are to come to the same.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

from bench.inputs import events
from bench.pipelines import sum_json
from tidegate.engine.input_slice import InputSlice
from tidegate.engine.map_task import map_epoch
from tidegate.plan import Plan, compile_plan
from tidegate.stores.ports import InTurn
from tidegate.stores.s3 import S3Objects
from tidegate.timestamps import MAX, MIN

FILES = 250
EVENTS = 100
ANSWERS_AFTER = 0.02
RUNS = 3
KEYS = {"access_key_id": "none", "secret_access_key": "none"}


class OneAfterTheOther(InTurn, S3Objects):
    """What S3's adapter would be if it did not ask for many objects at a time."""


@contextmanager
def bucket(content: bytes) -> Iterator[str]:
    """A server with this content under each key; its address."""

    class Bucket(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and content in one packet: a second one would wait until the first is acknowledged.
        wbufsize = 1 << 20

        def do_GET(self) -> None:
            time.sleep(ANSWERS_AFTER)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("ETag", '"0123"')
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def seconds(plan: Plan, objects: S3Objects, slices: Sequence[InputSlice]) -> float:
    """How long a map task takes."""
    began = time.perf_counter()
    found = map_epoch(plan, objects, slices, MIN, MAX)
    taken = time.perf_counter() - began
    if found.counters["elements"] != len(slices) * EVENTS:
        raise ValueError(f"the task came to {found.counters}")
    return taken


def main() -> int:
    """Prints the seconds of both, and their ratio."""
    content = events(0, EVENTS, number=EVENTS).write_ndjson().encode()
    plan = compile_plan(sum_json)
    slices = [InputSlice(f"events/{number}.json", '"0123"', len(content)) for number in range(FILES)]
    with bucket(content) as address:
        stores = [
            kind("input", endpoint=address, region="us-east-1", client_options={"allow_http": True}, **KEYS)
            for kind in (OneAfterTheOther, S3Objects)
        ]
        taken = [[seconds(plan, objects, slices) for objects in stores] for _ in range(RUNS)]
    in_turn, together = map(median, zip(*taken, strict=True))
    print(f"{FILES} files of {EVENTS} events, each answered after {ANSWERS_AFTER * 1000:.0f} ms, {RUNS} runs")
    ratio = in_turn / together
    print(f"one after the other {in_turn:.2f} s, many at a time {together:.2f} s: {ratio:.1f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
