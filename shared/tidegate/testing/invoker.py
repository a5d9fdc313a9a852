# ruff: noqa: D102, S101  (a test's name says what it shows, and it is made of assertions)
"""What every invoker must do."""

from dataclasses import dataclass

import pytest

from tidegate.epochs import paths
from tidegate.epochs.drive import drive
from tidegate.epochs.invoker import Invoker
from tidegate.epochs.machine import Coordinator, State
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Task, TaskResult, result_key
from tidegate.epochs.tasks import TaskStores
from tidegate.errors import TidegateError


@dataclass(frozen=True)
class Deployment:
    """A pipeline that is ready for its first epoch.

    Attributes:
        pipeline: Its name.
        invoker: The one under test, for the pipeline's tasks.
        coordinator: Of the pipeline. Several files wait, and its limits make it fan out.
        stores: The stores of the tasks.
    """

    pipeline: str
    invoker: Invoker
    coordinator: Coordinator
    stores: TaskStores

    def result(self, task: Task) -> TaskResult:
        """The result of a task, as it is stored."""
        key = result_key(self.pipeline, task)
        return TaskResult.decode(key, self.stores.state.get(key))

    def plan(self) -> EpochRecord:
        """The record of the next epoch."""
        record = self.coordinator.plan()
        assert record is not None
        return record


class InvokerConformance:
    """A class of tests to inherit from, with the fixture `deployment` overridden."""

    @pytest.fixture
    def deployment(self) -> Deployment:
        """A pipeline whose next epoch fans out to at least two map and two reduce tasks."""
        raise NotImplementedError("override the fixture `deployment` with a pipeline that has files to read")

    def test_each_task_has_a_result_afterwards(self, deployment: Deployment) -> None:
        record = deployment.plan()
        for state in (State.MAP, State.REDUCE):
            tasks = deployment.coordinator.tasks(record, state)
            assert len(tasks) >= 2
            deployment.invoker.run(tasks)
            assert [deployment.result(task).task for task in tasks] == [task.number for task in tasks]
        manifest = deployment.coordinator.commit(record)
        assert manifest.epoch == 1
        assert manifest.counters["records"] > 0

    def test_attempts_have_names_of_their_own(self, deployment: Deployment) -> None:
        record = deployment.plan()
        tasks = deployment.coordinator.tasks(record, State.MAP)
        deployment.invoker.run(tasks)
        assert len({deployment.result(task).attempt for task in tasks}) == len(tasks)

    def test_tasks_that_are_done_stay_as_they_are(self, deployment: Deployment) -> None:
        record = deployment.plan()
        tasks = deployment.coordinator.tasks(record, State.MAP)
        deployment.invoker.run(tasks[:1])
        first = deployment.result(tasks[0])
        deployment.invoker.run(tasks)
        deployment.invoker.run(tasks)
        assert deployment.result(tasks[0]) == first

    def test_no_tasks(self, deployment: Deployment) -> None:
        deployment.invoker.run([])

    def test_a_task_that_fails_is_reported_and_the_others_can_go_on(self, deployment: Deployment) -> None:
        record = deployment.plan()
        tasks = deployment.coordinator.tasks(record, State.MAP)
        key = paths.record(deployment.pipeline, record.epoch)
        deployment.stores.state.put(key, b"damaged")
        with pytest.raises(TidegateError, match=key):
            deployment.invoker.run(tasks)
        deployment.stores.state.put(key, record.encode())
        deployment.invoker.run(tasks)
        assert all(deployment.result(task).stage == "map" for task in tasks)

    def test_whole_epochs(self, deployment: Deployment) -> None:
        drive(deployment.coordinator, deployment.invoker, close=True)
        manifest = deployment.coordinator.manifest()
        assert manifest is not None
        assert manifest.outputs
        for name in manifest.outputs:
            assert deployment.stores.output.get(name)
