"""Takes notifications of new objects, and alarms, off the queue and accepts each object once."""

import os
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from tidegate.runtime import deployment
from tidegate.runtime.notifications import messages_of

logger, metrics = Logger(), Metrics()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
control = deployment.control_plane(os.environ)


def accept(record: Any) -> None:
    """Takes in what one message says; an exception leaves the message on the queue."""
    for each in messages_of(record.body):
        outcome = control.receive(each)
        metrics.add_metric(outcome.value, "Count", 1)
        logger.info("received", outcome=outcome.value, **asdict(each))


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Wakes the coordinator after every batch: a duplicate may stem from a call that died before it woke."""
    metrics.add_metric("ReceivedNotifications", "Count", len(event["Records"]))
    control.check()
    response = process_partial_response(event, accept, processor, context)
    metrics.add_metric("FailedNotifications", "Count", len(processor.exceptions))
    for _, error, _ in processor.exceptions:
        logger.error("not accepted", error=repr(error))
    control.wake()
    return response
