"""`make bench-peers`: the window sum over JSON in other engines, answers compared with DuckDB's.

Each comes from PyPI into an environment of its own, below the folder of the benchmarks. What cannot be
installed here, or needs a Java that is not there, is named, and the others go on.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.__main__ import FOLDER, versions
from bench.process import Failed, Measured, measure, middle
from bench.side_by_side import Bench
from bench.workloads import WORKLOADS

_COLUMNS = "SELECT key, window_start::TIMESTAMP AS window_start, total FROM {output}"
_TABLE = "{:28}{:>9.2f}{:>9.2f}{:>9.0f}{:>14,.0f}{:>12.1f}{:>9.1f}"


@dataclass(frozen=True)
class Peer:
    """Another engine.

    Attributes:
        script: Of this package.
        requirement: For pip; none if it is in Tidegate's own environment.
        java: Whether it runs on Java.
    """

    script: str
    requirement: str = ""
    java: bool = False

    def python(self, folder: Path) -> str:
        """The interpreter of its environment, which is made if it is not there.

        Raises:
            Failed: It cannot be installed.
        """
        if self.java and not shutil.which("java"):
            raise Failed("there is no Java on this machine")
        if not self.requirement:
            return sys.executable
        environment = folder / "peers" / self.requirement
        if not (environment / "done").exists():
            pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            for command in ([sys.executable, "-m", "venv", str(environment)], [*pip, self.requirement]):
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
                if ran.returncode:
                    raise Failed(f"cannot be installed: {ran.stderr.strip().splitlines()[-1]}")
            (environment / "done").touch()
        return str(environment / "bin" / "python")


PEERS = {
    "polars": Peer("polars_sum.py"),
    "flink": Peer("flink_sum.py", "apache-flink==2.3.0", java=True),
    "spark": Peer("spark_sum.py", "pyspark==4.3.0", java=True),
    "bytewax": Peer("bytewax_sum.py", "bytewax==0.21.1"),
    "beam": Peer("beam_sum.py", "apache-beam==2.77.0"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the peers that are named, Tidegate and DuckDB; 1 if an answer is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)}; all if none")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a peer is killed")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--json", type=Path, help="a file for the figures, which bench.report draws")
    options = parser.parse_args(arguments)
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(
        f"{options.events:,} JSON events, median of {options.runs} runs; times are Tidegate's wall and CPU\n"
    )
    print(f"{'':28}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'events/CPU s':>14}{'x our wall':>12}{'x CPU':>9}")
    options.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(WORKLOADS["sum-json"], options.folder, options.events, options.files)
    ours = bench.run(options.runs)
    figures = {"tidegate": ours.ours, "DuckDB batch": ours.batch}
    for name, took in figures.items():
        print(_row(name, took, ours.ours, options.events), flush=True)
    wrong = 0
    for name in options.peers or PEERS:
        try:
            took = run(PEERS[name], bench, options.runs, options.limit)
            figures[PEERS[name].requirement or name] = took
        except Failed as error:
            print(f"{name:28}{error}", flush=True)
            wrong += "differ" in str(error)
        else:
            print(_row(PEERS[name].requirement or name, took, ours.ours, options.events), flush=True)
    if options.json:
        peers = {name: asdict(took) for name, took in figures.items()}
        document = {"versions": versions(), "events": options.events, "runs": options.runs, "peers": peers}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if wrong else 0


def run(peer: Peer, bench: Bench, runs: int, limit: float) -> Measured:
    """The median of some runs of a peer, whose answer is compared.

    Raises:
        Failed: It cannot be installed, ended with an error, took too long, or its answer is another.
    """
    python, answer, taken = peer.python(bench.folder), bench.folder / "peer", []
    script = Path(__file__).with_name(peer.script)
    for _ in range(runs):
        for each in (answer, bench.folder / "peer.checkpoint"):
            shutil.rmtree(each, ignore_errors=True)
        taken.append(
            measure([python, str(script), str(bench.input / "events"), str(answer)], bench.folder, limit)
        )
    for part in (each for each in answer.rglob("*") if each.is_file() and each.suffix != ".json"):
        # Flink's files have no ending, and Spark leaves others beside its own.
        if part.name.startswith("part-"):
            part.rename(part.with_name(f"{part.name}.json"))
    bench.check(answer, _COLUMNS)
    return middle(taken)


def _row(name: str, took: Measured, ours: Measured, events: int) -> str:
    ratios = took.wall / ours.wall, took.cpu / ours.cpu
    return _TABLE.format(name, took.wall, took.cpu, took.peak, events / took.cpu, *ratios)


if __name__ == "__main__":
    sys.exit(main())
