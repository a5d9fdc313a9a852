from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.conftest import EXPRESSIONS
from tidegate.errors import PipelineError, UsageError
from tidegate.pipeline import Pipeline
from tidegate.runtime.loading import load_pipeline

Write = Callable[..., str]


def test_a_file(write_pipeline: Write) -> None:
    assert load_pipeline(write_pipeline()).name == "scores"


def test_a_file_and_a_name(write_pipeline: Write) -> None:
    assert load_pipeline(f"{write_pipeline()}:pipeline").name == "scores"


def test_a_module_and_a_name(write_pipeline: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(write_pipeline(name="some_module.py")).parent)
    assert isinstance(load_pipeline("some_module:pipeline"), Pipeline)
    assert isinstance(load_pipeline("some_module"), Pipeline)


def test_a_module_in_a_package(write_pipeline: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(write_pipeline(name="some_package/scores.py")).parents[1])
    assert load_pipeline("some_package.scores:pipeline").name == "scores"


def test_a_file_may_import_what_stands_beside_it(write_pipeline: Write, tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("NAME = 'from-beside'\n")
    text = "from beside_it import NAME\n" + EXPRESSIONS.replace('"scores", panes', "NAME, panes")
    assert load_pipeline(write_pipeline(text)).name == "from-beside"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("missing.py", "there is no file missing.py"),
        ("missing.py:pipeline", "there is no file missing.py"),
        ("missing_module", "there is no module 'missing_module'"),
        ("missing_module:pipeline", "there is no module 'missing_module'"),
        ("tidegate.missing:pipeline", "there is no module 'tidegate.missing'"),
        ("json", "json has no pipeline"),
        ("json:pipeline", "json has no pipeline 'pipeline'"),
        ("", "'' is neither a file nor a module"),
        (":pipeline", "'' is neither a file nor a module"),
        ("some/folder", "'some/folder' is neither a file nor a module"),
        ("../up", "'../up' is neither a file nor a module"),
        ("a b", "'a b' is neither a file nor a module"),
    ],
)
def test_what_is_not_there(
    reference: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        load_pipeline(reference)
    assert message in str(raised.value)


def test_a_name_that_is_not_there_names_those_that_are(write_pipeline: Write) -> None:
    with pytest.raises(UsageError, match="has no pipeline 'other'; it has the pipelines pipeline"):
        load_pipeline(f"{write_pipeline()}:other")


def test_several_pipelines_need_a_name(write_pipeline: Write) -> None:
    text = EXPRESSIONS + 'second = tg.Pipeline("second", panes.write_json("second"))\n'
    reference = write_pipeline(text)
    with pytest.raises(UsageError, match=r"has the pipelines pipeline, second; name one, as in .*:pipeline"):
        load_pipeline(reference)
    assert load_pipeline(f"{reference}:second").name == "second"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:\n", "line 1: SyntaxError"),
        ("x = 1\n  y = 2\n", "line 2: IndentationError"),
        ("\n1 / 0\n", "line 2 of broken_pipeline.py: ZeroDivisionError: division by zero"),
        ("import no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("import tidegate as tg\ntg.no_such_name\n", "AttributeError: module 'tidegate' has no attribute"),
        ("raise SystemExit('not so')\n", "SystemExit: not so"),
        ("\0", "cannot be imported"),
        (
            "\nimport json\njson.loads('no')\n",
            "line 3 of broken_pipeline.py: JSONDecodeError: Expecting value",
        ),
        ("import polars as pl\npl.col(3)\n", "line 2 of broken_pipeline.py: TypeError: "),
        (
            "import tidegate as tg\n\n\ndef build():\n    tg.BoundedDelay()\n\n\nbuild()\n",
            "line 5 of broken_pipeline.py: TypeError: ",
        ),
        ("x = '\\ud800'\nraise ValueError('ü')\n", "ValueError: ü"),
    ],
)
def test_a_module_that_cannot_be_imported(write_pipeline: Write, text: str, message: str) -> None:
    with pytest.raises(UsageError, match="cannot be imported") as raised:
        load_pipeline(write_pipeline(text, "broken_pipeline.py"))
    assert message in str(raised.value)


def test_the_line_is_the_last_one_of_the_users(write_pipeline: Write, tmp_path: Path) -> None:
    (tmp_path / "beside_that.py").write_text("import json\n\n\ndef read():\n    return json.loads('no')\n")
    reference = write_pipeline("import beside_that\n\nbeside_that.read()\n", "broken_pipeline.py")
    with pytest.raises(
        UsageError, match=r"broken_pipeline.py cannot be imported: line 5 of beside_that.py: "
    ):
        load_pipeline(reference)


def test_a_module_of_the_path_that_cannot_be_imported(
    write_pipeline: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(write_pipeline("import no_such_library\n", "broken_module.py")).parent)
    with pytest.raises(UsageError, match=r"broken_module cannot be imported.*no_such_library"):
        load_pipeline("broken_module")


def test_other_bytes_than_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.py"
    path.write_bytes(b"\xff\xfe\x00 nothing")
    with pytest.raises(UsageError, match="cannot be imported"):
        load_pipeline(str(path))


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(UsageError, match="is no Python file"):
        load_pipeline(str(tmp_path / "data.json"))


def test_a_pipeline_that_cannot_work_is_told_as_such(write_pipeline: Write) -> None:
    with pytest.raises(PipelineError, match="nothing_like_it"):
        load_pipeline(write_pipeline(EXPRESSIONS.replace('event_time="at"', 'event_time="nothing_like_it"')))
