"""Input files of the runtime's tests."""

import json
import os
import random
from pathlib import Path

NOON = 1_700_000_040
"""A full minute, seconds since 1970."""


def write_files(folder: Path, count: int, events: int = 20) -> None:
    """Files whose events move on with their numbers, some of them late, one of them no record."""
    chance = random.Random(count)  # noqa: S311
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rows = [
            {
                "team": f"team{chance.randrange(5)}",
                "score": chance.randrange(-2, 10),
                "at": (NOON + number * 20) * 1000 + chance.randrange(-60_000, 20_000),
            }
            for _ in range(events)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        path = folder / f"{number:03}.json"
        path.write_text(text if number % 7 else text + "no record\n")
        age(path, NOON + 3_600 + number)


def age(path: Path, moment: int) -> None:
    """Sets when a file was changed, seconds since 1970."""
    os.utime(path, ns=(moment * 1_000_000_000,) * 2)


def output_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder by their names, their lines sorted."""
    return {
        path.relative_to(folder).as_posix(): b"\n".join(sorted(path.read_bytes().split(b"\n")))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def panes_of(folder: Path, *names: str) -> list[dict[str, object]]:
    """The panes of a sink's folder, sorted."""
    rows = [json.loads(line) for path in folder.glob("*.json") for line in path.read_text().splitlines()]
    return sorted(({name: row[name] for name in names or row} for row in rows), key=repr)
