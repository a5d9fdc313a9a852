"""A small epoch in one function call: its one task and its commit, which reads nothing that the task read."""

from dataclasses import dataclass, replace

from tidegate.epochs import paths
from tidegate.epochs.result import WHOLE, Task
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.plan import Plan
from tidegate.references import checksum
from tidegate.runtime.control_plane import Answer, ControlPlane
from tidegate.runtime.failure import without_records
from tidegate.runtime.meter import Meter
from tidegate.stores.remembered import RememberedObjects


@dataclass
class SmallEpochs:
    """Runs the small epochs of a pipeline, one after the other, in a function that stays warm.

    It keeps the manifest that it committed last for the next epoch, by its checksum: a name alone is not
    enough, for somebody may have removed all state and begun anew.

    Args:
        plan: The pipeline's plan.
        stores: What tasks work on.
        meter: Counts the requests of these stores.
    """

    plan: Plan
    stores: TaskStores
    meter: Meter
    _reference: tuple[str, str] = ("", "")
    _manifest: bytes = b""

    def run(self, control: ControlPlane, epoch: int, attempt: str) -> Answer:
        """Runs an epoch's task and commits the epoch; one that is committed already is a success.

        Args:
            control: Commits.
            epoch: The epoch.
            attempt: A name that no other attempt has.

        Returns:
            What `ControlPlane.commit` answers.

        Raises:
            TidegateError: The task or the commit failed; no record is in the message.
        """
        self.meter.begin()
        head = control.head(self.meter)
        if head is not None and head.epoch >= epoch:
            return {"epoch": epoch}
        known = RememberedObjects(self.stores.state, paths.is_document)
        if head is not None and head.manifest == self._reference:
            known.remember(self._reference[0], self._manifest)
        task = Task(epoch, WHOLE, 0)
        with without_records(task):
            run_task(self.plan, replace(self.stores, state=known), task, attempt, self.meter)
        answer = control.commit(epoch, (known, self.meter))
        key = paths.manifest(self.plan.name, epoch)
        # Not if somebody else committed it meanwhile.
        self._manifest = known.remembered(key) or b""
        self._reference = (key, checksum(self._manifest))
        return answer
