"""The switch: at any moment the old folders count or the new ones, and what is not ours stays where it is."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import CorruptObject, TidegateError, UsageError
from tidegate.runtime import switch
from tidegate.runtime.folders import Folders
from tidegate.runtime.switch import Switch
from tidegate.testing.faults import Crash

CALLS = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync")
"""The calls of the system that change something."""

Places = dict[str, str]


class Calls:
    """Ends the process before a call that changes something, by its number from 1; never at 0."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at = 0, 0
        for name in CALLS:
            monkeypatch.setattr(os, name, self._counting(getattr(os, name)))

    def _counting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            if self.count == self.at:
                raise Crash
            return call(*arguments, **named)

        return counted

    def crash_at(self, number: int) -> None:
        self.count, self.at = 0, number


def folders(base: Path) -> Folders:
    (base / "in").mkdir(exist_ok=True)
    return Folders.of(base / "in", base / "out", base / "place" / "state")


def fill(place: Folders, text: str, *, dead: bool = True) -> None:
    files = [place.output / "a" / "totals" / "epoch-0000000001-00000.json", place.state / "scores" / "head"]
    if dead:
        files.append(place.output / "dead-letters" / "scores" / "epoch-0000000001-map-00000.json")
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def found(place: Folders) -> Places:
    """What there is of a pipeline, by name."""
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for root in (place.output, place.state)
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_the_new_ones_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    place = folders(tmp_path)
    fill(place, "old")
    others = place.output / "others" / "epoch-0000000001-00000.json"
    others.parent.mkdir()
    others.write_text("others")
    old = found(place)
    it = Switch(place, "scores", "a/totals")
    it.check()
    it.begin()
    fill(it.built, "new", dead=False)
    new = found(it.built)
    assert found(place) == old
    it.commit()
    it.finish()
    assert found(place) == new | {"others/epoch-0000000001-00000.json": "others"}
    assert found(it.kept) | {"others/epoch-0000000001-00000.json": "others"} == old
    assert not it.built.output.exists()
    assert not it.built.state.exists()
    # An empty folder of dead letters would look as if there were some.
    assert not (place.output / "dead-letters").exists()
    assert switch.settle(place, "scores") is None


@pytest.mark.parametrize("dead", [True, False])
def test_a_crash_at_any_call_leaves_the_old_ones_or_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead: bool
) -> None:
    calls, switched = Calls(monkeypatch), []
    while True:
        base = tmp_path / str(len(switched))
        base.mkdir()
        place, expected = folders(base), folders(base).beside("expected")
        fill(place, "old", dead=dead)
        fill(expected, "new", dead=not dead)
        old, new = found(place), found(expected)
        it = Switch(place, "scores", "a/totals")
        calls.crash_at(len(switched) + 1)
        try:
            it.check()
            it.begin()
            fill(it.built, "new", dead=not dead)
            it.commit()
            it.finish()
            break
        except Crash:
            # Whatever comes next may be stopped, too.
            calls.crash_at(len(switched) % 4 + 1)
        with suppress(Crash):
            switch.settle(place, "scores")
        calls.crash_at(0)
        switch.settle(place, "scores")
        switched.append(found(place) == new)
        assert found(place) == (new if switched[-1] else old)
        assert found(it.kept) == (old if switched[-1] else {})
        assert found(it.built) == {}
        assert not switch.is_begun(place, "scores")
    assert switched == sorted(switched), "once it is decided it stays so"
    assert switched.count(False) > 10
    assert switched.count(True) > 5


def test_late_elements_go_with_the_panes(tmp_path: Path) -> None:
    place, late = folders(tmp_path), Path("late") / "scores" / "epoch-0000000002-00000.json"
    it = Switch(place, "scores", "a/totals", ("late/scores", "late/panes"))
    for each, text in ((place, "old"), (it.built, "new")):
        if each == it.built:
            it.check()
            it.begin()
        fill(each, text)
        (each.output / late).parent.mkdir(parents=True)
        (each.output / late).write_text(text)
    it.commit()
    # Whoever finishes it knows of them from the file alone.
    assert switch.settle(place, "scores")
    assert set(found(place).values()) == {"new"}
    assert (place.output / late).read_text() == "new"
    assert (it.kept.output / late).read_text() == "old"
    # Nothing was late for the second grouping, and no folder says that something was.
    assert not (place.output / "late" / "panes").exists()
    with pytest.raises(UsageError, match=r"still kept in \S*totals, \S*out.before-replay/late/scores"):
        it.check()


