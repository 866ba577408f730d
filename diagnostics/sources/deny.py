"""What IAM's deny policies take away, whatever allow policies grant (IAM v2). Read only where something is refused: they are seldom
there, and seldom to be read.

A list tells which policies are attached to a resource, without their rules; each is then read for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from diagnostics.evidence.model import (
    AncestorPolicies,
    By,
    DenyPolicies,
    DenyRule,
    Leg,
    ProjectInfo,
    PublishCounts,
    PushCounts,
    RequestLog,
    Unseen,
    Why,
)
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.shell.commands import command
from diagnostics.transport.call import NotThere, call, pages
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import GET_DENY_POLICY, LIST_DENY_POLICIES
from diagnostics.transport.session import Session, together

ATTACHED = "cloudresourcemanager.googleapis.com/"
"""Begin of the full name of what deny policies are attached to."""
POLICIES = 20
"""So many are read at most."""


def deny_policies(
    session: Session,
    pipeline: PipelineProfile,
    project: ProjectInfo,
    above: AncestorPolicies | Unseen,
    request_pushes: Annotated[PushCounts | Unseen, Leg.REQUEST],
    completion_pushes: Annotated[PushCounts | Unseen, Leg.COMPLETION],
    request_log: Annotated[RequestLog | Unseen, Leg.REQUEST],
    completion_log: Annotated[RequestLog | Unseen, Leg.COMPLETION],
    published: Annotated[PublishCounts | Unseen, Leg.REQUEST],
    reported: Annotated[PublishCounts | Unseen, Leg.COMPLETION],
) -> DenyPolicies:
    """Those of the project and of all above it. Raises NotSeen: NOT_ASKED where nothing is seen to be refused."""
    pushes = (request_pushes, completion_pushes)
    refused = any(map(_turned_away, pushes, (request_log, completion_log)))
    if not (refused or _refused(published) or _refused(reported) or _unsent(pushes, published)):
        raise NotSeen(Why.NOT_ASKED, "deny policies are read only where pushes or publishes are refused")
    places, beyond = _places(project, above)
    read = together(*(partial(_on, session, place) for place in places))
    if all(one.unread for one in read):
        first = read[0]
        mend = "ask for roles/iam.denyReviewer on the organisation" if first.permission else ""
        raise NotSeen(Why.PERMISSION_DENIED if first.permission else Why.FAILED, first.unread, first.permission, mend)
    unread = next((one for one in read if one.unread), _Read(unread=beyond))
    return DenyPolicies(
        source=provenance(
            session,
            "IAM",
            places[0],
            command("gcloud iam policies list --attachment-point={point} --kind=denypolicies", point=_point(places[0])),
        ),
        project=f"projects/{pipeline.project}",
        within=places,
        rules=tuple(rule for one in read for rule in one.rules),
        unread=unread.unread,
        permission=unread.permission,
    )


def _turned_away(pushes: PushCounts | Unseen, log: RequestLog | Unseen) -> bool:
    """Whether pushes are refused for want of a right; where no log tells by whom and why, whether they are refused at all."""
    if not isinstance(log, Unseen) and log.source.complete:
        posts = (r for r in log.refused if r.method == "POST" and not r.uptime and not r.ours)
        return any(r.status in (401, 403) and r.by is By.FRONT_END for r in posts)
    return not isinstance(pushes, Unseen) and any(
        s.labels.get("response_class") == "remote_server_4xx" and s.total() for s in pushes.series
    )


def _refused(published: PublishCounts | Unseen) -> bool:
    return not isinstance(published, Unseen) and any(
        s.labels.get("response_code") == "permission_denied" and s.total() for s in published.requests
    )


def _unsent(pushes: Iterable[PushCounts | Unseen], published: PublishCounts | Unseen) -> bool:
    """Whether something was published and no push of it is counted: for want of a token none may be sent."""
    if isinstance(published, Unseen) or not any(s.total() for s in published.messages):
        return False
    return all(not isinstance(p, Unseen) and not any(s.total() for s in p.series) for p in pushes)


def _places(project: ProjectInfo, above: AncestorPolicies | Unseen) -> tuple[tuple[str, ...], str]:
    """The project and what it is in, as far as that is known, and why no more is."""
    own = f"projects/{project.number}"
    if isinstance(above, Unseen):
        return (own, *([project.parent] if project.parent else [])), above.says
    return (own, *(place.resource for place in above.places)), above.beyond


class _Read(NamedTuple):
    """What is attached to one resource."""

    rules: tuple[DenyRule, ...] = ()
    unread: str = ""
    permission: str = ""


def _on(session: Session, place: str) -> _Read:
    try:
        listed = pages(
            session, LIST_DENY_POLICIES, {"parent": f"policies/{_point(place)}/denypolicies"}, "policies", most=1
        )
    except NotThere as error:
        return _Read(unread=str(error))
    except NotSeen as failed:
        return _Read(unread=failed.says, permission=failed.permission)
    names = [policy.name for policy in listed.items]
    read = together(*(partial(_policy, session, place, name) for name in names[:POLICIES])) if names else []
    hidden = next((one for one in read if one.unread), None)
    more = f"only {POLICIES} deny policies of {place} are read" if len(names) > POLICIES else listed.note
    return _Read(
        tuple(rule for one in read for rule in one.rules),
        hidden.unread if hidden else more,
        hidden.permission if hidden else "",
    )


def _policy(session: Session, place: str, name: str) -> _Read:
    try:
        found = call(session, GET_DENY_POLICY, {"name": name})
    except NotThere:
        return _Read()  # deleted since it was listed
    except NotSeen as failed:
        return _Read(unread=failed.says, permission=failed.permission)
    return _Read(tuple(_rule(place, found, rule.deny_rule) for rule in found.rules))


def _rule(place: str, policy: Any, rule: Any) -> DenyRule:
    return DenyRule(
        policy=redact(policy.display_name or policy.name.rpartition("/")[2], 80),
        on=place,
        permissions=tuple(rule.denied_permissions),
        but=tuple(rule.exception_permissions),
        principals=tuple(redact(p, 200) for p in rule.denied_principals),
        excepted=tuple(redact(p, 200) for p in rule.exception_principals),
        condition=redact(rule.denial_condition.expression, 300),
        made=_when(policy.create_time),
        changed=_when(policy.update_time),
    )


def _when(stamp: Any) -> datetime | None:
    return stamp.ToDatetime(tzinfo=UTC) if stamp.seconds else None


def _point(place: str) -> str:
    """An attachment point is one part of a name: its slashes are quoted."""
    return quote(ATTACHED + place, safe="")
