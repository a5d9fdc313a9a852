"""Runs one small epoch whole: every task and the commit."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from tidegate.runtime import deployment, task_runner

logger, metrics = Logger(), Metrics()
control = deployment.control_plane(os.environ)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Runs the epoch that the event names, as the attempt of this request."""
    answer = task_runner.run_epoch(os.environ, control, event["epoch"], context.aws_request_id)
    metrics.add_metric("CommittedEpochs", "Count", 1)
    logger.info("committed", epoch=event["epoch"])
    return answer
