"""The embedded runner, killed again and again: on a finished folder, and while files arrive."""

import fcntl
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tests.crash import oracles
from tests.crash.command import BUSY, LONGEST, CommandLine, Process, Progress, children
from tests.crash.oracles import demand
from tests.crash.spectator import Spectator
from tests.crash.workload import InputFile, Workload, draw
from tidegate.cli import FAILED, INTERRUPTED
from tidegate.epochs import paths
from tidegate.epochs.manifest import Manifest
from tidegate.runtime.folders import LOCK

GIVEN_UP = " died 3 times; "
"""What the command says when a task's worker was killed on every try."""

KINDS = ("kill",) * 4 + ("kill all", "zombie") * 2 + ("worker",) * 4 + ("pause", "start")


@dataclass(frozen=True)
class Blow:
    """What is done to a run, and when.

    Attributes:
        kind: `kill` the runner alone, so that its workers go on without it; `kill all`; kill a `worker`;
            `pause` the runner while a second one tries; `zombie`: stop a worker, kill its runner, and let the
            worker go on once the next runner is at work; `start`: kill the runner while it still starts.
        changes: How many changes on disk it waits for.
        delay: Seconds from there.
    """

    kind: str
    changes: int
    delay: float

    @classmethod
    def draw(cls, chance: random.Random) -> "Blow":
        kind = chance.choice(KINDS)
        # Up to the end of a start's imports, or of a few file operations.
        delay = chance.uniform(0, 0.6) if kind == "start" else chance.uniform(0, 0.006)
        return cls(kind, 0 if kind == "start" else chance.randint(1, 10), delay)


