"""Tidegate and DuckDB on the same files, in turn, as fresh processes; their answers are compared."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.process import Failed, Measured, measure, middle
from bench.workloads import Workload

_DIFFERENCES = """
    WITH ours AS ({ours}), batch AS (FROM {batch})
    SELECT (SELECT count(*) FROM (FROM ours EXCEPT ALL FROM batch))
         + (SELECT count(*) FROM (FROM batch EXCEPT ALL FROM ours)), (SELECT count(*) FROM batch)
"""


@dataclass(frozen=True)
class Result:
    """What a workload took both.

    Attributes:
        rows: Of the input.
        ours: The median of Tidegate's runs.
        batch: That of DuckDB's.
    """

    workload: Workload
    rows: int
    ours: Measured
    batch: Measured

    @property
    def ratios(self) -> Measured:
        """Tidegate's figures as multiples of DuckDB's."""
        return Measured(
            self.ours.wall / self.batch.wall, self.ours.cpu / self.batch.cpu, self.ours.peak / self.batch.peak
        )


@dataclass(frozen=True)
class Bench:
    """A workload with its input, which is written once.

    Args:
        folder: Where inputs, outputs and state lie.
        rows: How many rows or events the input has.
        files: How many files.
    """

    workload: Workload
    folder: Path
    rows: int
    files: int

    @property
    def input(self) -> Path:
        """The folder of the input's folders."""
        return self.folder / f"{self.workload.write.__name__.removeprefix('write_')}-{self.rows}-{self.files}"

    def prepare(self) -> None:
        """Writes the input if it is not there."""
        done = self.input / "done"
        if not done.exists():
            shutil.rmtree(self.input, ignore_errors=True)
            self.workload.write(self.input, self.rows, self.files)
            done.touch()

    def run(self, runs: int) -> Result:
        """Both in turn, so many times.

        Raises:
            Failed: One of them did, or their answers differ.
        """
        self.prepare()
        ours, batch = [], []
        for _ in range(runs):
            ours.append(self.tidegate())
            batch.append(self.duckdb())
        self.check(self.folder / "out" / "answer", self.workload.answer)
        return Result(self.workload, self.rows, middle(ours), middle(batch))

    def tidegate(self, *options: str) -> Measured:
        """One run of the pipeline, from nothing to the end of the stream, with further options."""
        out = self.folder / "out"
        for each in (out, self.folder / "out.state"):
            shutil.rmtree(each, ignore_errors=True)
        command = [sys.executable, "-m", "tidegate", "run", self.workload.pipeline, "--drain", *options]
        return measure([*command, "--input", str(self.input), "--output", str(out)], self.folder)

    def duckdb(self) -> Measured:
        """One run of the query."""
        query = self.workload.query.format(input=self.input)
        copy = f"COPY ({query}) TO '{self.expected}' ({self.workload.options})"
        return measure([sys.executable, "-c", f"import duckdb; duckdb.execute({copy!r})"], self.folder)

    @property
    def expected(self) -> Path:
        """The file with DuckDB's answer."""
        return self.folder / f"expected.{self.workload.answers_as}"

    def check(self, folder: Path, answer: str) -> int:
        """Compares the answer in a folder with DuckDB's, and returns how many rows it has.

        Raises:
            Failed: They differ.
        """
        kind = self.workload.answers_as
        ours = answer.format(output=f"read_{kind}('{folder}/**/*.{kind}')")
        query = _DIFFERENCES.format(ours=ours, batch=f"read_{kind}('{self.expected}')")
        try:
            differences, rows = duckdb.execute(query).fetchone() or (0, 0)
        except duckdb.IOException as error:
            raise Failed(f"{self.workload.name}: there is no answer to compare, {error}") from None
        if differences or not rows:
            differ = f"{differences:,} rows differ, counted on both sides"
            raise Failed(f"{self.workload.name}: {differ}, from DuckDB's {rows:,}")
        return int(rows)
