"""Every change that is made to moto, and why. Nothing else in this folder reaches into it."""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3 import models as s3_models
from moto.s3 import notifications
from moto.sqs.models import SQSBackend
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

_POLL_SECONDS = 0.05
_backends = threading.RLock()

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def apply(port: int) -> None:
    """Changes moto. Call it once, before its server starts.

    Args:
        port: where the server will listen; moto's state machines call their functions there.
    """
    os.environ["MOTO_PORT"] = str(port)
    # The stock answer to StartExecution is a made-up success; this one interprets the state machine.
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    _keep_overwritten_objects()
    _complete_notifications()
    _serialise_queues()
    _name_executions()


def serialised(service: str) -> WsgiApp:
    """Returns moto's app for a service, for the stores one request at a time.

    Moto checks a condition and then writes, with no lock between: two requests can both win a create-only put
    or a compare-and-swap, which S3 and DynamoDB never allow. The lock is held for whole requests, as S3's
    conditions are checked in the web layer.
    """
    app: WsgiApp = create_backend_app(service)  # type: ignore[arg-type]
    if service not in {"s3", "dynamodb"}:
        return app

    def one_at_a_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with _backends:
            return app(environ, start_response)

    return one_at_a_time


def _keep_overwritten_objects() -> None:
    """Overwriting an object closes its buffer under its readers ("I/O operation on closed file")."""
    _replace(s3_models.FakeKey, "dispose", lambda _self, garbage=False: None)


def _complete_notifications() -> None:
    """Moto's events lack the version id (of versioned buckets) and the sequencer, which S3 sends."""
    stock = notifications._get_s3_event

    def complete(event_name: str, bucket: Any, key: Any, notification_id: str) -> dict[str, Any]:
        event: dict[str, Any] = stock(event_name, bucket, key, notification_id)
        thing = event["Records"][0]["s3"]["object"]
        thing["sequencer"] = f"{time.time_ns():016X}"
        if bucket.is_versioned:
            thing["versionId"] = key.version_id
        return event

    _replace(notifications, "_get_s3_event", complete)


def _serialise_queues() -> None:
    """Unlocked queues lose messages; a long poll must wait without the lock, or nobody could send."""
    for name in ("send_message", "delete_message", "change_message_visibility"):
        _replace(SQSBackend, name, _locked(getattr(SQSBackend, name)))
    receive_once = _locked(SQSBackend.receive_message)

    def receive(
        self: SQSBackend, queue_name: str, count: int, wait_seconds_timeout: int, *rest: Any, **named: Any
    ) -> Any:
        deadline = time.monotonic() + wait_seconds_timeout
        while True:
            messages = receive_once(self, queue_name, count, 0, *rest, **named)
            if messages or time.monotonic() >= deadline:
                return messages
            time.sleep(_POLL_SECONDS)

    _replace(SQSBackend, "receive_message", receive)


def _name_executions() -> None:
    """Moto calls an execution that was given no name "None", so that the second one clashes with it."""
    stock = StepFunctionsParserBackend.start_execution

    def start(
        self: StepFunctionsParserBackend, state_machine_arn: str, name: str | None = None, *rest: Any
    ) -> Any:
        return stock(self, state_machine_arn, name or str(uuid.uuid4()), *rest)

    _replace(StepFunctionsParserBackend, "start_execution", start)


def _replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    def locked(*args: Any, **named: Any) -> Any:
        with _backends:
            return method(*args, **named)

    return locked
