"""Which change may have brought it about: those since the last good batch, ranked by how well they fit what was found.

A change fits if it is of a resource that the cause is about and was made before the cause began; of those, the last one first. A
fault that no cause accounts for has its change, too: of what its step looks at, and of a kind that can bring such a fault about.
What was refused changed nothing, what came later cannot have been it, and a deploy whose revision gets no requests is in force
nowhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from diagnostics.causes.model import Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude.diagnosis import Suspect
from diagnostics.conclude.standing import reasons
from diagnostics.evidence.model import (
    Change,
    ChangeLog,
    CustomRoles,
    EvidenceSet,
    Leg,
    Revisions,
    ServiceConfig,
    SubscriptionConfig,
    seen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import progress
from diagnostics.steps.changes import OF_RIGHTS, difference, in_words
from diagnostics.steps.finding import Finding, Kind
from diagnostics.steps.words import short

MOST = 5
LONG_AGO = timedelta(days=7)
"""A deploy that was made so long before the first failure fits it no better than any other: what came since is not known."""
_SLACK = timedelta(minutes=2)
"""Onsets come from samples a minute apart, and audit entries are written when a call ends."""

SERVICE, PUBLISHER, SUBSCRIPTION, TOPIC, DEAD_LETTER, ACCOUNT, PROJECT = (
    "service", "publisher", "subscription", "topic", "dead_letter", "account", "project"
)  # fmt: skip

ABOUT: dict[str, tuple[str, ...]] = {
    "publish": (PUBLISHER, TOPIC, PROJECT),
    "routing": (SUBSCRIPTION, TOPIC),
    "subscription": (SUBSCRIPTION, TOPIC),
    "auth": (SERVICE, SUBSCRIPTION, ACCOUNT, PROJECT),
    "capacity": (SERVICE,),
    "worker": (SERVICE,),
    "deadline": (SERVICE, SUBSCRIPTION),
    "dead_letter": (SUBSCRIPTION, DEAD_LETTER, PROJECT),
    "completion": (PUBLISHER, TOPIC),
    "state": (PUBLISHER,),
    "drift": (SERVICE,),
    "outcome": (SERVICE, PUBLISHER),
}
"""Family of causes to what they are about, on their leg. What is in no row (quota, artefact) no change brings about."""


OF_CAUSE: dict[str, tuple[str, ...]] = {
    "attempts-used-up": (SERVICE, SUBSCRIPTION, ACCOUNT, PROJECT),
    "attempts-spent-in-an-outage": (SERVICE, SUBSCRIPTION, ACCOUNT, PROJECT),
    "failed-items-awaited": (SERVICE,),
    "worker-lacks-a-right": (SERVICE, ACCOUNT, PROJECT),
    "application-refuses-pushes": (SERVICE, SUBSCRIPTION),
    "endpoint-answers-no-ack": (SERVICE, SUBSCRIPTION),
    "completions-not-recorded": (SERVICE, PROJECT),
    "completion-contention": (SERVICE,),
    "batch-forgotten-at-restart": (SERVICE,),
    "completions-acked-uncounted": (SERVICE,),
    "completion-publisher-role-missing": (PUBLISHER, TOPIC, PROJECT),
    "push-token-missing": (SUBSCRIPTION, SERVICE),
    "push-token-not-minted": (ACCOUNT, PROJECT),
    "push-account-gone": (ACCOUNT,),
    "iap-in-front": (SERVICE,),
    "ingress-closed": (SERVICE,),
    "default-url-off": (SERVICE, SUBSCRIPTION),
    "service-gone": (SERVICE,),
}
"""The same of a cause that is about other things than its family: whatever refuses pushes uses up their attempts."""

OF_STEP: dict[str, tuple[str, ...]] = {
    "published": (PUBLISHER, TOPIC, PROJECT),
    "requested": (PUBLISHER,),
    "created": (PUBLISHER,),
    "routed": (SUBSCRIPTION, TOPIC),
    "delivered": (SUBSCRIPTION, SERVICE),
    "push_auth": (SERVICE, SUBSCRIPTION, ACCOUNT, PROJECT),
    "cold_start": (SERVICE,),
    "processed": (SERVICE,),
    "dead_letter": (SUBSCRIPTION, DEAD_LETTER, PROJECT),
    "returned": (PUBLISHER, TOPIC, SUBSCRIPTION, PROJECT),
    "recorded": (SERVICE,),
    "progress": (SUBSCRIPTION, TOPIC, SERVICE),
}
"""Step to what its findings are about, on their leg; of both, where they name none. `returned` and `recorded`
look at the way back, whichever leg they name."""

_WAY_BACK = ("returned", "recorded")
OF_GRANTS: dict[str, tuple[str, ...]] = {
    "published": (TOPIC, PROJECT),
    "push_auth": (SERVICE, ACCOUNT, PROJECT),
    "dead_letter": (SUBSCRIPTION, DEAD_LETTER, PROJECT),
    "returned": (TOPIC, PROJECT),
}
"""Step to what its findings want a grant on. Grants on anything else do nothing to them."""


def suspects(evidence: EvidenceSet, profile: PipelineProfile, ledger: Ledger, verdict: Verdict) -> tuple[Suspect, ...]:
    """At most five, the best fit first; empty when the audit logs were not seen. What blocks is asked about before all else."""
    log = seen(evidence.get(ChangeLog))
    live, nameless = list(verdict.blocking), list(verdict.nameless)
    if not live and not nameless:
        live = [x for role in (Role.WORSENS, Role.LATENT) for x in verdict.live if x.role is role]
        nameless = [] if verdict.over else [f for f in verdict.unexplained if f.until is None]
    if log is None or not (live or nameless):
        return ()
    since = ledger.last_good.started if ledger.last_good else log.since
    made = [c for c in log.changes if c.ok and c.at >= since and not _only_gives(c)]
    ranked = [found for one in live for found in _of(one, made, evidence, profile, ledger.last_progress)]
    begun = [c for c in made if ledger.started and c.at >= ledger.started]
    for one in reasons(nameless):
        stall = one.code == progress.STALLED.name
        ranked += _of_nobody(one, begun if stall else made, evidence, profile)
    kept: dict[tuple[datetime, str, str], Suspect] = {}
    for suspect in ranked:
        kept.setdefault((suspect.at, suspect.method, suspect.resource), suspect)
    return tuple(_with_difference(one, evidence) for one in list(kept.values())[:MOST])


def _with_difference(suspect: Suspect, evidence: EvidenceSet) -> Suspect:
    """Of a deploy, in what its revision differs from the one before: the log entry has the whole service, changed or not."""
    if suspect.method in OF_RIGHTS:
        return suspect
    services = [(evidence.get(ServiceConfig, leg), evidence.get(Revisions, leg)) for leg in Leg]
    said = difference(suspect.resource, suspect.at, services)
    return msgspec.structs.replace(suspect, says=said) if said else suspect


def _of(
    live: Live, made: Iterable[Change], evidence: EvidenceSet, profile: PipelineProfile, progress: datetime | None
) -> Iterator[Suspect]:
    """The changes that fit one cause, the last one before it began first.

    What blocks and does not tell its own begin began no later than when the batch got further for the last time. Who may do what
    brings about causes that are about rights, and no others.
    """
    match = live.match
    onset, resources = live.since, resources_of(match.leg, evidence, profile)
    kinds = OF_CAUSE.get(match.cause.code) or ABOUT.get(match.cause.family, ())
    of = frozenset(name for kind, name in resources.items() if kind in kinds)
    of |= _roles(evidence) if PROJECT in kinds else frozenset()
    latest = onset or (progress if live.role is Role.BLOCKS else None)
    fitting = [c for c in made if c.resource in of and (latest is None or c.at <= latest + _SLACK)]
    if match.cause.family != "auth" and not {ACCOUNT, PROJECT} & set(kinds):
        fitting = [c for c in fitting if c.method not in OF_RIGHTS]
    if onset:
        fitting = [c for c in fitting if not _long_before(c, onset)]
    if match.cause.family != "drift":
        idle = _idle(match.leg, evidence)
        fitting = [c for c in fitting if not (c.resource == resources.get(SERVICE) and _of_revision(c, idle))]
    for change in sorted(fitting, key=lambda c: c.at, reverse=True):
        before = max((onset - change.at).total_seconds(), 0.0) if onset else None
        yield _suspect(change, match.cause.code, match.leg if match.names_leg else None, before)


def _long_before(change: Change, onset: datetime) -> bool:
    return change.resource.startswith("services/") and change.method not in OF_RIGHTS and change.at < onset - LONG_AGO


def _of_nobody(
    finding: Finding, made: Iterable[Change], evidence: EvidenceSet, profile: PipelineProfile
) -> Iterator[Suspect]:
    """The changes that fit what was found and no cause of the catalogue accounts for, the last one before it began first: of the
    resource that a setting is about, or of those that can have such an effect."""
    since = finding.since
    if since is None:
        return
    setting = finding.kind is Kind.MECHANISM and finding.subject is not None
    fits = _of_subject(finding) if setting else _of_effect(finding, evidence, profile)
    for change in sorted(made, key=lambda c: c.at, reverse=True):
        if change.at <= since + _SLACK and fits(change) and not _long_before(change, since):
            before = max((since - change.at).total_seconds(), 0.0)
            yield _suspect(change, finding.code, finding.leg, before)


def _of_subject(finding: Finding) -> Callable[[Change], bool]:
    subject = finding.subject
    of = f"{subject.kind.value}s/{subject.name}" if subject else ""
    return lambda change: change.resource == of


def _of_effect(finding: Finding, evidence: EvidenceSet, profile: PipelineProfile) -> Callable[[Change], bool]:
    step = finding.code.partition(".")[0]
    legs = (Leg.COMPLETION,) if step in _WAY_BACK else (finding.leg,) if finding.leg else tuple(Leg)
    parts = [(resources_of(leg, evidence, profile), _idle(leg, evidence)) for leg in legs]

    def named(kinds: dict[str, tuple[str, ...]]) -> set[str]:
        return {name for resources, _ in parts for kind, name in resources.items() if kind in kinds.get(step, ())}

    of, of_grants = named(OF_STEP), named(OF_GRANTS) | _roles(evidence)

    def fits(change: Change) -> bool:
        idle = any(change.resource == found.get(SERVICE) and _of_revision(change, at) for found, at in parts)
        return change.resource in (of_grants if change.method in OF_RIGHTS else of) and not idle

    return fits


def _only_gives(change: Change) -> bool:
    """Whether it gave rights and took none: that breaks nothing."""
    return change.method in OF_RIGHTS and "add " in change.says and "remove " not in change.says


def _suspect(change: Change, cause: str, leg: Leg | None, before_s: float | None) -> Suspect:
    return Suspect(
        at=change.at,
        method=change.method,
        resource=change.resource,
        by=change.by,
        says=in_words(change),
        cause=cause,
        leg=leg,
        before_s=before_s,
    )


def about(family: str, leg: Leg, evidence: EvidenceSet, profile: PipelineProfile) -> frozenset[str]:
    """Resources, kind/name, that causes of the family are about on this leg; of no family: all of the leg but who publishes to it."""
    found = resources_of(leg, evidence, profile)
    kinds = ABOUT.get(family, ()) if family else set(found) - {PUBLISHER}
    return frozenset(name for kind, name in found.items() if kind in kinds)


def _roles(evidence: EvidenceSet) -> frozenset[str]:
    """The custom roles that the policies name, kind/name: what one holds is what is granted with it."""
    found = seen(evidence.get(CustomRoles))
    return frozenset(f"roles/{short(role.name)}" for role in found.roles) if found else frozenset()


def _idle(leg: Leg, evidence: EvidenceSet) -> tuple[datetime, ...]:
    """When the revisions were made that get no requests, neither by their share of the traffic nor by a tag."""
    service, revisions = seen(evidence.get(ServiceConfig, leg)), seen(evidence.get(Revisions, leg))
    if service is None or service.settings is None or revisions is None:
        return ()
    settings = service.settings
    reached = {t.revision or settings.latest_ready for t in settings.traffic if t.percent or t.tag} or {
        settings.serving
    }
    newer = [r for r in revisions.revisions if r.name not in reached]
    served = min((r.created for r in revisions.revisions if r.name in reached), default=None)
    return tuple(sorted(r.created for r in newer if served is not None and r.created > served))


def _of_revision(change: Change, made: tuple[datetime, ...]) -> bool:
    """Whether the change is the deploy that made one of these revisions, which are in order."""
    next_one = bisect_left(made, change.at - _SLACK)
    return next_one < len(made) and made[next_one] <= change.at + _SLACK


def resources_of(leg: Leg, evidence: EvidenceSet, profile: PipelineProfile) -> dict[str, str]:
    """Kind to kind/name, as the audit log writes it, of what this leg is made of."""
    named, other = profile.leg(leg), Leg.COMPLETION if leg is Leg.REQUEST else Leg.REQUEST
    config = seen(evidence.get(SubscriptionConfig, leg))
    settings = config.settings if config else None
    found = {PROJECT: f"projects/{profile.project}"}
    if named:
        found[SUBSCRIPTION] = f"subscriptions/{short(named.subscription)}"
    topic = named.topic if named and named.topic else settings.topic if settings else ""
    if topic:
        found[TOPIC] = f"topics/{short(topic)}"
    account = settings.push_account if settings and settings.push_endpoint else named.push_account if named else ""
    if account:
        found[ACCOUNT] = f"serviceAccounts/{account}"
    if settings and settings.dead_letter:
        found[DEAD_LETTER] = f"topics/{short(settings.dead_letter.topic)}"
    for kind, whose in ((SERVICE, leg), (PUBLISHER, other)):
        service = seen(evidence.get(ServiceConfig, whose))
        stated = profile.worker if whose is Leg.REQUEST else profile.coordinator
        if name := service.name if service else stated.service:
            found[kind] = f"services/{name}"
    return found
