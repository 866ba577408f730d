"""Has the push account the right to invoke the service, or what took it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from diagnostics.evidence.model import Change, DenyPolicies, ServiceSettings, Stage, SubscriptionSettings, Unseen
from diagnostics.readings.admission import Gate, Way
from diagnostics.readings.denials import Denial
from diagnostics.readings.grants import INVOKE, Grant, Held, given, revoked, taken
from diagnostics.readings.passage import About, Passage
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.push_auth.judged import Wrong, cannot_tell, judged, lacks_the_right, member_of
from diagnostics.steps.tells import Mended
from diagnostics.steps.words import clock

GRANTED = Code("push_auth.granted", Stage.DELIVERED, "the configuration lets the push account in")
INVOKER = Telling(
    "push_auth.invoker",
    Stage.DELIVERED,
    "the push account may not invoke the service",
    Kind.MECHANISM,
    tells=Mended,
)
DENIED = Telling(
    "push_auth.denied",
    Stage.DELIVERED,
    "a deny policy keeps the push account from calling the service",
    Kind.MECHANISM,
    tells=Mended,
)
_AUDITED = timedelta(minutes=2)
"""An audit entry is written when a call ends."""
_IN_FORCE = timedelta(minutes=7)
"""So long a change of IAM may take until it is in force (IAM: access change propagation)."""


def invoker_grant(
    case: Passage,
    settings: SubscriptionSettings,
    target: ServiceSettings,
    answer: Grant,
    deny: DenyPolicies | Unseen,
) -> Iterator[Finding]:
    account, project = settings.push_account, settings.name.split("/")[1]
    about = About(frozenset({f"services/{target.name}", f"projects/{project}"}), _GRANTS)
    wrong = Wrong(
        INVOKER,
        f"{account} has no {INVOKE.role} on {target.name} or on the project ({answer.why})",
        ("ServicePolicy", "ProjectPolicy"),
        about,
        subjects.service(target.name),
        (Way.FORBIDDEN, Way.UNAUTHORIZED, Way.UNLOGGED),
        since=taken(member_of(account), INVOKE, case.made(about)) or case.first(Way.FORBIDDEN) or answer.ended,
        ended=answer.ended,
        tells=answer.settled_by,
    )
    if answer.granted:
        yield from lets_in(case, account, target)
        yield from _in_spite(case, account, target, answer, case.made(about), deny)
    elif answer.denial:
        yield from _denied(case, wrong, account, target, answer, answer.denial)
    elif answer.missing:
        yield from judged(case, wrong)
        if answer.denied_too:
            yield from judged(case, _by_policy(case, wrong, answer.denied_too))
    elif not case.vouched:
        says = f"whether {account} may invoke {target.name} could not be told"
        yield cannot_tell(case, subjects.service(target.name), says, answer)
        why = _why_presumed(case, account, target, case.made(about)) or _above_only(case, account, target, answer)
        if why and case.stops(Way.FORBIDDEN):
            yield _presumed(case, wrong, why)


def _denied(
    case: Passage, wrong: Wrong, account: str, target: ServiceSettings, answer: Grant, denial: Denial
) -> Iterator[Finding]:
    """A deny policy that takes the right, or may: that it did, a front end tells that says the right lacks."""
    wrong = _by_policy(case, wrong, denial)
    if denial.certain:
        yield from judged(case, wrong)
    elif not case.vouched:
        says = f"whether {account} may invoke {target.name} could not be told"
        yield cannot_tell(case, subjects.service(target.name), says, answer)
        forbidden = case.door.turned.get(Way.FORBIDDEN)
        if forbidden and lacks_the_right(forbidden) and case.stops(Way.FORBIDDEN):
            yield _presumed(case, wrong, f"{denial.says}, and Google's front end says that it has no permission")


def _by_policy(case: Passage, wrong: Wrong, denial: Denial) -> Wrong:
    """The same, as the deny policy's doing: no grant mends it."""
    first = case.first(Way.FORBIDDEN)
    since = denial.since if denial.since and (first is None or denial.since <= first + _IN_FORCE) else first
    return replace(wrong, code=DENIED, says=denial.says, rests_on=("DenyPolicies",), since=since)


