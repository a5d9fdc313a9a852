"""What the command line says about a run: progress while it goes on, a summary at its end."""

from collections import Counter
from types import TracebackType
from typing import TextIO

from tidegate.epochs.manifest import Manifest
from tidegate.outline import DEAD_LETTERS, Outline
from tidegate.runtime.folders import Folders
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
    manifest: Manifest | None, counters: Counter[str], folders: Folders, outline: Outline, seconds: float
) -> str:
    """What a run did, and where its results are."""
    if not counters["epochs"]:
        return f"nothing new for {outline.pipeline}; output in {folders.output / outline.sink}"
    rate = counters["records"] / seconds
    lines = [
        f"{outline.pipeline}: {counters['files']:,} files, {counters['records']:,} records in "
        f"{counters['epochs']:,} epochs, {seconds:.1f} s ({rate:,.0f} records a second)",
        f"  panes    {panes(counters):,} ({counters['panes_early']:,} early, "
        f"{counters['panes_on_time']:,} on time, {counters['panes_late']:,} late)",
        f"  dropped  {counters['dropped_late']:,} too late, "
        f"{counters['dropped_closed']:,} after their window closed",
        f"  output   {folders.output / outline.sink}",
    ]
    if counters["dead_letters"]:
        place = folders.output / DEAD_LETTERS / outline.pipeline
        lines.insert(3, f"  dead letters {counters['dead_letters']:,}, with the reasons, in {place}")
    if manifest and outline.shuffles:
        open_windows = sum({each.ref.key: each.rows for each in manifest.segments}.values())
        watermark = manifest.frontier.watermark
        lines.append(
            f"  state    {open_windows:,} open windows, watermark {moment(watermark)}, in {folders.state}"
        )
        if open_windows and watermark < MAX:
            lines.append("           (if no file will follow, --drain gives their last panes)")
    return "\n".join(lines)
