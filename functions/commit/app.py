"""Commits an epoch whose tasks all have results."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from tidegate.runtime import deployment

logger, metrics = Logger(), Metrics()
control = deployment.control_plane(os.environ)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Moves the head to the epoch that the event names. A commit that was made already is a success."""
    answer = control.commit(event["epoch"])
    metrics.add_metric("CommittedEpochs", "Count", 1)
    logger.info("committed", epoch=event["epoch"])
    return answer
