"""The replay: output and state built anew from the input log, by a pipeline that may have changed.

All epochs of the old state are done once more, from the first one on: each with the inputs and the processing
time that its record froze. So a pipeline that did not change gives the same panes again, emission times
included, and one that did gives what it would have given from the beginning. What is accepted and in no
epoch yet, and what is new in the input folder, waits for the next run.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

from tidegate.epochs import history, intake
from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.errors import UsageError
from tidegate.outline import Outline
from tidegate.plan import Plan
from tidegate.runtime.embedded import EmbeddedRunner, Watch, open_runner
from tidegate.runtime.folders import Folders
from tidegate.runtime.switch import Switch, is_begun, settle
from tidegate.stores.embedded import LocalObjects, SqliteTable
from tidegate.stores.ports import ObjectInfo, Table

_NAMED = 3
"""Files that a message names at most."""


@dataclass(frozen=True)
class Replayed:
    """What a replay did.

    Attributes:
        manifest: Of the last epoch; None if there is none.
        kept: Where the old output and state are kept.
        finished_earlier: Whether nothing was built, but the switch of an earlier replay was finished.
        missing: Files that could not be read as they were accepted, by name; they are dead letters now.
        unnamed: How many files version 0.1.0 accepted that are found nowhere any more, and are left out.
    """

    manifest: Manifest | None
    kept: Folders
    finished_earlier: bool = False
    missing: tuple[str, ...] = ()
    unnamed: int = 0


def replay(
    plan: Plan,
    reference: str,
    folders: Folders,
    *,
    drain: bool = False,
    skip_missing: bool = False,
    workers: int | None = None,
    watch: Watch = lambda manifest: None,
) -> Replayed:
    """Builds a pipeline's output and state anew, and puts them in the place of the old ones.

    Until everything is built the old ones stay as they are and count; then all of the new ones do. They are
    kept beside (see `switch`).

    Args:
        plan: The pipeline's plan; its state may be another plan's.
        reference: What `load_pipeline` finds the pipeline by.
        folders: Where input, output and state lie.
        drain: Whether no file will ever follow: the input folder is then read to the end and the stream
            finished, before output and state are switched.
        skip_missing: Whether a file that cannot be read as it was accepted becomes a dead letter.
        workers: As for `open_runner`.
        watch: Is told each epoch's manifest.

    Raises:
        UsageError: There is nothing to replay, or it cannot be replayed as it was. Nothing was changed.
    """
    outline, switch = plan.outline(), Switch.of(folders, plan.outline())
    folders.check(outline)
    table = folders.state / plan.name / "table.sqlite"
    if not table.is_file() and not is_begun(folders, plan.name):
        raise UsageError(
            f"there is no state of a pipeline {plan.name!r} in {folders.state}; a first run needs no replay, "
            "use `tidegate run`"
        )
    with folders.locked():
        earlier = settle(folders, plan.name)
        if earlier:
            return Replayed(None, earlier.kept, finished_earlier=True)
        switch.check()
        with closing(SqliteTable(table)) as old:
            past = _Past.of(outline, folders, old)
            missing, unnamed = past.missing(), len(past.log.unnamed)
            if (missing or unnamed) and not skip_missing:
                raise _refuse(missing, unnamed, folders)
            switch.begin()
            with open_runner(
                plan, reference, switch.built, limits=Limits(), watch=watch, workers=workers
            ) as runner:
                past.repeat(runner)
                manifest = runner.run(drain=True) if drain else runner.manifest()
        switch.commit()
        switch.finish()
    return Replayed(manifest, switch.kept, missing=missing, unnamed=unnamed)


@dataclass(frozen=True)
class _Past:
    """What is known of a pipeline's input so far.

    Attributes:
        epochs: Those whose records are known.
        log: All that was accepted.
        earlier: What was processed before these epochs, by version 0.1.0, which swept the records.
        waiting: What is in none of the epochs.
        files: The input folder as it is.
    """

    outline: Outline
    table: Table
    objects: LocalObjects
    epochs: range
    log: intake.Log
    earlier: tuple[Accepted, ...]
    waiting: tuple[Accepted, ...]
    files: tuple[ObjectInfo, ...]

    @classmethod
    def of(cls, outline: Outline, folders: Folders, table: Table) -> "_Past":
        objects, files = LocalObjects(folders.state), tuple(folders.listing(outline))
        epochs = history.epochs_known(objects, outline.pipeline)
        recorded: set[str] = set()
        known = [InputObject(each.key, each.version, each.size) for each in files]
        for record in history.records(objects, outline.pipeline, epochs):
            recorded.update(each.position for each in record.inputs)
            known += [each.object for each in record.inputs]
        waiting = [each for each in intake.waiting(table, sys.maxsize) if each.position not in recorded]
        log = intake.read_log(table, [*known, *(each.object for each in waiting)])
        later = recorded.union(each.position for each in waiting)
        earlier = (each for each in log.accepted if each.position not in later)
        return cls(outline, table, objects, epochs, log, tuple(earlier), tuple(waiting), files)

    def missing(self) -> tuple[str, ...]:
        """The files that a replay reads and that are gone or were changed.

        Raises:
            UsageError: The pipeline does not read such files any more.
        """
        there = {(each.key, each.version) for each in self.files}
        waiting = {each.position for each in self.waiting}
        missing = []
        for each in self.log.accepted:
            key = each.object.key
            if not self._reads(key):
                raise reads_others(key, self.outline)
            if each.position not in waiting and (key, each.object.version) not in there:
                missing.append(key)
        return tuple(missing)

    def _reads(self, key: str) -> bool:
        first, *others = self.outline.sources
        # One source alone may have its files in the input folder itself.
        beside = not others and "/" not in key and first.fits(key)
        return self.outline.takes(key) or beside

    def repeat(self, runner: EmbeddedRunner) -> None:
        """Has a runner with new state do all of it again."""
        intake.remember(runner.table, self.log)
        changed = {(each.key, each.version): each.modified for each in self.files}
        now = 0
        for _, together in groupby(self.earlier, key=lambda each: each.moment):
            wave = list(together)
            # What a run takes for the time in a finished folder: the newest change of a file so far.
            now = max([now, *(changed.get((each.object.key, each.object.version), 0) for each in wave)])
            runner.process(wave, now)
        for record in history.records(self.objects, self.outline.pipeline, self.epochs):
            runner.repeat(record)
        intake.wait(runner.table, self.waiting)


def reads_others(key: str, outline: Outline) -> UsageError:
    """The error for a pipeline that does not read any more what its state was built from."""
    now = " and ".join(f"{each.kind} files below {each.prefix!r}" for each in outline.sources)
    return UsageError(
        f"the state was built from {key}, and the pipeline reads {now} now; give a pipeline over "
        "other files another name"
    )


def _refuse(missing: Sequence[str], unnamed: int, folders: Folders) -> UsageError:
    """The error for input that cannot be read again."""
    named = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
    gone = (
        [f"{len(missing)} (such as {named}) are gone from {folders.input} or were changed"] if missing else []
    )
    if unnamed:
        gone.append(f"{unnamed} were accepted by version 0.1.0, which kept no names, and are found nowhere")
    return UsageError(
        f"of the files that the state was built from, {' and '.join(gone)}; put them back as they were, time "
        "of change included, or say --skip-missing: what has a name is a dead letter then, the rest is lost"
    )
