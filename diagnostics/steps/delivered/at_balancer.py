"""What did a load balancer before the receiver refuse?"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import BalancedRow, BalancerLog, By, Stage, Unseen
from diagnostics.readings.answers import RECENT, tally
from diagnostics.steps import subjects
from diagnostics.steps.delivered.seen import Seen
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import HANDS, at_least, clock, count


class Balanced(Tells, frozen=True, kw_only=True):
    """Pushes that the log of a load balancer has as refused in one way."""

    answers: int
    recent: int
    """Of those in the last five minutes."""
    details: str | None = None
    """Why, in the balancer's own word."""


BALANCED = Telling(
    "delivered.balancer",
    Stage.DELIVERED,
    "the load balancer's log has pushes that were refused",
    Kind.EFFECT,
    tells=Balanced,
)


def balanced(seen: Seen, log: BalancerLog) -> Iterator[Finding]:
    """What a load balancer refused or passed on as refused, by status, hand and reason. It logs a part of what it takes, or nothing:
    so each number is a least one, and nothing follows from what is not there."""
    groups: dict[tuple[int, By, str, str], list[BalancedRow]] = {}
    for row in log.rows:
        if row.at >= seen.since and (
            row.by is By.BALANCER or isinstance(seen.log, Unseen)
        ):  # else its own log tells more
            groups.setdefault((row.status, row.by, row.details, row.policy), []).append(row)
    for (status, by, details, policy), rows in sorted(groups.items(), key=lambda group: -len(group[1])):
        fresh, last = [r for r in rows if r.at > seen.now - RECENT], rows[-1].at
        goes_on = seen.stuck and not seen.healed and (bool(fresh) or not tally(seen.pushes, last).all)
        holds = goes_on and seen.least > 0 and not seen.recent.acks
        yield BALANCED.says(
            Status.FAULT if holds else Status.WARNING if goes_on else Status.OK,
            f"{at_least(False, count(len(rows), 'push'))} to {log.host} answered {status} by {HANDS[by]}"
            f"{_why_balanced(details, policy, by)}, the last at {clock(last, seen.now)}",
            leg=seen.leg,
            bears=Bears.HOLDS if holds else Bears.SLOWS if goes_on and seen.least else Bears.APART,
            held=min(seen.least, len(rows)) if holds else 0,
            until=None if goes_on else last,
            rests_on=("BalancerLog", "PushCounts"),
            subject=subjects.answer(status, by),
            tells=Balanced(answers=len(rows), recent=len(fresh), details=details or None),
        )


_BALANCED = {
    "denied_by_security_policy": "a Cloud Armor policy denied them",
    "handled_by_identity_aware_proxy": "Identity-Aware Proxy did, which wants its own client id as the audience of the push token",
    "failed_to_pick_backend": "none of its backends is healthy",
    "failed_to_connect_to_backend": "it could not connect to the backend",
    "backend_timeout": "the backend took longer than its backend service allows",
    "backend_connection_closed_before_data_sent_to_client": "the backend closed the connection instead of answering",
    "backend_connection_closed_after_partial_response_sent": "the backend closed the connection within its answer",
    "client_disconnected_before_any_response": "Pub/Sub had hung up before there was an answer, as it does at the ack deadline",
}
"""What the balancer's words mean (global external Application Load Balancer, logging page)."""


def _why_balanced(details: str, policy: str, by: By) -> str:
    if by is By.BACKEND:
        return ", the program or Cloud Run, which the balancer's log does not tell apart"
    if policy:
        return f": the Cloud Armor policy {policy} denied them"
    return f": {_BALANCED[details]} ({details})" if details in _BALANCED else f": {details}"
