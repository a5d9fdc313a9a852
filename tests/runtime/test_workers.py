import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path

import pytest

from tests.runtime.conftest import EXPRESSIONS, FUNCTIONS
from tests.runtime.events import write_files
from tidegate.epochs import intake
from tidegate.epochs.intake import InputObject
from tidegate.epochs.invoker import Invoker
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator, State
from tidegate.epochs.result import Task
from tidegate.errors import TidegateError
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.workers import ProcessWorkers, ThreadWorkers, worker_command
from tidegate.stores.memory import ManualClock, MemoryTable
from tidegate.testing.invoker import Deployment, InvokerConformance
from tidegate.testing.sequential import SequentialInvoker

Write = Callable[..., str]
FANNED_OUT = Limits(small=0, task_bytes=1, tasks=3)


def folders_of(base: Path) -> Folders:
    write_files(base / "in" / "scores", 5)
    return Folders.of(base / "in", base / "out", None)


def deployed(plan: Plan, folders: Folders, invoker: Invoker) -> Deployment:
    """A deployment whose files wait."""
    stores, table = folders.stores(), MemoryTable()
    files = [InputObject(each.key, each.version, each.size) for each in stores.input.list("scores")]
    intake.accept(table, files, now=max(each.modified for each in stores.input.list("scores")))
    now = 1_700_009_000_000_000
    coordinator = Coordinator(plan.outline(), stores.state, table, FANNED_OUT, ManualClock(now))
    return Deployment(plan.name, invoker, coordinator, stores)


class TestSequentialInvoker(InvokerConformance):
    @pytest.fixture
    def deployment(self, write_pipeline: Write, tmp_path: Path) -> Deployment:
        plan, folders = compile_plan(load_pipeline(write_pipeline())), folders_of(tmp_path)
        attempts = (f"attempt{number}" for number in count())
        return deployed(plan, folders, SequentialInvoker(plan, folders.stores(), attempts))


class TestThreadWorkers(InvokerConformance):
    @pytest.fixture
    def deployment(self, write_pipeline: Write, tmp_path: Path) -> Iterator[Deployment]:
        plan, folders = compile_plan(load_pipeline(write_pipeline())), folders_of(tmp_path)
        with ThreadWorkers(plan, folders.stores(), 2) as invoker:
            yield deployed(plan, folders, invoker)


class TestProcessWorkers(InvokerConformance):
    @pytest.fixture
    def deployment(self, write_pipeline: Write, tmp_path: Path) -> Iterator[Deployment]:
        reference = write_pipeline(FUNCTIONS)
        plan, folders = compile_plan(load_pipeline(reference)), folders_of(tmp_path)
        command = worker_command(reference, folders.input, folders.output, folders.state)
        with ProcessWorkers(command, 2) as invoker:
            yield deployed(plan, folders, invoker)


def processes(reference: str, folders: Folders, count: int = 1) -> ProcessWorkers:
    return ProcessWorkers(worker_command(reference, folders.input, folders.output, folders.state), count)


def function(body: str) -> str:
    """The pipeline with a Python function of this body, which may change the row."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return FUNCTIONS.replace("double =", f"def touch(row):\n{lines}\n    return row\n\ndouble =").replace(
        'lambda row: row | {"score": row["score"] * 2}', "touch"
    )


def run_epoch(deployment: Deployment) -> dict[str, int]:
    record = deployment.plan()
    for state in (State.MAP, State.REDUCE):
        deployment.invoker.run(deployment.coordinator.tasks(record, state))
    return deployment.coordinator.commit(record).counters


def test_what_user_functions_print_does_not_break_the_protocol(
    write_pipeline: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = (
        'import os, subprocess, sys\nprint("{\\"error\\": \\"printed\\"}", flush=True)\n'
        'sys.stdout.write("half a line")\n'
        'sys.stdout.flush()\nos.write(1, b"raw\\n")'
    )
    reference = write_pipeline(function(body), "printing_pipeline.py")
    folders = folders_of(tmp_path)
    with processes(reference, folders) as workers:
        counters = run_epoch(deployed(compile_plan(load_pipeline(reference)), folders, workers))
    assert counters["records"] == 101
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "half a line" in printed.err


def test_a_worker_that_is_killed_in_mid_task_is_replaced(write_pipeline: Write, tmp_path: Path) -> None:
    """The function says where it is, and waits until its first worker is dead."""
    body = (
        "import os, pathlib, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "if not (here / 'worker').exists():\n"
        "    (here / 'worker').write_text(str(os.getpid()))\n"
        "    time.sleep(60)"
    )
    reference = write_pipeline(function(body), "waiting_pipeline.py")
    folders = folders_of(tmp_path)
    started: list[float] = []

    def kill() -> None:
        while not (tmp_path / "worker").exists() or not (tmp_path / "worker").read_text():
            time.sleep(0.01)
        os.kill(int((tmp_path / "worker").read_text()), signal.SIGKILL)
        started.append(time.monotonic())

    with processes(reference, folders) as workers:
        killer = threading.Thread(target=kill)
        killer.start()
        counters = run_epoch(deployed(compile_plan(load_pipeline(reference)), folders, workers))
        killer.join()
    assert started
    assert time.monotonic() - started[0] < 20
    assert counters["records"] == 101


def test_a_worker_that_always_dies_is_given_up(write_pipeline: Write, tmp_path: Path) -> None:
    reference = write_pipeline(function("import os\nos._exit(3)"), "dying_pipeline.py")
    folders = folders_of(tmp_path)
    with processes(reference, folders) as workers:
        deployment = deployed(compile_plan(load_pipeline(reference)), folders, workers)
        record = deployment.plan()
        with pytest.raises(TidegateError, match="map task 0 of epoch 1 died 3 times"):
            workers.run(deployment.coordinator.tasks(record, State.MAP)[:1])


FAULTY = """
import tidegate.runtime.worker as worker

