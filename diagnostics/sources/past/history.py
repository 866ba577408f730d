"""What the audit logs say happened to configuration since the end of a past window, so that it can be taken back there.

Admin Activity and System Event entries are kept 400 days and cannot be turned off. They hold what was asked for, not what was there
before: a role that was given tells what to take away, a field that was set tells only that it was something else before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from msgspec import Struct

from diagnostics.evidence.redact import member
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.sources.audit import KEPT, policies_before
from diagnostics.sources.audit_entries import ACTIVITY, SYSTEM_EVENT, audited
from diagnostics.sources.entries import both, either, logs
from diagnostics.sources.search import PAGE_SIZE, Search, search
from diagnostics.transport.clients import load
from diagnostics.transport.log_reads import Leaves
from diagnostics.transport.session import Session

PAGES = 5
NEEDED = (timedelta(days=30), KEPT)
"""How far back is read for what stood then: no further than it takes, for Google searches 400 days in parts."""
WHOLE = frozenset({"CreateSubscription", "CreateService", "ReplaceService"})
"""Methods whose request tells all of what they make."""


class Delta(Struct, frozen=True, kw_only=True):
    """A role that was given (`added`) or taken."""

    added: bool
    role: str
    member: str
    condition: str = ""


class Recorded(Struct, frozen=True, kw_only=True):
    """One change that was carried out."""

    at: datetime
    method: str
    """Last part of its name: UpdateSubscription, ReplaceService, SetIamPolicy, …"""
    resource: str
    """kind/name: subscriptions/S, topics/T, services/S, serviceAccounts/E-MAIL, projects/P."""
    request: dict[str, Any] = {}
    """As sent. It stays inside the sources: nothing of it is evidence as it is."""
    deltas: tuple[Delta, ...] = ()


class History(Struct, frozen=True, kw_only=True):
    """Changes after the end of the window, newest first, and those before it that may tell what stood then."""

    per_leg: ClassVar[bool] = False
    at: datetime | None = None
    """End of the window; None: the run looks at now, and there is nothing to take back."""
    project: str = ""
    since: tuple[Recorded, ...] = ()
    before: tuple[Recorded, ...] = ()
    gap: str = ""
    """Why it may lack changes since; empty: it holds them all."""

    def of(self, resource: str) -> tuple[Recorded, ...]:
        """Changes of this resource since, newest first."""
        return tuple(change for change in self.since if change.resource == resource)

    def earlier(self, resource: str) -> tuple[Recorded, ...]:
        return tuple(change for change in self.before if change.resource == resource)


NOTHING = History()
"""Of a run that looks at now."""


def history(session: Session, pipeline: PipelineProfile, ask: Ask) -> History:
    """Raises NotSeen when the audit logs cannot be read."""
    at = ask.end(session.now)
    about = either(
        (
            'protoPayload.serviceName="pubsub.googleapis.com"',
            'protoPayload.serviceName="run.googleapis.com"',
            'protoPayload.serviceName="iam.googleapis.com"',
            '(resource.type="project" AND protoPayload.methodName:"SetIamPolicy")',
        )
    )
    where = both(logs(ACTIVITY, SYSTEM_EVENT), about)
    places = pipeline.audit_places
    found = search(session, places, where, at, session.now, most=PAGES * PAGE_SIZE, leaves=Leaves.BATCH)
    gap = found.note or "the audit logs were read in part" if not found.complete else ""
    if at < session.now - KEPT:
        gap = "audit logs are kept 400 days"
    policies = policies_before(session, places, at, found.items)
    since = tuple(change for change in _recorded(found.items, policies) if change.at >= at)
    return History(
        at=at,
        project=pipeline.project,
        since=since,
        before=_before(session, places, where, at, frozenset(c.resource for c in since)),
        gap=gap,
    )


def _before(
    session: Session, places: Sequence[str], where: str, at: datetime, changed: frozenset[str]
) -> tuple[Recorded, ...]:
    """What was recorded of changed resources before `at`, newest first: as far back as it takes to tell how all of them were made."""
    untold = {name for name in changed if name.partition("/")[0] in ("subscriptions", "services")}
    recorded: list[Recorded] = []
    until = at
    for back in NEEDED:
        since = max(at - back, session.now - KEPT)
        if not untold or since >= until:
            break
        try:
            further = Search(session, places, where, since, until, below=True, leaves=Leaves.CHANGED).read().found
        except NotSeen:
            break
        recorded += (change for change in _recorded(further.items) if change.at < at)
        untold -= {c.resource for c in recorded if c.method in WHOLE}
        if not further.complete:
            break  # what is older than a gap may have been changed in it
        until = since
    return tuple(recorded)


def _recorded(found: Iterable[Any], before: Iterable[Any] = ()) -> Iterator[Recorded]:
    """Changes that were carried out, newest first. One that failed changed nothing. `before`: older entries, for what policies were."""
    to_dict = load("google.protobuf.json_format").MessageToDict
    for one in reversed(audited(found, before)):
        if one.code == 0:
            yield Recorded(
                at=one.at,
                method=one.method,
                resource=one.resource,
                request=to_dict(one.payload.request),
                deltas=tuple(
                    Delta(added=d.added, role=d.role, member=member(d.member), condition=d.condition)
                    for d in one.deltas
                ),
            )
