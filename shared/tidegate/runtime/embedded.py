"""The embedded runner: the whole of Tidegate in one process, on local files and SQLite.

Without `follow` the input folder is a finished one: its files are taken in the order of their names, and
processing time is when the files were last changed, so that two runs over the same folder have the same
epochs and the same panes, emission times included. With `follow` files are taken as they arrive.
"""

import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.epochs import intake
from tidegate.epochs.machine import Coordinator, Invoker, drive
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import Limits
from tidegate.epochs.sweep import sweep
from tidegate.errors import UsageError
from tidegate.outline import Outline
from tidegate.plan import Plan
from tidegate.runtime.folders import Folders
from tidegate.runtime.workers import ProcessWorkers, ThreadWorkers, worker_command
from tidegate.stores.embedded import LocalObjects, SqliteTable
from tidegate.stores.ports import Clock, ObjectInfo, Table

Watch = Callable[[Manifest], None]

POLL = 0.25
"""Seconds between two looks at the input folder."""

SETTLED = 1_000_000
"""How long a file must be unchanged before it counts as complete while following, microseconds."""


SWEPT_AFTER = 60_000_000
"""How old an object must be by the clock before it is swept, microseconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """See `Clock.now`."""
        return time.time_ns() // 1_000


@dataclass
class EmbeddedRunner:
    """Runs one pipeline on the files of a folder.

    Args:
        plan: The pipeline's plan.
        folders: Where input, output and state lie; locked by the caller.
        table: The pipeline's rows.
        invoker: Runs the tasks.
        limits: How large epochs may be.
        clock: Processing time while following, and the order of the intake log.
        watch: Is told each committed epoch's manifest.
        ignored: Files of the input folder whose names do not fit the source.
    """

    plan: Plan
    folders: Folders
    table: Table
    invoker: Invoker
    limits: Limits
    clock: Clock
    watch: Watch = lambda manifest: None
    ignored: int = 0
    _changed: dict[str, int] = field(default_factory=dict)
    _known: set[tuple[str, str]] = field(default_factory=set)
    _swept: int = 0

    def __post_init__(self) -> None:
        self._outline: Outline = self.plan.outline()
        self._input = LocalObjects(self.folders.input)

    def run(self, *, drain: bool = False) -> Manifest | None:
        """Processes all files that are in the input folder now.

        Args:
            drain: Whether no file will follow: every window gives its last pane.

        Returns:
            The last manifest, None if nothing was ever processed.

        Raises:
            UsageError: There is no file to read, and never was.
        """
        # Before anything is accepted: it refuses the state of another plan.
        last = self.manifest()
        files = self._files()
        if not files and last is None:
            kind, prefix = self._outline.kind, self._outline.prefix
            raise UsageError(
                f"there are no {kind} files in {self.folders.input / prefix}, "
                f"nor in {self.folders.input} itself"
            )
        self._accept(files)
        coordinator = self._coordinator(self._arrival)
        drive(coordinator, self.invoker, close=drain, committed=self._committed)
        return coordinator.manifest()

    def follow(self, *, stop: Callable[[], bool] = lambda: False) -> Manifest | None:
        """Processes files as they arrive, until `stop` says so.

        Raises:
            IncompatiblePipeline: The state belongs to another plan. Nothing was accepted.
        """
        coordinator = self._coordinator(lambda inputs: self.clock.now())
        coordinator.manifest()
        while not stop():
            self._accept([each for each in self._files() if self._is_complete(each)])
            drive(coordinator, self.invoker, committed=self._committed)
            time.sleep(POLL)
        return coordinator.manifest()

    def _committed(self, manifest: Manifest) -> None:
        self.watch(manifest)
        now = self.clock.now()
        if now - self._swept >= SWEPT_AFTER:
            # Not more often: what is younger stays anyway, and looking costs a listing.
            self._swept = now
            sweep(LocalObjects(self.folders.state), manifest, now - SWEPT_AFTER)

    def manifest(self) -> Manifest | None:
        """The manifest of the last committed epoch, None before the first one."""
        return self._coordinator(self._arrival).manifest()

    def _coordinator(self, now: Callable[[Sequence[intake.Accepted]], int]) -> Coordinator:
        state = LocalObjects(self.folders.state)
        return Coordinator(self._outline, state, self.table, self.limits, now)

    def _files(self) -> list[ObjectInfo]:
        """The source's files: below its prefix, or in the folder itself if there is no such folder."""
        below = (self.folders.input / self._outline.prefix).is_dir()
        listed = list(self._input.list(self._outline.prefix if below else ""))
        files = [each for each in listed if self._outline.fits(each.key.rsplit("/", maxsplit=1)[-1])]
        self.ignored = len(listed) - len(files)
        for each in files:
            if not _is_text(each.key):
                raise UsageError(f"the file name {each.key!r} in {self.folders.input} is no UTF-8; rename it")
        self._changed = {each.key: each.modified for each in files}
        return files

    def _accept(self, files: Sequence[ObjectInfo]) -> None:
        new = [each for each in files if (each.key, each.version) not in self._known]
        objects = [intake.InputObject(each.key, each.version, each.size) for each in new]
        intake.accept(self.table, objects, self.clock.now())
        self._known.update((each.key, each.version) for each in new)

    def _arrival(self, inputs: Sequence[intake.Accepted]) -> int:
        """When the last of the inputs was changed: the processing time of a finished folder."""
        return max((self._changed.get(each.object.key, 0) for each in inputs), default=0)

    def _is_complete(self, file: ObjectInfo) -> bool:
        """Whether a file has not changed for a while and nobody has it open for writing."""
        if (file.key, file.version) in self._known:
            return False
        if self.clock.now() - file.modified < SETTLED:
            return False
        return not _is_being_written(self.folders.input / file.key)


@contextmanager
def open_runner(
    plan: Plan,
    reference: str,
    folders: Folders,
    *,
    limits: Limits,
    watch: Watch = lambda manifest: None,
    workers: int | None = None,
    clock: Clock | None = None,
) -> Iterator[EmbeddedRunner]:
    """A runner with its workers; it alone has the folders while it is open.

    Args:
        plan: The pipeline's plan.
        reference: What `load_pipeline` finds the pipeline by, for worker processes.
        folders: Where input, output and state lie.
        limits: How large epochs may be.
        watch: Is told each committed epoch's manifest.
        workers: Threads or processes; as many as the machine has cores if left out.
        clock: The machine's if left out.
    """
    count = workers or os.cpu_count() or 1
    folders.check(plan.outline())
    with ExitStack() as stack:
        stack.enter_context(folders.locked())
        folders.clear_unfinished(plan.outline())
        invoker: ProcessWorkers | ThreadWorkers
        if plan.calls_python:
            command = worker_command(reference, folders.input, folders.output, folders.state)
            invoker = stack.enter_context(ProcessWorkers(command, count))
        else:
            invoker = stack.enter_context(ThreadWorkers(plan, folders.stores(), count))
        table = stack.enter_context(closing(SqliteTable(folders.state / plan.name / "table.sqlite")))
        yield EmbeddedRunner(plan, folders, table, invoker, limits, clock or SystemClock(), watch)


def _is_text(key: str) -> bool:
    """Whether a file's name is UTF-8; Python reads other bytes as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in key)


def _is_being_written(path: Path) -> bool:
    """Whether a process has the file open for writing, as far as the system tells.

    A read lease is granted only on a file that nobody has open for writing (Linux, fcntl(2)).
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        with path.open("rb") as file:
            # Who opens the file while the lease is held breaks it. The system says so by a signal, which
            # would end this process, unless it is one that counts for nothing.
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
