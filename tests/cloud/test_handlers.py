"""Each handler with recorded events, on a deployment that only notes what it was asked."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.errors import IncompatiblePipeline
from tidegate.runtime import deployment, task_runner
from tidegate.runtime.control_plane import Received
from tidegate.runtime.notifications import Alarm, Upload

ROOT = Path(__file__).parents[2]
EVENTS = Path(__file__).parent / "events"
CONTROL = ("intake", "plan", "commit", "reconcile", "sweep")
FUNCTIONS = (*CONTROL, "epoch", "map", "reduce")
CONTEXT = SimpleNamespace(
    function_name="tidegate",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:tidegate",
    aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    get_remaining_time_in_millis=lambda: 30_000,
)


class Control:
    """Stands in for the control plane of a deployment, and for what runs its tasks."""

    def __init__(self) -> None:
        self.accepted: list[tuple[str, str, str, int]] = []
        self.rung: list[int] = []
        self.wakes = 0
        self.incompatible = False
        self.calls: list[tuple[Any, ...]] = []

    def check(self) -> None:
        if self.incompatible:
            raise IncompatiblePipeline("another plan")

    def receive(self, message: Upload | Alarm) -> Received:
        if isinstance(message, Alarm):
            self.rung.append(message.moment)
            return Received.ALARM
        if not message.bucket.startswith("tidegate-input"):
            raise ValueError(f"{message.bucket} is not the input bucket")
        self.accepted.append((message.bucket, message.key, message.version, message.size))
        return Received.ACCEPTED

    def wake(self) -> None:
        self.wakes += 1

    def plan(self, execution: str, history: int) -> dict[str, Any]:
        self.calls.append(("plan", execution, history))
        return {"action": "epoch", "epoch": 4, "history": history + 1}

    def release(self, execution: str) -> dict[str, Any]:
        self.calls.append(("release", execution))
        return {"action": "released"}

    def commit(self, epoch: int) -> dict[str, Any]:
        self.calls.append(("commit", epoch))
        return {"epoch": epoch}

    def reconcile(self) -> dict[str, Any]:
        self.calls.append(("reconcile",))
        return {"accepted": 2}

    def sweep(self) -> dict[str, Any]:
        self.calls.append(("sweep",))
        return {"removed": 3}

    def run_epoch(self, environment: Any, control: "Control", epoch: int, attempt: str) -> dict[str, Any]:
        assert control is self
        self.calls.append(("run_epoch", epoch, attempt))
        return {"epoch": epoch}

    def run_task(self, environment: Any, task: dict[str, Any], attempt: str) -> dict[str, Any]:
        self.calls.append(("run_task", task, attempt))
        return task


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Control:
    control = Control()
    monkeypatch.setattr(deployment, "control_plane", lambda environment: control)
    monkeypatch.setattr(task_runner, "run_task", control.run_task)
    monkeypatch.setattr(task_runner, "run_epoch", control.run_epoch)
    # Powertools keeps one logger a service name, with the standard output of the test that made it.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tidegate")
    return control


@pytest.fixture
def call(control: Control) -> Callable[[str, str], Any]:
    """Calls the handler of a function with a recorded event."""

    def call(function: str, event: str) -> Any:
        spec = importlib.util.spec_from_file_location(
            f"app_{function}", ROOT / "functions" / function / "app.py"
        )
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.handler(json.loads((EVENTS / f"{event}.json").read_text()), CONTEXT)

    return call


def test_intake_accepts_decoded_keys_with_their_versions(call: Any, control: Control) -> None:
    assert call("intake", "intake_uploads") == {"batchItemFailures": []}
    bucket = "tidegate-input-123456789012-eu-west-1"
    assert control.accepted == [
        (bucket, "scores/first.json", "wzXbSyNVwJfBJ3mS0RnEkqWJ0hN9Uoj4", 120),
        (bucket, "scores/a folder/größe+1.json", "3HL4kqtJlcpXroDTDmJ", 4096),
    ]
    assert control.wakes == 1


def test_intake_takes_the_etag_where_a_bucket_keeps_no_versions(call: Any, control: Control) -> None:
    call("intake", "intake_without_version")
    assert control.accepted[0][2] == '"0123456789abcdef0123456789abcdef"'


def test_an_alarm_wakes(call: Any, control: Control) -> None:
    assert call("intake", "intake_alarm") == {"batchItemFailures": []}
    assert control.rung == [1_750_000_060_000_000]
    assert control.accepted == []
    assert control.wakes == 1


def test_intake_takes_s3s_own_test_event_off_the_queue(call: Any, control: Control) -> None:
    assert call("intake", "intake_test_event") == {"batchItemFailures": []}
    assert control.accepted == []


def test_intake_leaves_all_on_the_queue_while_the_state_is_of_another_plan(
    call: Any, control: Control
) -> None:
    control.incompatible = True
    with pytest.raises(IncompatiblePipeline):
        call("intake", "intake_uploads")
    assert control.accepted == []
    assert control.wakes == 0


def test_intake_leaves_only_what_failed_on_the_queue(
    call: Any, control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = [
        item["itemIdentifier"][-1] for item in call("intake", "intake_one_bad_of_three")["batchItemFailures"]
    ]
    assert failed == ["2", "3"]
    assert len(control.accepted) == control.wakes == 1
    logged = capsys.readouterr().out
    assert "somebody-elses-bucket is not the input bucket" in logged
    assert "secret" not in logged


ATTEMPT = CONTEXT.aws_request_id
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:tidegate-epochs:5f2d"


@pytest.mark.parametrize(
    ("function", "event", "asked"),
    [
        ("plan", "plan", [("plan", EXECUTION, 3)]),
        ("plan", "release", [("release", EXECUTION)]),
        ("epoch", "epoch", [("run_epoch", 4, ATTEMPT)]),
        ("map", "map", [("run_task", {"epoch": 5, "stage": "map", "task": 2}, ATTEMPT)]),
        ("reduce", "reduce", [("run_task", {"epoch": 5, "stage": "reduce", "task": 0}, ATTEMPT)]),
        ("commit", "commit", [("commit", 5)]),
        ("reconcile", "housekeeping", [("reconcile",)]),
        ("sweep", "housekeeping", [("sweep",)]),
    ],
)
def test_a_handler_passes_its_event_on(
    call: Any, control: Control, function: str, event: str, asked: list[tuple[Any, ...]]
) -> None:
    assert call(function, event)
    assert control.calls == asked


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_can_be_read_in_a_minute(function: str) -> None:
    lines = (ROOT / "functions" / function / "app.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the layer has it, with the compiled plan document of one pipeline."""
    folder = tmp_path_factory.mktemp("layer")
    pipelines, output = str(Path(__file__).parent / "pipelines"), str(folder / "tidegate_plans")
    command = [sys.executable, "-m", "tidegate", "compile", pipelines, "--output", output]
    path = os.pathsep.join([str(ROOT / "shared"), str(Path(__file__).parent)])
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize(
    ("function", "heavy"),
    [("map", "boto3"), ("reduce", "boto3"), *((name, "polars") for name in CONTROL)],
)
def test_a_cold_start_does_not_import_what_the_function_never_needs(
    plans: Path, function: str, heavy: str
) -> None:
    program = f"import sys, app; sys.exit({heavy!r} in sys.modules)"
    path = os.pathsep.join(map(str, [ROOT / "functions" / function, ROOT / "shared", plans]))
    subprocess.run([sys.executable, "-c", program], check=True, env={**ENVIRONMENT, "PYTHONPATH": path})


ENVIRONMENT = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "TIDEGATE_PIPELINE": "pipelines.scores:pipeline",
    "TIDEGATE_INPUT_BUCKET": "input",
    "TIDEGATE_STATE_BUCKET": "state",
    "TIDEGATE_OUTPUT_BUCKET": "output",
    "TIDEGATE_TABLE": "table",
    "TIDEGATE_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:tidegate-epochs",
    "TIDEGATE_MAX_BYTES_PER_EPOCH": "1000000",
    "TIDEGATE_MAX_FILES_PER_EPOCH": "1000",
    "TIDEGATE_MAX_TASKS": "4",
    "TIDEGATE_SMALL_EPOCH_BYTES": "1000",
}
