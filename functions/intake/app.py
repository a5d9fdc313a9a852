"""Takes notifications of new objects off the queue and accepts each object once."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from tidegate.runtime import deployment
from tidegate.runtime.notifications import uploads_of

logger, metrics = Logger(), Metrics()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
control = deployment.control_plane(os.environ)


def accept(record: Any) -> None:
    """Accepts the objects that one message names; an exception leaves the message on the queue."""
    for each in uploads_of(record.body):
        new = control.accept(each.bucket, each.key, each.version, each.size)
        metrics.add_metric("AcceptedObjects" if new else "IgnoredNotifications", "Count", 1)
        logger.info("accepted" if new else "known or not of the source", key=each.key, version=each.version)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Wakes the coordinator after every batch: a duplicate may stem from a call that died before it woke.

    All messages stay on the queue while the state belongs to another plan.
    """
    metrics.add_metric("ReceivedNotifications", "Count", len(event["Records"]))
    control.check()
    response = process_partial_response(event, accept, processor, context)
    metrics.add_metric("FailedNotifications", "Count", len(processor.exceptions))
    for _, error, _ in processor.exceptions:
        logger.error("not accepted", error=repr(error))
    control.wake()
    return response
