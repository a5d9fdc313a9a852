"""`make crash`: real processes killed at random, full disks, folders that cannot be written, for a set time.

Every round is drawn from the seed and its own name, so that `--seed S --round folder-7` deals the same blows
again; what they hit depends on the machine's own timing as well.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path

from tests.crash import starved
from tests.crash.cloud import cloud_round
from tests.crash.command import ROOT
from tests.crash.embedded import folder_round, following_round
from tests.crash.oracles import Divergence

Round = Callable[[Path, random.Random], Counter[str]]

WANTED_KILLS = 200
"""Kills that a run of the full time must come to; a run that kills nobody proves nothing."""


def _starved(case: str) -> Round:
    return lambda base, chance: starved.starve(case, base, chance)[0]


PARTS: dict[str, Round] = {
    "folder": folder_round,
    "follow": following_round,
    "cloud": cloud_round,
    **{case.replace("_", "-"): _starved(case) for case in starved.CASES},
}


@dataclass
class Report:
    """What happened so far; both lanes write to it.

    Attributes:
        counts: For each part its `rounds`, `kills`, `faults` and `divergences`.
    """

    seed: int
    folder: Path
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {part: Counter() for part in PARTS})
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def play(self, part: str, number: int) -> None:
        """Plays a round; the folder of one that diverged is kept."""
        name = f"{part}-{number}"
        base = self.folder / name
        base.mkdir(parents=True)
        chance = random.Random(f"{self.seed}/{name}")  # noqa: S311
        try:
            found = PARTS[part](base, chance)
        except Divergence as divergence:
            self._diverged(part, name, base, str(divergence))
        except Exception:
            # A fault of the tester's own is none of the runner's, and must not go unseen either.
            self._diverged(part, name, base, traceback.format_exc())
        else:
            shutil.rmtree(base)
            with self._lock:
                self.counts[part] += found
        with self._lock:
            self.counts[part]["rounds"] += 1

    def total(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    def table(self, seconds: float) -> str:
        """All counts, for people."""
        columns = ("rounds", "kills", "faults", "divergences")
        lines = [f"{'part':28}" + "".join(f"{name:>13}" for name in columns)]
        for part, counts in [*self.counts.items(), ("all", self.total())]:
            lines.append(f"{part:28}" + "".join(f"{counts[name]:13,}" for name in columns))
        return "\n".join([*lines, f"seed {self.seed}, {seconds / 60:.1f} minutes"])

    def _diverged(self, part: str, name: str, base: Path, what: str) -> None:
        print(
            f"\n{name}: {what}\n  again: make crash SEED={self.seed} ROUND={name}\n  kept: {base}", flush=True
        )
        with self._lock:
            self.counts[part]["divergences"] += 1


def main() -> int:
    """Plays rounds until the time is over; 1 if one of them diverged or too little was killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None, help="by chance if left out")
    parser.add_argument("--round", metavar="PART-N", help="play this round of the seed alone")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    # Beside the repository's other litter, and not in /tmp: that one gets filled.
    folder = ROOT / ".crash"
    folder.mkdir(exist_ok=True)
    report = Report(seed, Path(tempfile.mkdtemp(prefix=f"{seed}-", dir=folder)))
    started = time.monotonic()
    print(f"seed {seed}, {options.round or f'{options.minutes:g} minutes'}, in {report.folder}", flush=True)
    if options.round:
        part, _, number = options.round.rpartition("-")
        if part not in PARTS or not number.isdigit():
            parser.error(f"a round is called PART-N, with one of the parts {', '.join(PARTS)}")
        report.play(part, int(number))
    else:
        _play_all(report, started + options.minutes * 60)
    print("\n" + report.table(time.monotonic() - started))
    total = report.total()
    if not total["divergences"]:
        shutil.rmtree(report.folder)
    if not options.round and options.minutes >= 10 and total["kills"] < WANTED_KILLS:
        print(f"only {total['kills']} kills: the machine was too slow for the run to say much")
        return 1
    return 1 if total["divergences"] else 0


def _play_all(report: Report, end: float) -> None:
    """Two lanes side by side: kills of the embedded runner; all that starves it, and kills in the cloud."""
    reason = starved.hindrance()
    if reason:
        print(f"left out, full disks and folders that cannot be written: {reason}", flush=True)
    cases = [] if reason else [part for part in PARTS if part not in ("folder", "follow", "cloud")]
    # A cloud takes long to start, and a case of starving kills nobody.
    between = [part for first in range(0, len(cases), 2) for part in (*cases[first : first + 2], "cloud")]
    lanes = [_rounds(["folder", "folder", "folder", "follow"]), _rounds(between or ["cloud"])]
    threads = [threading.Thread(target=_play, args=(report, lane, end), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _play(report: Report, lane: Iterator[tuple[str, int]], end: float) -> None:
    for part, number in lane:
        if time.monotonic() > end:
            return
        report.play(part, number)


def _rounds(parts: list[str]) -> Iterator[tuple[str, int]]:
    numbers = {part: count() for part in parts}
    return ((part, next(numbers[part])) for part in cycle(parts))


if __name__ == "__main__":
    sys.exit(main())
