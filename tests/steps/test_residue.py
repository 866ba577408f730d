"""What the balance of the route lacks is lost there, and whoever took it away is named where the audit log tells."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    Change,
    ChangeLog,
    DeadLetterCounts,
    DeliveryHealth,
    Leg,
    PublishCounts,
    PushCounts,
    SubscriptionConfig,
)
from diagnostics.steps import routed
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status
from diagnostics.steps.routed import vanished
from tests.steps.built import SOURCE, ago, batch, done, findings, lines, log, of, one, series, service, subscription


def told(
    *methods: str,
    waits: float = 0,
    resource: str = "subscriptions/s",
    minutes: float = 30,
    kept_min: float = 9999,
    health: dict[float, float] | None = None,
    waited: dict[float, float] | None = None,
) -> list[Finding]:
    """Ten came, three are done; of the rest so many wait. The subscription keeps a message for so many minutes. `health`: its score for
    seeks, `waited`: how many waited before, both by how many minutes ago."""
    key, config = subscription()
    assert isinstance(config, SubscriptionConfig) and config.settings
    config = replace(config, settings=replace(config.settings, retention_s=kept_min * 60))
    made = tuple(Change(at=ago(minutes), api="", method=m, resource=resource, by="ci") for m in methods)
    return findings(
        routed.routed,
        batch(10),
        lines(*done("a", "b", "c")),
        (key, config),
        service(),
        log(),
        ChangeLog(source=SOURCE, since=ago(9999), changes=made),
        (("PublishCounts", Leg.REQUEST), PublishCounts(source=SOURCE, messages=(series({39: 10}),), requests=())),
        (("PushCounts", Leg.REQUEST), PushCounts(source=SOURCE, series=(series({35: 3}, response_class="ack"),))),
        (("AckCounts", Leg.REQUEST), AckCounts(source=SOURCE, series=())),
        (
            ("Backlog", Leg.REQUEST),
            Backlog(
                source=SOURCE, undelivered=(series({**(waited or {}), 0: waits}),), oldest_age_s=(), outstanding=()
            ),
        ),
        (("DeadLetterCounts", Leg.REQUEST), DeadLetterCounts(source=SOURCE, series=())),
        (
            ("DeliveryHealth", Leg.REQUEST),
            DeliveryHealth(source=SOURCE, series=(series(health or {}, criteria="seek_requests"),)),
        ),
    )


def test_it_holds_the_batch_and_clears_no_route() -> None:
    said = told()
    found = one(vanished.RESIDUE, said)
    assert (found.status, found.bears, found.held, found.since) == (Status.FAULT, Bears.HOLDS, 7, None)
    assert not of(routed.ROUTED, said)


def test_what_waits_is_not_lost() -> None:
    assert [f.code for f in told(waits=7)] == [routed.ROUTED.name]


@pytest.mark.parametrize(("minutes", "lost"), [(3, 0), (12, 7)])
def test_what_left_the_backlog_just_now_may_be_counted_nowhere_yet(minutes: float, lost: int) -> None:
    """Dead letters are visible minutes later than that they do not wait any more."""
    assert sum(f.held for f in of(vanished.RESIDUE, told(waited={minutes: 7}))) == lost


@pytest.mark.parametrize(
    ("resource", "minutes", "method", "named"),
    [
        ("subscriptions/s", 30, "DeleteSubscription", True),
        ("subscriptions/other", 30, "DeleteSubscription", False),
        ("subscriptions/s", 300, "DeleteSubscription", False),
        ("subscriptions/s", 30, "UpdateSubscription", False),
    ],
)
def test_only_what_took_messages_away_since_the_batch_began_is_named(
    resource: str, minutes: float, method: str, named: bool
) -> None:
    found = one(vanished.RESIDUE, told(method, resource=resource, minutes=minutes))
    assert (f"{method} by ci" in found.says) is named
    assert (found.since == ago(minutes)) is named


@pytest.mark.parametrize(
    ("kept_min", "methods", "code"),
    [
        (10, (), vanished.OUTLIVED),
        (9999, (), vanished.RESIDUE),
        (10, ("Seek",), vanished.PURGED),
        (9999, ("DeleteSubscription", "CreateSubscription"), vanished.MADE_ANEW),
        (9999, ("DetachSubscription",), vanished.RESIDUE),
    ],
    ids=["kept for ten minutes", "kept for a week", "somebody sought", "somebody made it anew", "somebody detached it"],
)
def test_what_waited_longer_than_the_subscription_keeps_it_is_lost_by_what_stopped_it(
    kept_min: float, methods: tuple[str, ...], code: Code
) -> None:
    found = one(code, told(*methods, kept_min=kept_min))
    assert (found.held, found.kind is Kind.CONSEQUENCE) == (7, code is vanished.OUTLIVED)


FINE = dict.fromkeys((60.0, 50.0, 45.0), 1.0)


def test_a_seek_that_no_audit_log_has_shows_in_the_health_of_the_subscription() -> None:
    found = one(vanished.PURGED, told(health=FINE | {30: 0.4, 29: 0.0, 28: 0.0, 20: 1.0}))
    assert (found.held, found.bears, found.since) == (7, Bears.HOLDS, ago(31))


@pytest.mark.parametrize(
    "health",
    [FINE | {30: 1.0, 20: 1.0}, {48: 0.0, 45: 0.0, 39: 0.0, 35: 1.0, 20: 1.0}, {}],
    ids=["none", "one before the batch", "not seen"],
)
def test_without_a_seek_since_the_batch_began_nobody_is_said_to_have_sought(health: dict[float, float]) -> None:
    assert not of(vanished.PURGED, told(health=health))


def test_what_was_gone_before_the_seek_was_not_put_away_by_it() -> None:
    late = told(kept_min=10, health=FINE | {20: 0.0})
    assert of(vanished.OUTLIVED, late) and not of(vanished.PURGED, late)
