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

from tidegate.epochs import intake, paths
from tidegate.epochs.drive import drive
from tidegate.epochs.head import Head
from tidegate.epochs.invoker import Invoker
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator
from tidegate.epochs.manifest import Manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.repetition import repeated
from tidegate.epochs.sweep import sweep
from tidegate.errors import UsageError
from tidegate.frontier import Frontier, UnionFrontier, WatermarkRule
from tidegate.limits import KEY_GROUPS
from tidegate.outline import Outline, SourceOutline
from tidegate.plan import Plan
from tidegate.runtime import switch
from tidegate.runtime.folders import Folders
from tidegate.runtime.meter import Meter
from tidegate.runtime.workers import ProcessWorkers, ThreadWorkers, worker_command
from tidegate.stores.clock import SystemClock
from tidegate.stores.embedded import LocalObjects, SqliteTable
from tidegate.stores.ports import Clock, ObjectInfo, Table
from tidegate.timestamps import MAX, MIN

Watch = Callable[[Manifest], None]

POLL = 0.25
"""Seconds between two looks at the input folder."""

SETTLED = 1_000_000
"""How long a file must be seen unchanged before it counts as complete while following, microseconds."""

SWEPT_AFTER = 60_000_000
"""How old an object must be by the clock before it is swept, microseconds."""


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
        missing: Output files of the last epoch before this run that are gone.
    """

    plan: Plan
    folders: Folders
    table: Table
    invoker: Invoker
    limits: Limits
    clock: Clock
    watch: Watch = lambda manifest: None
    ignored: int = 0
    missing: tuple[str, ...] = ()
    _changed: dict[str, int] = field(default_factory=dict)
    _known: set[tuple[str, str]] = field(default_factory=set)
    _first_seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _swept: int = 0
    _cleared: bool = False

    def __post_init__(self) -> None:
        self._outline: Outline = self.plan.outline()
        self._input = LocalObjects(self.folders.input)
        self._state = LocalObjects(self.folders.state)
        self._meter = Meter()

    def run(self, *, drain: bool = False) -> Manifest | None:
        """Processes all files that are in the input folder now.

        Args:
            drain: Whether no file will follow: every window gives its last pane. With a `Perfect` watermark
                none ever does.

        Returns:
            The last manifest, None if nothing was ever processed.

        Raises:
            UsageError: There is no file to read, and never was; there are new files, and the stream is
                finished. Nothing was accepted.
            IncompatiblePipeline: The state belongs to another plan. Nothing was accepted.
        """
        last = self._last()
        files = self._files()
        if not files and last is None:
            raise self._no_files()
        self._accept(files, last)
        coordinator = self._coordinator(self._arrival)
        bounded = self._outline.bounded
        close = drain or len(bounded) == len(self._outline.sources)
        drive(coordinator, self.invoker, close=close, ended=bool(bounded), committed=self._committed)
        return coordinator.manifest()

    def follow(self, *, stop: Callable[[], bool] = lambda: False) -> Manifest | None:
        """Processes files as they arrive, until `stop` says so.

        Raises:
            UsageError: A file came, and the stream is finished, or the source's watermark is `Perfect`.
                Nothing was accepted.
            IncompatiblePipeline: The state belongs to another plan. Nothing was accepted.
        """
        if self._outline.bounded:
            raise UsageError(
                "a Perfect() watermark says that the input ends, and --follow waits for more; leave --follow "
                "out, or give the source another watermark"
            )
        last = self._last()
        coordinator = self._coordinator()
        while not stop():
            self._accept(self._complete(self._files()), last)
            drive(coordinator, self.invoker, committed=self._committed)
            time.sleep(POLL)
        return coordinator.manifest()

    def repeat(self, record: EpochRecord) -> None:
        """Does an epoch of other state once more: the same inputs and time, as this plan's next epoch.

        See `repetition` for what stays of the record.
        """
        row = self.table.get(paths.HEAD)
        head = Head.of(row) if row else Head(0, ("", ""), 0, self._outline.fingerprint, KEY_GROUPS)
        again = repeated(record, head, self.manifest(), self._outline, self.limits, {})
        self._state.put_if_absent(again.key, again.encode())
        # Before all time, so that nothing else is due: what an alarm made has a record of its own.
        coordinator = self._coordinator(lambda inputs: MIN)
        drive(coordinator, self.invoker, committed=self._committed)

    def process(self, accepted: Sequence[intake.Accepted], now: int) -> None:
        """Processes objects that are in the log, in epochs as large as the limits allow.

        Args:
            accepted: With their positions.
            now: Processing time.
        """
        intake.wait(self.table, accepted)
        drive(self._coordinator(lambda inputs: now), self.invoker, committed=self._committed)

    def _last(self) -> Manifest | None:
        """What earlier runs left; before anything is written, for it refuses the state of another plan."""
        coordinator = self._coordinator()
        coordinator.check()
        last = coordinator.manifest()
        self.missing = self.folders.missing(last)
        if not self._cleared:
            # Once: what was killed had the folders before this runner, and looking costs a walk through them.
            self._cleared = True
            self.folders.clear_unfinished(self._outline)
        return last

    def _committed(self, manifest: Manifest) -> None:
        self.watch(manifest)
        now = self.clock.now()
        if now - self._swept >= SWEPT_AFTER:
            # Not more often: what is younger stays anyway, and looking costs a listing.
            self._swept = now
            sweep(self._state, manifest, SWEPT_AFTER)

    def manifest(self) -> Manifest | None:
        """The manifest of the last committed epoch, None before the first one."""
        return self._coordinator().manifest()

    def _coordinator(self, now: Callable[[Sequence[intake.Accepted]], int] | None = None) -> Coordinator:
        state, table = self._meter.objects(self._state, "state"), self._meter.table(self.table)
        return Coordinator(self._outline, state, table, self.limits, self.clock, now, self._meter)

    def _files(self) -> list[ObjectInfo]:
        """The sources' files: below their prefixes; one alone may have them in the input folder itself."""
        first, *others = self._outline.sources
        if others or (self.folders.input / first.prefix).is_dir():
            listed = [each for source in self._outline.sources for each in self._input.list(source.prefix)]
            files = [each for each in listed if self._outline.takes(each.key)]
        else:
            listed = list(self._input.list(""))
            files = _fitting(first, listed)
        self.ignored = len(listed) - len(files)
        for each in files:
            if not _is_text(each.key):
                raise UsageError(f"the file name {each.key!r} in {self.folders.input} is no UTF-8; rename it")
        self._changed = {each.key: each.modified for each in files}
        return files

    def _no_files(self) -> UsageError:
        folder, (source, *others) = self.folders.input, self._outline.sources
        if others:
            places = [f"{each.kind} files in {folder / each.prefix}" for each in (source, *others)]
            return UsageError(
                f"there are no {' nor '.join(places)}, which the pipeline reads; put the files there, or "
                "give another folder with --input"
            )
        kind, prefix = source.kind, source.prefix
        if not (folder / prefix).is_dir():
            return UsageError(
                f"there are no {kind} files in {folder}, nor is there a folder {prefix} in it; "
                "put the files there, or give another folder with --input"
            )
        beside = len(_fitting(source, list(self._input.list(""))))
        mend = f"move the {beside} that lie in {folder} itself there" if beside else "put the files there"
        return UsageError(
            f"there are no {kind} files in {folder / prefix}, which the pipeline reads; {mend}, "
            "or give another folder with --input"
        )

    def _accept(self, files: Sequence[ObjectInfo], last: Manifest | None) -> None:
        new = [each for each in files if (each.key, each.version) not in self._known]
        objects = [intake.InputObject(each.key, each.version, each.size) for each in new]
        if last and self._outline.shuffles:
            self._refuse(objects, last.frontier)
        intake.accept(self.table, objects, self.clock.now())
        self._known.update((each.key, each.version) for each in new)

    def _arrival(self, inputs: Sequence[intake.Accepted]) -> int:
        """When the newest file of the folder was changed: the processing time of a finished folder.

        Of the whole folder and not of these inputs, so that it does not matter how it is cut into epochs.
        """
        return max(self._changed.values(), default=0)

    def _refuse(self, objects: Sequence[intake.InputObject], frontier: Frontier | UnionFrontier) -> None:
        """Refuses files of a source that is at the end of time: what is in them would be dropped.

        It would not be where other sources of a union hold the watermark back, but its source said that
        nothing more comes, and windows may rest on that.
        """
        frontiers = frontier.sources if isinstance(frontier, UnionFrontier) else None
        for source in self._outline.sources:
            if (frontiers[source.prefix] if frontiers else frontier).watermark < MAX:
                continue
            own = [each for each in objects if not frontiers or source.takes(each.key)]
            unseen = intake.new(self.table, own)
            if unseen:
                raise UsageError(
                    f"this stream was finished {_finished(source.watermark)}, and {unseen[0].key} is new; "
                    "start over with new state and output"
                )

    def _complete(self, files: Sequence[ObjectInfo]) -> list[ObjectInfo]:
        """The new files that were seen unchanged for a while and that nobody has open for writing.

        When a file was changed says less, for that may be any clock's time: a copy keeps it, another machine
        sets it, and it may lie in the future.
        """
        now = self.clock.now()
        new = {(each.key, each.version): each for each in files}
        new = {name: each for name, each in new.items() if name not in self._known}
        self._first_seen = {name: min(now, self._first_seen.get(name, now)) for name in new}
        return [
            each
            for name, each in new.items()
            if now - self._first_seen[name] >= SETTLED
            and not _is_being_written(self.folders.input / each.key)
        ]


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
        switch.settle(folders, plan.name)
        invoker: ProcessWorkers | ThreadWorkers
        if plan.calls_python:
            command = worker_command(reference, folders.input, folders.output, folders.state)
            invoker = stack.enter_context(ProcessWorkers(command, count))
        else:
            invoker = stack.enter_context(ThreadWorkers(plan, folders.stores(), count))
        table = stack.enter_context(closing(SqliteTable(folders.state / plan.name / "table.sqlite")))
        yield EmbeddedRunner(plan, folders, table, invoker, limits, clock or SystemClock(), watch)


def _fitting(source: SourceOutline, files: Sequence[ObjectInfo]) -> list[ObjectInfo]:
    return [each for each in files if source.fits(each.key.rsplit("/", maxsplit=1)[-1])]


def _finished(rule: WatermarkRule) -> str:
    """What may have taken a watermark to the end of time."""
    if rule.bounded:
        return "when its input ended, as Perfect() says"
    return "with --drain or by its marks" if rule.marked else "with --drain"


def _is_text(key: str) -> bool:
    """Whether a file's name is UTF-8; Python reads other bytes as lone surrogates."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


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
