"""May the push identity call the service? The request log says who refused what, configuration what should happen.

An acknowledged push, and one that a container answered, prove sign-in whatever a policy hides. A grant that was not found is no
fault where pushes get in, and only a refusal of the right kind settles that it lacks: 403 a grant, 401 what the token says.
The front end asks for ingress first: a push that it refuses gets a 404 that no log has, and meets neither audience nor grant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from diagnostics.evidence.model import (
    AncestorPolicies,
    By,
    Change,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    Leg,
    LiveCall,
    LiveHealth,
    LogRow,
    ProjectInfo,
    ProjectPolicy,
    PushAccount,
    PushAccountPolicy,
    PushCounts,
    ReceiverTraffic,
    RequestLog,
    ServiceConfig,
    ServicePolicy,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.readings.addresses import TAG, host_of, is_own
from diagnostics.readings.admission import Gate, Turned, Way
from diagnostics.readings.answers import none_counted
from diagnostics.readings.denials import Denial
from diagnostics.readings.grants import INVOKE, MINT, Grant, Held, at_home, given, hidden, holds, revoked, taken
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.passage import About, Passage, passage
from diagnostics.shell.commands import command
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Subject, Telling
from diagnostics.steps.routed import elsewhere
from diagnostics.steps.tells import Hidden, Mended, Tells
from diagnostics.steps.words import at_least, clock, count, names, short


class TurnedAway(Tells, frozen=True, kw_only=True):
    refused: int
    """Pushes that were refused in one way, in its newest spell."""
    spent: int | None = None
    """Items of the batch that were refused so until none of it was left to be pushed; None: it was not until then."""


class Foreign(Tells, frozen=True, kw_only=True):
    foreign: int
    """Refusals in the log that are no pushes."""


PROVEN = Code("push_auth.proven", Stage.DELIVERED, "pushes get in, so sign-in works")
GRANTED = Code("push_auth.granted", Stage.DELIVERED, "the configuration lets the push account in")
REFUSED = Telling(
    "push_auth.refused",
    Stage.DELIVERED,
    "Google's front end does not take the push token",
    Kind.EFFECT,
    tells=TurnedAway,
)
FORBIDDEN = Telling(
    "push_auth.forbidden",
    Stage.DELIVERED,
    "Google's front end forbids pushes to get in",
    Kind.EFFECT,
    tells=TurnedAway,
)
SILENT = Telling(
    "push_auth.silent",
    Stage.DELIVERED,
    "pushes are refused and the service's log shows nothing of them",
    Kind.EFFECT,
    tells=TurnedAway,
)
FOREIGN = Telling("push_auth.foreign", Stage.DELIVERED, "the refusals in the log are not pushes", tells=Foreign)
LIVE = Code("push_auth.live", Stage.DELIVERED, "a live call with the push identity", Kind.EFFECT)
NO_TOKEN = Telling(
    "push_auth.no_token",
    Stage.DELIVERED,
    "pushes carry no token and the service wants one",
    Kind.MECHANISM,
    tells=Mended,
)
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
AUDIENCE = Telling(
    "push_auth.audience",
    Stage.DELIVERED,
    "the service does not accept the token's audience",
    Kind.MECHANISM,
    tells=Mended,
)
IAP = Telling(
    "push_auth.iap",
    Stage.DELIVERED,
    "Identity-Aware Proxy stands in front of the service",
    Kind.MECHANISM,
    tells=Mended,
)
INGRESS = Telling(
    "push_auth.ingress",
    Stage.DELIVERED,
    "the service's ingress does not admit the push",
    Kind.MECHANISM,
    tells=Mended,
)
DEFAULT_URL = Telling(
    "push_auth.default_url",
    Stage.DELIVERED,
    "the service's default URL, to which pushes go, is switched off",
    Kind.MECHANISM,
    tells=Mended,
)
ACCOUNT = Telling(
    "push_auth.account", Stage.DELIVERED, "the push account is disabled or gone", Kind.MECHANISM, tells=Mended
)
MINTING = Telling(
    "push_auth.minting",
    Stage.DELIVERED,
    "Google's Pub/Sub agent may not mint tokens for the push account",
    Kind.MECHANISM,
    tells=Mended,
)
UNSEEN = Telling("push_auth.unseen", Stage.DELIVERED, "sign-in could not be checked", tells=Hidden)

_TOKEN_LIFE = timedelta(hours=1)
"""Pub/Sub may use a token for so long: until then pushes get in with what was right when it was minted."""
_AUDITED = timedelta(minutes=2)
"""An audit entry is written when a call ends."""
_IN_FORCE = timedelta(minutes=7)
"""So long a change of IAM may take until it is in force (IAM: access change propagation)."""


def push_auth(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig | Unseen,
    service: ServiceConfig | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    live: LiveHealth | Unseen,
    traffic: ReceiverTraffic | Unseen,
) -> Iterator[Finding]:
    """Reads what happened to pushes at the front end, each answer apart, and what a live call of ours was answered."""
    if not _pushed_here(subscription, service):
        return
    case = passage(leg, ledger, now, subscription, pushes, log)
    if case.gets_in:
        yield _proven(case, subjects.configured(subscription))
    for code, way, status, how in (
        (REFUSED, Way.UNAUTHORIZED, "401", "refused by Google's front end with 401"),
        (FORBIDDEN, Way.FORBIDDEN, "403", "refused by Google's front end with 403"),
        (SILENT, Way.UNLOGGED, "4xx", "refused with a 4xx that the request log does not have"),
    ):
        if turned := case.door.turned.get(way):
            if code is SILENT and none_counted(traffic, turned.first):
                how = "refused with a 4xx that neither the request log nor Cloud Run's own counter has"
            yield _turned(case, code, subjects.answer(status, By.FRONT_END), turned, how)
    about = None if isinstance(service, Unseen) else subjects.service(service.name)
    if case.door.foreign:
        yield _foreign(case, about)
    if not isinstance(live, Unseen):
        yield _live(case, about, live)


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
    if not _pushed_here(subscription, service):
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
        yield _cannot_tell(case, about, "whether the configuration lets pushes in could not be told", hidden(unseen))


def _configured(
    case: Passage,
    settings: SubscriptionSettings,
    target: ServiceSettings,
    granted: Callable[[str], Grant],
    deny: DenyPolicies | Unseen,
) -> Iterator[Finding]:
    """`granted`: whether a member may invoke the service."""
    closed = _closed(settings, target)
    yield from _ingress(case, target, closed)
    about = _serving(target)
    case = replace(case, shut_before=any(case.from_the_first(about, words, Way.UNLOGGED) for _, _, words in closed))
    if target.iap:
        yield from _proxy(case, target)
        return
    public = granted("allUsers")
    if public.granted or target.invoker_iam_disabled:
        yield from _granted(case, "anyone", target)
        return
    if not settings.push_account:
        yield from _no_token(case, settings, target, public)
        return
    yield from _audience(case, settings, target)
    yield from _invoker(case, settings, target, granted(_member(settings.push_account)), deny)


def may_mint(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig | Unseen,
    project: ProjectInfo | Unseen,
    project_policy: ProjectPolicy | Unseen,
    account: PushAccount | Unseen,
    account_policy: PushAccountPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen,
    deny: DenyPolicies | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """Reads whether the push account is there, and whether Google's agent may mint tokens for it."""
    settings = None if isinstance(subscription, Unseen) else subscription.settings
    if settings is None or not settings.push_endpoint or not settings.push_account:
        return
    case = passage(leg, ledger, now, subscription, pushes, log, changes)
    if not isinstance(account, Unseen) and (not account.exists or account.disabled):
        yield from _account(case, settings, account)
        return
    question = f"whether Google's Pub/Sub agent may mint tokens for {settings.push_account} could not be told"
    project = at_home(settings.name, project)
    if isinstance(project, Unseen):
        if not case.vouched:
            yield _cannot_tell(case, subjects.account(settings.push_account), question, hidden(project))
        return
    agent = _member(project.pubsub_agent)
    answer = holds(agent, MINT, account_policy, project_policy, above, roles=roles, deny=deny, now=now)
    yield from _minting(case, settings, project, answer)


