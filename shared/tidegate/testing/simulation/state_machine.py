"""Step Functions, as far as the deployed state machine uses it: its definition runs unchanged."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tidegate.testing.simulation.scheduler import SECOND, Process, Scheduler

PAYLOAD = 256 * 1024
"""Bytes that a state's input or output may have."""

Definition = dict[str, Any]


class StateFailed(Exception):
    """A state ended with an error.

    Attributes:
        name: The error's name, such as `States.TaskFailed`.
    """

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause


@dataclass
class StateMachine:
    """A state machine at work on one execution.

    Args:
        definition: The Amazon States Language document, with YAML's or JSON's values.
        scheduler: Gives turns.
        chance: For the jitter of retries.
        execution: The execution's name.
        invoke: Invokes a function, by the name of its substitution, with a payload; it returns the answer.

    Raises (all methods):
        StateFailed: The execution failed.
    """

    definition: Definition
    scheduler: Scheduler
    chance: Random
    execution: str
    invoke: Callable[[str, dict[str, Any]], Any]

    def run(self, document: dict[str, Any]) -> None:
        """Runs the execution on its input."""
        self._states(self.definition, document)

    def _states(self, machine: Definition, document: Any) -> Any:
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            if len(json.dumps(document)) > PAYLOAD:
                raise StateFailed("States.DataLimitExceeded", f"the input of {name}")
            kind = state["Type"]
            if kind == "Succeed":
                return document
            if kind == "Fail":
                failure = document.get("failure", {}) if "ErrorPath" in state else {}
                raise StateFailed(failure.get("Error", state.get("Error", "")), failure.get("Cause", ""))
            if kind == "Choice":
                name = _chosen(state, document)
                continue
            try:
                document = self._result(state, document)
            except StateFailed as error:
                caught = next((e for e in state.get("Catch", ()) if _matches(e["ErrorEquals"], error)), None)
                if caught is None:
                    raise
                failure = {"Error": error.name, "Cause": error.cause}
                document = _placed(caught.get("ResultPath", "$"), document, failure)
                name = caught["Next"]
                continue
            if state.get("End"):
                return document
            name = state["Next"]

    def _result(self, state: Definition, document: Any) -> Any:
        tried: dict[int, int] = {}
        while True:
            try:
                answer = self._attempt(state, document)
            except StateFailed as error:
                self._wait_to_retry(state.get("Retry", ()), error, tried)
            else:
                merged = _placed(state["ResultPath"], document, answer) if "ResultPath" in state else answer
                return _at(state["OutputPath"], merged) if "OutputPath" in state else merged

    def _attempt(self, state: Definition, document: Any) -> Any:
        if state["Type"] == "Pass":
            return state.get("Result", document)
        if state["Type"] == "Wait":
            self.scheduler.sleep(_at(state["SecondsPath"], document) * SECOND)
            return document
        if state["Type"] == "Map":
            path = state.get("MaxConcurrencyPath")
            at_once = _at(path, document) if path else state["MaxConcurrency"]
            return self._map(state, _at(state["ItemsPath"], document), at_once)
        parameters = self._filled(state["Parameters"], document)
        function = parameters["FunctionName"].removeprefix("${").removesuffix("Function}").lower()
        return {"Payload": self.invoke(function, parameters["Payload"])}

    def _map(self, state: Definition, items: Sequence[Any], at_once: int) -> list[Any]:
        """All items at once, as far as they may be; the first failure fails the state.

        What the other items' functions do then goes on unheard. A distributed one has an execution for each
        item, and says of a failure that there was one; what its items answer must fit into one document.
        """
        failures: list[StateFailed] = []
        running: list[Process] = []
        answers: list[Any] = []
        processor = state["ItemProcessor"]
        is_distributed = processor["ProcessorConfig"]["Mode"] == "DISTRIBUTED"

        def work(item: Any) -> None:
            try:
                answers.append(self._states(processor, item))
            except StateFailed as error:
                failures.append(error)

        for number, item in enumerate(items):
            self.scheduler.wait(lambda: sum(each.alive for each in running) < at_once)
            name = f"{self.execution}[{number}]"
            running.append(self.scheduler.spawn(name, lambda item=item: work(item)))  # type: ignore[misc]
        self.scheduler.wait(lambda: bool(failures) or not any(each.alive for each in running))
        if failures:
            for each in running:
                self.scheduler.kill(each)
            if is_distributed:
                raise StateFailed("States.ExceedToleratedFailureThreshold", str(failures[0]))
            raise failures[0]
        if is_distributed and len(json.dumps(answers)) > PAYLOAD:
            raise StateFailed("States.DataLimitExceeded", "the answers of all items together")
        return []

    def _wait_to_retry(
        self, retriers: Sequence[Definition], error: StateFailed, tried: dict[int, int]
    ) -> None:
        for number, retrier in enumerate(retriers):
            if not _matches(retrier["ErrorEquals"], error):
                continue
            before = tried.get(number, 0)
            if before >= retrier["MaxAttempts"]:
                raise error
            tried[number] = before + 1
            delay = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** before
            self.scheduler.sleep(
                self.chance.randrange(1 + int(min(delay, retrier["MaxDelaySeconds"]) * SECOND))
            )
            return
        raise error

    def _filled(self, template: Any, document: Any) -> Any:
        """A template of parameters: names that end in `.$` are paths."""
        if not isinstance(template, dict):
            return template
        filled = {}
        for name, value in template.items():
            if not name.endswith(".$"):
                filled[name] = self._filled(value, document)
            elif value == "$$.Execution.Id":
                filled[name[:-2]] = self.execution
            else:
                filled[name[:-2]] = _at(value, document)
        return filled


def _at(path: str, document: Any) -> Any:
    for part in path.removeprefix("$").split(".")[1:]:
        document = document[part]
    return document


def _placed(path: str | None, document: Any, result: Any) -> Any:
    """A document with a state's result at a path; without a path the result is thrown away."""
    if path is None:
        return document
    if path == "$":
        return result
    return {**document, path.removeprefix("$."): result}


def _chosen(state: Definition, document: Any) -> str:
    for choice in state["Choices"]:
        if all(_holds(each, document) for each in choice.get("And", [choice])):
            return str(choice["Next"])
    return str(state["Default"])


def _holds(test: Definition, document: Any) -> bool:
    name = test["Variable"].removeprefix("$.")
    if "IsPresent" in test:
        return bool((name in document) == test["IsPresent"])
    value = _at(test["Variable"], document)
    return bool(
        value > test["NumericGreaterThan"] if "NumericGreaterThan" in test else value == test["StringEquals"]
    )


def _matches(names: Sequence[str], error: StateFailed) -> bool:
    if "States.ALL" in names or error.name in names:
        return True
    # `States.TaskFailed` stands for any error of a function, but not for a timeout.
    return "States.TaskFailed" in names and error.name != "States.Timeout"
