"""Keys of uploads that try to be more than names: through notification, intake, plan and tasks."""

import json
from unittest.mock import patch
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz import keys
from tidegate.epochs import paths
from tidegate.errors import ObjectNotFound, TidegateError
from tidegate.runtime.notifications import messages_of
from tidegate.stores import embedded
from tidegate.stores.embedded import LocalObjects
from tidegate.stores.s3 import S3Objects

PARTS = st.sampled_from(
    ["..", ".", "", "scores", "%2e%2e", "epochs", "dead-letters", "a.json", "link", "\0", "~"]
)
KEYS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(), max_size=20).map(lambda text: f"scores/{text}.json"),
    st.lists(PARTS | st.text(max_size=3), max_size=8).map("/".join),
    st.text("ab/.%\u202e\u0430\n", min_size=1_000, max_size=1_024),
    st.sampled_from(keys.HOSTILE),
)


def test_each_known_trick_is_only_a_name() -> None:
    for prefix in ("", "scores/", "scores/deep/"):
        keys.check([f"{prefix}{key}" for key in keys.HOSTILE])


@settings(max_examples=20, suppress_health_check=[HealthCheck.large_base_example, HealthCheck.data_too_large])
@given(st.lists(KEYS, min_size=25, max_size=25))
def test_any_key_is_only_a_name(found: list[str]) -> None:
    keys.check(found)


@pytest.mark.parametrize(
    ("where", "name", "mutant"),
    [
        (LocalObjects, "_leads_inside", lambda self, path: True),
        (embedded, "_is_plain", lambda key: "\0" not in key),
        (paths, "seen", lambda key, version: f"seen#{key}"),
    ],
)
def test_a_store_that_lets_a_key_out_is_caught(where: object, name: str, mutant: object) -> None:
    with (
        patch.object(where, name, mutant),
        pytest.raises((AssertionError, TidegateError, OSError, ValueError)),
    ):
        keys.check([f"scores/{key}" for key in keys.HOSTILE if len(key) < 200 and "\ud800" not in key])


def notification(key: str) -> str:
    file = {"key": key, "size": 3, "eTag": "0123"}
    s3 = {"bucket": {"name": "input"}, "object": file}
    return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})


@given(st.text(min_size=1) | st.sampled_from([key for key in keys.HOSTILE if key.isprintable()]))
@example("../%2e%2e/+ %")
def test_a_key_of_a_notification_is_the_uploaded_one(key: str) -> None:
    for encoded in (quote_plus(key), quote(key, safe="")):
        (upload,) = messages_of(notification(encoded))
        assert upload.key == key


@pytest.mark.parametrize("key", ["%ff", "a%c3.json", "%ed%a0%80", "\ud800", "", None, 5, ["a"]])
def test_a_key_that_s3_cannot_have_is_refused(key: str) -> None:
    with pytest.raises(TidegateError, match="no notification of S3") as raised:
        messages_of(notification(key))
    assert "%ff" not in str(raised.value)


@pytest.mark.parametrize("key", ["../x", "a/../b", ".", "a//b", "a/./b", "\0", "a\n", "\ud800", "/a", "a/"])
def test_s3_is_not_asked_for_a_key_that_cannot_be_addressed(key: str) -> None:
    """Without a server: what got that far would fail in another way."""
    objects = S3Objects(
        "input",
        region="us-east-1",
        endpoint="http://127.0.0.1:9",
        allow_http=True,
        access_key_id="a",
        secret_access_key="b",  # noqa: S106
        client_options={"timeout": "2s"},
        retry_config={"max_retries": 0},
    )
    with pytest.raises(ObjectNotFound, match="cannot be addressed"):
        objects.get(key)


names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
epochs = st.integers(1, 10**10 - 1)
tasks = st.integers(0, 99_999)
stages = st.sampled_from(["map", "reduce", "epoch"])


@given(names, epochs, stages, tasks, names, names, epochs, tasks)
def test_what_is_built_of_a_name_can_be_told_apart(
    pipeline: str, epoch: int, stage: str, task: int, attempt: str, other: str, its: int, number: int
) -> None:
    built = [
        paths.record(pipeline, epoch),
        paths.manifest(pipeline, epoch),
        paths.result(pipeline, epoch, stage, task),
        paths.data(pipeline, epoch, stage, task, attempt, "state.layers"),
    ]
    assert len(set(built)) == 4
    for key in built:
        folders = paths.folders_of_epochs(pipeline)
        (folder,) = (each for each in folders if key.startswith(f"{each}/"))
        assert key.split("/")[0] == pipeline
        assert paths.epoch_of(key) == epoch
        assert (key.removeprefix(f"{folder}/").split("/")[0]) == f"{epoch:010d}"
    if (pipeline, epoch, task) != (other, its, number):
        assert paths.result(pipeline, epoch, stage, task) != paths.result(other, its, stage, number)
        assert paths.dead_letters(pipeline, epoch, stage, task) != paths.dead_letters(
            other, its, stage, number
        )
    assert (paths.record(pipeline, epoch) < paths.record(pipeline, its)) == (epoch < its)
