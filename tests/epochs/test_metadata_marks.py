"""Marks that files carry in their metadata, through the real protocol: they say what mark objects say."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate as tg
from tests.epochs.test_watermark_policies import NOW, SECOND, brief, data, world
from tests.oracle.driver import ONE_CALL, World, many_tasks
from tidegate.epochs.layout import Limits
from tidegate.stores.memory import MemoryObjects
from tidegate.timestamps import MIN, iso

CUT_UP = replace(many_tasks(4), split_bytes=40)
"""A file of a few lines is cut up for several tasks, and one of them has its beginning."""

LAYOUTS = pytest.mark.parametrize("limits", [ONE_CALL, many_tasks(3), CUT_UP])

Metadata = dict[str, Mapping[str, str]]


def given_by(metadata: Metadata, patch: pytest.MonkeyPatch) -> list[str]:
    """Has stores in memory know metadata, by the names of files; returns whose was asked for."""
    asked: list[str] = []

    def answer(objects: MemoryObjects, key: str, version: str | None = None) -> Mapping[str, str]:
        asked.append(key)
        objects.get(key, version)
        return metadata.get(key.rsplit("/", maxsplit=1)[-1], {})

    patch.setattr(MemoryObjects, "metadata", answer)
    return asked


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    known: Metadata = {}
    given_by(known, monkeypatch)
    yield known


def stating(second: float, producer: str = "web") -> dict[str, str]:
    """The metadata for a watermark so many seconds after `NOW`."""
    return {"tidegate-watermark": iso(NOW + int(second * SECOND)), "tidegate-producer": producer}


@LAYOUTS
def test_a_file_closes_its_own_windows_and_none_of_its_records_is_late(
    limits: Limits, metadata: Metadata
) -> None:
    here = world(tg.Marks(["web"], metadata=True), limits)
    metadata["a.json"] = stating(60)
    here.upload_files({"a.json": data(1, 2, 59, 3, 61)})
    assert brief(here.run()) == [(4, "on_time")]
    assert here.watermark == NOW + 60 * SECOND
    assert (here.totals["marks"], here.totals["records"], here.totals["elements"]) == (1, 5, 5)


def test_a_file_without_records_is_a_mark_and_microseconds_are_as_good_as_a_text(metadata: Metadata) -> None:
    here = world(tg.Marks(metadata=True))
    metadata["a.json"] = {"tidegate-watermark": str(NOW - 1), "tidegate-producer": "web"}
    here.upload_files({"a.json": b""})
    here.run()
    assert here.manifests[-1].frontier.marks == {"web": NOW - 1}


def test_without_a_watermark_in_its_metadata_a_file_says_nothing(metadata: Metadata) -> None:
    here = world(tg.Marks(metadata=True))
    metadata["a.json"] = {"tidegate-producer": "web", "owner": "somebody"}
    here.upload_files({"a.json": data(1)})
    here.run()
    assert (here.watermark, here.totals.get("marks", 0), here.totals["dead_letters"]) == (MIN, 0, 0)


@LAYOUTS
@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"tidegate-watermark": "soon"}, "the mark's watermark is no ISO 8601 time"),
        ({"tidegate-watermark": "9" * 18}, "outside of the years 1 to 9999"),
        ({"tidegate-watermark": "9" * 20}, "the mark's watermark is no ISO 8601 time"),
        (stating(86_401), "further ahead than max_ahead allows"),
        ({"tidegate-producer": "other"}, "the source declares no producer 'other'; it has app, web"),
        ({"tidegate-producer": "a/b"}, "tidegate-producer must name the producer, without slashes"),
        ({"tidegate-producer": ""}, "must name the producer, without slashes; it is ''"),
    ],
    ids=str,
)
def test_of_a_file_with_bad_metadata_the_records_count_and_one_dead_letter_says_why(
    limits: Limits, stated: Mapping[str, str], reason: str, metadata: Metadata
) -> None:
    here = world(tg.Marks(["web", "app"], metadata=True), limits)
    metadata["a.json"] = {**stating(60), **stated}
    here.upload_files({"a.json": data(1, 2, 3, 4, 5)})
    here.run()
    (letter,) = here.dead_letters()
    assert (letter["file"], letter["line"]) == ("events/a.json", 0)
    assert reason in letter["reason"]
    assert json.loads(letter["text"]) == metadata["a.json"]
    assert (here.totals["records"], here.totals["elements"], here.totals["dead_letters"]) == (6, 5, 1)
    assert (here.watermark, here.totals.get("marks", 0)) == (MIN, 0)


def test_a_version_that_is_gone_is_one_dead_letter_and_no_mark(metadata: Metadata) -> None:
    here = world(tg.Marks(metadata=True))
    metadata["a.json"] = stating(60)
    here.upload_files({"a.json": data(1)})
    here.upload_files({"a.json": data(2)})
    here.run()
    (letter,) = here.dead_letters()
    assert "cannot be read as it was accepted" in letter["reason"]
    assert here.totals["marks"] == 1


def test_a_file_that_cannot_be_read_states_its_mark_all_the_same(metadata: Metadata) -> None:
    here = world(tg.Marks(metadata=True))
    metadata["a.json"] = stating(60)
    here.upload_files({"a.json": data(1).decode().encode("utf-16")})
    here.run()
    assert (here.totals["dead_letters"], here.totals["marks"]) == (1, 1)
    assert here.watermark == NOW + 60 * SECOND


def test_a_producer_is_heard_by_its_files(metadata: Metadata) -> None:
    here = world(tg.Idle(tg.Marks(["web", "app"], metadata=True), timeout="30s"))
    metadata |= {"a.json": stating(60), "b.json": stating(1, "app"), "c.json": stating(61)}
    here.upload_files({"a.json": data(5), "b.json": data(6)})
    assert here.run() == []
    here.clock.moment = NOW + 20 * SECOND
    here.upload_files({"c.json": data(7)})
    assert here.run() == []
    assert here.alarm == NOW + 30 * SECOND
    here.clock.moment = here.alarm
    assert brief(here.run()) == [(3, "on_time")]


@pytest.mark.parametrize("limits", [ONE_CALL, CUT_UP])
def test_each_file_is_asked_once_and_only_by_a_source_that_says_so(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = given_by({}, monkeypatch)
    files = {"a.json": data(1, 2, 3, 4, 5), "web.watermark": b'{"watermark": 5}'}
    for watermark in (tg.Marks(), tg.BoundedDelay("0s")):
        here = world(watermark, limits)
        here.upload_files(files)
        here.run()
    assert asked == []
    here = world(tg.Marks(metadata=True), limits)
    here.upload_files(files)
    here.run()
    assert asked == ["events/a.json"]


def test_metadata_is_part_of_what_a_pipeline_means_and_nothing_else_changed() -> None:
    usual, also = world(tg.Marks()).outline, world(tg.Marks(metadata=True)).outline
    assert also.fingerprint != usual.fingerprint
    assert "metadata" not in "".join(usual.meaning)
    assert tg.Idle(tg.Marks(metadata=True), timeout="1s").rule().metadata


File = tuple[Sequence[int], tuple[int, str] | None]
"""Its elements, seconds after `NOW`, and what it states: a watermark, and a producer."""

FILES = st.tuples(
    st.lists(st.integers(0, 200), max_size=6),
    st.none() | st.tuples(st.integers(-50, 200), st.sampled_from(["web", "app", "else"])),
)


@settings(max_examples=20)
@given(
    st.lists(st.lists(FILES, min_size=1, max_size=4), min_size=1, max_size=3),
    st.sampled_from([None, ("app", "web")]),
    st.sampled_from([ONE_CALL, many_tasks(3), CUT_UP]),
)
def test_it_says_what_a_mark_object_behind_the_file_would(
    rounds: Sequence[Sequence[File]], producers: Sequence[str] | None, limits: Limits
) -> None:
    policy = tg.Idle(tg.Marks(producers, metadata=True), timeout="30s")
    carried, beside = world(policy, limits), world(policy, limits)
    with pytest.MonkeyPatch.context() as patch:
        metadata: Metadata = {}
        given_by(metadata, patch)
        for number, files in enumerate(rounds):
            left: dict[str, bytes] = {}
            right: dict[str, bytes] = {}
            for place, (elements, stated) in enumerate(files):
                name = f"{number}-{place}"
                left[f"{name}.json"] = right[f"plain-{name}.json"] = data(*elements)
                if stated:
                    second, producer = stated
                    metadata[f"{name}.json"] = stating(second, producer)
                    mark = {"watermark": NOW + second * SECOND}
                    right[f"{name}/{producer}.watermark"] = json.dumps(mark).encode()
            carried.upload_files(left)
            beside.upload_files(right)
            assert carried.run() == beside.run()
            assert carried.manifests[-1].frontier.marks == beside.manifests[-1].frontier.marks
            assert carried.manifests[-1].frontier.deadlines == beside.manifests[-1].frontier.deadlines
            for here in (carried, beside):
                here.clock.moment += 20 * SECOND
    assert _counted(carried) == _counted(beside)


def _counted(here: World) -> dict[str, int]:
    names = ("records", "elements", "dropped_late", "dead_letters", "marks")
    return {name: here.totals.get(name, 0) for name in names}
