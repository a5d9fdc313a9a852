"""Finds the pipeline that a user names: `module:name`, `file.py` or `file.py:name`."""

import importlib
import importlib.util
import pkgutil
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

from tidegate.errors import TidegateError, UsageError
from tidegate.expressions import first_line
from tidegate.pipeline import Pipeline


def load_pipeline(reference: str) -> Pipeline:
    """The pipeline under a reference.

    Without a name the module must hold exactly one pipeline.

    Raises:
        UsageError: There is no such file, module or pipeline, or the module cannot be imported.
        PipelineError: The pipeline cannot work.
    """
    place, _, name = reference.partition(":")
    found = pipelines_in(_module(place))
    if name:
        if name not in found:
            raise UsageError(f"{place} has no pipeline {name!r}; it has {_listed(found)}")
        return found[name]
    if len(found) != 1:
        raise UsageError(
            f"{place} has {_listed(found)}; name one, as in {place}:{next(iter(found), 'pipeline')}"
        )
    return next(iter(found.values()))


def pipelines_in(module: ModuleType) -> dict[str, Pipeline]:
    """The pipelines of a module by their names in it."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}


@runtime_checkable
class Drawing(Protocol):
    """What can be drawn, such as `tidegate.testing.figure.Figure`."""

    def svg(self) -> str:
        """The picture as SVG."""
        ...


def figures_in(package: str) -> dict[str, Drawing]:
    """The figures of a package by the names of its modules: what is called `figure` in them.

    Raises:
        UsageError: There is no such package, or it has no figure.
    """
    folder = getattr(_module(package), "__path__", ())
    modules = {each.name: _module(f"{package}.{each.name}") for each in pkgutil.iter_modules(folder)}
    named = {name: getattr(module, "figure", None) for name, module in sorted(modules.items())}
    found = {name: figure for name, figure in named.items() if isinstance(figure, Drawing)}
    if not found:
        raise UsageError(f"no module of {package} has a `figure`; give a package such as pipelines.paper")
    return found


def load_file(path: Path, name: str) -> ModuleType:
    """A file as the module of this name.

    Raises:
        UsageError: It is not there, or raises when it is imported.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # What stands beside the file can be imported by it, as if it were run as a script.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except TidegateError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's module raises is the user's to mend
        raise UsageError(f"{path} cannot be imported: {_where(error)}") from None
    return module


def _module(place: str) -> ModuleType:
    path = Path(place)
    if place.endswith(".py") or path.is_file():
        return load_file(path, path.stem)
    if not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(f"{place!r} is neither a file nor a module")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {place!r}, and no file of that name") from None
        raise UsageError(f"{place} cannot be imported: {_where(error)}") from None
    except TidegateError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's module raises is the user's to mend
        raise UsageError(f"{place} cannot be imported: {_where(error)}") from None


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    # The user's line that called a library says more than the line of the library that raised.
    shown = [each for each in frames if _is_users(each.filename)] or frames
    line = f"line {shown[-1].lineno} of {Path(shown[-1].filename).name}: " if shown else ""
    return f"{line}{type(error).__name__}: {first_line(error)}"


_LIBRARIES = (
    Path(__file__).resolve().parents[1],
    *(Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
"""Where the code of others lies: Tidegate, Python and what is installed."""


def _is_users(filename: str) -> bool:
    path = Path(filename).resolve()
    return path.is_file() and not any(path.is_relative_to(folder) for folder in _LIBRARIES)


def _listed(found: dict[str, Pipeline]) -> str:
    return f"the pipelines {', '.join(found)}" if found else "no pipeline"
