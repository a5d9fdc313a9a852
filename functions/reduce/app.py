"""Runs one reduce task."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from tidegate.runtime import task_runner

logger, metrics = Logger(), Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Runs the task that the event names, as the attempt of this request."""
    answer = task_runner.run_task(os.environ, event, context.aws_request_id)
    metrics.add_metric("ReduceTasks", "Count", 1)
    logger.info("reduced", epoch=event["epoch"], task=event["task"])
    return answer
