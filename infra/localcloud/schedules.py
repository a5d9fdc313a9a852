"""Schedules go off: moto keeps them, and calls nobody."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

_LOOK_SECONDS = 1.0


class Schedules:
    """Sends the messages of one-time schedules when their time has come.

    Args:
        groups: the groups of schedules to look after.
        scheduler: a client of the scheduler.
        sqs: a client of the queues.
    """

    def __init__(self, groups: Sequence[str], scheduler: Any, sqs: Any) -> None:
        self._groups = groups
        self._scheduler = scheduler
        self._sqs = sqs
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stopped.set()

    def _look(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            for group in self._groups:
                for each in self._scheduler.list_schedules(GroupName=group)["Schedules"]:
                    self._try(group, each["Name"])

    def _try(self, group: str, name: str) -> None:
        schedule = self._scheduler.get_schedule(GroupName=group, Name=name)
        moment = schedule["ScheduleExpression"].removeprefix("at(").removesuffix(")")
        if datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() > time.time():
            return
        target = schedule["Target"]
        url = self._sqs.get_queue_url(QueueName=target["Arn"].rsplit(":", maxsplit=1)[-1])["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=target["Input"])
        if schedule.get("ActionAfterCompletion") == "DELETE":
            self._scheduler.delete_schedule(GroupName=group, Name=name)
