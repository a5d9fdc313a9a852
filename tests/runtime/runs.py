"""Runs of the embedded runner on a folder of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.epochs.layout import Limits
from tidegate.epochs.manifest import Manifest
from tidegate.plan import compile_plan
from tidegate.runtime.embedded import EmbeddedRunner, open_runner
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline


@contextmanager
def opened(reference: str, base: Path, output: str = "out", **limits: int) -> Iterator[EmbeddedRunner]:
    folders = Folders.of(base / "in", base / output, None)
    plan = compile_plan(load_pipeline(reference))
    with open_runner(plan, reference, folders, limits=Limits(**limits), workers=2) as runner:
        yield runner


def run(reference: str, base: Path, output: str = "out", *, drain: bool = False, **limits: int) -> Manifest:
    with opened(reference, base, output, **limits) as runner:
        manifest = runner.run(drain=drain)
    assert manifest is not None
    return manifest