class Assault:
    """Runs a command line and deals it blows.

    Attributes:
        counts: Of `kills` that hit, and of other `faults`.
    """

    def __init__(self, line: CommandLine, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._line = line
        self._chance = chance
        self._progress = Progress(line)
        self._stopped: list[Process] = []
        self._orphans: list[Process] = []
        self._runs = 0

    def blow(self, blows: Sequence[Blow], *arguments: str, patience: float = 60) -> bool:
        """Starts the command and deals blows until one of them ends it; returns whether one did.

        Args:
            blows: What to do.
            arguments: Of the command.
            patience: Seconds to wait for a change; after that the run is ended in order.
        """
        self._runs += 1
        heard = self._line.base / f"errors-{self._runs}.txt"
        with heard.open("w") as errors, self._line.start(*arguments, errors=errors) as process:
            ended = self._deal(process, blows, patience)
            if not ended and process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(LONGEST)
        if process.returncode == -signal.SIGKILL:
            return True
        # A run that follows ends with 0 when it is told to, if it was at work already.
        codes = (0, INTERRUPTED, -signal.SIGTERM) if "--follow" in arguments else (0,)
        gave_up = process.returncode == FAILED and GIVEN_UP in heard.read_text()
        self.counts["faults"] += gave_up
        demand(gave_up or process.returncode in codes, f"it ended with {process.returncode}: {heard}")
        return gave_up

    def settle(self) -> None:
        """Waits until nobody is left who was started here; nobody may have complained."""
        self._continue()
        deadline = time.monotonic() + LONGEST
        while any(process.is_alive() for process in self._orphans):
            demand(time.monotonic() < deadline, f"workers outlive their runner: {self._orphans}")
            time.sleep(0.01)
        for heard in self._line.base.glob("errors-*.txt"):
            wrong = [line for line in heard.read_text().splitlines() if not _is_expected(line)]
            demand(not wrong, f"{heard} has {wrong[-1:]}")

    def _deal(self, process: "subprocess.Popen[str]", blows: Sequence[Blow], patience: float) -> bool:
        runner = Process.of(process.pid)
        for blow in blows:
            if runner is None or not self._wait(process, blow, patience):
                return False
            workers = children(process.pid)
            if blow.kind == "worker" and workers:
                self.counts["kills"] += self._chance.choice(workers).send(signal.SIGKILL)
            elif blow.kind == "pause":
                self._pause(runner)
            else:
                self._end(blow, runner, workers)
                return True
        return False

    def _end(self, blow: Blow, runner: Process, workers: Sequence[Process]) -> None:
        """Kills the runner; what becomes of its workers depends."""
        self._orphans += workers
        if blow.kind == "zombie" and workers:
            zombie = self._chance.choice(workers)
            self.counts["faults"] += zombie.send(signal.SIGSTOP)
            self._stopped.append(zombie)
        self.counts["kills"] += runner.send(signal.SIGKILL)
        if blow.kind == "kill all":
            self.counts["kills"] += sum(worker.send(signal.SIGKILL) for worker in workers)

    def _wait(self, process: "subprocess.Popen[str]", blow: Blow, patience: float) -> bool:
        """Waits for the blow's moment; False if the run ended before, or nothing moves any more."""
        seen, left, changed = self._progress.now(), blow.changes, time.monotonic()
        while left:
            if process.poll() is not None or time.monotonic() - changed > patience:
                return False
            found = self._progress.now()
            if found != seen:
                seen, left, changed = found, left - 1, time.monotonic()
                # A zombie of the run before wakes up while this one is at work.
                self._continue()
            else:
                time.sleep(0.0005)
        time.sleep(blow.delay)
        return process.poll() is None

    def _pause(self, runner: Process) -> None:
        """Stops the runner for a while; a second one must be refused."""
        self.counts["faults"] += runner.send(signal.SIGSTOP)
        try:
            # One that has done its work and only ends has given the folders back.
            if runner.is_alive() and self._is_locked():
                second = self._line.run()
                demand(
                    second.returncode == 2 and second.stderr.startswith(BUSY),
                    f"a second run beside a stopped one ended with {second.returncode}: {second.stderr}",
                )
        finally:
            runner.send(signal.SIGCONT)

    def _is_locked(self) -> bool:
        with (self._line.state / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _continue(self) -> None:
        """Lets the stopped workers go on, save some that never do."""
        while self._stopped:
            zombie = self._stopped.pop()
            if self._chance.random() < 0.3:
                self.counts["kills"] += zombie.send(signal.SIGKILL)
            zombie.send(signal.SIGCONT)


class Feeder:
    """Puts files into an input folder as uploads do: one by one, renamed into it or written slowly."""

    def __init__(self, folder: Path, files: Sequence[InputFile], chance: random.Random) -> None:
        self._folder = folder
        self._files = [(file, chance.uniform(0, 0.9), chance.random() < 0.3) for file in files]
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _feed(self) -> None:
        aside = self._folder.parents[1] / "aside"
        for file, pause, slowly in self._files:
            time.sleep(pause)
            if not slowly:
                file.write(aside).rename(self._folder / file.name)
                continue
            data = file.content()
            # It stays open all the time: that is how the runner knows.
            with (self._folder / file.name).open("wb", buffering=0) as target:
                for start in range(0, len(data), len(data) // 3 + 1):
                    target.write(data[start : start + len(data) // 3 + 1])
                    time.sleep(pause)


def folder_round(base: Path, chance: random.Random) -> Counter[str]:
    """A finished folder: the output must have the bytes of an undisturbed run."""
    return disturb(base, chance, functions=chance.random() < 0.5)


def disturb(base: Path, chance: random.Random, *, functions: bool) -> Counter[str]:
    """A round on a finished folder.

    Args:
        base: An empty folder.
        chance: What the round is drawn from.
        functions: Whether Python functions do the work, in worker processes.
    """
    workload = draw(chance, functions=functions, lossless=chance.random() < 0.5, files=chance.randint(20, 40))
    for file in workload.files:
        file.write(base / "in" / "scores")
    drain = ("--drain",) if chance.random() < 0.7 else ()
    calm, line = _lines(base, workload, chance, drain)
    _finish(calm)
    # All at once, so that the same round deals the same blows, however far they come.
    schedule = [[Blow.draw(chance) for _ in range(6)] for _ in range(chance.randint(6, 14))]
    assault = Assault(line, chance)
    with Spectator(line.outputs):
        for blows in schedule:
            if not assault.blow(blows):
                break
        _finish(line)
        assault.settle()
        # Once more, with nothing to do: whatever a zombie left half-written goes away.
        _finish(line)
    oracles.same_files(contents(line.outputs), contents(calm.outputs))
    before, after = last_manifest(calm.state), last_manifest(line.state)
    demand(before.totals == after.totals, f"totals {after.totals}, undisturbed {before.totals}")
    check(workload, line, ended=bool(drain))
    return assault.counts


def following_round(base: Path, chance: random.Random) -> Counter[str]:
    """Files arrive meanwhile: epochs are cut by chance, and the panes must come to the batch answer."""
    workload = draw(chance, functions=chance.random() < 0.5, lossless=True, files=chance.randint(10, 20))
    feeder = Feeder(base / "in" / "scores", workload.files, chance)
    _, line = _lines(base, workload, chance, ())
    schedule = cycle([[Blow.draw(chance) for _ in range(4)] for _ in range(20)])
    assault = Assault(line, chance)
    with Spectator(line.outputs):
        feeder.start()
        while not feeder.is_done():
            # What is waited for comes with the next file.
            assault.blow(next(schedule), "--follow", patience=4)
        assault.settle()
        _finish(line)
        _finish(line, "--drain")
    check(workload, line, ended=True)
    return assault.counts


def check(workload: Workload, line: CommandLine, *, ended: bool) -> None:
    """All oracles that need no undisturbed run."""
    manifest = last_manifest(line.state)
    oracles.conservation(workload, manifest.totals)
    sink = [path.read_bytes() for path in sorted((line.outputs / "totals").glob("*.json"))]
    oracles.answer(workload, sink, manifest.totals, ended=ended)
    dead = line.outputs / "dead-letters" / "scores"
    oracles.dead_letters(workload, [path.read_bytes() for path in sorted(dead.glob("*.json"))])
    written = [path for folder in (line.outputs, line.state) for path in folder.rglob("*") if path.is_file()]
    demand(not [path for path in written if "#" in path.name], "files are left half-written")
    epochs = {int(path.name.split("-")[1]) for path in line.outputs.rglob("epoch-*")}
    beyond = {epoch for epoch in epochs if epoch > manifest.epoch}
    demand(not beyond, f"output of the epochs {beyond}, and the head is at {manifest.epoch}")


def last_manifest(state: Path) -> Manifest:
    """The newest manifest below a folder of state."""
    path = max((state / "scores" / "epochs").glob("*/manifest.json"))
    return Manifest.decode(paths.manifest("scores", int(path.parent.name)), path.read_bytes())


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder by their names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def _is_expected(line: str) -> bool:
    """Whether a killed or interrupted run may say this on standard error."""
    return line.startswith(("following ", "tidegate: stopped; ")) or GIVEN_UP in line


def _lines(
    base: Path, workload: Workload, chance: random.Random, arguments: tuple[str, ...]
) -> tuple[CommandLine, CommandLine]:
    """The command line for an undisturbed run, and for one that is not."""
    pipeline = base / "crash_pipeline.py"
    pipeline.write_text(workload.text)
    tasks = chance.choice((0, 0, 2, 3))
    files = str(chance.choice((3, 5) if tasks else (1, 1, 2)))
    arguments += ("--max-files-per-epoch", files, "--workers", str(chance.choice((1, 2))))
    calm, line = (CommandLine(pipeline, base, name, arguments, tasks) for name in ("calm", "killed"))
    return calm, line


def _finish(line: CommandLine, *arguments: str) -> None:
    done = line.run(*arguments)
    demand(
        done.returncode == 0 and done.stderr == "",
        f"undisturbed it ended with {done.returncode}: {done.stderr}",
    )