def _pushed_here(subscription: SubscriptionConfig | Unseen, service: ServiceConfig | Unseen) -> bool:
    """Whether the subscription pushes, and to this service, as far as that is known."""
    if isinstance(subscription, Unseen):
        return True
    settings = subscription.settings
    if settings is None or not settings.push_endpoint:
        return False
    return isinstance(service, Unseen) or bool(service.settings and not elsewhere(settings, service.settings))


@dataclass(frozen=True)
class _Wrong:
    """Something in the configuration that keeps pushes out, and what would show that it does."""

    code: Telling[Mended]
    says: str
    rests_on: tuple[str, ...]
    about: About
    subject: Subject | None
    seen_as: tuple[Way, ...]
    """How pushes are turned away by it."""
    keeps: timedelta = timedelta(0)
    """How long after it became so pushes may still get in."""
    unsent: bool = False
    """Whether by it pushes may never be sent at all."""
    since: datetime | None = None
    mend: str = ""
    tells: str = ""
    """The command that tells whether it is so."""


# --- what happened --------------------------------------------------------------------------------------------------


def _proven(case: Passage, about: Subject | None) -> Finding:
    door = case.door
    acked = f"{count(door.acked_now, 'push')} acked in the last 5 min" if door.acked_now else "containers answer pushes"
    newest = f", the newest let in at {clock(door.newest_in, case.now)}" if door.newest_in else ""
    since = f" since {clock(door.newest_out, case.now)}" if door.newest_out else ""
    return PROVEN.says(
        Status.OK,
        acked + newest + (f"; none refused by Google's front end{since}" if door.whole else ""),
        leg=case.leg,
        subject=about,
        rests_on=("PushCounts", "RequestLog"),
    )


