"""A reader of the output folder that never looks away while writers are killed beside it."""

import json
import threading
from pathlib import Path
from types import TracebackType

from tests.crash.oracles import demand

PAUSE = 0.003


class Spectator:
    """Reads an output folder all the time; every file that it sees must be whole, and stay as it is.

    Raises:
        Divergence: At the end of the block: a file was not whole, changed, or disappeared.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[Path, tuple[tuple[int, int, int], bytes]] = {}
        self._wrong: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.looks = 0
        """How often it has looked at all files."""

    def __enter__(self) -> "Spectator":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()
        if kind is None:
            self._look()
            self._read_again()
            demand(not self._wrong, f"a reader of the output saw this: {self._wrong[:3]}")

    def _watch(self) -> None:
        while not self._stopped.wait(PAUSE):
            try:
                self._look()
            except FileNotFoundError as error:
                self._wrong.append(f"{error.filename} went away")

    def _look(self) -> None:
        # What is being written has a `#` in its name, which no reader takes for output.
        found = {path for path in self._folder.rglob("*.json") if path.is_file()}
        self._wrong += [f"{path} is gone" for path in self._seen.keys() - found]
        for path in found:
            status = path.stat()
            identity = status.st_ino, status.st_size, status.st_mtime_ns
            if path not in self._seen:
                self._seen[path] = identity, self._whole(path)
            elif self._seen[path][0] != identity:
                self._wrong.append(f"{path} was written anew")
        self.looks += 1

    def _whole(self, path: Path) -> bytes:
        data = path.read_bytes()
        try:
            rows = [json.loads(line) for line in data.splitlines()]
            if not rows or not data.endswith(b"\n"):
                self._wrong.append(f"{path} ends in the middle")
        except ValueError as error:
            self._wrong.append(f"{path} is not whole: {error}")
        return data

    def _read_again(self) -> None:
        """Also what was changed and made to look as it was."""
        self._wrong += [
            f"{path} changed"
            for path, (_, data) in self._seen.items()
            if path.exists() and path.read_bytes() != data
        ]
