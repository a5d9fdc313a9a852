import json

import polars as pl

from tests.sources.whole import read_records
from tidegate.engine.dead_letters import DeadLetters
from tidegate.expressions import Rejected


def test_they_are_lines_of_json_in_the_order_in_which_they_were_found() -> None:
    dead = DeadLetters()
    dead.add("b.json", 2, "no JSON", "{ä")
    dead.add("a.json", 0, "the file was changed", "")

    assert len(dead) == 2
    assert [json.loads(line) for line in dead.encode().splitlines()] == [
        {"file": "b.json", "line": 2, "reason": "no JSON", "text": "{ä"},
        {"file": "a.json", "line": 0, "reason": "the file was changed", "text": ""},
    ]


def test_a_rejected_row_is_its_record_as_it_stands_in_the_file() -> None:
    data = b'{"n": 1}\n{"n":   2, "more": true}\n'
    records = read_records("a.json", data, "json", {"n": pl.Int64()})
    dead = DeadLetters()

    dead.add_rejected("a.json", records, [Rejected(records.frame[1:], ("because",))])

    assert dead.entries == [
        {"file": "a.json", "line": 2, "reason": "because", "text": '{"n":   2, "more": true}'}
    ]


def test_a_rejected_pane_shows_its_visible_columns() -> None:
    dead = DeadLetters()

    dead.add_rejected_panes([Rejected(pl.DataFrame({"k": ["a"], "__group": [1]}), ("because",))])

    assert dead.entries == [{"file": "", "line": 0, "reason": "because", "text": '{"k":"a"}'}]


def test_half_characters_do_not_stop_it() -> None:
    dead = DeadLetters()
    dead.add("a.json", 1, "half a character", "\ud83c")

    assert json.loads(dead.encode().decode().replace("\\\\", "\\"))