def _turned(case: Passage, code: Telling[TurnedAway], about: Subject | None, turned: Turned, how: str) -> Finding:
    """Pushes that were turned away: now, some of them, or until then."""
    many = at_least(case.door.whole, count(turned.count, "push"))
    quoted = f": “{turned.text[:90]}”" if turned.text else ""
    met = bool(case.started and turned.last >= case.started)
    span_of = f"from {clock(turned.first, case.now)} to {clock(turned.last, case.now)}"
    spent = case.spent(turned)
    if spent or not case.lasts(turned):
        since = "and pushes have got in since" if case.door.proven else "and none of its kind since"
        if spent:
            since = "and nothing of this batch was left to be pushed after that"
        return code.says(
            Status.OK,
            f"{many} {_were(turned)} {how} {span_of}, {since}{quoted}",
            leg=case.leg,
            bears=Bears.SLOWS if met else Bears.APART,
            since=turned.first,
            until=turned.last,
            subject=about,
            rests_on=_RESTS,
            tells=TurnedAway(refused=turned.count, spent=case.least if spent else None),
        )
    shut = case.door.gate is Gate.SHUT
    bears = Bears.APART if not case.least else Bears.HOLDS if shut else Bears.SLOWS
    return code.says(
        Status.FAULT if shut else Status.WARNING,
        f"{many} {how} {span_of}, {'and none got in' if shut else 'while others get in'}{quoted}",
        leg=case.leg,
        bears=bears,
        held=case.least if bears is Bears.HOLDS else 0,
        since=turned.first,
        subject=about,
        rests_on=_RESTS,
        tells=TurnedAway(refused=turned.count),
    )


_RESTS = ("RequestLog", "PushCounts")


def _were(turned: Turned) -> str:
    return "was" if turned.count == 1 else "were"


def _foreign(case: Passage, about: Subject | None) -> Finding:
    foreign = case.door.foreign
    agents = names({_agent(r) for r in foreign})
    paths = names({r.path.partition("?")[0] for r in foreign})
    return FOREIGN.says(
        Status.OK,
        f"{len(foreign)} × {', '.join(sorted({str(r.status) for r in foreign}))} are no pushes: {agents} on {paths}",
        leg=case.leg,
        since=foreign[0].at,
        rests_on=("RequestLog",),
        subject=about,
        tells=Foreign(foreign=len(foreign)),
    )


