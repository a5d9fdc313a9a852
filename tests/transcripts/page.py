"""The transcripts as a page of the docs: `python -m tests.transcripts.page` writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.transcripts.transcript import FOLDER, Case, load

PAGE = Path(__file__).parents[2] / "docs" / "transcripts.md"
FILES = {
    "paper": "The example of the Dataflow Model",
    "triggers": "Watermark, counts and lateness",
    "clock": "Processing time",
    "composite": "Triggers made of triggers",
    "accumulation": "Accumulation and retractions",
    "sliding": "Sliding windows",
    "sessions": "Sessions",
    "calendar": "Calendar windows",
    "timestamps": "The panes' own event times",
    "union": "Two sources",
    "refused": "What is refused",
}
INTRODUCTION = """\
# Transcripts: what a pipeline does, epoch by epoch

Each case below is a rule with an example, and a test: the engine plays it twice, once as it is and once
with a file for each element, several tasks, and every task done three times; a naive implementation in
plain Python plays it as well. `python -m tests.transcripts.page` writes this page from
`tests/transcripts/*.yaml`.

A row of a table is an epoch: its elements (`value @ event time`, or `key=value @ event time`) join their
windows, then the watermark advances, then triggers are evaluated, then come the panes, as `window value
timing index`. `last` marks a window's last pane, `retract` one that takes an earlier one back, `@` the
processing time at which it came, `at` its own event time. Days are 2026-01-05, times UTC.
"""


def page() -> str:
    """The page's text."""
    cases = load()
    unknown = {case["file"] for case in cases} - FILES.keys()
    if unknown:
        raise ValueError(f"{FOLDER}: {unknown} has no title yet; add one to FILES")
    parts = [INTRODUCTION]
    for file, title in FILES.items():
        parts.append(f"\n## {title}\n")
        parts += [line for case in cases if case["file"] == file for line in _case(case)]
    return "\n".join(parts) + "\n"


def _case(case: Case) -> Iterator[str]:
    name = case["name"]
    yield f"\n### {name[0].upper()}{name[1:]}\n"
    yield f"```python\n{_pipeline(case)}\n```\n"
    if "refused" in case:
        yield f"Refused: *{case['refused']}*"
        return
    clocked = any("now" in step for step in case["steps"])
    yield "| clock " * clocked + "| elements | watermark | panes |"
    yield "|---" * (3 + clocked) + "|"
    for step in case["steps"]:
        # A new line for each pane; elements flow.
        cells = [step.get("now", "")] if clocked else []
        cells.append(", ".join(step.get("add", [])))
        cells.append("end of time" if "drain" in step else _watermark(step))
        cells.append("<br>".join(step.get("expect", [])))
        yield "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"
    dropped = {"dropped_late": "late", "dropped_closed": "for a closed window"}
    for counter, why in dropped.items():
        if counter in case:
            yield f"\nDropped {why}, and counted: {case[counter]}."


def _watermark(step: dict[str, Any]) -> str:
    given = step.get("watermark", "")
    return given if isinstance(given, str) else ", ".join(f"{name} {at}" for name, at in given.items())


def _pipeline(case: Case) -> str:
    """The steps of the case as a user writes them, without what is usual."""
    options = [f'allowed_lateness="{case["lateness"]}"'] if "lateness" in case else []
    options += [f'timestamp="{case["timestamp"]}"'] if "timestamp" in case else []
    steps = [f"union({', '.join(case['sources'])})"] if "sources" in case else []
    steps += [f".window({', '.join([case['window'], *options])})"]
    if "trigger" in case:
        unsafe = ["allow_unsafe_trigger=True"] if "allow_unsafe_trigger" in case else []
        steps.append(f".trigger({', '.join([case['trigger'], *unsafe])})")
    if "accumulation" in case:
        steps.append(f".accumulate({case['accumulation'].upper()})")
    value = case.get("value", "sum")
    steps.append(f".agg(value={value}({'' if value == 'count' else repr('value')}))".replace("'", '"'))
    return "\n".join(steps)


if __name__ == "__main__":
    PAGE.write_text(page())
