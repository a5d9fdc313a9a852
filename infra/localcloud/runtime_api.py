"""The Lambda runtime API for one process: hands it invocations, takes its answers."""

import json
import queue
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Invocation:
    """One call of a function.

    Attributes:
        payload: the event, as JSON.
        function_arn: what the context's `invoked_function_arn` says.
        timeout: seconds that the function may take, counted from when its process took the call.
        deadline: when the call is killed, in seconds since 1970.
        request_id: what the context's `aws_request_id` says.
        answer: the function's answer, or a description of its error, as JSON.
        error: None, or how the call failed (`Unhandled`).
        done: set once there is an answer.
    """

    payload: bytes
    function_arn: str
    timeout: float
    deadline: float = 0.0
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: bytes = b""
    error: str | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def begin(self, seconds: float) -> None:
        """Starts the clock: the call is killed after so many seconds."""
        self.deadline = time.time() + seconds

    def succeed(self, answer: bytes) -> None:
        """Ends the call well."""
        self.answer = answer
        self.done.set()

    def fail(self, kind: str, message: str) -> None:
        """Ends the call with an error of the service, such as `Sandbox.Timedout`."""
        self.fail_with(json.dumps({"errorType": kind, "errorMessage": message}).encode())

    def fail_with(self, description: bytes) -> None:
        """Ends the call with the error that the function's runtime described."""
        self.answer, self.error = description, "Unhandled"
        self.done.set()


class RuntimeApi(ThreadingHTTPServer):
    """Serves one process, on a port of its own: the API's path is fixed, so only the port tells who asks."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.waiting: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self.current: Invocation | None = None
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """Returns what `AWS_LAMBDA_RUNTIME_API` is set to."""
        return f"127.0.0.1:{self.server_address[1]}"

    def submit(self, invocation: Invocation) -> None:
        """Gives the process its next call."""
        self.current = invocation
        self.waiting.put(invocation)

    def close(self) -> None:
        """Lets the waiting process go, and stops serving."""
        self.waiting.put(None)
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a process that was killed in the middle of a request is an ordinary event here."""


class _Handler(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        invocation = self.server.waiting.get()
        if invocation is None:
            self.close_connection = True
            return
        invocation.begin(invocation.timeout)
        self._send(
            200,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
                "Content-Type": "application/json",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(202, b"{}", {"Content-Type": "application/json"})
        invocation = self.server.current
        if invocation is None:
            return
        if self.path.endswith("/response"):
            invocation.succeed(body)
        else:
            invocation.fail_with(body)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: one line a request would drown the rest."""
