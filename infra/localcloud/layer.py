"""Lays out what a function's process may import, as the built layer does: links instead of copies."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

# What Lambda's Python runtime brings along: the interface client and boto3 with their dependencies.
RUNTIME_PACKAGES = (
    "awslambdaric", "simplejson", "snapshot-restore-py",
    "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3",
)  # fmt: skip
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?:\s*;\s*(\S.*?))?\s*\\?$", re.MULTILINE)


def lay_out_runtime(folder: Path) -> Path:
    """Makes the folder, which must not exist yet, of what Lambda itself brings along, and returns it."""
    folder.mkdir()
    for name in RUNTIME_PACKAGES:
        _link_package(name, folder)
    return folder


def lay_out_layer(folder: Path, *, library: Path, pipelines: Path, requirements: Path) -> Path:
    """Makes the folder, which must not exist yet, of what the built layer has in `python/`, and returns it.

    Args:
        folder: where to make it.
        library: the folder `tidegate` of the library.
        pipelines: a folder of pipeline modules; it appears as the package `pipelines`.
        requirements: the lock file of the layer. What it does not name, functions cannot import.

    Raises:
        FileNotFoundError: a folder or the lock file is missing.
        subprocess.CalledProcessError: a pipeline cannot be compiled; its message went to standard error.
    """
    for needed in (library, pipelines, requirements):
        if not needed.exists():
            raise FileNotFoundError(f"{needed} is missing; the local cloud deploys it")
    folder.mkdir()
    (folder / "tidegate").symlink_to(library.resolve())
    (folder / "pipelines").symlink_to(pipelines.resolve())
    for name in _locked_packages(requirements):
        _link_package(name, folder)
    _compile_plans(folder)
    return folder


def _locked_packages(requirements: Path) -> list[str]:
    text = requirements.read_text(encoding="utf-8")
    # A package with a marker is for some machines only; for this one if it is here.
    return [name for name, _, marker in _PINNED.findall(text) if not marker or _installed(name)]


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _link_package(name: str, target: Path) -> None:
    distribution = importlib.metadata.distribution(name)
    for top in {
        file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}
    }:
        source, link = Path(str(distribution.locate_file(top))), target / top
        if not link.exists():
            link.symlink_to(source)


def _compile_plans(layer: Path) -> None:
    plans = layer / "tidegate_plans"
    plans.mkdir()
    # As in a build, this runs with the project's own packages: a tool of the deployment, not a part.
    command = [sys.executable, "-m", "tidegate", "compile", str(layer / "pipelines"), "--output", str(plans)]
    environment = {**os.environ, "PYTHONPATH": str(layer)}
    subprocess.run(command, check=True, env=environment, cwd=layer, stdout=subprocess.DEVNULL)  # noqa: S603 (own paths only)
