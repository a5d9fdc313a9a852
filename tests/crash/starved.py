"""A disk that is full, a folder that may not be written: the run must say so, and go on once that is mended.

The cases run in a namespace of their own, where file systems can be mounted: see `Namespace`.
"""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.crash import oracles
from tests.crash.command import ROOT, CommandLine, Progress
from tests.crash.embedded import check, contents, last_manifest
from tests.crash.oracles import Divergence, demand
from tests.crash.workload import Workload, draw

PLENTY = "64m"
MOUNT = Path("/mnt")
"""Where the round's folder appears in the namespace, so that `/tmp` can be hidden."""

UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Nothing is forbidden to root, unless it gives up that right."""


@dataclass
class Starved:
    """A run to starve, and the undisturbed one that it must come to.

    Attributes:
        counts: Of `faults`: runs that failed as they should.
        reasons: What the runs that failed said, without the paths.
    """

    workload: Workload
    line: CommandLine
    calm: CommandLine
    chance: random.Random
    counts: Counter[str]
    reasons: Counter[str]

    def fail_or_finish(self, *, places: tuple[Path, ...]) -> bool:
        """Runs; returns whether it came to its end. If not, it must have said why in one line.

        Args:
            places: Folders that the line must name one of.
        """
        return self.judge(self.line.run(), places)

    def judge(self, done: "subprocess.CompletedProcess[str]", places: tuple[Path, ...]) -> bool:
        """See `fail_or_finish`."""
        if done.returncode == 0:
            demand(done.stderr == "", f"it ended well and said {done.stderr!r}")
            return True
        said = done.stderr
        demand(done.returncode in (1, 2), f"it ended with {done.returncode} and said {said!r}")
        demand(
            said.startswith("tidegate: ")
            and said.count("\n") == 1
            and any(str(place) in said for place in places)
            and "; " in said,
            f"no clear line of what, where and how to mend: {said!r}",
        )
        self.counts["faults"] += 1
        reason = said.removeprefix("tidegate: ").strip().split(": ", maxsplit=1)[-1]
        self.reasons[reason] += 1
        return False

    def finish(self) -> None:
        """Nothing is in the way any more: the same command ends, with the bytes of the undisturbed run."""
        done = self.line.run()
        demand(done.returncode == 0 and not done.stderr, f"mended, it still failed: {done.stderr}")
        oracles.same_files(contents(self.line.outputs), contents(self.calm.outputs))
        before, after = last_manifest(self.calm.state), last_manifest(self.line.state)
        demand(before.totals == after.totals, f"totals {after.totals}, undisturbed {before.totals}")
        check(self.workload, self.line, ended=True)
        self.whole_table()

    def whole_table(self) -> None:
        """SQLite finds its file whole; a copy of it, for looking at a table with a log changes it."""
        table = self.line.state / "scores" / "table.sqlite"
        if not table.exists():
            return
        with tempfile.TemporaryDirectory(dir=self.line.pipeline.parent) as folder:
            for path in (table, Path(f"{table}-wal")):
                if path.exists():
                    shutil.copy(path, folder)
            with closing(sqlite3.connect(Path(folder) / table.name)) as connection:
                (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        demand(verdict == "ok", f"the table is damaged: {verdict}")

    def when_at_work(self) -> "subprocess.Popen[str]":
        """Starts the run, and returns at some moment of its work."""
        process = self.line.start()
        progress = Progress(self.line)
        # A file makes several changes, not all of which are seen on a busy machine.
        seen, left = progress.now(), self.chance.randint(1, len(self.workload.files))
        while left and process.poll() is None:
            found = progress.now()
            left -= found != seen
            seen = found
            time.sleep(0.0005)
        return process


def growing_disk(starved: Starved, option: str, sizes: Iterator[str]) -> None:
    """The disk is full wherever its size has it; each time it is made a little larger.

    Args:
        starved: What to run.
        option: The limit that `mount` gives it: `size`, or `nr_inodes` for the number of files.
        sizes: Its values.
    """
    disk = _mounted(starved, f"{option}={next(sizes)}")
    while not starved.fail_or_finish(places=(disk,)):
        starved.whole_table()
        _command("mount", "-o", f"remount,{option}={next(sizes)}", str(disk))
    starved.finish()


def full_disk(starved: Starved) -> None:
    """The disk has little room in the first place; each run gets a little more."""
    first = starved.chance.choice((0, 1, 3))
    steps = ((first + step * starved.chance.randint(2, 12)) * 4 for step in range(10_000))
    growing_disk(starved, "size", (f"{max(4, size)}k" for size in _rising(steps)))


def too_many_files(starved: Starved) -> None:
    """The disk has room, but for no more files."""
    steps = (4 + step * starved.chance.randint(4, 20) for step in range(10_000))
    growing_disk(starved, "nr_inodes", (str(count) for count in _rising(steps)))


def disk_filled_meanwhile(starved: Starved) -> None:
    """Somebody else fills the disk at some moment, and takes it back."""
    disk = _mounted(starved, "size=16m")
    _fill(disk / "filler")
    demand(not starved.fail_or_finish(places=(disk,)), "it began on a full disk")
    (disk / "filler").unlink()
    for _ in range(4):
        process = starved.when_at_work()
        _fill(disk / "filler")
        done = _ended(process)
        if not starved.judge(done, (disk,)):
            # Trying again does not help, and does no harm.
            demand(not starved.fail_or_finish(places=(disk,)), "it went on with a full disk")
            starved.whole_table()
        (disk / "filler").unlink()
    starved.finish()


def full_tmp(starved: Starved) -> None:
    """`/tmp` and all that stands for it is full, which is nothing to the run."""
    for place in ("/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108  (hidden in the namespace)
        if Path(place).is_dir():
            _command("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place)
            _fill(Path(place) / "filler")
    demand(starved.fail_or_finish(places=()), "it needs /tmp")
    starved.counts["faults"] += 1
    starved.finish()


def read_only_output(starved: Starved) -> None:
    """The output folder is read-only from the start."""
    _read_only(starved, starved.line.outputs)


def read_only_state(starved: Starved) -> None:
    """The state folder is read-only from the start."""
    _read_only(starved, starved.line.state)


def output_turns_read_only(starved: Starved) -> None:
    """The output folder becomes read-only at some moment."""
    outputs = starved.line.outputs
    outputs.mkdir()
    _command("mount", "--bind", str(outputs), str(outputs))
    for _ in range(4):
        process = starved.when_at_work()
        # The system refuses while a file is open for writing, which takes no time.
        while not _command("mount", "-o", "remount,bind,ro", str(outputs), check=False):
            time.sleep(0.001)
        starved.judge(_ended(process), (outputs,))
        _command("mount", "-o", "remount,bind,rw", str(outputs))
    starved.finish()


def state_is_taken_away(starved: Starved) -> None:
    """The right to use the state folder vanishes at some moment."""
    starved.line = CommandLine(**vars(starved.line) | {"before": UNPRIVILEGED if _is_root() else ()})
    state = starved.line.state
    for _ in range(4):
        process = starved.when_at_work()
        folder = starved.chance.choice([state, state / "scores", state / "scores" / "epochs"])
        if folder.is_dir():
            folder.chmod(0)
        try:
            if not starved.judge(_ended(process), (folder,)):
                demand(not starved.fail_or_finish(places=(folder,)), "it went on without its state")
        finally:
            if folder.is_dir():
                folder.chmod(0o755)
    starved.finish()


CASES: dict[str, Callable[[Starved], None]] = {
    each.__name__: each
    for each in (
        full_disk,
        too_many_files,
        disk_filled_meanwhile,
        full_tmp,
        read_only_output,
        read_only_state,
        output_turns_read_only,
        state_is_taken_away,
    )
}


def starve(
    case: str, base: Path, chance: random.Random, *, files: int = 25
) -> tuple[Counter[str], Counter[str]]:
    """Runs a case in a namespace of its own; returns its counts, and what the runs that failed said.

    Raises:
        Divergence: See its text.
    """
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "tests.crash.starved"]
    done = subprocess.run(
        [*command, case, str(base), str(chance.getrandbits(32)), str(files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Divergence(done.stderr.strip())
    counts, reasons = json.loads(done.stdout)
    return Counter(counts), Counter(reasons)


def hindrance() -> str | None:
    """Why the cases cannot run on this machine; None if they can."""
    if ROOT.is_relative_to("/tmp"):  # noqa: S108
        return "the repository lies in /tmp, which the cases hide"
    needed = ["unshare", "mount", *(["setpriv"] if os.geteuid() == 0 else [])]
    missing = [name for name in needed if shutil.which(name) is None]
    if missing or sys.platform != "linux":
        return f"it needs Linux and {', '.join(missing or needed)}"
    probe = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", str(MOUNT)]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"this machine grants no namespace: {done.stderr.strip()}" if done.returncode else None


def main() -> int:
    """In the namespace: one case, its counts as JSON; a divergence on standard error."""
    case, base, seed, files = sys.argv[1:]
    _command("mount", "--bind", base, str(MOUNT))
    chance = random.Random(int(seed))  # noqa: S311
    workload = draw(chance, functions=chance.random() < 0.3, lossless=False, files=int(files))
    for file in workload.files:
        file.write(MOUNT / "in" / "scores")
    pipeline = MOUNT / "crash_pipeline.py"
    pipeline.write_text(workload.text)
    arguments = ("--drain", "--max-files-per-epoch", "1", "--workers", "1")
    calm, line = (CommandLine(pipeline, MOUNT, name, arguments) for name in ("calm", "disk/starved"))
    line.outputs.parent.mkdir()
    starved = Starved(workload, line, calm, chance, Counter(), Counter())
    try:
        done = calm.run()
        demand(done.returncode == 0, f"undisturbed it failed: {done.stderr}")
        CASES[case](starved)
        demand(starved.counts["faults"] > 0, "nothing was ever in the way")
    except Divergence as divergence:
        sys.stderr.write(f"{divergence}\n")
        return 1
    sys.stdout.write(json.dumps([starved.counts, starved.reasons]))
    return 0


def _mounted(starved: Starved, option: str) -> Path:
    disk = starved.line.outputs.parent
    _command("mount", "-t", "tmpfs", "-o", option, "tmpfs", str(disk))
    return disk


def _read_only(starved: Starved, folder: Path) -> None:
    folder.mkdir()
    _command("mount", "--bind", str(folder), str(folder))
    _command("mount", "-o", "remount,bind,ro", str(folder))
    demand(not starved.fail_or_finish(places=(folder,)), "it wrote where nothing can be written")
    _command("umount", str(folder))
    starved.finish()


def _rising(numbers: Iterator[int]) -> Iterator[int]:
    highest = 0
    for number in numbers:
        if number > highest:
            highest = number
            yield number


def _fill(path: Path) -> None:
    """Takes all the room that is left."""
    with path.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def _ended(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    with process:
        output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def _command(*command: str, check: bool = True) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.returncode == 0


def _is_root() -> bool:
    return os.geteuid() == 0


if __name__ == "__main__":
    sys.exit(main())
