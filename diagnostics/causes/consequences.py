"""What follows by itself once something stops messages. It stands here once, and in no cause.

Whatever keeps pushes from being acked makes Pub/Sub back off, lets the backlog grow old and the delivery health go bad; whatever
keeps items from being published leaves the batch waiting for them; whatever holds items lets the batch stall.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps import (
    changes,
    closed,
    created,
    dead_letter,
    delivered,
    peeked,
    processed,
    progress,
    push_auth,
    recorded,
    routed,
)
from diagnostics.steps import cold_start as capacity
from diagnostics.steps.changes import builds
from diagnostics.steps.finding import AnyCode, Bears, Finding, Kind, Status

_ON_THE_WAY = frozenset({Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED})
_BEFORE = frozenset({Stage.REQUESTED, Stage.CREATED, Stage.PUBLISHED})

_AFTER: dict[AnyCode, frozenset[Stage]] = {
    delivered.FAILING: _ON_THE_WAY | {Stage.RECORDED},
    delivered.PAUSED: _ON_THE_WAY,
    delivered.NO_PUSHES: _ON_THE_WAY,
    delivered.HELD_BACK: _ON_THE_WAY | {Stage.RECORDED},
    delivered.REDELIVERED: _ON_THE_WAY,
    delivered.OLD_BACKLOG: _ON_THE_WAY | {Stage.RECORDED},
    delivered.HEALTH: _ON_THE_WAY,
    delivered.DEAD_LETTERED: _ON_THE_WAY | {Stage.RECORDED},
    routed.OUTLIVED: _ON_THE_WAY,
    created.MISSING: frozenset({Stage.REQUESTED, Stage.PROCESSED}),
    closed.WAITS_FOR_UNPUBLISHED: _BEFORE,
    closed.WILL_WAIT: _BEFORE,
    closed.HOLLOW: frozenset(Stage),
    progress.STALLED: frozenset(Stage),
}
"""A consequence, and the stages whose mechanisms and effects it can follow from."""

AFTER = {code.name: stages for code, stages in _AFTER.items()}

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
    routed.NO_SUBSCRIPTION: _NONE,
    routed.SUBSCRIPTION_MISSING: _NONE,
    routed.EXPIRED: _NONE,
    routed.DELETED: _NONE,
    routed.BY_ANOTHER: _NONE,
    routed.SERVICE_GONE: _ANY,
    routed.DETACHED: _NONE,
    routed.ORPHAN: _NONE,
    routed.OTHER_TOPIC: _NONE,
    routed.NOT_PUSH: _NONE,
    routed.ENDPOINT: _ANY,
    routed.FILTERED: _NONE,
    routed.RESIDUE: _NONE,
    routed.PURGED: _NONE,
    routed.MADE_ANEW: _NONE,
    routed.SECOND_PUSH: _NONE,
    recorded.BEHIND: _NONE,
    recorded.RECORD_ERRORS: _ANSWERED | _LATE,
    push_auth.REFUSED: _4XX,
    push_auth.FORBIDDEN: _4XX,
    push_auth.IAP: _4XX,
    push_auth.SILENT: _4XX,
    push_auth.INGRESS: _4XX,
    push_auth.DEFAULT_URL: _4XX,
    push_auth.INVOKER: _4XX,
    push_auth.DENIED: _4XX,
    push_auth.AUDIENCE: _4XX,
    push_auth.NO_TOKEN: _4XX,
    push_auth.MINTING: _4XX | {"internal", "unreachable"},
    push_auth.ACCOUNT: _4XX | {"internal", "unreachable"},
    delivered.DEADLINE: _LATE,
    delivered.UNREACHABLE: frozenset({"unreachable"}),
    delivered.BALANCED: _ANSWERED | _LATE,
    capacity.TOO_SLOW: _LATE,
    capacity.SATURATED: _4XX | _5XX | _LATE,
    capacity.CANNOT_SCALE: _5XX | _LATE,
    capacity.QUOTA: _4XX | _5XX | _LATE,
    capacity.SWITCHED_OFF: _4XX | _5XX,
    processed.UNREADABLE: _4XX,
    processed.ERRORS: _ANSWERED,
    processed.UNREPORTED: _5XX,
    processed.REPEATS: _ANSWERED,
    processed.ALL_FAIL: _ANSWERED,
    processed.FAIL: _ANSWERED,
    processed.CRASHING: _5XX | _LATE | {"unreachable"},
    processed.TIMED_OUT: _5XX | _LATE,
    processed.TOO_LONG: _LATE,
    processed.SKIPPED: _NONE,
    processed.FRUITLESS: _NONE,
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
    told = delivered.FAILING.of(finding)
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


_LAST = frozenset({delivered.DEAD_LETTERED.name})
"""What stays when its maker is gone: one that began later is not the one, or not the only one."""

SLACK = timedelta(minutes=2)
"""Metrics are sampled a minute apart and logs carry the begin or the end of a request: onsets this close count as one."""


_SIGN_IN: dict[AnyCode, frozenset[str]] = {
    push_auth.INVOKER: frozenset({"401", "403"}),
    push_auth.AUDIENCE: frozenset({"401"}),
    push_auth.NO_TOKEN: frozenset({"401", "403"}),
}
_ANSWERS = {code.name: statuses for code, statuses in _SIGN_IN.items()}
"""The status codes by which a setting of the sign-in turns pushes away."""


def _not_met(finding: Finding, source: Finding) -> bool:
    """Whether pushes fail by other status codes, each and all, than those by which this setting turns them away."""
    told, answers = delivered.FAILING.of(finding), _ANSWERS.get(source.code)
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
    same_leg = finding.leg is source.leg or None in (finding.leg, source.leg)
    started = finding.code == created.MISSING.name and source.leg is Leg.COMPLETION  # it takes start calls, too
    return same_leg or started
