"""Lambda's poller between a queue and a function: batches, windows, partial failures, retries."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.localcloud.functions import FunctionPool
from infra.localcloud.template import REGION

_RECEIVE_LIMIT = 10
_LONG_POLL_SECONDS = 1


@dataclass(frozen=True)
class EventSource:
    """One event source mapping as deployed.

    Attributes:
        queue_url: where the messages are.
        queue_arn: what the events say about it.
        function: the name of the function to call.
        batch_size: messages of one call at most.
        batch_window: seconds to wait for a full batch.
        concurrency: calls at once at most.
        partial_failures: whether the function's `batchItemFailures` decide which messages come again.
    """

    queue_url: str
    queue_arn: str
    function: str
    batch_size: int = 10
    batch_window: int = 0
    concurrency: int = 5
    partial_failures: bool = False


class QueuePoller:
    """Empties one queue into one function until it is stopped.

    A message that the function did not take is left alone: it shows again when its visibility timeout ends,
    and goes to the dead-letter queue by the queue's own redrive policy.
    """

    def __init__(self, source: EventSource, sqs: Any, pool: FunctionPool) -> None:
        self._source, self._sqs, self._pool = source, sqs, pool
        self._stopped = threading.Event()
        self._slots = threading.Semaphore(source.concurrency)
        self._calls = ThreadPoolExecutor(source.concurrency, thread_name_prefix="calls")
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def start(self) -> None:
        """Starts to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Stops to poll, without waiting for the poll under way; calls that are running may end."""
        self._stopped.set()
        self._calls.shutdown(wait=True, cancel_futures=True)

    def _poll(self) -> None:
        while not self._stopped.is_set():
            # The slot comes first: a message that waits inside the poller would lose its visibility time.
            if not self._slots.acquire(timeout=_LONG_POLL_SECONDS):
                continue
            batch = self._collect()
            if batch and not self._stopped.is_set():
                self._calls.submit(self._call, batch)
            else:
                self._slots.release()

    def _collect(self) -> list[dict[str, Any]]:
        batch = self._receive(self._source.batch_size, _LONG_POLL_SECONDS)
        window_ends = time.monotonic() + self._source.batch_window
        while batch and len(batch) < self._source.batch_size and not self._stopped.is_set():
            left = window_ends - time.monotonic()
            if left <= 0:
                break
            more = self._receive(self._source.batch_size - len(batch), 0)
            batch += more
            if not more:
                self._stopped.wait(min(left, 0.1))
        return batch

    def _receive(self, count: int, wait: int) -> list[dict[str, Any]]:
        try:
            answer = self._sqs.receive_message(
                QueueUrl=self._source.queue_url,
                MaxNumberOfMessages=min(count, _RECEIVE_LIMIT),
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError):
            # The server is going down, or somebody deleted the queue. Either way the next look tells.
            self._stopped.wait(1)
            return []
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def _call(self, batch: list[dict[str, Any]]) -> None:
        try:
            event = {"Records": [self._record(message) for message in batch]}
            invocation = self._pool.invoke(self._source.function, json.dumps(event).encode())
            if invocation.error is None:
                failed = self._failed(invocation.answer, batch)
                self._delete([message for message in batch if message["MessageId"] not in failed])
        finally:
            self._slots.release()

    def _failed(self, answer: bytes, batch: list[dict[str, Any]]) -> set[str]:
        """Returns the ids that the function could not take; an answer that makes no sense means all."""
        everything = {message["MessageId"] for message in batch}
        if not self._source.partial_failures:
            return set()
        try:
            failures = (json.loads(answer) or {}).get("batchItemFailures") or []
            named = {failure["itemIdentifier"] for failure in failures}
        except (ValueError, TypeError, KeyError, AttributeError):
            return everything
        return named if named <= everything else everything

    def _delete(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._source.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._source.queue_arn,
            "awsRegion": REGION,
        }
