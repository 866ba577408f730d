"""Which build does the work: what served the batch, and is what was built last what serves now?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    ChangeLog,
    ItemMarks,
    Leg,
    RequestLog,
    Revisions,
    RevisionSettings,
    ServiceConfig,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.readings.addresses import tag_of
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Kind, Status, Telling
from diagnostics.steps.run import not_checked
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import at_least, clip, clock, count, short


class Served(Tells, frozen=True, kw_only=True):
    """Revisions that worked on the batch."""

    revisions: int
    revisions_: str
    """Their names, joined by commas."""


class Builds(Tells, frozen=True, kw_only=True):
    """Names of revisions and of their service."""

    serving: str
    """The one that gets the requests."""
    newest: str
    """The one that was built last."""
    service: str


class Tagged(Tells, frozen=True, kw_only=True):
    """Names of revisions and of their service."""

    serving: str
    """The one that the tag points to, and so gets the pushes."""
    newest: str
    """The one that serves all else."""
    service: str
    tag: str


SERVED = Telling("changes.served", Stage.PROCESSED, "the revisions that worked on the batch", tells=Served)
NO_TRAFFIC = Telling(
    "changes.no_traffic", Stage.DELIVERED, "the newest revision gets no requests", Kind.MECHANISM, tells=Builds
)
NOT_READY = Telling(
    "changes.not_ready",
    Stage.DELIVERED,
    "the newest revision did not start, so the one before it serves",
    Kind.MECHANISM,
    tells=Builds,
)
STALE_TAG = Telling(
    "changes.stale_tag",
    Stage.DELIVERED,
    "pushes go to a traffic tag that points to an older build",
    Kind.MECHANISM,
    tells=Tagged,
)
ROLLED_BACK = Telling("changes.rolled_back", Stage.DELIVERED, "traffic was put back on an older revision", tells=Builds)

_ONE_DEPLOY = timedelta(minutes=5)
"""What the audit log writes of one deploy lies this close to the creation of its revision; Cloud Run gives a start 4 minutes."""
_AT_ONCE = timedelta(minutes=1)
"""The call that makes a revision lies this close to its creation. What somebody else does after that is no part of the deploy."""


def builds(
    leg: Leg,
    now: datetime,
    service: ServiceConfig,
    revisions: Revisions,
    subscription: SubscriptionConfig | Unseen,
    log: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """Compares the newest revision with the one that gets the requests, and a tag in the push endpoint with both."""
    settings = service.settings
    if settings is None or not revisions.revisions:
        return
    runs = revisions.named(settings.serving) or settings.template
    newer = [r for r in revisions.revisions if r.created > runs.created]
    if newer:
        yield from _unserved(leg, settings, runs, newer[0], log, now)
    if not isinstance(subscription, Unseen) and subscription.settings is not None:
        yield from _tagged(leg, settings, runs, revisions, subscription.settings.push_endpoint, now)
    if not revisions.source.complete:
        yield not_checked(builds).says(
            Status.UNKNOWN,
            f"only {count(len(revisions.revisions), 'revision')} of {settings.name} could be read: {revisions.source.note}",
            leg=leg,
            subject=subjects.service(settings.name),
            rests_on=("Revisions",),
            tells=Hidden(),
        )


def served(
    leg: Leg,
    ledger: Ledger,
    service: ServiceConfig,
    marks: ItemMarks | Unseen,
    requests: RequestLog | Unseen,
) -> Iterator[Finding]:
    """Counts what each revision wrote since the batch began: lines about items, and pushes in the request log."""
    if ledger.started is None or service.settings is None:
        return
    since, whole = ledger.started, True
    wrote: Counter[str] = Counter()
    if not isinstance(marks, Unseen):
        whole = marks.source.complete
        role = "worker" if leg is Leg.REQUEST else "coordinator"
        for mark in marks.marks:
            if mark.service == role and mark.at >= since and mark.revision:
                wrote[mark.revision] += mark.many
    if not wrote and not isinstance(requests, Unseen):
        whole = requests.has_all_fine(since)
        pushes = (r for r in (*requests.refused, *requests.fine) if r.path.split("?")[0] == requests.push_path)
        wrote.update(r.revision for r in pushes if r.instance and r.at >= since and r.revision)
    if wrote:
        listed = ", ".join(f"{name} ({at_least(whole, count(n, 'line'))})" for name, n in wrote.most_common(4))
        yield SERVED.says(
            Status.OK,
            f"since the batch began {service.name} ran as {listed}",
            leg=leg,
            since=since,
            rests_on=("ItemMarks", "RequestLog"),
            subject=subjects.service(service.name),
            tells=Served(revisions=len(wrote), revisions_=",".join(sorted(wrote))),
        )


def _unserved(
    leg: Leg,
    settings: ServiceSettings,
    runs: RevisionSettings,
    newest: RevisionSettings,
    log: ChangeLog | Unseen,
    now: datetime,
) -> Iterator[Finding]:
    made = f"{newest.name}, made at {clock(newest.created, now)},"
    tells = Builds(serving=runs.name, newest=newest.name, service=settings.name)
    about = subjects.service(settings.name)
    if newest.ready == "failed":
        yield NOT_READY.says(
            Status.WARNING,
            f"{made} did not start ({clip(newest.message or newest.reason or 'Cloud Run names no reason')}); {runs.name} of "
            f"{clock(runs.created, now)} still serves {settings.name}",
            leg=leg,
            since=newest.created,
            rests_on=("ServiceConfig", "Revisions"),
            subject=about,
            tells=tells,
        )
        return
    if newest.ready == "pending":
        return
    moved = _moved(log, settings.name, newest.created)
    if moved is not None:
        yield ROLLED_BACK.says(
            Status.OK,
            f"{settings.name} was changed at {clock(moved, now)}, after {made} and {runs.name} serves: rolled back",
            leg=leg,
            since=moved,
            rests_on=("ServiceConfig", "Revisions", "ChangeLog"),
            subject=about,
            tells=tells,
        )
        return
    share = sum(t.percent for t in settings.traffic if (t.revision or settings.latest_ready) == newest.name)
    if share:
        return  # a roll-out in steps
    hidden = _unread(log, newest.created)
    yield NO_TRAFFIC.says(
        Status.UNKNOWN if hidden else Status.WARNING,
        f"{made} gets none of the requests of {settings.name}; {runs.name} of {clock(runs.created, now)} serves"
        + (f"; whether somebody put traffic back on it could not be seen: {hidden}" if hidden else ""),
        leg=leg,
        since=newest.created,
        rests_on=("ServiceConfig", "Revisions", *(("ChangeLog",) if hidden else ())),
        subject=about,
        tells=tells,
    )


def _unread(log: ChangeLog | Unseen, made: datetime) -> str:
    """Why a change of the service since its newest revision was made may not have been seen; empty: it would have been."""
    if isinstance(log, Unseen):
        return log.says
    read_back = any(c.at <= made + _ONE_DEPLOY for c in log.changes)  # a log is read from its end
    return "" if log.source.complete or read_back else log.source.note or "only part of the audit log was read"


def _moved(log: ChangeLog | Unseen, service: str, made: datetime) -> datetime | None:
    """When the service was changed once more after its newest revision was made, if the audit log shows it."""
    if isinstance(log, Unseen):
        return None
    of_service = [c for c in log.changes if c.ok and c.api.startswith("run.") and short(c.resource) == service]
    makers = {c.by for c in of_service if abs(c.at - made) <= _AT_ONCE}
    by_others = (c.at for c in of_service if c.at > made + _AT_ONCE and makers and c.by not in makers)
    return max((*by_others, *(c.at for c in of_service if c.at > made + _ONE_DEPLOY)), default=None)


def _tagged(
    leg: Leg,
    settings: ServiceSettings,
    runs: RevisionSettings,
    revisions: Revisions,
    endpoint: str,
    now: datetime,
) -> Iterator[Finding]:
    label = tag_of(endpoint)
    row = next((t for t in settings.traffic if t.tag == label), None) if label else None
    behind = revisions.named(row.revision or settings.latest_ready) if row else None
    if behind is not None and behind.created < runs.created:
        yield STALE_TAG.says(
            Status.WARNING,
            f"pushes go to the tag {label}, which points to {behind.name} of {clock(behind.created, now)}; {runs.name} of "
            f"{clock(runs.created, now)} serves all else of {settings.name}",
            leg=leg,
            since=runs.created,
            rests_on=("SubscriptionConfig", "ServiceConfig", "Revisions"),
            subject=subjects.service(settings.name),
            tells=Tagged(serving=behind.name, newest=runs.name, service=settings.name, tag=label),
        )
