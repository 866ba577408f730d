"""What a kept run tells of the names that runbooks leave open: this incident's own."""

from __future__ import annotations

from datetime import timedelta

from msgspec import structs

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import BatchMarks, Leg, ProjectInfo, Revisions, ServiceConfig, SubscriptionConfig, seen
from diagnostics.readings.ledger import build
from diagnostics.run.investigate import Case
from diagnostics.runbook.pages import fix, known_from
from diagnostics.steps.words import short

BEFORE = timedelta(minutes=5)
"""Logs are worth reading from so long before the batch began."""


def with_fixes(said: Diagnosis, case: Case) -> Diagnosis:
    """The answer with the one command that mends it beside each cause that surely blocks now, where its page has such a one. A look at the
    past has none: what it found may be mended."""
    if case.ask.past(case.evidence.now):
        return said
    batch = said.batch.id if said.batch else ""
    return structs.replace(
        said,
        causes=tuple(
            structs.replace(cause, fix=fix(cause.code, known_of(case, batch, cause.leg or Leg.REQUEST)))
            if cause.role is Role.BLOCKS
            and cause.confidence is Confidence.CONFIRMED
            and not (cause.over or cause.until)
            else cause
            for cause in said.causes
        ),
    )


def known_of(case: Case, batch: str, leg: Leg) -> dict[str, str]:
    """What the profile of a run names, what its configuration says where the profile is silent, the batch, and since when to read logs;
    whose account signs pushes, the subscription alone tells."""
    known = {name: worth for name, worth in known_from(case.profile, leg).items() if worth}
    marks = seen(case.evidence.get(BatchMarks))
    begun = min((m.at for m in marks.marks if batch and m.batch == batch), default=None) if marks else None
    known["since"] = f"{(begun - BEFORE if begun else case.evidence.since):%Y-%m-%dT%H:%M:%SZ}"
    if batch:
        known["batch"] = batch
    configured = _configured(case, leg)
    if account := configured.get("push_account"):
        known["push_account"] = account
    return configured | known


def replaced(case: Case, leg: Leg) -> str:
    """The revision of the leg's service that a deploy after the last good batch replaced; empty: there was none, or it is not known."""
    service, revisions = seen(case.evidence.get(ServiceConfig, leg)), seen(case.evidence.get(Revisions, leg))
    asked = case.ask
    good = build(case.evidence, case.profile, asked.batch, asked.expect, asked.since).last_good
    serving = revisions.named(service.settings.serving) if revisions and service and service.settings else None
    if revisions is None or serving is None or good is None or serving.created <= good.started:
        return ""
    return next((r.name for r in revisions.revisions if r.created <= good.started and r.ready == "ready"), "")


def batch_of(case: Case, batch: str) -> str:
    """The batch that a run was about; empty where it asked for one of which nothing tells, though lines tell of others: a name that was
    mistyped must not stand in a command."""
    asked = case.ask
    ledger = build(case.evidence, case.profile, asked.batch, asked.expect, asked.since)
    nowhere = ledger.known_batch is False or (not ledger.told and bool(ledger.matched))
    return "" if nowhere and batch == asked.batch else batch


def _configured(case: Case, leg: Leg) -> dict[str, str]:
    evidence = case.evidence
    subscription = seen(evidence.get(SubscriptionConfig, leg))
    service = seen(evidence.get(ServiceConfig, leg))
    project = seen(evidence.get(ProjectInfo))
    settings = subscription.settings if subscription else None
    told = {
        "topic": short(settings.topic) if settings else "",
        "push_account": settings.push_account if settings else "",
        "dead_letter_topic": short(settings.dead_letter.topic) if settings and settings.dead_letter else "",
        "service": service.name if service else "",
        "number": project.number if project else "",
    }
    return {name: worth for name, worth in told.items() if worth}
