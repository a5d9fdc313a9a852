"""Hostile keys of uploads, from intake over the plan to the tasks: on memory, and on files with links about.

What must hold: an upload is counted or a dead letter, never both and never nothing; every object and row of
the system has a name of the system's own form; nothing outside of the roots is read or written.
"""

import contextlib
import re
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path

from tests.epochs.scenario import NOON, compiled, lines
from tidegate.epochs import intake
from tidegate.epochs.drive import drive
from tidegate.epochs.intake import InputObject
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Coordinator
from tidegate.epochs.tasks import TaskStores
from tidegate.errors import TidegateError
from tidegate.stores.embedded import LocalObjects
from tidegate.stores.memory import ManualClock, MemoryObjects, MemoryTable
from tidegate.stores.ports import ObjectInfo, Objects
from tidegate.testing.sequential import SequentialInvoker

PLAN = compiled()
SECRET = b"a file of somebody else\n"
_RECORD = lines(("x", 1, 5)).encode()

_STATE = re.compile(
    r"scores/(?:epochs/\d{10}/(?:record\.json|manifest\.json|results/(?:map|reduce)-\d{5}\.json)"
    r"|data/\d{10}/(?:map|reduce|epoch)-\d{5}-attempt\d+-"
    r"(?:shuffle\.arrow|state\.layers|output\.json|dead-letters\.json))"
)
_OUTPUT = re.compile(r"(?:totals/epoch-\d{10}-|dead-letters/scores/epoch-\d{10}-(?:map|epoch)-)\d{5}\.json")
_ROW = re.compile(r"[a-z]+(?:#[0-9a-f-]+)?")

HOSTILE = (
    *(
        "a.json",
        "../secret",
        "../../outside/secret.json",
        "..",
        ".",
        "./a.json",
        "a/../b.json",
        "/etc/passwd",
    ),
    *("//a.json", "a//b.json", "a/./b.json", "a.json/", "%2e%2e/secret", "%2e%2e%2fsecret", "..%2fsecret"),
    *("nul\0.json", "\0", "line\nfeed.json", "\r\n", "tab\t.json", "\x7f", "\x1b[31m.json", "a" * 1_000),
    *(
        "a/" * 500,
        "\u202egnp.json",
        "\u0430.json",
        "\u2024\u2024/secret",
        "\uff0e\uff0e/secret",
        "e\u0301.json",
    ),
    *(
        "\udcff.json",
        "\ud800",
        "link/secret.json",
        "link.json",
        "inside.json",
        "back\\..\\slash",
        "C:\\a.json",
    ),
    *(
        "scores/epochs/0000000001/record.json",
        "scores/data/0000000001/map-00000-a-state.layers",
        "wake",
        "head",
    ),
    *("dead-letters/scores/epoch-0000000001-map-00000.json", "totals/epoch-0000000001-00000.json", "seen#0"),
    *(
        "_hidden.json",
        ".hidden.json",
        "pending#00000000000000000001",
        "a#1",
        "##00",
        "a.json?versionId=x",
        "a.json#x",
    ),
    *("'; DROP TABLE rows; --", "${jndi:x}", "`id`", "$(id)", "%s%n", "{0}", "*", "~/.ssh/id", "con.json"),
)
"""Keys that a layer below could take for something else than a name."""

SEEDS = tuple(key.encode("utf-8", "surrogatepass") for key in HOSTILE)


def check_bytes(data: bytes) -> None:
    """The keys that these bytes may be."""
    text = data.decode("utf-8", "surrogateescape")
    check([text, f"scores/{text}", f"scores/{text}.json"])


def check(keys: Sequence[str]) -> None:
    """Uploads with these keys; raises if one of them leaves its place."""
    for on_files in (False, True):
        with tempfile.TemporaryDirectory(dir=_folder()) as folder:
            _check(list(dict.fromkeys(keys)), Path(folder) if on_files else None)