def _agent(row: LogRow) -> str:
    return "uptime checks" if row.uptime else (row.user_agent.split("/")[0].split(" ")[0] or "unnamed callers")


def _live(case: Passage, about: Subject | None, live: LiveHealth) -> Finding:
    """Our own call speaks for our own network, and not for the pushes."""
    anonymous, signed = live.anonymous, live.authenticated
    if signed is None:
        return LIVE.says(
            Status.UNKNOWN,
            f"no token could be minted for the push account: {live.minting}",
            leg=case.leg,
            subject=about,
            rests_on=("LiveHealth",),
        )
    said = (
        f"live call at {clock(signed.at, case.now)}: without token {anonymous.status}, "
        f"with the push account's token {signed.status}"
    )
    if 200 <= signed.status < 300 and 200 <= anonymous.status < 300:
        status, more = Status.OK, "; whoever has no token gets in, too: this proves nothing about sign-in"
    elif 200 <= signed.status < 300:
        status, more = Status.OK, "; this proves invoker and audience, not that Google's agent may mint"
    elif signed.status in (401, 403) and not _lacks(signed):
        status, more = Status.UNKNOWN, "; not in Cloud Run's words: a proxy on our way, or the application, says so"
    elif signed.status in (401, 403) and not case.gets_in:
        status, more = Status.FAULT, ""
    else:
        status, more = Status.UNKNOWN, "; from this network that settles nothing"
    return LIVE.says(status, said + more, leg=case.leg, subject=about, rests_on=("LiveHealth",))


# --- what the configuration says ------------------------------------------------------------------------------------


_Closed = list[tuple[Telling[Mended], str, tuple[str, ...]]]


def _closed(settings: SubscriptionSettings, target: ServiceSettings) -> _Closed:
    """What refuses every push before sign-in is asked for, each in a sentence, with the words by which a change names it."""
    closed: _Closed = []
    if target.default_uri_disabled and ".run.app" in settings.push_endpoint:
        says = f"the default URL of {target.name} is switched off: pushes get a 404 that no log shows"
        closed.append((DEFAULT_URL, says, ("defaulturi", "default-url")))
    if target.ingress == "none":
        closed.append((INGRESS, f"ingress of {target.name} admits nobody", ("ingress",)))
    return closed


def _ingress(case: Passage, target: ServiceSettings, closed: _Closed) -> Iterator[Finding]:
    about, subject = _serving(target), subjects.service(target.name)
    for code, says, words in closed:
        since = case.changed(about, words, Way.UNLOGGED)
        yield from _judged(case, _Wrong(code, says, ("ServiceConfig",), about, subject, (Way.UNLOGGED,), since=since))


def _proxy(case: Passage, target: ServiceSettings) -> Iterator[Finding]:
    """The proxy wants a client id of its own as audience, and a grant that is not read: only what it does can be told."""
    says = f"Identity-Aware Proxy stands in front of {target.name} and wants its own client id as the token's audience"
    about, subject = _serving(target), subjects.service(target.name)
    if case.stops(Way.UNAUTHORIZED, Way.FORBIDDEN):
        since = case.changed(about, ("iap",), Way.UNAUTHORIZED, Way.FORBIDDEN)
        ways = (Way.UNAUTHORIZED, Way.FORBIDDEN)
        yield from _judged(case, _Wrong(IAP, says, ("ServiceConfig",), about, subject, ways, since=since))
    elif not case.vouched:
        yield _cannot_tell(
            case, subject, "whether the push account gets in could not be told", Grant(Held.UNKNOWN, says)
        )


