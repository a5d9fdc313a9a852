"""Freezes the next epoch, names the tasks of its next stage, or releases the lease."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from tidegate.runtime import deployment

logger, metrics = Logger(), Metrics()
control = deployment.control_plane(os.environ)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers what the state machine does next."""
    execution = event["execution"]
    if event["action"] == "release":
        metrics.add_metric("ReleasedLeases", "Count", 1)
        return control.release(execution)
    if event["action"] == "stage":
        return control.next_stage(execution, event["epoch"], event["stage"], event["later"], event["history"])
    answer = control.plan(execution, event["history"])
    metrics.add_metric("PlannedEpochs", "Count", 1 if "epoch" in answer else 0)
    logger.info("planned", action=answer["action"], epoch=answer.get("epoch"))
    return answer
