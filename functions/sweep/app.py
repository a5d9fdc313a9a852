"""Removes the objects of old epochs that nothing names any more."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from tidegate.runtime import deployment

logger, metrics = Logger(), Metrics()
control = deployment.control_plane(os.environ)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Sweeps the state. What an earlier run left over, this one removes."""
    answer = control.sweep()
    metrics.add_metric("SweptObjects", "Count", answer["removed"])
    logger.info("swept", removed=answer["removed"])
    return answer
