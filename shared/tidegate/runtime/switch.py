"""The switch: how output and state that were built anew take the place of the old ones, wholly or not at all.

What a replay builds lies in folders of its own beside the old ones: `OUTPUT.replay` and `STATE.replay`. One
small file in the state folder says how far it is:

    no file       the old output and state count
    `building`    they still do: whoever opens the folders next throws away what is built so far
    `switching`   the new ones count: whoever opens the folders next moves what is not moved yet

So the one moment that decides is when that file is replaced, and no crash leaves anything in between. The
old folders are kept in `OUTPUT.before-replay` and `STATE.before-replay` until the user removes them.

Only the folders of one pipeline change place: its sink's, those of late elements, that of its dead letters,
and that of its state.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tidegate.epochs import documents
from tidegate.errors import TidegateError, UsageError
from tidegate.outline import DEAD_LETTERS, Outline
from tidegate.runtime.folders import LOCK, Folders

KIND = "switch"

BUILT = "replay"
"""What stands behind the names of the folders that a replay builds in."""

KEPT = "before-replay"
"""What stands behind the names of the folders that keep what a replay replaced."""

_OURS = re.compile(r"epoch-\d{10}-.*")
"""The names of a sink's files, also while they are written."""


@dataclass(frozen=True)
class Switch:
    """A pipeline's place in its folders, and what is to take it.

    Args:
        folders: Those in use; locked by the caller.
        pipeline: The pipeline's name.
        sink: The prefix of its output.
        late: The prefixes of its late elements.
    """

    folders: Folders
    pipeline: str
    sink: str
    late: tuple[str, ...] = ()

    @classmethod
    def of(cls, folders: Folders, outline: Outline) -> "Switch":
        """The switch of a pipeline in these folders."""
        return cls(folders, outline.pipeline, outline.sink, outline.late)

    @property
    def built(self) -> Folders:
        """Where output and state are built anew."""
        return self.folders.beside(BUILT)

    @property
    def kept(self) -> Folders:
        """Where the old ones are kept."""
        return self.folders.beside(KEPT)

    def check(self) -> None:
        """Refuses a place in which output and state cannot be switched; before anything is built.

        Raises:
            UsageError: What an earlier replay replaced is still kept; the sink's folder or that of late
                elements holds other files; a folder of the replay's is somebody else's, or lies on another
                file system.
        """
        kept = [str(each) for each in self._places(self.kept) if each.exists()]
        if kept:
            raise UsageError(
                f"what an earlier replay replaced is still kept in {', '.join(kept)}; remove it, or move it "
                "elsewhere, when you need it no more"
            )
        for sink in (self.folders.output / each for each in (self.sink, *self.late)):
            for path in sorted(sink.iterdir() if sink.is_dir() else ()):
                if not _OURS.fullmatch(path.name):
                    raise UsageError(
                        f"{sink} holds {path.name}, which the pipeline did not write and a replay would take "
                        "away with the old panes; move it elsewhere, or give the pipeline a sink of its own"
                    )
        for current, built in zip(self._places(self.folders), self._places(self.built), strict=True):
            if built.exists():
                raise UsageError(f"{built} is there already, and a replay builds there; move it elsewhere")
            if _nearest(current).stat().st_dev != _nearest(built).stat().st_dev:
                raise UsageError(
                    f"{current} and {built} lie on different file systems, and folders are switched within "
                    "one only; give --output and --state below the mounted folder"
                )

    def begin(self) -> None:
        """Says that from here on something is built."""
        with _telling():
            self._write("building")

    def abandon(self) -> None:
        """Throws away what was built; may be stopped and begun again at any point."""
        with _telling():
            for built in self._places(self.built):
                if built.exists():
                    shutil.rmtree(built)
            self._clear()
            self._file.unlink()

    def commit(self) -> None:
        """From here on what was built counts."""
        with _telling():
            for built in self._places(self.built):
                # There is one for each, so that who finishes the switch sees by it what is still to be moved.
                built.mkdir(parents=True, exist_ok=True)
            self._write("switching")

    def finish(self) -> None:
        """Moves what is not moved yet; may be stopped and begun again at any point."""
        with _telling():
            for current, built, kept in zip(
                self._places(self.folders), self._places(self.built), self._places(self.kept), strict=True
            ):
                if built.exists():
                    if current.exists():
                        kept.parent.mkdir(parents=True, exist_ok=True)
                        current.rename(kept)
                    current.parent.mkdir(parents=True, exist_ok=True)
                    built.rename(current)
            self._clear()
            self._file.unlink()

    def _clear(self) -> None:
        """Removes the folders that are empty now."""
        (self.built.state / LOCK).unlink(missing_ok=True)
        # Of what is only there if there was something: an empty folder would look as if there were some.
        unusual = [*(self.folders.output / each for each in self.late), self._dead_letters(self.folders)]
        places = [*unusual, *(each.parent for each in self._places(self.built))]
        for place in places:
            for folder in (place, *place.parents):
                if folder in (self.folders.output, self.folders.output.parent, self.folders.state.parent):
                    break
                with suppress(OSError):
                    # Only where it is empty: another replay may be building beside this one.
                    folder.rmdir()

    def _places(self, folders: Folders) -> tuple[Path, ...]:
        """The sink's folder, those of late elements and dead letters, and that of the state as the last."""
        return (
            *(folders.output / each for each in (self.sink, *self.late)),
            self._dead_letters(folders),
            folders.state / self.pipeline,
        )

    def _dead_letters(self, folders: Folders) -> Path:
        return folders.output / DEAD_LETTERS / self.pipeline

    @property
    def _file(self) -> Path:
        return _file(self.folders, self.pipeline)

    def _write(self, stage: str) -> None:
        # Relative, so that the folders may be moved together.
        output = os.path.relpath(self.folders.output, self.folders.state)
        body = {"stage": stage, "output": output, "sink": self.sink, "late": list(self.late)}
        data = documents.encode(KIND, body)
        unfinished = self._file.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._file)


def is_begun(folders: Folders, pipeline: str) -> bool:
    """Whether an earlier replay of the pipeline has not come to its end, or is under way."""
    return _file(folders, pipeline).exists()


def settle(folders: Folders, pipeline: str) -> Switch | None:
    """Ends what an earlier replay of the pipeline began; the folders are locked by the caller.

    Returns:
        The switch, if that one was decided and is finished now.

    Raises:
        CorruptObject: The file that says how far it is, is damaged.
    """
    file = _file(folders, pipeline)
    if not file.exists():
        return None
    body = documents.decode(KIND, str(file), file.read_bytes())
    # The output of the run that began it, whatever this one was given.
    output = Path(os.path.normpath(folders.state / body["output"]))
    place = Folders(folders.input, output, folders.state)
    # A replay that version 0.1.0 began has no late elements.
    switch = Switch(place, pipeline, body["sink"], tuple(body.get("late", ())))
    if body["stage"] == "building":
        switch.abandon()
        return None
    switch.finish()
    return switch


def _file(folders: Folders, pipeline: str) -> Path:
    # No pipeline's name begins with a dot.
    return folders.state / f".replay-{pipeline}.json"


@contextmanager
def _telling() -> Iterator[None]:
    """An error of the system in the user's words."""
    try:
        yield
    except OSError as error:
        raise TidegateError(
            f"{error.filename} cannot be moved or written: {error.strerror}; mend that and run the same "
            "command again"
        ) from None


def _nearest(path: Path) -> Path:
    """The folder itself, or the first one above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
