"""The outline of a plan: the little that the coordinator has to know of it.

Intake, plan and commit work from this, so that they start without Polars and without the user's module.
On AWS it is written when the layer is built (`tidegate compile`).
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tidegate.errors import CorruptObject, IncompatiblePipeline
from tidegate.frontier import MARK, WatermarkRule

FORMAT = 1

DEAD_LETTERS = "dead-letters"
"""The folder of the output that holds what could not be processed; no sink may take it."""

SUFFIXES = {
    "json": (".json", ".jsonl", ".ndjson"),
    "csv": (".csv",),
    "parquet": (".parquet",),
}
"""How the names of a format's files end, before `.gz` or `.zst`."""

COMPRESSED = (".gz", ".zst")

_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp")


def stage_name(number: int) -> str:
    """The name of a plan's stage, by its number: `map`, `reduce`, `reduce-2`, `reduce-3` and so on."""
    if number < 2:
        return ("map", "reduce")[number]
    return f"reduce-{number}"


@dataclass(frozen=True)
class SourceOutline:
    """What the coordinator knows of a source.

    Attributes:
        kind: The format of its files.
        prefix: The folder of its files.
        watermark: How its watermark follows from what inputs say.
        splits: Whether several tasks can read one of its files, if it is not compressed.
    """

    kind: str
    prefix: str
    watermark: WatermarkRule = field(default_factory=WatermarkRule)
    splits: bool = False

    def takes(self, key: str) -> bool:
        """Whether an object belongs to the source: below its prefix, with a name that fits its format.

        Hidden names (beginning with `.` or `_`) and names of unfinished files do not.
        """
        return key.startswith(f"{self.prefix}/") and self.fits(key.rsplit("/", maxsplit=1)[-1])

    def may_split(self, key: str) -> bool:
        """Whether several tasks can read the object."""
        name = key.lower()
        is_mark = self.watermark.marked and name.endswith(MARK)
        return self.splits and not is_mark and not name.endswith(COMPRESSED)

    def fits(self, name: str) -> bool:
        """Whether a file's name fits the source's format; a name without any suffix does.

        So does that of a mark, if the source's watermark comes from marks.
        """
        lowered = name.lower()
        if not name or lowered.startswith((".", "_")) or lowered.endswith(_UNFINISHED):
            return False
        if self.watermark.marked and lowered.endswith(MARK):
            return True
        for suffix in COMPRESSED:
            lowered = lowered.removesuffix(suffix)
        return lowered.endswith(SUFFIXES[self.kind]) or "." not in lowered


@dataclass(frozen=True)
class Outline:
    """What the coordinator knows of a plan.

    Attributes:
        pipeline: The pipeline's name, under which its state is kept.
        fingerprint: Of the plan; state written under another one is not touched.
        meaning: The lines that the fingerprint is made of, so that a change can be named.
        sources: Its sources; several, if the pipeline begins with a union.
        sink: The folder of the output files.
        shuffles: How many reduce stages follow the map stage, one behind the other.
        late: The folders of the output that late elements go to.
    """

    pipeline: str
    fingerprint: str
    meaning: tuple[str, ...]
    sources: tuple[SourceOutline, ...]
    sink: str
    shuffles: int
    late: tuple[str, ...] = ()

    @property
    def rules(self) -> dict[str, WatermarkRule]:
        """How the watermark of each source follows from what inputs say, by the source's prefix."""
        return {each.prefix: each.watermark for each in self.sources}

    @property
    def bounded(self) -> tuple[str, ...]:
        """The prefixes of the sources whose input ends by itself."""
        return tuple(each.prefix for each in self.sources if each.watermark.bounded)

    def takes(self, key: str) -> bool:
        """Whether an object belongs to one of the sources."""
        return any(each.takes(key) for each in self.sources)

    def may_split(self, key: str) -> bool:
        """Whether several tasks can read the object, which belongs to one of the sources."""
        if len(self.sources) == 1:
            # Its files may also lie in the folder itself that holds the input.
            return self.sources[0].may_split(key)
        return any(each.takes(key) and each.may_split(key) for each in self.sources)

    def check(self, fingerprint: str, meaning: Sequence[str]) -> None:
        """Refuses what was written or frozen under another plan.

        Args:
            fingerprint: Of that plan.
            meaning: The lines that it is made of.

        Raises:
            IncompatiblePipeline: It was another one; with what changed, and the three ways on.
        """
        if fingerprint == self.fingerprint:
            return
        # Counted, for a step may stand there twice.
        was = list((Counter(meaning) - Counter(self.meaning)).elements())
        now = list((Counter(self.meaning) - Counter(meaning)).elements())
        if len(was) == len(now) == 1:
            was, now = _apart(was[0], now[0])
        none = "(no such step)"
        change = f"It was: {'; '.join(was) or none}. It is: {'; '.join(now) or none}"
        if not was and not now:
            change = "The steps are the same in another order"
        raise IncompatiblePipeline(
            f"the state of the pipeline {self.pipeline!r} was written by another plan, and this one would "
            f"misread it; nothing was changed. {change}. Three ways on: undo that part of the change "
            "(docs/upgrades.md lists what may change); build output and state anew from the input with "
            "`tidegate replay`; or finish the old pipeline with `tidegate run OLD --drain`, and give the new "
            "one another name"
        )

    def to_json(self) -> str:
        """The outline as a document."""
        body = asdict(self)
        if len(self.sources) == 1:
            (source,) = body.pop("sources")
            body |= source
        return json.dumps({"format": FORMAT} | body, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Outline":
        """The outline from its document.

        Raises:
            CorruptObject: The document is of another format.
        """
        document = json.loads(text)
        if document.get("format") != FORMAT:
            raise CorruptObject(
                "a plan document of an unknown format; build the layer again with `make build`"
            )
        return cls(
            pipeline=document["pipeline"],
            fingerprint=document["fingerprint"],
            meaning=tuple(document["meaning"]),
            sources=tuple(map(_source, document.get("sources", [document]))),
            sink=document["sink"],
            shuffles=document["shuffles"],
            late=tuple(document.get("late", ())),
        )


def _source(document: dict[str, Any]) -> SourceOutline:
    rule = document.get("watermark", {})
    rule |= {"producers": tuple(rule.get("producers", ()))}
    splits = document.get("splits", False)
    return SourceOutline(document["kind"], document["prefix"], WatermarkRule(**rule), splits)


_CONTEXT = 3
"""Words that are shown on both sides of a difference."""


def _apart(was: str, now: str) -> tuple[list[str], list[str]]:
    """Two lines without the words that they have in common at both ends, save a few."""
    first, second = was.split(" "), now.split(" ")
    shorter = min(len(first), len(second))
    before = next((at for at in range(shorter) if first[at] != second[at]), shorter)
    rest = shorter - before
    after = next((at for at in range(rest) if first[-1 - at] != second[-1 - at]), rest)
    low, high = max(0, before - _CONTEXT), max(0, after - _CONTEXT)

    def shown(words: list[str]) -> list[str]:
        text = " ".join(words[low : len(words) - high])
        return [f"{'… ' if low else ''}{text}{' …' if high else ''}"]

    return shown(first), shown(second)