def _no_token(
    case: Passage, settings: SubscriptionSettings, target: ServiceSettings, public: Grant
) -> Iterator[Finding]:
    if public.unknown:
        if not case.vouched:
            says = f"pushes carry no token, and whether {target.name} wants one could not be told"
            yield _cannot_tell(case, subjects.service(target.name), says, public)
        return
    says = f"{target.name} wants a signed-in caller and pushes carry no token"
    about = _pushing(settings)
    since = case.changed(about, ("push", "oidc"), Way.FORBIDDEN)
    rests = ("SubscriptionConfig", "ServicePolicy")
    subject = subjects.subscription(settings.name)
    yield from _judged(case, _Wrong(NO_TOKEN, says, rests, about, subject, (Way.FORBIDDEN, Way.UNLOGGED), since=since))


def _audience(case: Passage, settings: SubscriptionSettings, target: ServiceSettings) -> Iterator[Finding]:
    if _accepts(target, settings.effective_audience, strict=case.lasts(case.door.turned.get(Way.UNAUTHORIZED))):
        return
    about = _pushing(settings)
    url = f" ({target.uri})" if target.uri else ""
    yield from _judged(
        case,
        _Wrong(
            AUDIENCE,
            f"audience {settings.effective_audience} is neither a URL of {target.name}{url} nor a custom audience",
            ("SubscriptionConfig", "ServiceConfig"),
            About(about.resources | {f"services/{target.name}"}),
            subjects.subscription(settings.name),
            (Way.UNAUTHORIZED, Way.UNLOGGED),
            keeps=_TOKEN_LIFE,
            since=case.changed(about, ("audience",), Way.UNAUTHORIZED),
        ),
    )


def _accepts(target: ServiceSettings, audience: str, strict: bool) -> bool:
    """Whether Cloud Run takes this audience: a URL of the service, or a custom audience to the letter.

    Google's pages do not say whether a URL with a path is taken (the default audience is one): it is given the benefit of the
    doubt until a token was refused as unverifiable (strict).
    """
    if audience in target.custom_audiences:
        return True
    host, _, path = audience.removeprefix("https://").partition("/")
    own = TAG not in host and is_own(target, host_of(audience))
    return audience.startswith("https://") and own and not (strict and path)


def _invoker(
    case: Passage,
    settings: SubscriptionSettings,
    target: ServiceSettings,
    answer: Grant,
    deny: DenyPolicies | Unseen,
) -> Iterator[Finding]:
    account, project = settings.push_account, settings.name.split("/")[1]
    about = About(frozenset({f"services/{target.name}", f"projects/{project}"}), _GRANTS)
    wrong = _Wrong(
        INVOKER,
        f"{account} has no {INVOKE.role} on {target.name} or on the project ({answer.why})",
        ("ServicePolicy", "ProjectPolicy"),
        about,
        subjects.service(target.name),
        (Way.FORBIDDEN, Way.UNAUTHORIZED, Way.UNLOGGED),
        since=taken(_member(account), INVOKE, case.made(about)) or case.first(Way.FORBIDDEN),
        tells=answer.settled_by,
    )
    if answer.granted:
        yield from _granted(case, account, target)
        yield from _in_spite(case, account, target, answer, case.made(about), deny)
    elif answer.denial:
        yield from _denied(case, wrong, account, target, answer, answer.denial)
    elif answer.missing:
        yield from _judged(case, wrong)
    elif not case.vouched:
        says = f"whether {account} may invoke {target.name} could not be told"
        yield _cannot_tell(case, subjects.service(target.name), says, answer)
        why = _why_presumed(case, account, target, case.made(about)) or _above_only(case, account, target, answer)
        if why and case.stops(Way.FORBIDDEN):
            yield _presumed(case, wrong, why)


