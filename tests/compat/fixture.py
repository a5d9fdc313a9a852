"""A fixture: what a version of Tidegate left when it was stopped in the middle of an epoch.

VERSION/fixture.json      when each input file was changed, which is its version
VERSION/input/…           the files that it had accepted
VERSION/later/…           files that come afterwards
VERSION/output/…          what it had written
VERSION/state/…           its state; tables as SQL, for a database's own file says nothing to a reader
"""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE / "recorded.py"


def restore(version: str, base: Path, *, later: bool = False) -> None:
    """Lays a fixture out as `in`, `out` and `out.state`; or what comes afterwards into `in`."""
    fixture = HERE / version
    if later:
        shutil.copytree(fixture / "later", base / "in", dirs_exist_ok=True)
    else:
        shutil.copytree(fixture / "input", base / "in")
        shutil.copytree(fixture / "output", base / "out")
        shutil.copytree(fixture / "state", base / "out.state")
        for dump in (base / "out.state").glob("*/table.sql"):
            with closing(sqlite3.connect(dump.with_suffix(".sqlite"))) as connection:
                connection.executescript(dump.read_text())
            dump.unlink()
    for name, changed in json.loads((fixture / "fixture.json").read_text()).items():
        path = base / "in" / name
        if path.exists():
            os.utime(path, ns=(changed, changed))


def keep(version: str, base: Path) -> None:
    """Writes a fixture from the folders `in`, `later`, `out` and `out.state` below a folder."""
    fixture = HERE / version
    fixture.mkdir()
    files = {
        path.relative_to(base / folder).as_posix(): path.stat().st_mtime_ns
        for folder in ("in", "later")
        for path in sorted((base / folder).rglob("*.*"))
    }
    (fixture / "fixture.json").write_text(json.dumps(files, indent=2) + "\n")
    for source, name in (("in", "input"), ("later", "later"), ("out", "output"), ("out.state", "state")):
        shutil.copytree(
            base / source, fixture / name, ignore=shutil.ignore_patterns("*.sqlite*", "lock", ".lock")
        )
    for database in (base / "out.state").glob("*/table.sqlite"):
        with closing(sqlite3.connect(database)) as connection:
            text = "\n".join(connection.iterdump()) + "\n"
        (fixture / "state" / database.parent.name / "table.sql").write_text(text)
