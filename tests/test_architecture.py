"""The rules of DESIGN's sections 5 to 7, held over the syntax tree of the code."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tidegate.epochs.action import HOUSEKEEPING
from tidegate.epochs.machine import TRANSITIONS, Event, State

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "shared" / "tidegate"
FUNCTIONS = ROOT / "functions"
SOURCES = sorted(LIBRARY.rglob("*.py"))
ALL = [*SOURCES, *sorted(FUNCTIONS.rglob("*.py"))]
EVERYWHERE = [*ALL, *sorted((ROOT / "infra").rglob("*.py")), *sorted((ROOT / "pipelines").rglob("*.py"))]

LAYERS = ("model", "engine", "epochs", "runtime", "functions")
"""Lower ones first: a module imports its own layer and those below."""

PARTS = {"engine": "engine", "epochs": "epochs", "runtime": "runtime", "sources": "model", "sinks": "model"}

NO_LAYER = {"tidegate", "tidegate.cli", "tidegate.__main__"}
"""The public names and the command line stand above the layers."""

PORTS = {"tidegate.stores.ports"}
ADAPTERS = {f"tidegate.stores.{name}" for name in ("memory", "embedded", "aws", "s3")}

IMPURE = {
    *(
        "os",
        "time",
        "random",
        "secrets",
        "uuid",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "multiprocessing",
    ),
    *(
        "tempfile",
        "pathlib",
        "shutil",
        "asyncio",
        "select",
        "signal",
        "sqlite3",
        "http",
        "urllib",
        "requests",
    ),
    *("obstore", "boto3", "botocore", "fcntl", "glob", "getpass", "platform", "locale"),
}
IMPURE_CALLS = {
    "open",
    "input",
    "print",
    "now",
    "utcnow",
    "today",
    "urandom",
    "getenv",
    "read_bytes",
    "read_text",
}
FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "code", "codeop"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    *("system", "popen", "getoutput", "getstatusoutput", "execv", "execve", "execvp", "spawnv", "spawnvp"),
    # Of PyYAML; Polars unpickles Python functions where it deserialises a plan or an expression.
    *("full_load", "unsafe_load", "load_all", "deserialize"),
}
IMPORTERS = {"import_module", "spec_from_file_location", "exec_module", "load_module"}


def name_of(path: Path) -> str:
    """A file's module, as it is imported."""
    if path.is_relative_to(FUNCTIONS):
        return "functions." + ".".join(path.relative_to(FUNCTIONS).with_suffix("").parts)
    parts = ("tidegate", *path.relative_to(LIBRARY).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes that run; what only a type checker sees is left out."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            continue
        yield node
        yield from nodes_of(node)


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in nodes_of(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            module = node.module or ""
            modules = {f"{module}.{alias.name}" for alias in node.names}
            known = {each for each in modules if each in MODULES}
            names |= known or {module}
    return names


MODULES = {name_of(path) for path in ALL}


def layer_of(module: str) -> str | None:
    """The layer of a module of ours; None for what belongs to none of them."""
    if module.startswith("functions."):
        return "functions"
    if not module.startswith("tidegate") or module in NO_LAYER:
        return None
    part = module.split(".")[1]
    if part in ("stores", "testing"):
        return None
    return PARTS.get(part, "model")


def called(node: ast.AST) -> str:
    """The last name of what a node calls, empty if it calls nothing."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def files(*layers: str) -> list[Path]:
    return [path for path in ALL if layer_of(name_of(path)) in layers]


def test_there_is_something_to_look_at() -> None:
    assert len(files("model")) > 15
    for layer in LAYERS[1:]:
        assert len(files(layer)) >= 5, layer


# Who imports whom


@pytest.mark.parametrize("path", files(*LAYERS), ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    mine = layer_of(name_of(path))
    assert mine is not None
    for module in imports_of(path):
        theirs = layer_of(module)
        if theirs is not None:
            assert LAYERS.index(theirs) <= LAYERS.index(mine), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", files("functions"), ids=name_of)
def test_handlers_reach_the_library_through_its_runtime(path: Path) -> None:
    ours = {module for module in imports_of(path) if module.startswith("tidegate")}
    assert all(layer_of(module) == "runtime" or module == "tidegate.errors" for module in ours)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_runtime_imports_adapters(path: Path) -> None:
    module = name_of(path)
    found = imports_of(path) & ADAPTERS
    assert not found or module in ADAPTERS or module.startswith(("tidegate.runtime.", "tidegate.testing."))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_tests_import_what_is_for_testing(path: Path) -> None:
    if not name_of(path).startswith("tidegate.testing"):
        assert not any(
            module.startswith(("tidegate.testing", "pytest", "hypothesis")) for module in imports_of(path)
        )


@pytest.mark.parametrize("path", files("model", "engine"), ids=name_of)
def test_model_and_engine_know_no_port_but_objects(path: Path) -> None:
    module = name_of(path)
    stores = {each for each in imports_of(path) if each.startswith("tidegate.stores")}
    assert stores <= (PORTS if module.startswith("tidegate.engine.") else set())
    for node in nodes_of(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module in PORTS:
            assert {alias.name for alias in node.names} <= {"Objects", "ObjectInfo"}, where(path, node)


def test_stores_know_ports_and_errors_alone() -> None:
    for path in (LIBRARY / "stores").glob("*.py"):
        ours = {each for each in imports_of(path) if each.startswith("tidegate")}
        assert ours <= PORTS | {"tidegate.errors", "tidegate.stores.rows"}, path.name


def test_boto3_is_imported_in_one_file() -> None:
    importers = {
        name_of(path)
        for path in ALL
        if any(m.split(".")[0] in ("boto3", "botocore") for m in imports_of(path))
    }
    assert importers == {"tidegate.stores.aws"}


# What nobody does


@pytest.mark.parametrize("path", files("model", "engine"), ids=name_of)
def test_model_and_engine_are_pure(path: Path) -> None:
    for module in imports_of(path):
        assert module.split(".")[0] not in IMPURE, f"{name_of(path)} imports {module}"
    for node in nodes_of(tree_of(path)):
        assert called(node) not in IMPURE_CALLS, f"{where(path, node)} calls {called(node)}"
        if isinstance(node, ast.Attribute):
            assert node.attr != "environ", where(path, node)


@pytest.mark.parametrize("path", EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_pickled_evaluated_or_given_to_a_shell(path: Path) -> None:
    for module in imports_of(path):
        assert module.split(".")[0] not in FORBIDDEN, f"{path} imports {module}"
    for node in nodes_of(tree_of(path)):
        assert_no_code_from_data(path, node)


def assert_no_code_from_data(path: Path, node: ast.AST) -> None:
    if isinstance(node, ast.Attribute):
        assert node.attr not in FORBIDDEN_ATTRIBUTES, f"{where(path, node)} uses {node.attr}"
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        assert (owner, node.attr) not in {("yaml", "load"), ("np", "load"), ("builtins", "eval")}, where(
            path, node
        )
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        assert not names & (FORBIDDEN_ATTRIBUTES | {"load"}), where(path, node)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            # `re.compile` compiles no code.
            assert node.func.id not in FORBIDDEN_CALLS, f"{where(path, node)} calls {node.func.id}"
        assert not {"shell", "allow_pickle"} & {each.arg for each in node.keywords}, where(path, node)


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "os.system(text)",
        "os.popen(text)",
        "subprocess.run(text, shell=True)",
        "subprocess.run(text, shell=wanted)",
        "subprocess.getoutput(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "pl.LazyFrame.deserialize(data)",
        "numpy.load(data, allow_pickle=True)",
        "from os import system",
        "from yaml import load",
    ],
)
def test_code_from_data_would_be_found(code: str) -> None:
    with pytest.raises(AssertionError):
        for node in nodes_of(ast.parse(code)):
            assert_no_code_from_data(ROOT / "code.py", node)


def test_users_modules_are_imported_by_name_in_one_place() -> None:
    """And that name is the deployment's, or the command line's: no event and no record holds it."""
    importers = {
        name_of(path) for path in ALL for node in nodes_of(tree_of(path)) if called(node) in IMPORTERS
    }
    # The package itself loads its own public names when they are first used.
    assert importers == {"tidegate.runtime.loading", "tidegate"}


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_nothing_is_hashed_by_python(path: Path) -> None:
    """Its hashes differ from process to process, and those of Polars from version to version."""
    for node in nodes_of(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "hash", where(path, node)
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"hash", "hash_rows", "__hash__", "__reduce__"}, where(path, node)


# Sizes


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400, path.name
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{where(path, node)}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_a_file_is_the_noun_that_it_defines(path: Path) -> None:
    assert not {"utils", "helpers", "common", "manager", "util", "helper", "misc"} & set(path.stem.split("_"))


@pytest.mark.parametrize("path", files("functions"), ids=name_of)
def test_a_handler_is_read_in_a_minute(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60


# What starts fast


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (("tidegate",), ("polars", "boto3", "obstore")),
        (
            ("tidegate.runtime.deployment",),
            ("polars", "tidegate.engine", "tidegate.plan", "tidegate.pipeline"),
        ),
        (("tidegate.runtime.task_runner",), ("boto3", "botocore")),
    ],
)
def test_what_an_import_does_not_load(modules: tuple[str, ...], absent: tuple[str, ...]) -> None:
    code = f"import sys, {', '.join(modules)}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines())
    found = {name for name in loaded for each in absent if name == each or name.startswith(f"{each}.")}
    assert not found, sorted(found)[:5]
    assert set(modules) <= loaded


# The state machine on AWS


def test_the_state_machine_has_the_states_of_the_coordinator() -> None:
    definition = yaml.safe_load((ROOT / "infra" / "epoch.asl.yaml").read_text())
    states = definition["States"]

    def following(name: str) -> str:
        return str(states[name]["Next"])

    wide, *others = states[following(State.PLAN.value)]["Choices"]
    decided = {choice["StringEquals"]: choice["Next"] for choice in others}
    # On AWS idle is the end of an execution, and one function does a small epoch with its commit.
    idle, small = states[decided.pop(Event.NOTHING.value)], decided[Event.SMALL.value]
    assert idle["Type"] == "Succeed"
    expected = {event.value: state.value for event, state in TRANSITIONS[State.PLAN].items()}
    assert expected.pop(Event.NOTHING.value) == State.IDLE.value
    assert decided == expected
    assert TRANSITIONS[State.EPOCH] == {Event.DONE: State.COMMIT}
    assert following(small) == TRANSITIONS[State.COMMIT][Event.DONE].value
    for state in (State.MAP, State.NEXT_STAGE, State.COMMIT, State.RECONCILE, State.SWEEP):
        assert following(state.value) == TRANSITIONS[state][Event.DONE].value
    # A stage of more tasks than an inline Map takes is another state, and what follows it is the same.
    assert wide["And"][0] == {"Variable": "$.action", "StringEquals": Event.LARGE.value}
    assert following(wide["Next"]) == TRANSITIONS[State.MAP][Event.DONE].value
    staged = states[following(State.REDUCE.value)]
    wide, *more = staged["Choices"]
    for each, choices in ((staged, more), (states[following(wide["Next"])], None)):
        assert each["Default"] == TRANSITIONS[State.REDUCE][Event.DONE].value
        (choice,) = choices or each["Choices"]
        assert choice["Next"] == TRANSITIONS[State.REDUCE][Event.MORE].value
    first = definition["StartAt"]
    assert State.PLAN.value in (first, following(first))


def test_every_failure_gives_the_lease_back_and_is_seen_and_housekeeping_stops_no_epoch() -> None:
    states = yaml.safe_load((ROOT / "infra" / "epoch.asl.yaml").read_text())["States"]
    housekeeping = {TRANSITIONS[State.PLAN][event] for event in HOUSEKEEPING}
    assert housekeeping == {State.RECONCILE, State.SWEEP}
    wide = [f"Wide{State.MAP.value}", f"Wide{State.REDUCE.value}"]
    for state in [*(set(State) - {State.IDLE, State.STANDBY}), *wide]:
        (catch,) = states[str(state)]["Catch"]
        following = State.PLAN.value if state in housekeeping else "Release"
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], following), state
        assert catch["ResultPath"] == "$.failure", f"{state} would lose $.history, which Plan is called with"
    assert states["Release"]["Next"] == "Failed"
    assert states["Failed"]["Type"] == "Fail"
