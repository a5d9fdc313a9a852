from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs import paths
from tidegate.outline import DEAD_LETTERS


def test_the_layout_of_the_stores() -> None:
    assert paths.record("p", 7) == "p/epochs/0000000007/record.json"
    assert paths.result("p", 7, "map", 3) == "p/epochs/0000000007/results/map-00003.json"
    assert paths.manifest("p", 7) == "p/epochs/0000000007/manifest.json"
    assert (
        paths.data("p", 7, "map", 3, "abc", "shuffle.arrow")
        == "p/data/0000000007/map-00003-abc-shuffle.arrow"
    )
    assert paths.output("totals", 7, 3, "json") == "totals/epoch-0000000007-00003.json"
    assert paths.dead_letters("p", 7, "map", 3) == f"{DEAD_LETTERS}/p/epoch-0000000007-map-00003.json"


@given(st.text(), st.text(), st.text(), st.text())
def test_no_byte_of_a_users_key_gets_into_a_row_key(key: str, version: str, other: str, its: str) -> None:
    row = paths.seen(key, version)
    assert row.removeprefix(paths.SEEN).isalnum()
    assert row.isascii()
    if (key, version) != (other, its) and "\0" not in key + version + other + its:
        assert row != paths.seen(other, its)


@given(st.lists(st.tuples(st.integers(0, 10**16), st.integers(0, 999_999)), min_size=2))
def test_positions_sort_by_time_and_then_by_sequence(places: list[tuple[int, int]]) -> None:
    ordered = [paths.position(moment, sequence, "key", "1") for moment, sequence in sorted(places)]
    assert all(first <= second for first, second in pairwise(ordered))


def test_the_epoch_of_an_object() -> None:
    for key in (paths.record("p", 12), paths.manifest("p", 12), paths.data("p", 12, "map", 0, "a", "x")):
        assert paths.epoch_of(key) == 12
        assert key.startswith(paths.folders_of_epochs("p"))


def test_records_results_and_manifests_are_documents() -> None:
    for pipeline in ("p", "epochs", "data"):
        result = paths.result(pipeline, 1, "map", 0)
        for key in (paths.record(pipeline, 1), result, paths.manifest(pipeline, 1)):
            assert paths.is_document(key)
        for key in (paths.data(pipeline, 1, "map", 0, "a", "x"), paths.history(pipeline, 1)):
            assert not paths.is_document(key)
