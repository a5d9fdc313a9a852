"""Fuzzes one target, in a process of its own: `python -m tests.fuzz.process TARGET RUNS SEED CRASHERS`.

A broken promise is noted, once for each place that it was found at, and the run goes on. What ends the
process (a crash, no end, too much memory) is noted by libFuzzer, or by the file of the last input.
"""

import faulthandler
import hashlib
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.mutation import generated

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target, of inputs that once broke a promise."""

SECONDS = 10
"""An input that takes longer counts as one without an end."""

MEGABYTES = 2_048
"""Memory of a process at most."""


def noting(run: Callable[[bytes], None], crashers: Path) -> Callable[[bytes], None]:
    """The target as one that never raises."""
    places: set[str] = set()

    def noted(data: bytes) -> None:
        try:
            run(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a panic of Polars is no Exception
            frames = traceback.extract_tb(error.__traceback__)
            place = f"{type(error).__name__} {[(frame.filename, frame.lineno) for frame in frames[-3:]]}"
            if place not in places:
                places.add(place)
                name = hashlib.sha256(data).hexdigest()[:16]
                (crashers / name).write_bytes(data)
                (crashers / f"{name}.txt").write_text("".join(traceback.format_exception(error)))

    return noted


def guided(name: str, runs: int, seed: int, crashers: Path) -> None:
    """Fuzzes with atheris, which looks for inputs that take new ways through our code; never returns."""
    import atheris

    with atheris.instrument_imports(include=["tidegate"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    run = noting(target.run, crashers)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate([*target.seeds, *regressions(name)]):
            (Path(folder) / str(number)).write_bytes(data)
        settings = {
            "runs": runs,
            "seed": seed,
            "max_len": target.longest,
            "timeout": SECONDS,
            "rss_limit_mb": MEGABYTES,
            "artifact_prefix": f"{crashers}/",
            "print_final_stats": 1,
        }
        atheris.Setup([sys.argv[0], *(f"-{key}={value}" for key, value in settings.items()), folder], run)
        atheris.Fuzz()


def plain(name: str, runs: int, seed: int, crashers: Path) -> None:
    """Fuzzes with edits at random, where atheris has no wheel."""
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    run = noting(target.run, crashers)
    seeds = [*target.seeds, *regressions(name)]
    inputs = generated(seeds, target.longest, random.Random(seed))  # noqa: S311
    last = os.open(crashers / "last", os.O_RDWR | os.O_CREAT)
    for number in range(runs):
        data = seeds[number] if number < len(seeds) else next(inputs)
        os.ftruncate(last, os.pwrite(last, data, 0))
        faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
        run(data)
        faulthandler.cancel_dump_traceback_later()
    os.close(last)
    (crashers / "last").unlink()
    print(f"Done {runs} runs", file=sys.stderr)


def regressions(name: str) -> list[bytes]:
    """Inputs that broke this promise before."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*")) if path.is_file()]


def has_atheris() -> bool:
    """Whether this platform has coverage-guided fuzzing."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    _, wanted, count, chance, folder = sys.argv
    (guided if has_atheris() else plain)(wanted, int(count), int(chance), Path(folder))
