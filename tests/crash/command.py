"""The command line on a folder of its own, and the processes that it is made of."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[2]
LONGEST = 300
"""Seconds after which a run that should end counts as hanging."""

BUSY = "tidegate: another run uses the state in "


@dataclass(frozen=True)
class Process:
    """A process, known by its number and its start, since numbers are used again."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process with a number; None if it is gone."""
        try:
            # The name may hold spaces and parentheses; the fields after it are plain.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else cls(pid, fields[19])

    def is_alive(self) -> bool:
        return Process.of(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal; returns whether there was somebody to receive it."""
        if not self.is_alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def children(pid: int) -> list[Process]:
    """The processes that a process started and that are alive."""
    numbers: list[str] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            numbers += task.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = (Process.of(int(number)) for number in numbers)
    return [process for process in found if process]


@dataclass(frozen=True)
class CommandLine:
    """`tidegate run` of one pipeline.

    Attributes:
        base: The folder that holds `in` and the output.
        output: The output folder's name; the state lies beside it.
        arguments: Further ones.
        tasks: How many tasks an epoch's stages have; 0 leaves that to the command.
        before: What stands before the command, such as `setpriv`.
    """

    pipeline: Path
    base: Path
    output: str
    arguments: tuple[str, ...] = ()
    tasks: int = 0
    before: tuple[str, ...] = ()

    @property
    def outputs(self) -> Path:
        return self.base / self.output

    @property
    def state(self) -> Path:
        return self.base / f"{self.output}.state"

    def start(self, *arguments: str, errors: int | TextIO = subprocess.PIPE) -> "subprocess.Popen[str]":
        """Starts it, with further arguments.

        Args:
            arguments: Behind all others.
            errors: Where standard error goes. The workers of a killed run share it and may outlive it, so
                that a pipe would end only with them.
        """
        module = ["tests.crash.fanned_out", str(self.tasks)] if self.tasks else ["tidegate"]
        command = [*self.before, sys.executable, "-m", *module, "run", str(self.pipeline)]
        command += ["--input", str(self.base / "in"), "--output", str(self.outputs)]
        return subprocess.Popen(
            [*command, *self.arguments, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'shared'}"},
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs it to its end, whatever that is."""
        with self.start(*arguments) as process:
            try:
                output, errors = process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                process.kill()
                output, errors = process.communicate()
                errors += f"still at work after {LONGEST} s\n"
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


class Progress:
    """What a run changed on disk so far, told apart cheaply: a killer looks a thousand times a second."""

    def __init__(self, line: CommandLine) -> None:
        self._state, self._outputs = line.state / "scores", line.outputs / "totals"

    def now(self) -> tuple[object, ...]:
        """Differs whenever a file of the newest epochs came or the table was written."""
        newest = [
            (name, self._names(folder / name))
            for folder in (self._state / "epochs", self._state / "data")
            for name in self._names(folder)[-2:]
        ]
        results = [len(self._names(self._state / "epochs" / name / "results")) for name, _ in newest]
        return self._written(), newest, results, len(self._names(self._outputs))

    @staticmethod
    def _names(folder: Path) -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(folder))
        except FileNotFoundError:
            return []

    def _written(self) -> tuple[int, int]:
        try:
            status = (self._state / "table.sqlite-wal").stat()
        except FileNotFoundError:
            return (0, 0)
        return status.st_size, status.st_mtime_ns
