"""What changed between the last good batch and this one: deploys, lost settings, grants, subscriptions?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import Change, ChangeLog, Leg, Revisions, RevisionSettings, ServiceConfig, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clip, clock, count, short


class LostMinimum(Tells, frozen=True, kw_only=True):
    before: int
    """Instances that were kept warm."""
    before_: str
    """The last revision that kept them."""
    revision: str
    """The one that serves and keeps none."""


class Deployed(Tells, frozen=True, kw_only=True):
    """Names of revisions."""

    revision: str
    """The one that serves."""
    before: str
    """The one that it is compared with."""


class Changed(Tells, frozen=True, kw_only=True):
    changes: int


MIN_INSTANCES = Telling(
    "changes.min_instances",
    Stage.DELIVERED,
    "a deploy lost the minimum of instances",
    Kind.MECHANISM,
    tells=LostMinimum,
)
CHANGED = Telling("changes.changed", Stage.REQUESTED, "configuration changed", tells=Changed)
NOTHING = Code("changes.nothing", Stage.REQUESTED, "nothing changed")
DEPLOYED = Telling("changes.deployed", Stage.PROCESSED, "a new revision serves", tells=Deployed)

OF_RIGHTS = frozenset({"SetIamPolicy", "UpdateRole", "DeleteRole", "UndeleteRole"})
"""Changes of who may do what."""
_SLACK = timedelta(minutes=2)
"""Audit entries are written when a call ends."""


def changes(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    service: ServiceConfig,
    revisions: Revisions | Unseen,
    log: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """Compares the serving revision with the one before it that served while a batch was good."""
    settings = service.settings
    if settings is None or isinstance(revisions, Unseen):
        return
    serving = revisions.named(settings.serving) or settings.template
    older = [r for r in revisions.revisions if r.created < serving.created and r.ready == "ready"]
    if not older:
        return
    good_at = ledger.last_good.started if ledger.last_good else None
    before = next((r for r in older if good_at is None or r.created <= good_at), older[0])
    lost = _lost_minimum(serving, older)
    if lost is not None and not settings.min_instances:
        good = ""
        if ledger.last_good and good_at and lost.created <= good_at < serving.created:
            good = f"; the last good batch ran on {lost.name}"
        yield MIN_INSTANCES.says(
            Status.WARNING,
            f"min-instances of {settings.name} went from {lost.min_instances} to 0 in {serving.name}{good}",
            leg=leg,
            since=serving.created,
            rests_on=("ServiceConfig", "Revisions"),
            subject=subjects.service(settings.name),
            tells=LostMinimum(before=lost.min_instances, before_=lost.name, revision=serving.name),
        )
    since = good_at or (log.since if not isinstance(log, Unseen) else None)
    if since and serving.created > since:
        against = (
            "after the last good batch" if good_at else "and no good batch is known: compared with the revision before"
        )
        yield DEPLOYED.says(
            Status.OK,
            f"{settings.name} was deployed at {clock(serving.created, now)} ({serving.name}), {against}: "
            + (", ".join(differences(before, serving)) or "nothing differs"),
            leg=leg,
            since=serving.created,
            rests_on=("Revisions",),
            subject=subjects.service(settings.name),
            tells=Deployed(revision=serving.name, before=before.name),
        )


def audit(
    ledger: Ledger,
    now: datetime,
    log: ChangeLog,
    profile: PipelineProfile,
    worker: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    of_worker: Annotated[Revisions | Unseen, Leg.REQUEST],
    of_coordinator: Annotated[Revisions | Unseen, Leg.COMPLETION],
) -> Iterator[Finding]:
    """Lists the changes that the audit logs show since the last good batch, the newest last; failed attempts are left out. Of a deploy,
    what its revision does otherwise than the one before it.

    "No change" is said only of what could be asked about, and only if the answer was whole.
    """
    since = ledger.last_good.started if ledger.last_good else log.since
    made = [c for c in log.changes if c.ok and c.at >= since]
    against = "the last good batch" if ledger.last_good else f"{clock(since, now)} (no good batch is known)"
    unasked = _unasked(profile, worker, coordinator)
    if made:
        services = ((worker, of_worker), (coordinator, of_coordinator))
        listed = "; ".join(_told(c, now, difference(c.resource, c.at, services)) for c in made[-4:])
        yield CHANGED.says(
            Status.OK,
            f"{count(len(made), 'change')} since {against}: {listed}",
            since=made[0].at,
            rests_on=("ChangeLog",),
            tells=Changed(changes=len(made)),
        )
    elif not log.source.complete:
        yield NOTHING.says(
            Status.UNKNOWN,
            f"no change since {against} in the part of the audit log that was read: {log.source.note}",
            rests_on=("ChangeLog",),
        )
    else:
        yield NOTHING.says(
            Status.OK,
            f"no configuration change since {against}"
            + (f" of topics and subscriptions; {unasked} not known, so not asked about" if unasked else ""),
            rests_on=("ChangeLog",),
        )


def _unasked(profile: PipelineProfile, worker: ServiceConfig | Unseen, coordinator: ServiceConfig | Unseen) -> str:
    """The services whose names are not known: no log query can ask about them."""
    unknown = [
        role
        for role, found, stated in (
            ("the worker", worker, profile.worker.service),
            ("the coordinator", coordinator, profile.coordinator.service),
        )
        if isinstance(found, Unseen) and not stated
    ]
    return " and ".join(unknown) + (" are" if len(unknown) > 1 else " is") if unknown else ""


def _lost_minimum(serving: RevisionSettings, older: list[RevisionSettings]) -> RevisionSettings | None:
    """The newest older revision, if it kept instances warm and the serving one does not. Zero on both is a choice."""
    if serving.min_instances:
        return None
    newest = older[0]
    return newest if newest.min_instances else None


def differences(before: RevisionSettings, after: RevisionSettings) -> list[str]:
    """What differs between two revisions, in words; of environment values only that they do."""
    said = [] if before.image == after.image else [f"image {_digest(before.image)} → {_digest(after.image)}"]
    said += [
        f"{name.replace('_', '-').removesuffix('-s')} {getattr(before, name)} → {getattr(after, name)}"
        for name in (
            "min_instances",
            "max_instances",
            "concurrency",
            "timeout_s",
            "cpu",
            "memory",
            "cpu_idle",
            "account",
        )
        if getattr(before, name) != getattr(after, name)
    ]
    gone, new = sorted(before.env.keys() - after.env.keys()), sorted(after.env.keys() - before.env.keys())
    changed = sorted(k for k in before.env.keys() & after.env.keys() if before.env[k] != after.env[k])
    said += [f"environment lost {', '.join(gone)}"] if gone else []
    said += [f"environment gained {', '.join(new)}"] if new else []
    said += [f"environment changed {', '.join(changed)}"] if changed else []
    return said


def _digest(image: str) -> str:
    """The first characters of the digest; the tag where Google shows no digest."""
    name, at, digest = image.partition("@sha256:")
    return digest[:12] if at else name.rpartition("/")[2] or "none"


Service = tuple[ServiceConfig | Unseen, Revisions | Unseen]


def difference(resource: str, at: datetime, services: Iterable[Service]) -> str:
    """In what the one revision that a deploy of this service made at this moment differs from the one before; empty where that is not
    known: the log entry has the whole service, changed or not."""
    for service, found in services:
        if isinstance(service, Unseen) or isinstance(found, Unseen) or resource != f"services/{service.name}":
            continue
        by_age = sorted(found.revisions, key=lambda r: r.created)
        made = [n for n, r in enumerate(by_age) if abs(r.created - at) <= _SLACK]
        if len(made) == 1 and made[0]:
            said = differences(by_age[made[0] - 1], by_age[made[0]])
            said.sort(key=lambda one: one.startswith("image "))  # each deploy has another
            return ", ".join(said)
    return ""


def _told(change: Change, now: datetime, differs: str) -> str:
    what = (change.method not in OF_RIGHTS and differs) or in_words(change)
    return (
        f"{clock(change.at, now)} {change.method} {short(change.resource)} by {change.by}"
        + (f" ({clip(what)})" if what else "")
        + (f", which failed: {clip(change.failed)}" if change.failed else "")
    )


def in_words(change: Change) -> str:
    """What a change changed, without the name of what it is of, which stands beside it. A request to push that holds no endpoint takes it
    away."""
    own = f"={change.resource}"
    fields = [f for f in change.says.replace(" for serviceAccount:", " for ").split(", ") if not _names(f, own)]
    if not fields and change.says and change.method == "ModifyPushConfig":
        return "takes the push endpoint away"
    return ", ".join(fields)


def _names(field: str, own: str) -> bool:
    """subscription=projects/P/subscriptions/S or subscription=subscriptions/S."""
    name, _, value = field.partition("=")
    return name.isidentifier() and f"={'/'.join(value.split('/')[-2:])}" == own
