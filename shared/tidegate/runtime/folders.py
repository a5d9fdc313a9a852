"""The folders of an embedded run: where input, output and state lie."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tidegate.epochs.manifest import Manifest
from tidegate.epochs.tasks import TaskStores
from tidegate.errors import UsageError
from tidegate.outline import DEAD_LETTERS, Outline
from tidegate.stores.embedded import LocalObjects
from tidegate.stores.ports import ObjectInfo

LOCK = ".lock"
"""The file of the state folder that a run locks."""

DYING = 2.0
"""Seconds that a run waits for another one's lock: what was killed may take as long to be gone, with a worker
that it was about to start and that has the run's files open until then."""

_LOOK = 0.05
"""Seconds between two tries."""


@dataclass(frozen=True)
class Folders:
    """Input, output and state of an embedded run."""

    input: Path
    output: Path
    state: Path

    @classmethod
    def of(cls, input_folder: Path, output_folder: Path, state_folder: Path | None) -> "Folders":
        """The folders; state lies beside the output unless it is given.

        Beside and not inside, so that whoever reads the output folder finds nothing but output in it.

        Raises:
            UsageError: The input is no folder, or two of them are the same.
        """
        output = output_folder.resolve()
        state = state_folder.resolve() if state_folder else state_of(output)
        if not input_folder.is_dir():
            raise UsageError(
                f"there is no folder {input_folder}; give the folder of the input files with --input"
            )
        folders = (input_folder.resolve(), output, state)
        if len(set(folders)) < len(folders):
            raise UsageError("input, output and state must be three folders")
        for folder in folders[1:]:
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder} is a file; give a folder")
        return cls(*folders)

    def beside(self, what: str) -> "Folders":
        """Folders for output and state next to these, with `what` behind their names; the same input."""
        return Folders(
            self.input,
            self.output.with_name(f"{self.output.name}.{what}"),
            self.state.with_name(f"{self.state.name}.{what}"),
        )

    def stores(self) -> TaskStores:
        """The stores that tasks work on.

        Raises:
            UsageError: A folder cannot be written.
        """
        try:
            return TaskStores(LocalObjects(self.input), LocalObjects(self.state), LocalObjects(self.output))
        except OSError as error:
            raise _failed("used", error) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other runs away from the same state; waits a moment for one that is about to end.

        Raises:
            UsageError: Another run uses it, or the folder cannot be written.
        """
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            self.output.mkdir(parents=True, exist_ok=True)
            # No pipeline's name begins with a dot, so none has its state there.
            lock = (self.state / LOCK).open("w")
        except OSError as error:
            raise _failed("written", error) from None
        with lock:
            refused_at = time.monotonic() + DYING
            while not _lock(lock):
                if time.monotonic() > refused_at:
                    raise UsageError(f"another run uses the state in {self.state}; wait for it, or stop it")
                time.sleep(_LOOK)
            yield

    def check(self, outline: Outline) -> None:
        """Refuses folders in which the pipeline would read what it writes.

        Raises:
            UsageError: Output or state lies in a folder that a source reads.
        """
        written = (outline.sink, *outline.late)
        for source in (self.input / each.prefix for each in outline.sources):
            for folder in (*(self.output / each for each in written), self.state):
                if folder.is_relative_to(source):
                    mend = "which the pipeline reads; give another folder"
                    raise UsageError(f"{folder} lies in {source}, {mend}")

    def missing(self, manifest: Manifest | None) -> tuple[str, ...]:
        """The output files of a manifest that are not in the output folder any more."""
        names = manifest.outputs if manifest else ()
        return tuple(name for name in names if not (self.output / name).is_file())

    def listing(self, outline: Outline) -> list[ObjectInfo]:
        """The files of the input: those below the sources' prefixes, and those in the folder itself."""
        files = LocalObjects(self.input)
        below = [each for source in outline.sources for each in files.list(source.prefix)]
        return [*below, *files.list("")]

    def clear_unfinished(self, outline: Outline) -> None:
        """Removes what killed writers left half-written; only while this run alone has the folders."""
        LocalObjects(self.state).clear_unfinished(outline.pipeline)
        for folder in (outline.sink, *outline.late, DEAD_LETTERS):
            LocalObjects(self.output).clear_unfinished(folder)


def _lock(file: IO[str]) -> bool:
    """Locks a file unless somebody else has it locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def state_of(output_folder: Path) -> Path:
    """The folder of the state of a run that was given none: beside its output."""
    output = output_folder.resolve()
    return output.with_name(f"{output.name}.state")


def _failed(doing: str, error: OSError) -> UsageError:
    return UsageError(f"{error.filename} cannot be {doing}: {error.strerror}; mend that and run again")
