"""The invoker of the embedded runner: a pool of workers.

Threads where Polars does the work, for it brings its own parallelism and must not be forked; processes
where Python functions do, for threads would wait for each other. A process gets its tasks as lines of JSON
and answers in lines of JSON; like a Lambda function it knows the pipeline by its reference.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from types import TracebackType

from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.errors import TidegateError
from tidegate.plan import Plan
from tidegate.runtime.failure import without_records
from tidegate.runtime.meter import Meter, SharedProcessor

_ATTEMPTS = 3
"""How often a task is tried whose worker process dies."""


def new_attempt() -> str:
    """A name that no other attempt has."""
    return uuid.uuid4().hex[:16]


class ThreadWorkers:
    """Runs tasks in threads of this process."""

    def __init__(self, plan: Plan, stores: TaskStores, count: int) -> None:
        self._plan = plan
        self._stores = stores
        self._processor = SharedProcessor()
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="tidegate")

    def __enter__(self) -> "ThreadWorkers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, tasks: Sequence[Task]) -> None:
        """See `Invoker.run`."""
        if len(tasks) == 1:
            self._run(tasks[0])
            return
        for future in [self._pool.submit(self._run, task) for task in tasks]:
            future.result()

    def _run(self, task: Task) -> None:
        with self._processor.part() as cpu, without_records(task):
            meter = Meter(cpu)
            run_task(self._plan, meter.stores(self._stores), task, new_attempt(), meter)


class ProcessWorkers:
    """Runs tasks in processes of their own.

    Args:
        command: What starts a worker; `tidegate.runtime.worker` reads its tasks from its standard input.
        count: Processes at most.
    """

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = list(command)
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="tidegate")
        self._idle: SimpleQueue[subprocess.Popen[str] | None] = SimpleQueue()
        for _ in range(count):
            self._idle.put(None)
        self._started: list[subprocess.Popen[str]] = []
        self._lock = Lock()
        self._closed = False

    def __enter__(self) -> "ProcessWorkers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with self._lock:
            # A task under way would otherwise see its worker die and start another one.
            self._closed = True
        idle = set()
        while not self._idle.empty():
            idle.add(self._idle.get())
        for process in self._started:
            # Whatever a busy worker does is done again by the next run.
            _stop(process, at_once=process not in idle)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, tasks: Sequence[Task]) -> None:
        """See `Invoker.run`."""
        for future in [self._pool.submit(self._run, task) for task in tasks]:
            future.result()

    def _run(self, task: Task) -> None:
        for _ in range(_ATTEMPTS):
            process = self._idle.get() or self._start()
            answer = _ask(process, task)
            self._idle.put(process if process.poll() is None else None)
            if answer is None:
                continue
            if "error" in answer:
                raise TidegateError(answer["error"])
            return
        raise TidegateError(
            f"the worker process of {task.stage} task {task.number} of epoch {task.epoch} died "
            f"{_ATTEMPTS} times; its own message stands above, if it had one (out of memory leaves none)"
        )

    def _start(self) -> "subprocess.Popen[str]":
        with self._lock:
            if self._closed:
                raise TidegateError("the workers were stopped; run the same command again to go on")
            process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._started.append(process)
        return process


def worker_command(reference: str, input_folder: Path, output_folder: Path, state_folder: Path) -> list[str]:
    """The command that starts a worker for a pipeline."""
    folders = [str(folder.resolve()) for folder in (input_folder, output_folder, state_folder)]
    return [sys.executable, "-m", "tidegate.runtime.worker", reference, *folders]


def _ask(process: "subprocess.Popen[str]", task: Task) -> dict[str, str] | None:
    """The worker's answer; None if it died."""
    if process.stdin is None or process.stdout is None:
        raise TidegateError("a worker process was started without pipes")
    try:
        process.stdin.write(json.dumps(asdict(task)) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except (BrokenPipeError, ValueError):
        line = ""
    if not line:
        process.wait()
        return None
    answer: dict[str, str] = json.loads(line)
    return answer


def _stop(process: "subprocess.Popen[str]", *, at_once: bool) -> None:
    if process.stdin is not None:
        try:
            process.stdin.close()
        except BrokenPipeError:
            at_once = True
    if at_once:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