def _denied(
    case: Passage, wrong: _Wrong, account: str, target: ServiceSettings, answer: Grant, denial: Denial
) -> Iterator[Finding]:
    """A deny policy that takes the right, or may: that it did, a front end tells that says the right lacks."""
    first = case.first(Way.FORBIDDEN)
    since = denial.since if denial.since and (first is None or denial.since <= first + _IN_FORCE) else first
    wrong = replace(wrong, code=DENIED, says=denial.says, rests_on=("DenyPolicies",), since=since)
    if denial.certain:
        yield from _judged(case, wrong)
    elif not case.vouched:
        says = f"whether {account} may invoke {target.name} could not be told"
        yield _cannot_tell(case, subjects.service(target.name), says, answer)
        forbidden = case.door.turned.get(Way.FORBIDDEN)
        if forbidden and _lacks(forbidden) and case.stops(Way.FORBIDDEN):
            yield _presumed(case, wrong, f"{denial.says}, and Google's front end says that it has no permission")


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
    forbidden, back = case.door.turned.get(Way.FORBIDDEN), given(_member(account), INVOKE, made)
    if forbidden is None or not case.stops(Way.FORBIDDEN) or not _lacks(forbidden):
        return
    if back and forbidden.last <= back + _IN_FORCE:
        return
    unread, permission = (deny.says, deny.permission) if isinstance(deny, Unseen) else (deny.unread, deny.permission)
    denies = f"deny policies were not all read ({unread})" if unread else "no deny policy takes it"
    why = f"it is granted, and Google's front end says that it has no permission; {denies}; access boundaries are not read"
    says = f"whether {account} may invoke {target.name} could not be told"
    rests = "DenyPolicies" if unread else "ServicePolicy"
    unsettled = Grant(Held.UNKNOWN, why, rests, permission, settled_by=answer.settled_by)
    yield _cannot_tell(case, subjects.service(target.name), says, unsettled)


_GRANTS = frozenset({"SetIamPolicy", "CreateService", "DeleteService"})


def _lacks(forbidden: Turned | LiveCall) -> bool:
    """Whether Google says that the caller lacks the right. In its log the other sentence that it has is also said where there is no token;
    to the caller it says only this one, for 401, too."""
    return "does not have permission" in forbidden.text


def _why_presumed(case: Passage, account: str, target: ServiceSettings, made: Sequence[Change]) -> str:
    """Why it is likely that the right lacks though no policy tells: Google says so, or forbids all pushes since a role was taken from
    the account. Empty: it is not, or the role was given back after the last refusal."""
    forbidden, member = case.door.turned.get(Way.FORBIDDEN), _member(account)
    back = given(member, INVOKE, made)
    if forbidden is None or forbidden.over or (back and back > forbidden.last):
        return ""
    at, newest = revoked(member, INVOKE, made), case.door.newest_in
    if at and at <= forbidden.first + _AUDITED and not (newest and newest > at + _IN_FORCE):
        return (
            f"{account} lost a role to call {target.name} at {clock(at, case.now)}, and no push got in since; "
            "whether another grant lets it in the policies do not tell"
        )
    if _lacks(forbidden):
        return f"Google's front end says that the push account has no permission to call {target.name}; the policies do not tell"
    return ""


def _above_only(case: Passage, account: str, target: ServiceSettings, answer: Grant) -> str:
    """The same where no more than what stands above the project is in doubt: a right that is given there is seldom meant for one
    service, and pushes are forbidden. Empty: more is in doubt, or they are not."""
    forbidden = case.door.turned.get(Way.FORBIDDEN)
    if not answer.above or forbidden is None or forbidden.over:
        return ""
    return f"nothing on {target.name} or its project lets {account} call it; what stands above the project could not be read"


def _presumed(case: Passage, wrong: _Wrong, says: str) -> Finding:
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


def _granted(case: Passage, who: str, target: ServiceSettings) -> Iterator[Finding]:
    """What is granted clears nothing while pushes are turned away, and says nothing beside pushes that get in."""
    if case.door.gate is Gate.UNTRIED or (case.door.gate is Gate.OPEN and not case.gets_in):
        yield GRANTED.says(
            Status.OK,
            f"{who} may call {target.name}",
            leg=case.leg,
            subject=subjects.service(target.name),
            rests_on=("ServicePolicy",),
        )


def _account(case: Passage, settings: SubscriptionSettings, account: PushAccount) -> Iterator[Finding]:
    about = About(frozenset({f"serviceAccounts/{settings.push_account}"}))
    yield from _judged(
        case,
        _Wrong(
            ACCOUNT,
            f"push account {account.email} is {'disabled' if account.exists else 'gone'}",
            ("PushAccount",),
            about,
            subjects.account(account.email),
            (Way.FORBIDDEN, Way.UNAUTHORIZED, Way.UNLOGGED),
            keeps=_TOKEN_LIFE,
            unsent=True,
            since=case.changed(about, ("",)),
        ),
    )


