"""The plan: a pipeline's graph as named stages, cut where data must be shuffled.

Narrow steps fuse into one stage; a wide step (a grouping) cuts: what is before it runs in map tasks, what
it does and what follows runs in reduce tasks. The words are those of RDDs (NSDI 2012, section 4): a plan is
a lineage, and any object of an epoch can be computed again from it and the epoch's record.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from tidegate.branches import Branch
from tidegate.errors import TidegateError
from tidegate.frontier import SOURCE, WatermarkRule, producer_of_union
from tidegate.grouping import Grouping
from tidegate.limits import KEY_GROUPS
from tidegate.outline import Outline, stage_name
from tidegate.pipeline import Pipeline
from tidegate.sinks.late import LateSink
from tidegate.sinks.sink import Sink
from tidegate.sources.source import Source
from tidegate.steps import NarrowStep


class Dependency(StrEnum):
    """How a stage depends on what comes before it."""

    NARROW = "narrow"
    """Each task reads its own slice of the input."""

    WIDE = "wide"
    """Each task reads a range of key groups from all tasks before it."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Steps between two shuffles.

    Attributes:
        name: `map`, `reduce`, and `reduce-2` and so on where panes are grouped again.
        steps: The narrow steps; in a reduce stage they follow the grouping.
        combine: What the stage combines before it shuffles; None if it ends in the sink.
        reduce: What the stage groups; None if its dependency is narrow.
    """

    name: str
    dependency: Dependency
    steps: tuple[NarrowStep, ...]
    combine: Grouping | None = None
    reduce: Grouping | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """A pipeline as stages, ready for the engine.

    Attributes:
        branches: Where the map stage's rows come from; several, if the pipeline begins with a union.
    """

    name: str
    branches: tuple[Branch, ...]
    stages: tuple[Stage, ...]
    sink: Sink

    @property
    def rules(self) -> dict[str, WatermarkRule]:
        """How the watermark of each source follows from what inputs say, by the source's prefix."""
        return {each.source.prefix: each.source.rule() for each in self.branches}

    def branch_of(self, key: str) -> Branch:
        """The branch that an input object belongs to, by its key.

        Raises:
            TidegateError: None of several reads such objects.
        """
        if len(self.branches) == 1:
            # Its files may also lie in the folder itself that holds the input.
            return self.branches[0]
        for each in self.branches:
            if key.startswith(f"{each.source.prefix}/"):
                return each
        raise TidegateError(f"no source of the pipeline {self.name!r} reads {key}")

    def producer(self, source: Source, producer: str = SOURCE) -> str:
        """What a source's producer is called in a task's result."""
        return producer if len(self.branches) == 1 else producer_of_union(source.prefix, producer)

    @property
    def map(self) -> Stage:
        """The first stage, which reads the input."""
        return self.stages[0]

    @property
    def reduces(self) -> tuple[Stage, ...]:
        """The stages behind the shuffles."""
        return self.stages[1:]

    @property
    def grouping(self) -> Grouping | None:
        """The first wide step, if there is one."""
        return self.map.combine

    @property
    def late_sinks(self) -> tuple[LateSink, ...]:
        """Where elements go that are dropped."""
        groupings = [each.combine for each in self.stages if each.combine]
        return tuple(each.late for each in groupings if each.late)

    @property
    def calls_python(self) -> bool:
        """Whether a Python function is called for each row, so that threads would wait for each other."""
        steps = [step for branch in self.branches for step in branch.steps]
        steps += [step for stage in self.stages for step in stage.steps]
        aggregates = (each for stage in self.stages if stage.reduce for each in stage.reduce.aggregates)
        return any(step.is_python for step in steps) or any(each.is_python for each in aggregates)

    def meaning(self) -> tuple[str, ...]:
        """What state depends on, one line a step; two plans with the same lines share their state."""
        lines = []
        for branch in self.branches:
            lines += [branch.source.describe(), f"watermark={branch.source.watermark.describe()}"]
            lines += [step.describe() for step in branch.steps]
        if len(self.branches) > 1:
            lines.append("union")
        for stage in self.stages:
            if stage.reduce:
                lines.append(stage.reduce.describe())
            lines += [step.describe() for step in stage.steps]
        return tuple(lines)

    def fingerprint(self) -> str:
        """A hash of what changes the layout or the meaning of state: 16 hexadecimal digits."""
        text = "\n".join((f"key_groups={KEY_GROUPS}", *self.meaning()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def outline(self) -> Outline:
        """What the coordinator has to know of the plan, without the engine and without Polars."""
        return self._outline

    @cached_property
    def _outline(self) -> Outline:
        return Outline(
            pipeline=self.name,
            fingerprint=self.fingerprint(),
            meaning=self.meaning(),
            sources=tuple(each.source.outline() for each in self.branches),
            sink=self.sink.prefix,
            shuffles=len(self.reduces),
            late=tuple(each.prefix for each in self.late_sinks),
        )

    def explain(self) -> str:
        """The plan as text for people, one line a step."""
        lines = [f"pipeline {self.name} (fingerprint {self.fingerprint()})"]
        for number, stage in enumerate(self.stages):
            lines.append(f"stage {number}: {stage.name} ({stage.dependency.value} dependency)")
            if number == 0:
                lines += self._explain_branches()
            if stage.reduce:
                lines.append(f"  merge state, fire triggers: {stage.reduce.describe()}")
            lines += [f"  {step.describe()}" for step in stage.steps]
            if stage.combine:
                lines.append(f"  assign windows, combine by {', '.join(stage.combine.keys)}, shuffle")
                if stage.combine.late:
                    lines.append(f"  late elements to {stage.combine.late.prefix!r}")
        lines.append(f"  {self.sink.describe()}")
        return "\n".join(lines)

    def _explain_branches(self) -> list[str]:
        lines = []
        for branch in self.branches:
            lines.append(f"  {branch.source.describe()}")
            lines.append(f"  watermark {branch.source.watermark.describe()}")
            lines += [f"  {step.describe()}" for step in branch.steps]
        return [*lines, "  union, watermark: the minimum"] if len(self.branches) > 1 else lines


def compile_plan(pipeline: Pipeline) -> Plan:
    """The plan of a pipeline.

    Example:
        >>> compile_plan(pipeline).explain()  # doctest: +SKIP
    """
    stream, sink = pipeline.output.stream, pipeline.output.sink
    groupings = [each.grouping for each in stream.shuffles]
    parts = [*(each.steps for each in stream.shuffles), stream.steps]
    stages = [
        Stage(
            name=stage_name(number),
            dependency=Dependency.WIDE if number else Dependency.NARROW,
            steps=steps,
            combine=groupings[number] if number < len(groupings) else None,
            reduce=groupings[number - 1] if number else None,
        )
        for number, steps in enumerate(parts)
    ]
    return Plan(pipeline.name, stream.branches, tuple(stages), sink)
