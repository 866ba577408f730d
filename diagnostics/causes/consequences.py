"""What follows by itself once something stops messages. It stands here once, and in no cause.

Whatever keeps pushes from being acked makes Pub/Sub back off, lets the backlog grow old and the delivery health go bad; whatever
keeps items from being published leaves the batch waiting for them; whatever holds items lets the batch stall.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from diagnostics.causes.model import pushes_of
from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps import (
    changes,
    closed,
    cold_start,
    created,
    dead_letter,
    peeked,
    progress,
    push_auth,
    recorded,
    returned,
)
from diagnostics.steps.changes import builds
from diagnostics.steps.cold_start import instances, startup
from diagnostics.steps.delivered import at_balancer, given_up, push_answers, what_waits
from diagnostics.steps.finding import AnyCode, Bears, Finding, Kind, Status
from diagnostics.steps.processed import acked, after_answer, containers, duration, error_answers, failing_items
from diagnostics.steps.push_auth import entrance, invoker, may_mint, tokens
from diagnostics.steps.routed import attachment, filters, missing, push_endpoint, vanished

_ON_THE_WAY = frozenset({Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED})
_BEFORE = frozenset({Stage.REQUESTED, Stage.CREATED, Stage.PUBLISHED})

_AFTER: dict[AnyCode, frozenset[Stage]] = {
    push_answers.FAILING: _ON_THE_WAY | {Stage.RECORDED},
    push_answers.PAUSED: _ON_THE_WAY,
    what_waits.NO_PUSHES: _ON_THE_WAY,
    what_waits.HELD_BACK: _ON_THE_WAY | {Stage.RECORDED},
    what_waits.REDELIVERED: _ON_THE_WAY,
    what_waits.OLD_BACKLOG: _ON_THE_WAY | {Stage.RECORDED},
    what_waits.HEALTH: _ON_THE_WAY,
    given_up.DEAD_LETTERED: _ON_THE_WAY | {Stage.RECORDED},
    given_up.SPENT: frozenset({Stage.PROCESSED}),
    vanished.OUTLIVED: _ON_THE_WAY,
    returned.OVERDUE: _ON_THE_WAY | {Stage.RETURNED, Stage.RECORDED},
    created.MISSING: frozenset({Stage.REQUESTED, Stage.PROCESSED}),
    closed.WAITS_FOR_UNPUBLISHED: _BEFORE,
    closed.WILL_WAIT: _BEFORE,
    closed.HOLLOW: frozenset(Stage),
    progress.STALLED: frozenset(Stage),
}
"""A consequence, and the stages whose mechanisms and effects it can follow from."""

AFTER = {code.name: stages for code, stages in _AFTER.items()}

MET_NOW = frozenset({failing_items.ALL_FAIL.name, failing_items.REPEATS.name, push_answers.DEADLINE.name})
"""What is met at each try until now: no doing of a cause that is over. What was lost while it lasted stays its doing."""

_ANY = frozenset({"remote_server_4xx", "remote_server_5xx", "deadline_exceeded", "internal", "invalid", "unreachable"})
_ANSWERED = frozenset({"remote_server_4xx", "remote_server_5xx", "invalid"})
_4XX, _5XX, _LATE = frozenset({"remote_server_4xx"}), frozenset({"remote_server_5xx"}), frozenset({"deadline_exceeded"})

_NONE = frozenset[str]()
_CLASSES: dict[AnyCode, frozenset[str]] = {
    builds.NO_TRAFFIC: _ANY,
    builds.NOT_READY: _ANY,
    builds.STALE_TAG: _ANY,
    changes.MIN_INSTANCES: _4XX | _5XX | _LATE,
    dead_letter.TOPIC_MISSING: _NONE,
    dead_letter.NO_READER: _NONE,
    dead_letter.GRANTS: _NONE,
    dead_letter.UNBOUND: _NONE,
    peeked.UNREADABLE: _ANSWERED,
    peeked.STUCK: _ANY,
    push_auth.LIVE: _ANSWERED | {"unreachable"},
    missing.NO_SUBSCRIPTION: _NONE,
    missing.SUBSCRIPTION_MISSING: _NONE,
    missing.EXPIRED: _NONE,
    missing.DELETED: _NONE,
    missing.AWAY: _NONE,
    missing.BY_ANOTHER: _NONE,
    push_endpoint.SERVICE_GONE: _ANY,
    attachment.DETACHED: _NONE,
    attachment.ORPHAN: _NONE,
    attachment.OTHER_TOPIC: _NONE,
    attachment.NOT_PUSH: _NONE,
    push_endpoint.ENDPOINT: _ANY,
    filters.FILTERED: _NONE,
    vanished.RESIDUE: _NONE,
    vanished.LATER: _NONE,
    vanished.PURGED: _NONE,
    vanished.MADE_ANEW: _NONE,
    attachment.SECOND_PUSH: _NONE,
    recorded.BEHIND: _NONE,
    recorded.RECORD_ERRORS: _ANSWERED | _LATE,
    push_auth.REFUSED: _4XX,
    push_auth.FORBIDDEN: _4XX,
    entrance.IAP: _4XX,
    push_auth.SILENT: _4XX,
    entrance.INGRESS: _4XX,
    entrance.DEFAULT_URL: _4XX,
    invoker.INVOKER: _4XX,
    invoker.DENIED: _4XX,
    tokens.AUDIENCE: _4XX,
    tokens.NO_TOKEN: _4XX,
    may_mint.MINTING: _4XX | {"internal", "unreachable"},
    may_mint.ACCOUNT: _4XX | {"internal", "unreachable"},
    push_answers.DEADLINE: _LATE,
    push_answers.UNREACHABLE: frozenset({"unreachable"}),
    at_balancer.BALANCED: _ANSWERED | _LATE,
    startup.TOO_SLOW: _LATE,
    instances.SATURATED: _4XX | _5XX | _LATE,
    instances.CANNOT_SCALE: _5XX | _LATE,
    instances.QUOTA: _4XX | _5XX | _LATE,
    cold_start.TURNED_AWAY: _4XX | _5XX | _LATE,
    cold_start.SWITCHED_OFF: _4XX | _5XX,
    error_answers.UNREADABLE: _4XX,
    error_answers.ERRORS: _ANSWERED,
    error_answers.UNREPORTED: _5XX,
    error_answers.NO_ACK: _ANSWERED,
    error_answers.TURNED_AWAY: _4XX,
    failing_items.REPEATS: _ANSWERED,
    failing_items.ALL_FAIL: _ANSWERED,
    failing_items.FAIL: _ANSWERED,
    failing_items.UNLUCKY: _ANSWERED,
    containers.CRASHING: _5XX | _LATE | {"unreachable"},
    duration.TIMED_OUT: _5XX | _LATE,
    duration.TOO_LONG: _LATE,
    acked.SKIPPED: _NONE,
    acked.FRUITLESS: _NONE,
    acked.UNWRITTEN: _NONE,
    after_answer.AFTERWARDS: _NONE,
}
CLASSES = {code.name: classes for code, classes in _CLASSES.items()}
"""The `response_class` that pushes get by each: a consequence of another class is not its doing. What stands between the topic and the
record has its row, be it that it answers no push."""

_FEW = 0.1
"""A class with a smaller share of the failing pushes is noise of the platform: every deploy makes a few."""


def follows(finding: Finding, of: Iterable[Finding]) -> bool:
    """Whether these mechanisms and effects, together, bring the consequence about."""
    made = _made(finding, of)
    return made is not None and classes_of(finding) <= made


def follows_in_part(finding: Finding, of: Finding) -> bool:
    """Whether it brings the consequence about, or, of one that counts several classes of pushes, one of them."""
    classes, made = classes_of(finding), _made(finding, [of])
    return made is not None and (not classes or bool(classes & made))


def classes_of(finding: Finding) -> frozenset[str]:
    """The push classes that a finding counts, without stray ones; empty where it counts none."""
    told = push_answers.FAILING.of(finding)
    counted = told.class_ if told else {}
    every = sum(counted.values())
    return frozenset(name for name, n in counted.items() if n >= _FEW * every)


def _made(finding: Finding, of: Iterable[Finding]) -> frozenset[str] | None:
    """The push classes that those of these make which can bring the consequence about; None: none of them can."""
    sources = [f for f in of if _can(finding, f)]
    return frozenset[str]().union(*(CLASSES.get(f.code, _ANY) for f in sources)) if sources else None


_OF_THE_BATCH = frozenset(
    code.name for code in (progress.STALLED, closed.HOLLOW, closed.WAITS_FOR_UNPUBLISHED, closed.WILL_WAIT)
)
"""What becomes of a batch: it follows from nothing that none of its items has met."""


_LAST = frozenset({given_up.DEAD_LETTERED.name})
"""What stays when its maker is gone: one that began later is not the one, or not the only one."""

SLACK = timedelta(minutes=2)
"""Metrics are sampled a minute apart and logs carry the begin or the end of a request: onsets this close count as one."""


_SIGN_IN: dict[AnyCode, frozenset[str]] = {
    invoker.INVOKER: frozenset({"401", "403"}),
    tokens.AUDIENCE: frozenset({"401"}),
    tokens.NO_TOKEN: frozenset({"401", "403"}),
}
_ANSWERS = {code.name: statuses for code, statuses in _SIGN_IN.items()}
"""The status codes by which a setting of the sign-in turns pushes away."""


def _not_met(finding: Finding, source: Finding) -> bool:
    """Whether pushes fail by other status codes, each and all, than those by which this setting turns them away."""
    told, answers = push_answers.FAILING.of(finding), _ANSWERS.get(source.code)
    if (
        answers is None
        or told is None
        or source.bears is not Bears.APART
        or not told.statuses
        or "more" in told.statuses
    ):
        return False
    return not answers & set(re.findall(r"\b[1-5]\d\d\b(?=,|$)", told.statuses))


def _can(finding: Finding, source: Finding) -> bool:
    if source.kind is Kind.NOTE or source.stage not in AFTER.get(finding.code, frozenset()):
        return False
    if _not_met(finding, source):
        return False
    if source.kind is Kind.MECHANISM and source.status is Status.WARNING and source.bears is Bears.APART:
        return False  # set up wrong, and no item has met it
    if finding.code in _OF_THE_BATCH:
        return source.bears is not Bears.APART
    if finding.code in _LAST and source.since and finding.since and finding.since < source.since - SLACK:
        return False  # it had begun before, and what made it then is over
    if finding.code in _LAST and not CLASSES.get(source.code, _ANY):
        return False  # it fails no push, so none runs out of attempts by it
    leg = pushes_of(source)
    same_leg = finding.leg is leg or None in (finding.leg, leg)
    started = finding.code == created.MISSING.name and source.leg is Leg.COMPLETION  # it takes start calls, too
    return same_leg or started