def _minting(case: Passage, settings: SubscriptionSettings, project: ProjectInfo, answer: Grant) -> Iterator[Finding]:
    agent, account = project.pubsub_agent, settings.push_account
    if answer.unknown and not case.vouched:
        says = f"whether Google's Pub/Sub agent may mint tokens for {account} could not be told"
        yield _cannot_tell(case, subjects.account(account), says, answer)
    if not answer.missing:
        return
    about = About(frozenset({f"serviceAccounts/{account}", f"projects/{project.project}"}), frozenset({"SetIamPolicy"}))
    yield from _judged(
        case,
        _Wrong(
            MINTING,
            _cannot_mint(agent, account, answer),
            ("DenyPolicies",) if answer.denial else ("PushAccountPolicy", "ProjectPolicy"),
            about,
            subjects.account(account),
            _without_token(case),
            keeps=_TOKEN_LIFE,
            unsent=True,
            since=answer.denial.since if answer.denial else taken(_member(agent), MINT, case.made(about)),
            mend=""
            if answer.denial
            else command(
                "gcloud iam service-accounts add-iam-policy-binding {account} --project={project} --member={member} "
                "--role={role}",
                account=account,
                project=project.project,
                member=_member(agent),
                role=MINT.role,
            ),
            tells=answer.settled_by,
        ),
    )


def _without_token(case: Passage) -> tuple[Way, ...]:
    """The ways in which pushes are turned away for want of a token: a caller that Google says has no permission came with one."""
    forbidden = case.door.turned.get(Way.FORBIDDEN)
    return (Way.UNLOGGED,) if forbidden and _lacks(forbidden) else (Way.FORBIDDEN, Way.UNLOGGED)


def _cannot_mint(agent: str, account: str, answer: Grant) -> str:
    if answer.denial:
        return answer.denial.says
    return f"{agent} has neither {MINT.role} on {account} nor roles/pubsub.serviceAgent on the project ({answer.why})"


def _judged(case: Passage, wrong: _Wrong) -> Iterator[Finding]:
    """A fault, unless pushes get in all the same."""
    if case.refuted(wrong.about, wrong.keeps):
        proven = case.door.proven
        if not case.vouched and proven is not None:
            says = f"{wrong.says}; yet a push got in at {clock(proven, case.now)}, and no change since is known"
            unsettled = Grant(Held.UNKNOWN, settled_by=wrong.tells, what=wrong.rests_on[0])
            yield _cannot_tell(case, wrong.subject, says, unsettled)
        return
    stops = case.stops(*wrong.seen_as) or (wrong.unsent and case.nothing_sent)
    bears = Bears.HOLDS if stops and case.least else Bears.APART
    yield wrong.code.says(
        Status.FAULT,
        wrong.says,
        leg=case.leg,
        bears=bears,
        held=case.least if bears is Bears.HOLDS else 0,
        since=wrong.since,
        subject=wrong.subject,
        rests_on=wrong.rests_on,
        tells=Mended(mend=wrong.mend or None),
    )


def _cannot_tell(case: Passage, about: Subject | None, sentence: str, answer: Grant) -> Finding:
    why = f": {answer.why}" if answer.why else ""
    return UNSEEN.says(
        Status.UNKNOWN,
        sentence + why,
        leg=case.leg,
        subject=about,
        rests_on=(answer.what,) if answer.what else (),
        tells=Hidden(permission=answer.permission, mend=answer.settled_by),
    )


def _pushing(settings: SubscriptionSettings) -> About:
    return About(frozenset({f"subscriptions/{short(settings.name)}"}))


def _serving(target: ServiceSettings) -> About:
    return About(frozenset({f"services/{target.name}"}))


def _member(account: str) -> str:
    return f"serviceAccount:{account}"
