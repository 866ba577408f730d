"""A second subscription to one endpoint does the work twice, unless filters share the messages out."""

from __future__ import annotations

import pytest
from msgspec import structs

from diagnostics.evidence.model import Leg, ProjectSubscriptions, SubscriptionConfig, SubscriptionSettings
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.routed import attachment, routed
from tests.steps.built import SOURCE, batch, findings, of, pushes, service, subscription

CITY, LAND = 'attributes.of = "city"', 'attributes.of = "land"'


def told(own: str, other: str, **changed: object) -> list[Finding]:
    """What is said of a subscription with the filter `own` beside another one to the same endpoint."""
    key, config = subscription()
    assert isinstance(config, SubscriptionConfig) and isinstance(config.settings, SubscriptionSettings)
    mine = structs.replace(config.settings, filter=own, detached=bool(changed.get("mine")))
    twin = structs.replace(
        mine, name="projects/p/subscriptions/t", filter=other, detached=bool(changed.get("other_one"))
    )
    listed = ProjectSubscriptions(source=SOURCE, subscriptions=(mine, twin))
    seen = (key, structs.replace(config, settings=mine))
    return of(attachment.SECOND_PUSH, findings(routed, batch(10), pushes(), service(), seen, listed, leg=Leg.REQUEST))


@pytest.mark.parametrize(
    ("own", "other", "status", "alike"),
    [
        ("", "", Status.WARNING, 1),
        (CITY, CITY, Status.WARNING, 1),
        ("", CITY, Status.WARNING, 0),
        (CITY, "", Status.WARNING, 0),
        (CITY, LAND, Status.ADVICE, 0),
    ],
)
def test_only_the_same_filter_or_none_passes_the_same_on(own: str, other: str, status: Status, alike: int) -> None:
    (found,) = told(own, other)
    assert (found.status, found.numbers["alike"]) == (status, alike)


def test_what_is_attached_to_no_topic_does_no_work_twice() -> None:
    """The other one is all that there is."""
    assert told("", "") != []
    assert told("", "", mine=True) == told("", "", other_one=True) == []
