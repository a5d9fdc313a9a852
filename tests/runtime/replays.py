"""Replays of a small pipeline in the folders of a test."""

import shutil
from pathlib import Path
from typing import Any

from tests.runtime.conftest import EXPRESSIONS
from tests.runtime.events import write_files
from tests.runtime.runs import run
from tidegate.plan import compile_plan
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.replay import Replayed, replay

OTHER = EXPRESSIONS.replace('"1m"), allowed', '"2m"), allowed').replace(
    "games=", 'best=tg.max("score"), games='
)


def run_replay(reference: str, base: Path, output: str = "out", **options: Any) -> Replayed:
    plan = compile_plan(load_pipeline(reference))
    return replay(plan, reference, Folders.of(base / "in", base / output, None), workers=2, **options)


def arrive(base: Path, *names: str) -> None:
    """Takes files from the folder `all` into the input."""
    (base / "in" / "scores").mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy2(base / "all" / f"{name}.json", base / "in" / "scores")


def run_in_waves(reference: str, base: Path, output: str = "out") -> None:
    """Nine files in three waves."""
    write_files(base / "all", 9)
    shutil.rmtree(base / "in", ignore_errors=True)
    for wave in (("000", "001", "002"), ("003", "004", "005", "006"), ("007", "008")):
        arrive(base, *wave)
        run(reference, base, output)


def everything(base: Path, *folders: str) -> dict[str, bytes]:
    """All files below these folders, save the lock, which every run opens for writing."""
    return {
        path.relative_to(base).as_posix(): path.read_bytes()
        for folder in folders
        for path in (base / folder).rglob("*")
        if path.is_file() and path.name != ".lock" and "__pycache__" not in path.parts
    }
