"""Whatever a push config holds, it comes back exactly: from the journal, from the log, and onto the subscription."""

from __future__ import annotations

import base64
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from google.cloud.logging_v2 import types as logging_types
from google.pubsub_v1 import types
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe.journal import Entry, Journal
from diagnostics.probe.log_entry import _entry
from diagnostics.probe.push_config import differences, load, may_hold_secret, same, save, shown, undo_line
from diagnostics.probe.restore import State, restore
from tests.probe.fakes import NAME, Subscriber, push_config, reach, switch_entry, switched

UNKNOWN_FIELD = b"\xc2\x3e\x03abc"
"""Field 1000 of the wire format: one that this version of the API does not know."""


@st.composite
def push_configs(draw: st.DrawFn) -> Any:
    push = types.PushConfig.pb()(push_endpoint="https://" + draw(st.text(min_size=1, max_size=60)))
    push.attributes.update(draw(st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=3)))
    if draw(st.booleans()):
        push.oidc_token.service_account_email = draw(st.text(max_size=30))
        push.oidc_token.audience = draw(st.text(max_size=30))
    wrapper = draw(st.sampled_from(["", "pubsub_wrapper", "no_wrapper", "no_wrapper with metadata"]))
    if wrapper == "pubsub_wrapper":
        push.pubsub_wrapper.SetInParent()
    elif wrapper:
        push.no_wrapper.write_metadata = wrapper.endswith("metadata")
        push.no_wrapper.SetInParent()
    if draw(st.booleans()):
        push.MergeFromString(UNKNOWN_FIELD)
    return push


@given(push_configs())
def test_a_push_config_comes_back_from_words(push: Any) -> None:
    assert same(load(save(push)), push)
    assert differences(push, load(save(push))) == []


@given(push_configs())
def test_a_push_config_comes_back_from_the_journal(push: Any) -> None:
    with TemporaryDirectory() as folder:
        journal, entry = Journal(Path(folder)), switch_entry(push)
        journal.write(entry)
        found = journal.read(entry.run)
    assert found == entry
    assert found is not None and found.push is not None and same(load(found.push), push)


@given(push_configs())
def test_a_push_config_comes_back_from_the_log(push: Any) -> None:
    entry = switch_entry(push)
    line = logging_types.LogEntry(json_payload={"entry": msgspec.json.encode(entry).decode()})
    wire = logging_types.LogEntry.serialize(line)
    found = _entry(logging_types.LogEntry.pb(logging_types.LogEntry.deserialize(wire)))
    assert found == entry
    assert isinstance(found, Entry) and found.push is not None and same(load(found.push), push)


@given(push_configs(), st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_what_is_restored_equals_what_was_saved(push: Any, labels: dict[str, str]) -> None:
    subscriber = Subscriber(push, labels)
    before = subscriber.held.SerializeToString(deterministic=True)
    switched(subscriber)
    outcome = restore(reach(subscriber), switch_entry(push))
    assert outcome.state is State.RESTORED, outcome.says
    assert subscriber.held.SerializeToString(deterministic=True) == before


@given(push_configs(), push_configs())
def test_a_difference_is_named_exactly_when_there_is_one(one: Any, other: Any) -> None:
    assert bool(differences(one, other)) is not same(one, other)


def test_a_damaged_push_config_is_refused() -> None:
    saved = save(push_config())
    for wire in ("!", "AAA=", save(push_config("https://elsewhere.example")).wire):
        with pytest.raises(ValueError):
            load(msgspec.structs.replace(saved, wire=wire))


def test_the_undo_line_says_everything_that_gcloud_can_set() -> None:
    push = push_config(
        oidc_token={"service_account_email": "a@p.iam.gserviceaccount.com", "audience": "https://worker.example"}
    )
    push.no_wrapper.write_metadata = True
    words = shlex.split(undo_line(NAME, save(push)))
    assert words[:5] == ["gcloud", "pubsub", "subscriptions", "update", "requests"]
    assert set(words[5:]) == {
        "--project=p",
        "--push-endpoint=https://worker.example/do",
        "--push-auth-service-account=a@p.iam.gserviceaccount.com",
        "--push-auth-token-audience=https://worker.example",
        "--push-no-wrapper",
        "--push-no-wrapper-write-metadata",
        "--remove-labels=pubsub-diag-probe,pubsub-diag-probe-until",
    }


@pytest.mark.parametrize(
    ("endpoint", "audience", "secret"),
    [
        ("https://worker.example/do", "https://worker.example", False),
        ("https://worker.example/do?token=s3cret", "", True),
        ("https://user:s3cret@worker.example/do", "", True),
        ("https://worker.example/do#s3cret", "", True),
        ("https://worker.example/do", "https://worker.example?key=s3cret", True),
        ("https://hooks.slack.com/services/T0/B0/s3cretS3cretS3cretS3cret", "", True),
        ("https://worker.example/do/eyJhbGciOiJSUzI1NiJ9.eyJzM2NyZXQiOjF9.s3cretX9", "", True),
        (
            "https://worker.example/batches/batch_2026-02-08_1770550000",
            "1234567890-a.apps.googleusercontent.com",
            False,
        ),
    ],
)
def test_an_endpoint_that_may_hold_a_secret_is_known_and_hidden(endpoint: str, audience: str, secret: bool) -> None:
    push = push_config(
        endpoint, oidc_token={"service_account_email": "a@p.iam.gserviceaccount.com", "audience": audience}
    )
    assert may_hold_secret(save(push)) is secret
    if secret and "#" not in endpoint:
        assert "s3cret" not in undo_line(NAME, save(push), hide=True)
    assert "s3cret" not in repr(shown(save(push))) and (shown(save(push)) == save(push)) is not secret


def test_an_attribute_may_hold_one_too() -> None:
    assert not may_hold_secret(save(push_config("https://worker.example/do", attributes={"x-goog-version": "v1"})))
    saved = save(push_config("https://worker.example/do", attributes={"x-api-key": "s3cret77"}))
    assert may_hold_secret(saved)
    told = repr(shown(saved))
    assert "s3cret77" not in told and base64.b64encode(b"s3cret77").decode()[:8] not in told and saved.wire not in told
