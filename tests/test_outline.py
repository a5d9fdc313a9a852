import json
from dataclasses import replace

import pytest

from tidegate.errors import CorruptObject
from tidegate.frontier import WatermarkRule
from tidegate.outline import Outline


def outline(kind: str = "json", prefix: str = "scores") -> Outline:
    return Outline("p", "f" * 16, ("one", "two"), kind, prefix, "totals", True)


@pytest.mark.parametrize(
    ("key", "taken"),
    [
        ("scores/a.json", True),
        ("scores/2026/01/a.jsonl", True),
        ("scores/a.ndjson.gz", True),
        ("scores/A.JSON.ZST", True),
        ("scores/without-suffix", True),
        ("scores/b.csv", False),
        ("scores/b.parquet", False),
        ("scores/b.txt", False),
        ("scores/b.json.bak", False),
        ("scores/.hidden.json", False),
        ("scores/_SUCCESS", False),
        ("scores/_temporary.json", False),
        ("scores/a.json.tmp", False),
        ("scores/a.json.part", False),
        ("scores/a.json.crdownload", False),
        ("scores/", False),
        ("scores", False),
        ("scores2/a.json", False),
        ("other/scores/a.json", False),
        ("a.json", False),
    ],
)
def test_the_source_takes_files_below_its_prefix_whose_names_fit(key: str, taken: bool) -> None:
    assert outline().takes(key) is taken


@pytest.mark.parametrize(
    ("kind", "name", "fits"),
    [
        ("csv", "a.csv", True),
        ("csv", "a.csv.gz", True),
        ("csv", "a.json", False),
        ("parquet", "part-0.parquet", True),
        ("parquet", "part-0.snappy.parquet", True),
        ("parquet", "part-0", True),
        ("json", "a.b.json", True),
        ("json", "", False),
    ],
)
def test_a_name_fits_a_format(kind: str, name: str, fits: bool) -> None:
    assert outline(kind).fits(name) is fits


def test_it_goes_through_its_document() -> None:
    assert Outline.from_json(outline().to_json()) == outline()
    late = replace(outline(), late=("late/scores", "late/panes"))
    assert Outline.from_json(late.to_json()) == late


def test_a_document_of_version_0_1_0_is_read() -> None:
    document = json.loads(outline().to_json())
    for name in ("late", "watermark"):
        del document[name]
    assert Outline.from_json(json.dumps(document)) == outline()


def test_its_document_says_how_the_watermark_follows_and_an_older_one_does_not() -> None:
    marked = replace(outline(), watermark=WatermarkRule(marked=True, producers=("app", "web"), timeout=5))
    assert Outline.from_json(marked.to_json()) == marked
    older = json.loads(outline().to_json())
    del older["watermark"]
    assert Outline.from_json(json.dumps(older)) == outline()


def test_a_document_of_another_format_is_refused() -> None:
    for changed in ({"format": 2}, {"format": None}):
        text = json.dumps(json.loads(outline().to_json()) | changed)
        with pytest.raises(CorruptObject, match="unknown format; build the layer again"):
            Outline.from_json(text)
