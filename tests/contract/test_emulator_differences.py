"""Where Google's Pub/Sub emulator differs from Google's service, and that it still does. The lab follows the service."""

from __future__ import annotations

from typing import Any

import pytest

from diagnostics.evidence.model import Leg, SubscriptionPolicy, Unseen, Why
from tests.contract.sides import Lab, Project, Receiver, acked_by, dead_lettering, text_of, until

pytestmark = [pytest.mark.google_tools, pytest.mark.filterwarnings("ignore:The return_immediately flag")]

KNOWN_DIFFERENCES = {
    "nacks_202": "the service acknowledges on 202, the emulator does not",
    "acks_203": "the service takes 203 as a nack, the emulator as an ack",
    "sends_no_token": "a push of the emulator carries no Authorization header, whatever oidcToken says",
    "tells_no_delivery_attempt": "the emulator's push body lacks deliveryAttempt, with a dead-letter policy too",
    "applies_no_filter": "the emulator keeps a filter and delivers everything",
    "backs_off_per_message": "push backoff of the service holds the whole subscription, the emulator's one message",
    "has_no_iam": "the emulator answers IAM calls with UNIMPLEMENTED",
    "cannot_detach": "the emulator answers DetachSubscription with UNIMPLEMENTED",
    "snapshot_brings_nothing_old": "a subscription made later and sought to a snapshot gets nothing from before it existed; "
    "what the service does is not documented plainly",
    "keeps_expiration": "the emulator cannot change an expiration policy",
}
"""Where the emulator differs from the service. A test named for each says that it is still so."""


def test_every_known_difference_is_asserted() -> None:
    asserted = {name.removeprefix("test_still_") for name in globals() if name.startswith("test_still_")}
    assert asserted == set(KNOWN_DIFFERENCES)


def test_still_nacks_202(project: Project, receiver: Receiver) -> None:
    project.subscribe("work-push", endpoint=receiver.url)
    receiver.respond = lambda _: 202
    project.publish("one")
    until(lambda: receiver.deliveries()["one"] >= 2)


def test_still_acks_203(project: Project, receiver: Receiver) -> None:
    project.subscribe("work-push", endpoint=receiver.url)
    receiver.respond = lambda envelope: int(text_of(envelope))
    project.publish("203", "500")
    assert acked_by(receiver, nacks=[500]) == {203}


def test_still_sends_no_token(project: Project, receiver: Receiver) -> None:
    token = {"oidc_token": {"service_account_email": "p@x.iam.gserviceaccount.com", "audience": "https://a"}}
    project.subscribe("work-push", endpoint=receiver.url, push_config=token)
    project.publish("one")
    until(lambda: bool(receiver.pushes))
    assert "Authorization" not in receiver.pushes[0][1]
    lab = Lab()
    lab.publish("one")
    lab.run(5)
    assert lab.tokens[0] is not None


def test_still_tells_no_delivery_attempt(project: Project, receiver: Receiver) -> None:
    dead_lettering(project, receiver)
    project.publish("one")
    until(lambda: bool(receiver.pushes))
    assert "deliveryAttempt" not in receiver.pushes[0][0]
    lab = Lab(dead_letter_topic="dead")
    lab.publish("one")
    lab.run(5)
    assert lab.pushes[0]["deliveryAttempt"] == 1


def test_still_applies_no_filter(project: Project, receiver: Receiver) -> None:
    project.subscribe("work-push", endpoint=receiver.url, filter='attributes.kind = "wanted"')
    project.publish("one", kind="other")
    until(lambda: receiver.deliveries()["one"] == 1)
    lab = Lab(filter='attributes.kind = "wanted"')
    lab.publish("one", kind="other")
    lab.run(60)
    assert lab.pushes == []


def test_still_backs_off_per_message(project: Project, receiver: Receiver) -> None:
    """While one message fails for good, others go straight through: in the lab they wait for its pause."""

    def respond(envelope: dict[str, Any]) -> int:
        return 500 if text_of(envelope) == "bad" else 204

    project.subscribe("work-push", endpoint=receiver.url, retry_policy={"minimum_backoff": "600s"})
    receiver.respond = respond
    project.publish("bad")
    until(lambda: receiver.deliveries()["bad"] == 1)
    project.publish("good")
    until(lambda: receiver.deliveries()["good"] == 1)
    assert receiver.deliveries()["bad"] == 1
    lab = Lab()
    lab.respond = respond
    lab.publish("bad")
    lab.run(600)
    before = len(lab.pushes)
    lab.publish("good")
    lab.run(0.3)
    assert len(lab.pushes) == before
    lab.run(120)
    assert lab.deliveries()["good"] == 1


def test_still_has_no_iam(project: Project) -> None:
    project.subscribe("work-push", endpoint="https://worker.example.com/do")
    unseen = project.evidence(SubscriptionPolicy).get(SubscriptionPolicy, Leg.REQUEST)
    assert isinstance(unseen, Unseen)
    assert unseen.why is Why.FAILED


def test_still_cannot_detach(project: Project) -> None:
    from google.api_core.exceptions import MethodNotImplemented

    project.subscribe("work-push")
    with pytest.raises(MethodNotImplemented):
        project.publisher.detach_subscription(
            request={"subscription": project.subscription_name("work-push")}, retry=None
        )


def test_still_snapshot_brings_nothing_old(project: Project) -> None:
    """The reason why a probe has to compare what it pulled with the backlog, and never calls an empty result an empty backlog."""
    project.subscribe("work-pull")
    project.publish("old-1", "old-2")
    snapshot = f"projects/{project.id}/snapshots/before"
    project.subscriber.create_snapshot(name=snapshot, subscription=project.subscription_name("work-pull"))
    project.subscribe("late")
    project.subscriber.seek(request={"subscription": project.subscription_name("late"), "snapshot": snapshot})
    project.publish("new")
    until(lambda: project.peek("work-pull") == {"old-1", "old-2", "new"})
    until(lambda: project.peek("late") == {"new"})


def test_still_keeps_expiration(project: Project) -> None:
    from google.api_core.exceptions import InvalidArgument

    project.subscribe("work-push")
    update = {
        "subscription": {"name": project.subscription_name("work-push"), "expiration_policy": {}},
        "update_mask": {"paths": ["expiration_policy"]},
    }
    with pytest.raises(InvalidArgument, match="unsupported"):
        project.subscriber.update_subscription(request=update, retry=None)
