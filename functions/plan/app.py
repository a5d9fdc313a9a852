"""Freezes the next epoch, or releases the lease."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from tidegate.runtime import deployment

logger, metrics = Logger(), Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers what the state machine does next."""
    execution = event["execution"]
    if event["action"] == "release":
        metrics.add_metric("ReleasedLeases", "Count", 1)
        return deployment.release(os.environ, execution)
    answer = deployment.plan(os.environ, execution, event["history"])
    metrics.add_metric("PlannedEpochs", "Count", 0 if answer["action"] == "idle" else 1)
    logger.info("planned", action=answer["action"], epoch=answer.get("epoch"))
    return answer
