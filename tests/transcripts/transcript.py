"""A transcript: a pipeline, what happens to it epoch by epoch, and the panes that it must give.

The cases are `*.yaml` beside this file; the header of `paper.yaml` says how to read them.
"""

import ast
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
DAY = "2026-01-05"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Case = dict[str, Any]


def load() -> list[Case]:
    """All cases, by file."""
    # BaseLoader makes nothing but texts, so that 12:05 stays a time.
    return [
        case | {"file": path.stem}
        for path in sorted(FOLDER.glob("*.yaml"))
        for case in yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506
    ]


def instance(text: str, words: Mapping[str, Any]) -> Any:
    """A window or a trigger from the text that a user writes, with what its names stand for."""

    def build(node: ast.expr) -> Any:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = {each.arg: build(each.value) for each in node.keywords if each.arg}
            return words[node.func.id](*map(build, node.args), **named)
        return ast.literal_eval(node)

    return build(ast.parse(text, mode="eval").body)


def micros(clock: str) -> int:
    """12:05:20, or with a day before it 2026-01-04T12:05:20."""
    text = clock if "T" in clock else f"{DAY}T{clock}"
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // MICROSECOND


def sources(case: Case) -> list[str]:
    """The names of the case's sources; usually there is one."""
    return list(case.get("sources", ["events"]))


def watermarks(step: Mapping[str, Any], case: Case) -> dict[str, int]:
    """The watermarks that a step gives, by source."""
    given = step.get("watermark", {})
    named = dict.fromkeys(sources(case), given) if isinstance(given, str) else given
    return {name: micros(clock) for name, clock in named.items()}


def element(text: str) -> tuple[str, int, int]:
    """Key, value and event time of `5 @ 12:00:26`, or with a key `a=5 @ 12:00:26`."""
    what, when = text.split(" @ ")
    key, _, value = what.rpartition("=")
    return key, int(value), micros(when)


def short(moment: str | None) -> str:
    """12:02 or 12:02:30, with the day before it if it is another one."""
    if moment is None:
        return ""
    clock = moment.removesuffix("Z").removeprefix(f"{DAY}T")
    return clock.removesuffix(":00") if clock.count(":") == 2 else clock


def pane(row: dict[str, Any], case: Case) -> str:
    """A pane as the transcripts write it, from the row with its own event time."""
    parts = ["retract"] if row["op"] == "retract" else []
    parts += [row["key"]] if row["key"] else []
    start, end = row["window_start"], row["window_end"]
    parts.append(f"{short(start)}-{short(end)}" if start else "global")
    parts += [str(row["value"]).lower().replace("none", "null"), row["pane_timing"], str(row["pane_index"])]
    parts += ["last"] if row["pane_is_last"] else []
    parts += [f"@{short(row['emitted_at'])}"] if any("now" in step for step in case["steps"]) else []
    parts += [f"at {short(row['event_time'])}"] if "timestamp" in case else []
    return " ".join(parts)
