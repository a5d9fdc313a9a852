"""Runs functions as Lambda does: processes that stay warm, are killed at their timeout, and may die."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from infra.localcloud.runtime_api import Invocation, RuntimeApi
from infra.localcloud.template import REGION

# Lambda starts as many processes as there are calls; a laptop does not. Calls beyond this wait.
PROCESSES_PER_FUNCTION = 4
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
_LOOK_SECONDS = 0.02
_START_SECONDS = 60


@dataclass(frozen=True)
class FunctionDefinition:
    """One function as deployed.

    Attributes:
        name: its name.
        arn: its ARN.
        handler: module and function, such as `app.handler`.
        search_path: the folders that its process imports from, and nothing else than these.
        environment: the variables that the template gives it.
        timeout: seconds until a call is killed.
        memory: megabytes, told to the function but not enforced.
    """

    name: str
    arn: str
    handler: str
    search_path: tuple[Path, ...]
    environment: dict[str, str]
    timeout: int
    memory: int


class _Process:
    """One warm execution environment."""

    def __init__(self, definition: FunctionDefinition, log: Path) -> None:
        self._definition = definition
        self._api = RuntimeApi()
        self._folder = tempfile.TemporaryDirectory(prefix="localcloud-")
        with log.open("ab") as output:
            # Without `-S` the process would see whatever this environment has installed, and nobody would
            # miss a package that is not in the layer before the first deployment.
            self._process = subprocess.Popen(  # noqa: S603 (the command is made of constants)
                [sys.executable, "-S", "-m", "awslambdaric", definition.handler],
                env=self._environment(),
                cwd=self._folder.name,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Returns the number of the operating system's process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Returns whether it can take a call."""
        return self._process.poll() is None

    def run(self, invocation: Invocation) -> bool:
        """Runs one call to its end, whatever that is, and returns whether the process can take another."""
        # A process that is still starting has not taken the call yet: that time has a limit of its own.
        invocation.begin(_START_SECONDS)
        self._api.submit(invocation)
        while not invocation.done.wait(_LOOK_SECONDS):
            if self._process.poll() is not None:
                # The answer may have come between the last look and the end.
                if not invocation.done.wait(_LOOK_SECONDS):
                    text = f"Runtime exited with error: {_how(self._process.returncode)}"
                    invocation.fail("Runtime.ExitError", f"RequestId: {invocation.request_id} Error: {text}")
                return False
            if time.time() > invocation.deadline:
                self.kill()
                text = f"Task timed out after {self._definition.timeout:.2f} seconds"
                invocation.fail("Sandbox.Timedout", f"RequestId: {invocation.request_id} Error: {text}")
                return False
        return self.is_alive()

    def kill(self) -> None:
        """Ends the process and everything that it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._api.close()
        self._folder.cleanup()

    def _environment(self) -> dict[str, str]:
        definition = self._definition
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(definition.memory),
            "AWS_LAMBDA_FUNCTION_NAME": definition.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{definition.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "HOME": self._folder.name,
            "LANG": "C.UTF-8",
            "LAMBDA_TASK_ROOT": str(definition.search_path[0]),
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(map(str, definition.search_path)),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": self._folder.name,
            "TZ": "UTC",
            "_HANDLER": definition.handler,
            **definition.environment,
        }


def _how(status: int) -> str:
    """Returns how a process ended, in Lambda's words."""
    if status >= 0:
        return f"exit status {status}"
    return f"signal: {signal.strsignal(-status) or -status}".lower()


class FunctionPool:
    """The deployed functions and their warm processes.

    While a process has a call, a file in the folder `at-work` of the logs has its number as its name and its
    function's name as its content, for whoever wants to disturb it there.
    """

    def __init__(self, logs: Path) -> None:
        self.definitions: dict[str, FunctionDefinition] = {}
        self._logs = logs
        self._at_work = logs / "at-work"
        self._at_work.mkdir(exist_ok=True)
        self._warm: dict[str, list[_Process]] = {}
        self._busy: set[_Process] = set()
        self._slots: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()
        self._closed = False

    def deploy(self, definition: FunctionDefinition) -> None:
        """Adds a function. Its first process starts with its first call."""
        self.definitions[definition.name] = definition
        self._warm[definition.name] = []
        self._slots[definition.name] = threading.Semaphore(PROCESSES_PER_FUNCTION)

    def update(self, name: str, environment: dict[str, str]) -> FunctionDefinition:
        """Gives a function another environment, which holds for calls that begin from now on.

        Raises:
            KeyError: there is no such function.
        """
        with self._lock:
            changed = replace(self.definitions[name], environment=environment)
            self.definitions[name] = changed
            retired, self._warm[name] = self._warm[name], []
        for process in retired:
            process.kill()
        return changed

    def invoke(self, name: str, payload: bytes) -> Invocation:
        """Calls a function and waits for its end.

        Raises:
            KeyError: there is no such function.
        """
        definition = self.definitions[name]
        with self._slots[name]:
            invocation = Invocation(payload, definition.arn, definition.timeout)
            process = self._take(definition)
            usable = False
            mark = self._at_work / str(process.pid)
            try:
                mark.write_text(name)
                usable = process.run(invocation)
            finally:
                mark.unlink(missing_ok=True)
                self._give_back(definition, process, usable)
        if len(invocation.answer) > MAX_PAYLOAD_BYTES:
            size = len(invocation.answer)
            text = f"Response payload size ({size} bytes) exceeded the maximum of {MAX_PAYLOAD_BYTES} bytes."
            invocation.fail("Function.ResponseSizeTooLarge", text)
        return invocation

    def close(self) -> None:
        """Kills every process."""
        with self._lock:
            self._closed = True
            processes = [*self._busy, *(process for warm in self._warm.values() for process in warm)]
            self._warm = {name: [] for name in self._warm}
        for process in processes:
            process.kill()

    def _take(self, definition: FunctionDefinition) -> _Process:
        with self._lock:
            if self._closed:
                raise RuntimeError("the local cloud is shutting down")
            warm = self._warm[definition.name]
            process = None
            while warm and process is None:
                process = warm.pop()
                if not process.is_alive():
                    # Lambda would not give it a call, and start another.
                    process.kill()
                    process = None
            process = process or _Process(definition, self._logs / f"{definition.name}.log")
            self._busy.add(process)
            return process

    def _give_back(self, definition: FunctionDefinition, process: _Process, usable: bool) -> None:
        with self._lock:
            self._busy.discard(process)
            is_current = definition == self.definitions[definition.name]
            if usable and is_current and not self._closed:
                self._warm[definition.name].append(process)
                return
        process.kill()
