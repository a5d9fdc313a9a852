"""Makes the fixture of a version: `python -m tests.compat.record VERSION`, once, before it is released."""

import gzip
import json
import os
import random
import sys
import tempfile
from pathlib import Path

from tests.compat.fixture import HERE, PLACE, keep
from tests.compat.recorded import PIPELINES
from tests.runtime.stopping import Stopping
from tidegate.epochs.layout import Limits
from tidegate.plan import compile_plan
from tidegate.runtime.embedded import open_runner
from tidegate.runtime.folders import Folders
from tidegate.testing.faults import Crash

NOON = 1_700_000_040
"""A full minute, seconds since 1970."""

WAVES = 3
"""Times that files arrive before the run is stopped."""

FANNED_OUT = Limits(small=0, tasks=3, task_bytes=1)

MEMBERS = [
    {"team": team, "level": level, "fee": fee, "day": day, "joined": joined, "member": member}
    for team, level, fee, day, joined, member in (
        ("ä", -1, "0.10", "2024-02-29", "2023-11-14T22:13:20.123Z", True),
        ("b", 7, "12.00", "1969-12-31", -1, False),
        ("", 0, "-9999999999.99", "9999-12-31", 253_402_300_799_999, None),
    )
]


def arrive(folder: Path, wave: int) -> None:
    """Two files of scores and one of trades, which move on with the waves; some events are late."""
    chance = random.Random(wave)  # noqa: S311
    start = (NOON + wave * 45) * 1000

    def moment() -> int:
        return start + chance.randrange(-70_000, 45_000)

    for number in range(2):
        rows = [
            chance.choice(MEMBERS)
            | {
                "score": chance.randrange(-3, 10**12),
                "weight": chance.choice([None, 0.5, -1.25]),
                "at": moment(),
            }
            # Of different sizes, so that each file becomes a task of its own.
            for _ in range(30 - number * 20)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows) + "no record\n" * number
        write(folder / "scores" / f"{wave}-{number}.json", text.encode(), wave * 3 + number)
    trades = [
        f"{chance.choice(['AB', 'AC', 'XY'])},{chance.randrange(9)},{chance.randrange(999) / 100},{moment()}"
        for _ in range(20)
    ]
    table = "\n".join(["symbol,volume,price,at", *trades, ""])
    write(folder / "trades" / f"{wave}.csv.gz", gzip.compress(table.encode(), mtime=0), wave * 3 + 2)


def write(path: Path, data: bytes, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    changed = (NOON + 3_600 + number) * 1_000_000_000 + 123_456_789
    os.utime(path, ns=(changed, changed))


def main(version: str) -> None:
    if (HERE / version).exists():
        sys.exit(f"{HERE / version} is there already, and stays as it is")
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        for wave in range(WAVES):
            arrive(base / "in", wave)
            for name, pipeline in PIPELINES.items():
                folders = Folders.of(base / "in", base / "out", None)
                limits = FANNED_OUT if wave == 1 else Limits()
                plan = compile_plan(pipeline)
                with open_runner(plan, f"{PLACE}:{name}", folders, limits=limits, workers=1) as runner:
                    if wave == WAVES - 1:
                        runner.invoker = Stopping(runner.invoker)
                    try:
                        runner.run()
                    except Crash:
                        print(f"{name}: stopped before it committed its last epoch")
        for wave in range(WAVES, WAVES + 2):
            arrive(base / "later", wave)
        keep(version, base)


if __name__ == "__main__":
    main(*sys.argv[1:])
