"""What a run should have come through, sooner or later: without it a clean run proves little.

The idea is TigerBeetle's coverage marks, counted over seeds.
"""

from collections.abc import Iterable, Sequence

from tidegate.testing.simulation.cloud import WIDE
from tidegate.testing.simulation.oracles import ALL_HELD, CUT_UP, REPLAYED
from tidegate.testing.simulation.ports import Step

MARKS: dict[str, tuple[str, str, str]] = {
    "a record was found that another planner had frozen": ("plan", "/record.json", "False"),
    "a task's claim was lost to another attempt": ("", "/results/", "False"),
    "an output was there already": ("", "output put_if_absent", "False"),
    "a manifest was there already": ("", "/manifest.json", "False"),
    "a conditional commit failed": ("", "table put head", "ConditionFailed"),
    "going idle failed because of a wake-up": ("plan", "table put coordinator", "ConditionFailed"),
    "a write was done whose caller was not told so": ("", "", "done, and not told so"),
    "a process was killed before a write": ("", "before state put", "killed"),
    "a process was killed after a write": ("", "after state put", "killed"),
    "a process stalled before its claim": ("", "before state put_if_absent", "stalls"),
    "a process ran into its timeout": ("", "", "timed out"),
    "the answer of a function was lost": ("", "its answer is lost", ""),
    "an upload was accepted by two intakes at once": ("intake", "table put seen#", "ConditionFailed"),
    "an event was lost": ("uploader", "event of", "lost"),
    "an event was given up": ("event", "event of", "given up"),
    "a lost event was found by the listing": ("reconcile", "table put seen#", ""),
    "old objects were swept": ("sweep", "state delete", ""),
    "an execution failed": ("execution", "fails", ""),
    "an execution was stopped": ("execution", "is stopped", ""),
    "an execution stood by": ("execution execution", "ends", ""),
    "another pipeline was refused": ("", "fails", "IncompatiblePipeline"),
    "dead letters were written": ("", "output put_if_absent dead-letters", "True"),
    "an epoch was fanned out": ("reduce", "state put_if_absent", "True"),
    "a small epoch ran in one call": ("epoch", "state put_if_absent", "True"),
    "a file was cut up for several tasks": ("oracle", CUT_UP, ""),
    "which reduce tasks have work was looked up": ("plan", "/results/map-", ""),
    "map tasks were too many for an inline Map": ("plan", WIDE, "map"),
    "reduce tasks were too many for an inline Map": ("plan", WIDE, "reduce"),
    "a map task had a shuffle object": ("map", "shuffle.arrow", ""),
    "all sources of a union were held by a backlog": ("oracle", ALL_HELD, ""),
    "a replay was begun": ("oracle", REPLAYED, ""),
    "a replay found a swept record": ("plan", "state get", "ObjectNotFound"),
    "what an older generation froze was not committed": ("commit", "fails", "TidegateError"),
}
"""For each mark what a step's process begins with, and what its call and its outcome contain."""

STOOD_BY = "an execution stood by"


def reached(steps: Sequence[Step]) -> set[str]:
    """The marks that a history has."""
    found = {name for name in MARKS if any(_fits(step, MARKS[name]) for step in steps)}
    if any("-after-" in step.process and step.what == "begins" for step in steps):
        found.add(STOOD_BY)
    return found


def missing(found: Iterable[str]) -> list[str]:
    """The marks that were not reached."""
    known = set(found)
    return [name for name in MARKS if name not in known]


def _fits(step: Step, mark: tuple[str, str, str]) -> bool:
    process, what, outcome = mark
    return step.process.startswith(process) and what in step.what and outcome in step.outcome
