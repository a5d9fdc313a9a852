"""Seeded events for the benchmarks: 5,000 keys, two hours of event time, up to 10 seconds out of order."""

import json
import random
from pathlib import Path

START = 1_767_225_600_000
"""2026-01-01T00:00:00Z in milliseconds."""


def write_events(folder: Path, *, events: int, files: int, keys: int = 5_000, seed: int = 1) -> None:
    """Writes the events as files of JSON lines, in the order in which they arrive."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    each = events // files
    step = 7_200_000 / events
    for number in range(files):
        lines = []
        for index in range(number * each, (number + 1) * each):
            at = START + int(index * step) - chance.randrange(10_000)
            event = {"key": f"key-{chance.randrange(keys):05d}", "value": chance.randrange(1_000), "at": at}
            lines.append(json.dumps(event, separators=(",", ":")))
        (folder / f"events-{number:04d}.json").write_text("\n".join(lines) + "\n")
