"""What the queue may bring: notifications of S3, and whatever else."""

import json
from copy import deepcopy
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import TidegateError
from tidegate.runtime.notifications import Alarm, Upload, messages_of

RECORD: dict[str, Any] = {
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "input"}, "object": {"key": "scores/a.json", "size": 7, "versionId": "v1"}},
}


def message(**changes: Any) -> str:
    """A notification in which some fields, named by their last name, are changed; `None` removes one."""
    record = deepcopy(RECORD)
    places = {"eventName": record, "bucket": record["s3"], "object": record["s3"], "s3": record}
    for name, value in changes.items():
        place = places.get(name, record["s3"].get("object"))
        if name == "name":
            place = record["s3"]["bucket"]
        if value is None:
            place.pop(name)
        else:
            place[name] = value
    return json.dumps({"Records": [record]})


def test_an_upload() -> None:
    assert messages_of(message()) == [Upload("input", "scores/a.json", "v1", 7)]


def test_without_a_version_the_etag_counts_in_quotes() -> None:
    assert messages_of(message(versionId=None, eTag="0123"))[0].version == '"0123"'


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("a+b%2Bc.json", "a b+c.json"),
        ("a%252Fb.json", "a%2Fb.json"),
        ("..%2F..%2Fetc%2Fpasswd", "../../etc/passwd"),
        ("gr%C3%B6%C3%9Fe.json", "größe.json"),
        ("line%0Aend.json", "line\nend.json"),
    ],
)
def test_keys_are_decoded_exactly_once(encoded: str, key: str) -> None:
    assert messages_of(message(key=encoded))[0].key == key


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_every_key_comes_back_as_it_was_uploaded(key: str) -> None:
    assert messages_of(message(key=quote_plus(key)))[0].key == key


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "it is no JSON"),
        ("no JSON", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("9" * 5_000, "it is no JSON"),
        ("null", "the message is no object"),
        ("[]", "the message is no object"),
        ('"Records"', "the message is no object"),
        ("{}", "it has no list Records"),
        ('{"Records": {}}', "it has no list Records"),
        ('{"Records": [null]}', "Records is no object"),
        (json.dumps({"Type": "Notification", "Message": message()}), "it has no list Records"),
        (json.dumps({"detail-type": "Object Created", "detail": RECORD["s3"]}), "it has no list Records"),
        (message(eventName=None), "its eventName is no text"),
        (message(eventName="ObjectRemoved:Delete"), "its eventName is not ObjectCreated"),
        (message(s3=None), "s3 is no object"),
        (message(s3=[]), "s3 is no object"),
        (message(bucket=None), "bucket is no object"),
        (message(bucket="input"), "bucket is no object"),
        (message(name=None), "its name is no text"),
        (message(name=["input"]), "its name is no text"),
        (message(object=None), "object is no object"),
        (message(key=None), "its key is no text"),
        (message(key=5), "its key is no text"),
        (message(key=""), "its key is no text"),
        (message(key="a%FFb"), "its key is not encoded"),
        (message(key="\ud800"), "its key is no valid text"),
        (message(size=None), "its size is no number of bytes"),
        (message(size="7"), "its size is no number of bytes"),
        (message(size=True), "its size is no number of bytes"),
        (message(size=7.0), "its size is no number of bytes"),
        (message(size=-1), "its size is no number of bytes"),
        (message(versionId=None), "its eTag is no text"),
        (message(versionId=7), "its versionId is no text"),
        (message(versionId={}, eTag=[]), "its eTag is no text"),
    ],
    ids=lambda value: value[:40],
)
def test_anything_else_is_refused_with_its_reason(body: str, why: str) -> None:
    with pytest.raises(TidegateError, match=f"no notification of S3 about uploads: {why}"):
        messages_of(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(RECORD)), inner),
    max_leaves=10,
)


@given(JSON, st.sampled_from(["eventName", "s3", "bucket", "object", "name", "key", "size", "versionId"]))
def test_no_value_of_any_field_is_more_than_refused(value: Any, name: str) -> None:
    try:
        uploads = messages_of(message(**{name: value}))
    except TidegateError:
        return
    for each in uploads:
        assert each.key.encode()
        assert each.version.encode()
        assert each.size >= 0


def test_a_refusal_repeats_nothing_of_the_message() -> None:
    for body in ("SECRET", message(key="SECRET%FF"), message(size="SECRET"), message(eventName="SECRET")):
        with pytest.raises(TidegateError) as raised:
            messages_of(body)
        assert "SECRET" not in str(raised.value)


def test_an_alarm_says_its_moment() -> None:
    assert messages_of(Alarm(1_750_000_000_000_000).body()) == [Alarm(1_750_000_000_000_000)]


@pytest.mark.parametrize("moment", ['"1"', "true", "null", "1.5", "[]"])
def test_an_alarm_of_no_moment_is_refused(moment: str) -> None:
    with pytest.raises(TidegateError, match="its alarm is no moment"):
        messages_of(f'{{"tidegate-alarm": {moment}}}')
