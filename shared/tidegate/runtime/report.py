"""What the command line says about a run: progress while it goes on, a summary at its end."""

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

from tidegate.epochs.manifest import Manifest
from tidegate.outline import DEAD_LETTERS, Outline
from tidegate.runtime.folders import Folders
from tidegate.runtime.replay import Replayed
from tidegate.timestamps import MAX, MIN, iso


class Progress:
    """One line that is written over, on a terminal; nothing elsewhere.

    Attributes:
        counters: Counts of the epochs committed by this run.
    """

    def __init__(self, stream: TextIO) -> None:
        self.counters: Counter[str] = Counter()
        self._stream = stream
        self._shown = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._shown:
            self._stream.write("\n")

    def show(self, manifest: Manifest) -> None:
        """Counts and shows a committed epoch."""
        self.counters.update(manifest.counters)
        self.counters["epochs"] += 1
        if self._stream.isatty():
            line = (
                f"epoch {manifest.epoch}: {self.counters['files']:,} files, "
                f"{self.counters['records']:,} records, "
                f"{panes(self.counters):,} panes, watermark {moment(manifest.frontier.watermark)}"
            )
            self._stream.write(f"\r{line}\033[K")
            self._stream.flush()
            self._shown = True


def panes(counters: Counter[str]) -> int:
    """The panes of all timings."""
    return sum(counters[f"panes_{timing}"] for timing in ("early", "on_time", "late"))


def moment(watermark: int) -> str:
    """A watermark for people."""
    if watermark <= MIN:
        return "not set yet"
    return "the end of time" if watermark >= MAX else iso(watermark)


def summary(
    manifest: Manifest | None,
    counters: Counter[str],
    folders: Folders,
    outline: Outline,
    *,
    ignored: int,
    missing: Sequence[str],
    seconds: float,
) -> str:
    """What a run did, and where its results are.

    Args:
        manifest: Of the last epoch.
        counters: Counts of this run.
        folders: Where input, output and state lie.
        outline: The pipeline's.
        ignored: Files whose names do not fit.
        missing: Output of earlier runs that is gone.
        seconds: How long it took.
    """
    rows: list[tuple[str, str]] = []
    if counters["epochs"]:
        title = (
            f"{outline.pipeline}: {_number(counters['records'], 'record')} of "
            f"{_number(counters['files'], 'file')} in "
            f"{_number(counters['epochs'], 'epoch')}, {seconds:.1f} s "
            f"({counters['records'] / seconds:,.0f} records a second)"
        )
        rows += _panes(counters) if outline.shuffles else [("rows", f"{counters['rows']:,}")]
        if counters["dropped_late"] and outline.late:
            places = ", ".join(str(folders.output / each) for each in outline.late)
            rows.append(("late", f"what came too late is in {places}"))
        rows.append(("output", str(folders.output / outline.sink)))
    else:
        title = f"{outline.pipeline}: nothing new; output in {folders.output / outline.sink}"
    if counters["dead_letters"]:
        place = folders.output / DEAD_LETTERS / outline.pipeline
        rows.append(
            ("dead", f"{_number(counters['dead_letters'], 'dead letter')}, with the reasons, in {place}")
        )
    if ignored:
        kinds = " or ".join(dict.fromkeys(each.kind for each in outline.sources))
        reason = f"whose names do not end as those of {kinds} files"
        rows.append(("ignored", f"{_number(ignored, 'file')} {reason}"))
    if missing:
        rows.append(("missing", f"{missing[0]}, which an earlier run wrote"))
        hint = f"(`tidegate replay` writes it again; to start over, remove {folders.state} too)"
        rows.append(("", hint))
    if manifest and outline.shuffles and counters["epochs"]:
        rows += _state(manifest, folders)
    return "\n".join([title, *(f"  {name:8} {text}" for name, text in rows)])


def summary_of_replay(
    replayed: Replayed, counters: Counter[str], folders: Folders, outline: Outline, *, seconds: float
) -> str:
    """What a replay did, and what it left; the arguments are those of `summary`."""
    kept = replayed.kept
    replaced = f"  replaced {kept.output} and {kept.state} keep what was there; remove them when you like"
    if replayed.finished_earlier:
        return "\n".join(
            [
                f"{outline.pipeline}: finished a replay that was stopped when all was built; nothing else",
                replaced,
            ]
        )
    lines = [summary(replayed.manifest, counters, folders, outline, ignored=0, missing=(), seconds=seconds)]
    if replayed.missing:
        what = f"{_number(len(replayed.missing), 'file')}, gone or changed, now dead letters:"
        lines.append(f"  skipped  {what} {', '.join(replayed.missing)}")
    if replayed.unnamed:
        lines.append(f"  skipped  {_number(replayed.unnamed, 'file')} that version 0.1.0 kept no name of")
    return "\n".join([*lines, replaced])


def _panes(counters: Counter[str]) -> list[tuple[str, str]]:
    return [
        (
            "panes",
            f"{panes(counters):,} ({counters['panes_early']:,} early, {counters['panes_on_time']:,} on time, "
            f"{counters['panes_late']:,} late)",
        ),
        (
            "dropped",
            f"{counters['dropped_late']:,} too late, "
            f"{counters['dropped_closed']:,} after their window closed",
        ),
    ]


def _state(manifest: Manifest, folders: Folders) -> list[tuple[str, str]]:
    open_windows = sum(each.windows for each in manifest.segments)
    watermark = manifest.frontier.watermark
    rows = [
        (
            "state",
            f"{_number(open_windows, 'open window')}, watermark {moment(watermark)}, in {folders.state}",
        )
    ]
    if open_windows and watermark < MAX:
        rows.append(
            ("", "(if no file will ever follow, --drain gives their last panes and finishes the stream)")
        )
    return rows


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
