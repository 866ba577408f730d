"""Our sources read Google's own Pub/Sub emulator, and the lab's broker behaves as it does.

Where emulator and service differ by Google's documentation the lab follows the service: test_emulator_differences.py.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from diagnostics.evidence.model import (
    DeadLetterTopic,
    Leg,
    ProjectSubscriptions,
    SubscriptionConfig,
    TopicConfig,
    TopicSubscriptions,
)
from diagnostics.lab.pushing import ACK_STATUS
from tests.contract.sides import Lab, Project, Receiver, acked_by, dead_lettering, pulled_from, text_of, until

pytestmark = [pytest.mark.google_tools, pytest.mark.filterwarnings("ignore:The return_immediately flag")]

ANSWERS = (200, 201, 202, 203, 204, 206, 302, 400, 401, 403, 404, 409, 429, 500, 503)
"""102 is left out: to a real HTTP client it is an interim answer, and the emulator waits for the final one."""
EMULATED_ACKS = ACK_STATUS - {102, 202} | {203}


# --- our sources read it -----------------------------------------------------------------------------------------------


def test_a_subscription_as_google_tells_it_becomes_evidence(project: Project) -> None:
    project.topic("dead")
    project.subscribe("dead-pull", topic="dead")
    project.subscribe(
        "work-push",
        endpoint="https://worker.example.com/do",
        push_config={"oidc_token": {"service_account_email": "p@x.iam.gserviceaccount.com", "audience": "https://a"}},
        ack_deadline_seconds=120,
        retry_policy={"minimum_backoff": "15s", "maximum_backoff": "300s"},
        dead_letter_policy={"dead_letter_topic": project.topic_name("dead"), "max_delivery_attempts": 7},
        filter='attributes.kind = "x"',
    )
    project.subscribe("other")
    found = project.evidence(SubscriptionConfig, TopicConfig, TopicSubscriptions, DeadLetterTopic, ProjectSubscriptions)
    config = found.get(SubscriptionConfig, Leg.REQUEST)
    assert isinstance(config, SubscriptionConfig) and config.settings is not None
    said = config.settings
    assert (said.name, said.topic) == (project.subscription_name("work-push"), project.topic_name("work"))
    assert (said.push_endpoint, said.push_account, said.audience) == (
        "https://worker.example.com/do", "p@x.iam.gserviceaccount.com", "https://a",
    )  # fmt: skip
    assert (said.ack_deadline_s, said.filter, said.detached) == (120, 'attributes.kind = "x"', False)
    assert said.retry is not None and (said.retry.min_s, said.retry.max_s) == (15, 300)
    assert said.dead_letter is not None
    assert (said.dead_letter.topic, said.dead_letter.max_attempts) == (project.topic_name("dead"), 7)
    topic = found.get(TopicConfig, Leg.REQUEST)
    assert isinstance(topic, TopicConfig) and topic.settings is not None
    attached = found.get(TopicSubscriptions, Leg.REQUEST)
    assert isinstance(attached, TopicSubscriptions)
    assert set(attached.names) == {project.subscription_name(n) for n in ("work-push", "other")}
    dead = found.get(DeadLetterTopic, Leg.REQUEST)
    assert isinstance(dead, DeadLetterTopic)
    assert (dead.exists, dead.subscriptions) == (True, (project.subscription_name("dead-pull"),))
    every = found.get(ProjectSubscriptions)
    assert isinstance(every, ProjectSubscriptions)
    assert said in every.subscriptions and len(every.subscriptions) == 3


def test_a_subscription_that_is_not_there_is_evidence_and_a_topic_without_one_has_none(project: Project) -> None:
    found = project.evidence(SubscriptionConfig, TopicSubscriptions)
    config, attached = found.get(SubscriptionConfig, Leg.REQUEST), found.get(TopicSubscriptions, Leg.REQUEST)
    assert isinstance(config, SubscriptionConfig) and config.settings is None
    assert isinstance(attached, TopicSubscriptions) and attached.names == ()


def test_a_deleted_topic_is_told_as_google_tells_it(project: Project) -> None:
    project.subscribe("work-push", endpoint="https://worker.example.com/do")
    project.publisher.delete_topic(topic=project.topic_name("work"))
    found = project.evidence(SubscriptionConfig, TopicConfig)
    config, topic = found.get(SubscriptionConfig, Leg.REQUEST), found.get(TopicConfig, Leg.REQUEST)
    assert isinstance(config, SubscriptionConfig) and config.settings is not None
    assert config.settings.topic == "_deleted-topic_"
    assert isinstance(topic, TopicConfig) and topic.settings is None


def test_peeking_sees_what_was_published_and_not_acked_and_takes_nothing(project: Project) -> None:
    project.subscribe("work-pull")
    texts = {f"m{n}" for n in range(12)}
    project.publish(*sorted(texts))
    name = project.subscription_name("work-pull")
    acked = project.subscriber.pull(request={"subscription": name, "max_messages": 5}).received_messages
    project.subscriber.acknowledge(subscription=name, ack_ids=[m.ack_id for m in acked])
    left = texts - {m.message.data.decode() for m in acked}
    assert acked and left
    until(lambda: project.peek("work-pull") == left)
    until(lambda: project.peek("work-pull") == left)


def test_a_purge_takes_only_what_is_older_and_its_snapshot_brings_that_back(project: Project) -> None:
    """What the runbook of poison-retry-storm promises of its seek and of its undo."""
    project.subscribe("work-pull")
    name, snapshot = project.subscription_name("work-pull"), f"projects/{project.id}/snapshots/work-pull-before-purge"
    project.publish("old-1", "old-2")
    time.sleep(0.05)
    since = datetime.now(UTC)
    time.sleep(0.05)
    project.publish("new")
    project.subscriber.create_snapshot(name=snapshot, subscription=name)
    project.subscriber.seek(request={"subscription": name, "time": since})
    until(lambda: project.peek("work-pull") == {"new"})
    project.subscriber.seek(request={"subscription": name, "snapshot": snapshot})
    until(lambda: project.peek("work-pull") == {"old-1", "old-2", "new"})


# --- push: emulator and lab, the same small script ---------------------------------------------------------------------


def test_which_answers_acknowledge(project: Project, receiver: Receiver) -> None:
    project.subscribe("work-push", endpoint=receiver.url)
    receiver.respond = lambda envelope: int(text_of(envelope))
    project.publish(*map(str, ANSWERS))
    emulated = acked_by(receiver, nacks=[s for s in ANSWERS if s not in EMULATED_ACKS])
    lab = Lab()
    lab.respond = lambda envelope: int(text_of(envelope))
    lab.publish(*map(str, ANSWERS))
    lab.run(600)
    simulated = {int(text) for text, n in lab.deliveries().items() if n == 1}
    assert simulated == set(ACK_STATUS) & set(ANSWERS)
    assert emulated == EMULATED_ACKS


def test_a_failed_push_comes_again_until_it_is_acked(project: Project, receiver: Receiver) -> None:
    project.subscribe("work-push", endpoint=receiver.url)
    receiver.respond = lambda _: 500 if len(receiver.pushes) < 3 else 204
    project.publish("once")
    until(lambda: receiver.deliveries()["once"] >= 3)
    lab = Lab()
    lab.respond = lambda _: 500 if len(lab.pushes) < 3 else 204
    lab.publish("once")
    lab.run(600)
    assert receiver.deliveries()["once"] == lab.deliveries()["once"] == 3
    ids = {envelope["message"]["messageId"] for envelope, _ in receiver.pushes}
    assert len(ids) == len({envelope["message"]["messageId"] for envelope in lab.pushes}) == 1


def test_what_fails_too_often_is_dead_lettered(project: Project, receiver: Receiver) -> None:
    dead_lettering(project, receiver)
    receiver.respond = lambda _: 500
    project.publish("bad", kind="x")
    letters = pulled_from(project, "dead-pull")
    lab = Lab(dead_letter_topic="dead", max_delivery_attempts=5)
    lab.respond = lambda _: 500
    lab.publish("bad", kind="x")
    lab.run(3600)
    simulated = lab.dead_letters()
    assert [text for text, _ in letters] == [text for text, _ in simulated] == ["bad"]
    assert receiver.deliveries()["bad"] == lab.deliveries()["bad"] == 5
    said = letters[0][1]
    assert said["kind"] == simulated[0][1]["kind"] == "x"
    for name in ("DeliveryCount", "Subscription", "SubscriptionProject"):
        assert f"CloudPubSubDeadLetterSource{name}" in said
        assert f"CloudPubSubDeadLetterSource{name}" in simulated[0][1]


def test_envelopes_hold_the_same_fields(project: Project, receiver: Receiver) -> None:
    project.subscribe("work-push", endpoint=receiver.url)
    project.publish("one", kind="x")
    until(lambda: bool(receiver.pushes))
    lab = Lab()
    lab.publish("one", kind="x")
    lab.run(5)
    emulated, simulated = receiver.pushes[0][0], lab.pushes[0]
    assert set(emulated) == set(simulated) == {"message", "subscription"}
    assert {"data", "attributes", "messageId", "message_id", "publishTime", "publish_time"} == set(simulated["message"])
    assert set(simulated["message"]) <= set(emulated["message"])
    assert (text_of(emulated), text_of(simulated)) == ("one", "one")
