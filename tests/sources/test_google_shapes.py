"""Shapes that Google's answers have in public, with invented names, read by our own code without loss and in the right sense.

`source` says where each was seen, `shape` is the answer as the REST API and gcloud write it, `reads` what a person reads in it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.cloud.logging_v2 import types as logging_types
from google.protobuf import json_format
from google.pubsub_v1 import types as pubsub_types

from diagnostics.evidence.model import ACKED, By, SubscriptionSettings
from diagnostics.sources.balancer_log import _row as balanced
from diagnostics.sources.pubsub import settings_of
from diagnostics.sources.request_log import _row

DATA = Path(__file__).parents[1] / "data" / "google"
SUBSCRIPTIONS = json.loads((DATA / "subscriptions.json").read_text(encoding="utf-8"))
REQUESTS = json.loads((DATA / "requests.json").read_text(encoding="utf-8"))
KNOWN = {"cloud_run_revision"}
"""Resources whose rows are read for who answered; of others, such as a load balancer, only the row itself."""

NOT_READ = {
    "state": "ACTIVE for all but exports to BigQuery and Cloud Storage",
    "retainAckedMessages": "only a seek looks at what was acked",
    "topicMessageRetentionDuration": "the topic tells",
    "pushConfig.attributes.x-goog-version": "v1 is the only one",
    "pushConfig.noWrapper.writeMetadata": "whether attributes come as headers; that there is no envelope is read",
    "bigqueryConfig.table": "an export: nothing is pushed, as the empty endpoint says",
    "bigqueryConfig.writeMetadata": "likewise",
    "bigqueryConfig.state": "likewise",
    "messageTransforms.0.javascriptUdf.functionName": "that it transforms is read, how is not",
    "messageTransforms.0.javascriptUdf.code": "likewise; it is the user's own",
    "messageTransforms.1.javascriptUdf.functionName": "a transform that is disabled",
    "messageTransforms.1.javascriptUdf.code": "likewise",
}
"""What is left unread on purpose, and why."""


# --- subscriptions --------------------------------------------------------------------------------------------------------


def subscription(shape: dict[str, Any]) -> SubscriptionSettings:
    return settings_of(json_format.ParseDict(shape, pubsub_types.Subscription.pb()()))


@pytest.mark.parametrize("case", SUBSCRIPTIONS, ids=lambda c: c["shape"]["name"].rpartition("/")[2])
def test_a_subscription_is_read_as_it_stands(case: dict[str, Any]) -> None:
    found = subscription(case["shape"])
    read = {**msgspec.to_builtins(found), "effective_audience": found.effective_audience}
    assert {name: read[name] for name in case["reads"]} == case["reads"]


@pytest.mark.parametrize("case", SUBSCRIPTIONS, ids=lambda c: c["shape"]["name"].rpartition("/")[2])
def test_nothing_of_a_subscription_is_lost(case: dict[str, Any]) -> None:
    """Whatever is changed in the answer changes what is read, but for what is left unread on purpose."""
    before = subscription(case["shape"])
    lost = [
        path for path, changed in variations(case["shape"]) if path not in NOT_READ and subscription(changed) == before
    ]
    assert lost == []


def variations(shape: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The answer with one of its values changed, for each of them: (path, changed answer)."""
    for path in leaves(shape):
        changed = copy.deepcopy(shape)
        place: Any = changed
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = another(path, place[path[-1]])
        yield ".".join(map(str, path)), changed


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path


def another(path: tuple[Any, ...], value: Any) -> Any:
    """Some other value that the field may have."""
    if path == ("expirationPolicy",):
        return {"ttl": "86401s"}
    if path == ("pushConfig",):
        return {"pushEndpoint": "https://another.example.com"}
    if path[-1] == "pushEndpoint":
        return value.replace("https://", "https://x")  # values of its query are redacted
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if str(path[-1]).endswith(("Duration", "Backoff", "ttl")):
        return "77s"
    if path[-1] == "state":
        return {"ACTIVE": "RESOURCE_ERROR", "RESOURCE_ERROR": "ACTIVE", "PERMISSION_DENIED": "ACTIVE"}[value]
    return f"{value}x"


def test_what_is_left_unread_is_there_to_be_read() -> None:
    seen = {".".join(map(str, path)) for case in SUBSCRIPTIONS for path in leaves(case["shape"])}
    assert set(NOT_READ) <= seen


# --- requests -------------------------------------------------------------------------------------------------------------


def entry(shape: dict[str, Any]) -> Any:
    return json_format.ParseDict(shape, logging_types.LogEntry.pb()())


@pytest.mark.parametrize("case", REQUESTS, ids=lambda c: c["source"][:60])
def test_a_request_is_read_without_loss(case: dict[str, Any]) -> None:
    shape, row = case["shape"], _row(entry(case["shape"]))
    http = shape["httpRequest"]
    assert row.status == http["status"]
    assert row.method == http["requestMethod"]
    assert row.latency_s == pytest.approx(float(http["latency"].removesuffix("s")))
    assert row.user_agent == http["userAgent"]
    assert row.instance == shape.get("labels", {}).get("instanceId", "")
    assert row.revision == shape["resource"]["labels"].get("revision_name", "")
    assert row.text == shape.get("textPayload", "")[: len(row.text) - 1] + row.text[-1:], "cut at most"
    assert shape.get("textPayload", "").startswith(row.text.removesuffix("…"))


@pytest.mark.parametrize("case", REQUESTS, ids=lambda c: c["source"][:60])
def test_a_request_is_understood(case: dict[str, Any]) -> None:
    row, reads = _row(entry(case["shape"])), case["reads"]
    read = {"path": row.path, "status": row.status, "revision": row.revision}
    if case["shape"]["resource"]["type"] in KNOWN:
        ended = row.ended.value if row.ended else None
        read |= {"by": row.by.value, "ended": ended, "reached": row.reached, "push": row.pushed_to(row.path)}
    assert {name: read[name] for name in reads if name != "began"} == {n: v for n, v in reads.items() if n != "began"}
    if "began" in reads:
        assert row.at == datetime.fromisoformat(reads["began"])


def test_each_kind_of_refusal_is_among_them() -> None:
    seen = {(case["reads"].get("by"), case["reads"].get("ended")) for case in REQUESTS}
    ways = {"no_instance", "not_started", "broken", "memory", "timed_out", "quota"}
    assert seen >= {("front_end", None), ("application", None)} | {("cloud_run", way) for way in ways}


BALANCED = [case for case in REQUESTS if case["shape"]["resource"]["type"] == "http_load_balancer"]


@pytest.mark.parametrize("case", BALANCED, ids=lambda c: c["shape"]["jsonPayload"]["statusDetails"])
def test_whose_answer_it_was_a_load_balancer_says_in_its_own_word(case: dict[str, Any]) -> None:
    payload, row = case["shape"]["jsonPayload"], balanced(entry(case["shape"]))
    assert row.details == payload["statusDetails"]
    assert row.by is By.BALANCER
    assert row.policy == payload.get("enforcedSecurityPolicy", {}).get("name", "")
    assert row.backend == case["shape"]["resource"]["labels"]["backend_service_name"]


def test_only_what_acks_is_fine() -> None:
    """208 stands among them: Pub/Sub sends such a message again."""
    statuses = {case["shape"]["httpRequest"]["status"] for case in REQUESTS}
    assert {s for s in statuses if s < 300} & ACKED < {s for s in statuses if s < 300}