@cache
def _folder() -> Path | None:
    """In memory, where the system has such a place: a run makes many folders."""
    memory = Path("/dev/shm")  # noqa: S108
    return memory if memory.is_dir() else None


def _check(keys: Sequence[str], folder: Path | None) -> None:
    stores = _stores(folder)
    outside = _outside(folder)
    table = MemoryTable()
    delivered = _delivered(stores.input, keys)
    events = [
        InputObject(key, delivered.get(key) or _guessed(folder, key), len(_RECORD))
        for key in keys
        if PLAN.outline().takes(key)
    ]
    accepted = [each.key for each in events if _accepted(table, each)]
    invoker = SequentialInvoker(PLAN, stores, (f"attempt{number}" for number in count()))
    coordinator = Coordinator(PLAN.outline(), stores.state, table, Limits(), ManualClock(NOON))
    drive(coordinator, invoker)
    manifest = coordinator.manifest()
    totals = manifest.totals if manifest else {}
    assert totals.get("records", 0) == len(accepted)
    readable = sum(key in delivered for key in accepted)
    assert (totals.get("elements", 0), totals.get("dead_letters", 0)) == (readable, len(accepted) - readable)
    _check_names(stores, table)
    assert outside == _outside(folder)


def _stores(folder: Path | None) -> TaskStores:
    if folder is None:
        return TaskStores(MemoryObjects(), MemoryObjects(), MemoryObjects())
    (folder / "outside").mkdir()
    (folder / "outside" / "secret.json").write_bytes(SECRET)
    (folder / "secret").write_bytes(SECRET)
    scores = folder / "input" / "scores"
    scores.mkdir(parents=True)
    (scores / "link").symlink_to(folder / "outside")
    (scores / "link.json").symlink_to(folder / "secret")
    (scores / "round").symlink_to(scores)
    return TaskStores(*(LocalObjects(folder / name) for name in ("input", "state", "output")))


def _outside(folder: Path | None) -> dict[str, bytes]:
    """All files beside the roots."""
    if folder is None:
        return {}
    beside = [path for path in folder.iterdir() if path.name not in ("input", "state", "output")]
    files = [path for each in beside for path in (each.rglob("*") if each.is_dir() else [each])]
    return {str(path): path.read_bytes() for path in files}


def _delivered(objects: Objects, keys: Sequence[str]) -> dict[str, str]:
    """Files of these keys with their versions, where the store takes them; events come for all keys."""
    for key in keys:
        with contextlib.suppress(TidegateError):
            objects.put(key, _RECORD)
    folders = {key.split("/")[0] for key in keys}
    found = {info.key: info.version for folder in folders for info in _listed(objects, folder)}
    return {key: found[key] for key in keys if key in found}


def _guessed(folder: Path | None, key: str) -> str:
    """The version that a file has to which the system's calls lead, so that no store is saved by chance."""
    try:
        assert folder is not None
        status = (folder / "input" / key).stat()
    except (AssertionError, OSError, ValueError):
        return "unknown"
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _listed(objects: Objects, folder: str) -> Sequence[ObjectInfo]:
    try:
        return list(objects.list(folder)) if folder else []
    except TidegateError:
        return []


def _accepted(table: MemoryTable, upload: InputObject) -> bool:
    try:
        upload.key.encode()
    except UnicodeEncodeError:
        # No key of S3; the embedded runner tells the user to rename the file.
        return False
    return intake.accept(table, [upload], NOON) == 1


def _check_names(stores: TaskStores, table: MemoryTable) -> None:
    for objects, form, folders in (
        (stores.state, _STATE, ("scores", "..", "totals", "dead-letters")),
        (stores.output, _OUTPUT, ("totals", "dead-letters", "scores")),
    ):
        for folder in folders:
            for info in _listed(objects, folder):
                assert form.fullmatch(info.key), info.key
                assert SECRET.strip() not in objects.get(info.key)
    for key, _ in table.query("", 1_000):
        assert _ROW.fullmatch(key), key
