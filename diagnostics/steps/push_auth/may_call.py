"""Does the configuration let the push account call the service?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from diagnostics.evidence.model import (
    AncestorPolicies,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    Leg,
    ProjectPolicy,
    PushCounts,
    RequestLog,
    ServiceConfig,
    ServicePolicy,
    ServiceSettings,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.readings.admission import Way
from diagnostics.readings.grants import INVOKE, Grant, hidden, holds
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.passage import Passage, passage
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Subject
from diagnostics.steps.push_auth.entrance import proxy, shut_out, what_closes
from diagnostics.steps.push_auth.invoker import invoker_grant, lets_in
from diagnostics.steps.push_auth.judged import cannot_tell, member_of, pushed_here, serving
from diagnostics.steps.push_auth.tokens import audience, no_token


def may_call(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig | Unseen,
    service: ServiceConfig | Unseen,
    policy: ServicePolicy | Unseen,
    project_policy: ProjectPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen,
    deny: DenyPolicies | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """Reads ingress, proxy, token, audience and the invoker grant. Nothing that pushes which get in refute is a fault."""
    if not pushed_here(subscription, service):
        return
    case = passage(leg, ledger, now, subscription, pushes, log, changes)
    if isinstance(subscription, Unseen):
        yield from _hidden(case, None, subscription)
    elif isinstance(service, Unseen):
        yield from _hidden(case, subjects.configured(subscription), service)
    elif subscription.settings and service.settings:
        granted = partial(
            _invokes, policy=policy, project_policy=project_policy, above=above, roles=roles, deny=deny, now=now
        )
        yield from _configured(case, subscription.settings, service.settings, granted, deny)


def _invokes(
    member: str,
    *,
    policy: ServicePolicy | Unseen,
    project_policy: ProjectPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen,
    deny: DenyPolicies | Unseen,
    now: datetime,
) -> Grant:
    return holds(member, INVOKE, policy, project_policy, above, roles=roles, deny=deny, now=now)


def _hidden(case: Passage, about: Subject | None, unseen: Unseen) -> Iterator[Finding]:
    if not case.vouched:
        yield cannot_tell(case, about, "whether the configuration lets pushes in could not be told", hidden(unseen))


def _configured(
    case: Passage,
    settings: SubscriptionSettings,
    target: ServiceSettings,
    granted: Callable[[str], Grant],
    deny: DenyPolicies | Unseen,
) -> Iterator[Finding]:
    """`granted`: whether a member may invoke the service."""
    closed = what_closes(settings, target)
    yield from shut_out(case, target, closed)
    about = serving(target)
    case = replace(case, shut_before=any(case.from_the_first(about, words, Way.UNLOGGED) for _, _, words in closed))
    if target.iap:
        yield from proxy(case, target, settings.name.split("/")[1])
        return
    public = granted("allUsers")
    if public.granted or target.invoker_iam_disabled:
        yield from lets_in(case, "anyone", target)
        return
    if not settings.push_account:
        yield from no_token(case, settings, target, public)
        return
    yield from audience(case, settings, target)
    yield from invoker_grant(case, settings, target, granted(member_of(settings.push_account)), deny)
