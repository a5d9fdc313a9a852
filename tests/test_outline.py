import json
from dataclasses import replace

import pytest

from tidegate.errors import CorruptObject
from tidegate.frontier import WatermarkRule
from tidegate.outline import Outline, SourceOutline


def outline(kind: str = "json", prefix: str = "scores") -> Outline:
    return Outline("p", "f" * 16, ("one", "two"), (SourceOutline(kind, prefix),), "totals", 1)


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
    assert outline(kind).sources[0].fits(name) is fits


def test_it_goes_through_its_document() -> None:
    assert Outline.from_json(outline().to_json()) == outline()
    late = replace(outline(), late=("late/scores", "late/panes"))
    assert Outline.from_json(late.to_json()) == late


def test_its_document_says_how_the_watermark_follows_and_an_older_one_does_not() -> None:
    rule = WatermarkRule(marked=True, producers=("app", "web"), timeout=5)
    marked = replace(outline(), sources=(SourceOutline("json", "scores", rule),))
    assert Outline.from_json(marked.to_json()) == marked
    older = json.loads(outline().to_json())
    for name in ("watermark", "late"):
        del older[name]
    assert Outline.from_json(json.dumps(older)) == outline()


def test_of_one_source_its_document_is_as_it_always_was() -> None:
    document = json.loads(outline().to_json())
    assert (document["kind"], document["prefix"]) == ("json", "scores")
    assert "sources" not in document


def test_a_union_goes_through_its_document_and_takes_what_one_of_its_sources_takes() -> None:
    marked = SourceOutline("csv", "b/views", WatermarkRule(marked=True, producers=("app",)))
    both = replace(outline(), sources=(SourceOutline("json", "a"), marked))
    assert Outline.from_json(both.to_json()) == both
    others = ["a/x.csv", "a/app.watermark", "b/x.csv", "b/views/x.json", "x.json"]
    ours = ["a/x.json", "b/views/x.csv", "b/views/app.watermark"]
    assert [key for key in (*others, *ours) if both.takes(key)] == ours


def test_a_document_of_another_format_is_refused() -> None:
    for changed in ({"format": 2}, {"format": None}):
        text = json.dumps(json.loads(outline().to_json()) | changed)
        with pytest.raises(CorruptObject, match="unknown format; build the layer again"):
            Outline.from_json(text)