def run_task(*arguments):
    raise KeyError("a fault\\nof several lines")

worker.run_task = run_task
"""


def test_an_unexpected_failure_names_its_places_but_no_record_and_is_not_tried_again(
    write_pipeline: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reference, folders = write_pipeline(FUNCTIONS), folders_of(tmp_path)
    plan = compile_plan(load_pipeline(reference))
    # The worker that the command starts is another process, and its pipeline meddles with it there.
    command = worker_command(reference, folders.input, folders.output, folders.state)
    command[1:3] = ["-c", FAULTY + "import sys; worker.main(*sys.argv[1:])"]
    with ProcessWorkers(command, 1) as workers:
        deployment = deployed(plan, folders, workers)
        record = deployment.plan()
        with pytest.raises(TidegateError) as raised:
            workers.run(deployment.coordinator.tasks(record, State.MAP)[:1])
    assert str(raised.value).startswith("map task 0 of epoch 1 failed with KeyError in ")
    assert "called by worker.py" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "Traceback" not in capfd.readouterr().err


def test_a_pipeline_that_cannot_be_loaded_any_more(write_pipeline: Write, tmp_path: Path) -> None:
    reference, folders = write_pipeline(FUNCTIONS), folders_of(tmp_path)
    with processes(reference, folders) as workers:
        deployment = deployed(compile_plan(load_pipeline(reference)), folders, workers)
        record = deployment.plan()
        write_pipeline("def broken(:\n")
        with pytest.raises(
            TidegateError, match=r"scores_pipeline.py cannot be imported: line 1: SyntaxError"
        ):
            workers.run(deployment.coordinator.tasks(record, State.MAP)[:1])


def test_a_worker_whose_runner_was_killed_ends_without_a_word(write_pipeline: Write, tmp_path: Path) -> None:
    """It was in the middle of a task, and nobody hears its answer."""
    folders = folders_of(tmp_path)
    command = worker_command(write_pipeline(), folders.input, folders.output, folders.state)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write(json.dumps(asdict(Task(epoch=1, stage="map", number=0))) + "\n")
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait(20) == 0


def test_workers_end_with_the_pool(write_pipeline: Write, tmp_path: Path) -> None:
    body = f"import os, pathlib\npathlib.Path({str(tmp_path)!r}, f'pid-{{os.getpid()}}').touch()"
    reference = write_pipeline(function(body), "pid_pipeline.py")
    folders = folders_of(tmp_path)
    with processes(reference, folders, 2) as workers:
        run_epoch(deployed(compile_plan(load_pipeline(reference)), folders, workers))
    pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    assert 1 <= len(pids) <= 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_ends_when_its_runner_is_gone(write_pipeline: Write, tmp_path: Path) -> None:
    """The pipe is the leash: nobody is left to tell a worker anything once it is closed."""
    reference = write_pipeline(EXPRESSIONS)
    folders = folders_of(tmp_path)
    command = worker_command(reference, folders.input, folders.output, folders.state)
    assert command[0] == sys.executable
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
