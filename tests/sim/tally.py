"""Many seeds, in processes, and what they came to."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.sim.seeds import simulate, unexpected_calls
from tidegate.testing.simulation.marks import MARKS, missing, reached

CHUNK = 25
"""Seeds that a worker process is given at a time."""


@dataclass
class Tally:
    """What many seeds came to."""

    seeds: int = 0
    calls: int = 0
    turns: int = 0
    epochs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Takes in what other seeds came to."""
        self.seeds += other.seeds
        self.calls += other.calls
        self.turns += other.turns
        self.epochs += other.epochs
        self.faults.update(other.faults)
        self.marks.update(other.marks)
        self.broken |= other.broken


def run_seeds(seeds: list[str]) -> Tally:
    """Runs some seeds."""
    tally = Tally()
    for seed in seeds:
        run = simulate(seed)
        tally.seeds += 1
        tally.calls += sum(" " in step.what for step in run.steps)
        tally.turns += run.turns
        tally.epochs += len(run.watch.manifests)
        tally.faults.update(run.happened)
        tally.marks.update(reached(run.steps))
        promises = [*run.violations, *unexpected_calls(run)]
        if promises:
            tally.broken[seed] = promises[0]
    return tally


def run_many(first: int, count: int, jobs: int) -> Iterator[Tally]:
    """Runs seeds in processes; gives the tally so far after each chunk."""
    names = [str(number) for number in range(first, first + count)]
    total = Tally()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        chunks = [pool.submit(run_seeds, names[at : at + CHUNK]) for at in range(0, count, CHUNK)]
        for done in as_completed(chunks):
            total.add(done.result())
            yield total


def report(total: Tally, seconds: float) -> str:
    """The tally for people."""
    faults = ", ".join(f"{name} {n}" for name, n in sorted(total.faults.items()))
    lines = [
        f"{total.seeds} seeds in {seconds:.0f} s: {total.calls} calls of ports, {total.epochs} epochs, "
        f"{sum(total.faults.values())} faults",
        f"faults: {faults}",
        f"marks: {len(MARKS) - len(missing(total.marks))} of {len(MARKS)} reached"
        + "".join(f"; never: {name}" for name in missing(total.marks)),
        f"promises broken: {len(total.broken)}",
    ]
    if not total.broken:
        lines.append(
            f"which means, at 95 %: fewer than {3 / total.seeds:.1e} of all seeds break one (rule of three)"
        )
    return "\n".join(lines)