def _in_spite(
    case: Passage,
    account: str,
    target: ServiceSettings,
    answer: Grant,
    made: Sequence[Change],
    deny: DenyPolicies | Unseen,
) -> Iterator[Finding]:
    """A grant that was found, and a front end that says the right lacks: something that was not read takes it away, unless the grant
    is too fresh to be in force."""
    forbidden, back = case.door.turned.get(Way.FORBIDDEN), given(member_of(account), INVOKE, made)
    if forbidden is None or not case.stops(Way.FORBIDDEN) or not lacks_the_right(forbidden):
        return
    if back and forbidden.last <= back + _IN_FORCE:
        return
    unread, permission = (deny.says, deny.permission) if isinstance(deny, Unseen) else (deny.unread, deny.permission)
    denies = f"deny policies were not all read ({unread})" if unread else "no deny policy takes it"
    why = f"it is granted, but Google's front end says that it has no permission; {denies}; access boundaries are not read"
    says = f"whether {account} may invoke {target.name} could not be told"
    rests = "DenyPolicies" if unread else "ServicePolicy"
    unsettled = Grant(Held.UNKNOWN, why, rests, permission, settled_by=answer.settled_by)
    yield cannot_tell(case, subjects.service(target.name), says, unsettled)


_GRANTS = frozenset({"SetIamPolicy", "CreateService", "DeleteService"})


def _why_presumed(case: Passage, account: str, target: ServiceSettings, made: Sequence[Change]) -> str:
    """Why it is likely that the right lacks though no policy tells: Google says so, or forbids all pushes since a role was taken from
    the account. Empty: it is not, or the role was given back after the last refusal."""
    forbidden, member = case.door.turned.get(Way.FORBIDDEN), member_of(account)
    back = given(member, INVOKE, made)
    if forbidden is None or forbidden.over or (back and back > forbidden.last):
        return ""
    at, newest = revoked(member, INVOKE, made), case.door.newest_in
    if at and at <= forbidden.first + _AUDITED and not (newest and newest > at + _IN_FORCE):
        return (
            f"{account} lost a role to call {target.name} at {clock(at, case.now)}, and no push got in since; "
            "the policies do not tell whether another grant lets it in"
        )
    if lacks_the_right(forbidden):
        return f"Google's front end says that the push account has no permission to call {target.name}; the policies do not tell"
    return ""


def _above_only(case: Passage, account: str, target: ServiceSettings, answer: Grant) -> str:
    """The same where no more than what stands above the project is in doubt: a right that is given there is seldom meant for one
    service, and pushes are forbidden. Empty: more is in doubt, or they are not."""
    forbidden = case.door.turned.get(Way.FORBIDDEN)
    if not answer.above or forbidden is None or forbidden.over:
        return ""
    return f"nothing on {target.name} or its project lets {account} call it; what stands above the project could not be read"


def _presumed(case: Passage, wrong: Wrong, says: str) -> Finding:
    """What no policy tells, and refusals or the audit log do: weaker than a grant that was looked for and not found."""
    return wrong.code.says(
        Status.WARNING,
        says,
        leg=case.leg,
        bears=Bears.HOLDS if case.least else Bears.APART,
        held=case.least,
        since=wrong.since,
        subject=wrong.subject,
        rests_on=("RequestLog", "ChangeLog" if wrong.code is INVOKER else wrong.rests_on[0]),
        tells=Mended(),
    )


def lets_in(case: Passage, who: str, target: ServiceSettings) -> Iterator[Finding]:
    """What is granted clears nothing while pushes are turned away, and says nothing beside pushes that get in."""
    if case.door.gate is Gate.UNTRIED or (case.door.gate is Gate.OPEN and not case.gets_in):
        yield GRANTED.says(
            Status.OK,
            f"{who} may call {target.name}",
            leg=case.leg,
            subject=subjects.service(target.name),
            rests_on=("ServicePolicy",),
        )
