"""What a kept run tells of the names that runbooks leave open: this incident's own."""

from __future__ import annotations

from datetime import timedelta

from diagnostics.evidence.model import BatchMarks, Leg, ProjectInfo, ServiceConfig, SubscriptionConfig, seen
from diagnostics.keep.bundle import Bundle
from diagnostics.runbook.pages import known_from
from diagnostics.steps.words import short

BEFORE = timedelta(minutes=5)
"""Logs are worth reading from so long before the batch began."""


def known_of(run: Bundle, leg: Leg) -> dict[str, str]:
    """What the run's profile names, what its configuration says where the profile is silent, the batch, and since when to read logs; whose
    account signs pushes, the subscription alone tells."""
    case = run.case
    known = {name: worth for name, worth in known_from(case.profile, leg).items() if worth}
    marks = seen(case.evidence.get(BatchMarks))
    begun = min((m.at for m in marks.marks if run.batch and m.batch == run.batch), default=None) if marks else None
    known["since"] = f"{(begun - BEFORE if begun else case.evidence.since):%Y-%m-%dT%H:%M:%SZ}"
    if run.batch:
        known["batch"] = run.batch
    configured = _configured(run, leg)
    if account := configured.get("push_account"):
        known["push_account"] = account
    return configured | known


def _configured(run: Bundle, leg: Leg) -> dict[str, str]:
    evidence = run.case.evidence
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
