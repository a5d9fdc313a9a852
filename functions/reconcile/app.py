"""Accepts the uploads whose events were lost."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from tidegate.runtime import deployment

logger, metrics = Logger(), Metrics()
control = deployment.control_plane(os.environ)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Compares a listing of the input with the intake log. Running it twice accepts nothing twice."""
    answer = control.reconcile()
    metrics.add_metric("ReconciledObjects", "Count", answer["accepted"])
    logger.info("reconciled", accepted=answer["accepted"])
    return answer