def test_what_others_put_into_the_folder_of_late_elements(tmp_path: Path) -> None:
    place = folders(tmp_path)
    (place.output / "late" / "notes").mkdir(parents=True)
    with pytest.raises(UsageError, match="late holds notes, which the pipeline did not write"):
        Switch(place, "scores", "a/totals", ("late",)).check()


def test_what_was_built_in_part_is_thrown_away(tmp_path: Path) -> None:
    place = folders(tmp_path)
    fill(place, "old")
    it = Switch(place, "scores", "a/totals")
    it.begin()
    fill(it.built, "half")
    assert switch.is_begun(place, "scores")
    assert switch.settle(place, "scores") is None
    assert not it.built.output.exists()
    assert not switch.is_begun(place, "scores")
    it.check()


def test_folders_that_were_moved_together_are_found(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    place = folders(tmp_path / "first")
    fill(place, "old")
    it = Switch(place, "scores", "a/totals")
    it.begin()
    fill(it.built, "new")
    new = found(it.built)
    it.commit()
    (tmp_path / "first").rename(tmp_path / "second")
    moved = folders(tmp_path / "second")
    # Also if another output is given by now: it belongs to this state no more than before.
    settled = switch.settle(Folders(moved.input, tmp_path / "elsewhere", moved.state), "scores")
    assert settled is not None
    assert found(moved) == new


def test_what_is_kept_is_not_overwritten(tmp_path: Path) -> None:
    place = folders(tmp_path)
    fill(place, "old")
    it = Switch(place, "scores", "a/totals")
    fill(it.kept, "older")
    with pytest.raises(UsageError, match=r"still kept in \S*out.before-replay/a/totals, .*; remove it, or"):
        it.check()
    # That of another pipeline is not in the way.
    Switch(place, "other", "others").check()


@pytest.mark.parametrize("name", ["notes.txt", "deeper", "totals.json"])
def test_what_others_put_into_the_sinks_folder_is_not_taken_away(tmp_path: Path, name: str) -> None:
    place = folders(tmp_path)
    fill(place, "old")
    (place.output / "a" / "totals" / name).mkdir()
    with pytest.raises(UsageError, match=f"a/totals holds {name}, which the pipeline did not write"):
        Switch(place, "scores", "a/totals").check()


def test_a_folder_of_somebody_else_is_not_built_in(tmp_path: Path) -> None:
    place = folders(tmp_path)
    it = Switch(place, "scores", "a/totals")
    fill(it.built, "somebody's")
    with pytest.raises(UsageError, match=r"out.replay/a/totals is there already, and a replay builds there"):
        it.check()


def test_folders_on_different_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folders(tmp_path)
    fill(place, "old")
    stat = Path.stat

    def mounted(self: Path, **named: Any) -> os.stat_result:
        status = list(stat(self, **named))
        status[2] += self.is_relative_to(place.output)
        return os.stat_result(status)

    monkeypatch.setattr(Path, "stat", mounted)
    with pytest.raises(UsageError, match="different file systems"):
        Switch(place, "scores", "a/totals").check()


def test_an_error_of_the_system_is_told_and_can_be_mended(tmp_path: Path) -> None:
    place = folders(tmp_path)
    fill(place, "old")
    it = Switch(place, "scores", "a/totals")
    it.begin()
    fill(it.built, "new")
    new = found(it.built)
    it.commit()
    it.kept.output.touch()
    with pytest.raises(TidegateError, match=r"out.before-replay\S* cannot be moved or written: "):
        switch.settle(place, "scores")
    it.kept.output.unlink()
    assert switch.settle(place, "scores")
    assert found(place) == new


def test_a_damaged_file_decides_nothing(tmp_path: Path) -> None:
    place = folders(tmp_path)
    fill(place, "old")
    it = Switch(place, "scores", "a/totals")
    it.begin()
    (file,) = place.state.glob(".replay-*")
    file.write_bytes(file.read_bytes().replace(b"building", b"switchng"))
    with pytest.raises(CorruptObject, match=r"\.replay-scores\.json: it is damaged"):
        switch.settle(place, "scores")
