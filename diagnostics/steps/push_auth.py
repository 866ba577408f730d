"""May the push identity call the service? Configuration says what should happen, the request log says who refused.

An acknowledged push proves sign-in, whatever a policy hides. A policy that could not be read is unknown, never missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from diagnostics.evidence.model import (
    OUR_USER_AGENT,
    Leg,
    LiveHealth,
    LogRow,
    ProjectInfo,
    ProjectPolicy,
    PushAccount,
    PushAccountPolicy,
    PushCounts,
    RequestLog,
    ServiceConfig,
    ServicePolicy,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.readings.ledger import Ledger
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status
from diagnostics.steps.routed import elsewhere
from diagnostics.steps.words import RECENT, by_class, clock, count, names, owed

PROVEN = Code("push_auth.proven", Stage.DELIVERED, "pushes are acknowledged, so sign-in works")
GRANTED = Code("push_auth.granted", Stage.DELIVERED, "the configuration lets the push account in")
REFUSED = Code("push_auth.refused", Stage.DELIVERED, "Google's front end refuses pushes", Kind.EFFECT)
NO_TOKEN = Code(
    "push_auth.no_token", Stage.DELIVERED, "pushes carry no token and the service wants one", Kind.MECHANISM
)
INVOKER = Code("push_auth.invoker", Stage.DELIVERED, "the push account may not invoke the service", Kind.MECHANISM)
AUDIENCE = Code(
    "push_auth.audience", Stage.DELIVERED, "the service does not accept the token's audience", Kind.MECHANISM
)
ACCOUNT = Code("push_auth.account", Stage.DELIVERED, "the push account is disabled or gone", Kind.MECHANISM)
MINTING = Code(
    "push_auth.minting",
    Stage.DELIVERED,
    "Google's Pub/Sub agent may not mint tokens for the push account",
    Kind.MECHANISM,
)
INGRESS = Code("push_auth.ingress", Stage.DELIVERED, "the service's ingress does not admit the push", Kind.MECHANISM)
SILENT = Code(
    "push_auth.silent", Stage.DELIVERED, "pushes are refused and the service's log shows nothing of them", Kind.EFFECT
)
FOREIGN = Code("push_auth.foreign", Stage.DELIVERED, "the refusals in the log are not pushes")
LIVE = Code("push_auth.live", Stage.DELIVERED, "a live call with the push identity", Kind.EFFECT)
UNSEEN = Code("push_auth.unseen", Stage.DELIVERED, "sign-in could not be checked")

INVOKER_ROLES = ("roles/run.invoker", "roles/run.admin", "roles/run.servicesInvoker", "roles/editor", "roles/owner")
MINTER_ROLES = (
    "roles/iam.serviceAccountTokenCreator",
    "roles/pubsub.serviceAgent",
    "roles/iam.serviceAccountOpenIdTokenCreator",
)


def push_auth(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig,
    service: ServiceConfig,
    policy: ServicePolicy | Unseen,
    project_policy: ProjectPolicy | Unseen,
    project: ProjectInfo | Unseen,
    account: PushAccount | Unseen,
    account_policy: PushAccountPolicy | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    live: LiveHealth | Unseen,
) -> Iterator[Finding]:
    """Reads endpoint, audience, invoker, token creator and ingress, then who refused what."""
    settings, target = subscription.settings, service.settings
    if settings is None or target is None or not settings.push_endpoint or elsewhere(settings, target):
        return
    least, _ = owed(ledger, leg)
    refused, foreign = _refusals(log)
    recent = {} if isinstance(pushes, Unseen) else by_class(pushes.series, pushes.source.as_of - RECENT)
    refused_now = [r for r in refused if r.at > now - RECENT]
    fine_now = bool(recent.get("ack")) and not (
        refused_now or (isinstance(log, Unseen) and "remote_server_4xx" in recent)
    )
    hits = not fine_now and bool(recent.get("remote_server_4xx") or recent.get("internal") or refused)
    bears = (Bears.HOLDS if least else Bears.SLOWS) if hits else Bears.APART
    unverified = any(r.status == 401 for r in refused)
    checks = list(
        _configured(
            settings,
            target,
            policy,
            project_policy,
            project,
            account,
            account_policy,
            hits,
            unverified,
            leg,
            bears,
            least,
        )
    )
    if fine_now:
        yield PROVEN.says(
            Status.OK,
            f"{count(recent['ack'], 'push')} acked in the last 5 min and none refused by Google's front end",
            leg=leg,
            rests_on=("PushCounts",),
        )
        checks = [c for c in checks if c.status is not Status.UNKNOWN]
    yield from checks
    if refused:
        codes = sorted({r.status for r in refused})
        yield REFUSED.says(
            Status.FAULT if not fine_now else Status.OK,
            f"{count(len(refused), 'push')} refused by Google's front end with {', '.join(map(str, codes))}: “{refused[-1].text[:90]}”",
            leg=leg,
            bears=bears,
            held=least if bears is Bears.HOLDS else 0,
            since=refused[0].at,
            rests_on=("RequestLog",),
            numbers={"refused": len(refused)},
            words={"statuses": ",".join(map(str, codes))},
        )
    elif (
        recent.get("remote_server_4xx") and not recent.get("ack") and not isinstance(log, Unseen) and not _any_push(log)
    ):
        yield SILENT.says(
            Status.FAULT,
            f"{count(recent['remote_server_4xx'], 'push')} refused with a 4xx in the last 5 min and none of them in the request log: "
            "ingress, a switched-off default URL, or VPC Service Controls",
            leg=leg,
            bears=Bears.HOLDS if least else Bears.APART,
            held=least,
            rests_on=("PushCounts", "RequestLog"),
        )
    if foreign:
        agents = names({_agent(r) for r in foreign})
        paths = names({r.path.split("?")[0] for r in foreign})
        yield FOREIGN.says(
            Status.OK,
            f"{len(foreign)} × {', '.join(sorted({str(r.status) for r in foreign}))} are no pushes: {agents} on {paths}",
            leg=leg,
            since=foreign[0].at,
            rests_on=("RequestLog",),
            numbers={"foreign": len(foreign)},
        )
    if not isinstance(live, Unseen):
        yield from _live(leg, live, now, bears)
    if not checks and not fine_now:
        yield GRANTED.says(
            Status.OK,
            f"{settings.push_account or 'anyone'} may call {target.name}",
            leg=leg,
            rests_on=("ServicePolicy",),
        )


def _configured(
    settings: SubscriptionSettings,
    target: ServiceSettings,
    policy: ServicePolicy | Unseen,
    project_policy: ProjectPolicy | Unseen,
    project: ProjectInfo | Unseen,
    account: PushAccount | Unseen,
    account_policy: PushAccountPolicy | Unseen,
    hits: bool,
    unverified: bool,
    leg: Leg,
    bears: Bears,
    least: int,
) -> Iterator[Finding]:
    """What the configuration alone forbids. Nothing for what it allows."""
    held = least if bears is Bears.HOLDS else 0

    def fault(code: Code, sentence: str, *rests: str) -> Finding:
        return code.says(Status.FAULT, sentence, leg=leg, bears=bears, held=held, rests_on=rests)

    def unknown(code: Code, sentence: str, unseen: Unseen) -> Finding:
        return code.says(
            Status.UNKNOWN,
            f"{sentence}: {unseen.says}",
            leg=leg,
            rests_on=(unseen.what,),
            words={"permission": unseen.permission, "mend": unseen.mend, "why": unseen.why.value},
        )

    if target.default_uri_disabled and ".run.app" in settings.push_endpoint:
        yield fault(
            INGRESS,
            f"the default URL of {target.name} is switched off: pushes get a 404 that no log shows",
            "ServiceConfig",
        )
    if target.ingress == "none":
        yield fault(INGRESS, f"ingress of {target.name} admits nobody", "ServiceConfig")
    if target.invoker_iam_disabled:
        return
    public = not isinstance(policy, Unseen) and "allUsers" in policy.members("roles/run.invoker")
    if public:
        return
    if not settings.push_account:
        yield fault(NO_TOKEN, f"{target.name} wants a signed-in caller and pushes carry no token", "SubscriptionConfig")
        return
    if not _accepts(target, settings.effective_audience, strict=unverified):
        yield fault(
            AUDIENCE,
            f"audience {settings.effective_audience} is neither a URL of {target.name} ({target.uri}) nor a custom audience",
            "SubscriptionConfig",
            "ServiceConfig",
        )
    member = f"serviceAccount:{settings.push_account}"
    if isinstance(policy, Unseen):
        yield unknown(UNSEEN, f"whether {settings.push_account} may invoke {target.name} could not be seen", policy)
    elif member not in policy.members(*INVOKER_ROLES):
        if isinstance(project_policy, Unseen) and not hits:
            yield unknown(UNSEEN, "an invoker grant on the project could not be seen", project_policy)
        elif isinstance(project_policy, Unseen) or member not in project_policy.members(*INVOKER_ROLES):
            conditional = member in policy.conditional(*INVOKER_ROLES)
            yield fault(
                INVOKER,
                f"{settings.push_account} has "
                + ("only a conditional invoker grant" if conditional else "no roles/run.invoker")
                + f" on {target.name}",
                "ServicePolicy",
                "ProjectPolicy",
            )
    if not isinstance(account, Unseen) and (not account.exists or account.disabled):
        state = "disabled" if account.exists else "gone"
        yield fault(ACCOUNT, f"push account {account.email} is {state}", "PushAccount")
    yield from _minting(settings, project, project_policy, account_policy, fault, unknown)


def _minting(
    settings: SubscriptionSettings,
    project: ProjectInfo | Unseen,
    project_policy: ProjectPolicy | Unseen,
    account_policy: PushAccountPolicy | Unseen,
    fault: Callable[..., Finding],
    unknown: Callable[..., Finding],
) -> Iterator[Finding]:
    """Any of three grants lets Google's agent mint; all places must be seen before one can be called missing."""
    question = f"whether Google's Pub/Sub agent may mint tokens for {settings.push_account} could not be seen"
    if isinstance(project, Unseen):
        yield unknown(UNSEEN, question, project)
        return
    agent = f"serviceAccount:{project.pubsub_agent}"
    places = (account_policy, project_policy)
    if any(not isinstance(p, Unseen) and agent in p.members(*MINTER_ROLES) for p in places):
        return
    if hidden := [p for p in places if isinstance(p, Unseen)]:
        yield unknown(UNSEEN, question, hidden[0])
        return
    yield fault(
        MINTING,
        f"{project.pubsub_agent} has neither roles/iam.serviceAccountTokenCreator on {settings.push_account} "
        "nor roles/pubsub.serviceAgent on the project",
        "PushAccountPolicy",
        "ProjectPolicy",
    )


def _accepts(target: ServiceSettings, audience: str, strict: bool) -> bool:
    """Whether Cloud Run takes this audience: a URL of the service, or a custom audience to the letter.

    Google's pages do not say whether a URL with a path is taken (the default audience is one): it is given the benefit of the
    doubt until a token was refused as unverifiable (strict).
    """
    if audience in target.custom_audiences:
        return True
    known = {u.split("://", 1)[-1].split("/", 1)[0].lower() for u in (*target.urls, target.uri)}
    host, _, path = audience.removeprefix("https://").partition("/")
    return audience.startswith("https://") and host.lower() in known and not (strict and path)


def _refusals(log: RequestLog | Unseen) -> tuple[list[LogRow], list[LogRow]]:
    """(pushes that Google's front end refused for sign-in, 401 and 403 answers that are no pushes)."""
    if isinstance(log, Unseen):
        return [], []
    denied = [
        r for r in log.refused if r.status in (401, 403) and not r.instance and OUR_USER_AGENT not in r.user_agent
    ]
    pushes = [r for r in denied if r.method == "POST" and r.path.split("?")[0] == log.push_path and not _uptime(r)]
    return pushes, [r for r in denied if r not in pushes]


def _ours(row: LogRow) -> bool:
    """Whether some version of this tool made the call."""
    return row.user_agent.startswith(OUR_USER_AGENT.split("/")[0])


def _uptime(row: LogRow) -> bool:
    return "UptimeChecks" in row.user_agent


def _agent(row: LogRow) -> str:
    return "uptime checks" if _uptime(row) else (row.user_agent.split("/")[0].split(" ")[0] or "unnamed callers")


def _any_push(log: RequestLog) -> bool:
    return any(r.path.split("?")[0] == log.push_path for r in (*log.refused, *log.fine))


def _live(leg: Leg, live: LiveHealth, now: datetime, bears: Bears) -> Iterator[Finding]:
    anonymous, signed = live.anonymous, live.authenticated
    if signed is None:
        yield LIVE.says(
            Status.UNKNOWN,
            f"no token could be minted for the push account: {live.minting}",
            leg=leg,
            rests_on=("LiveHealth",),
        )
        return
    said = f"live call at {clock(signed.at, now)}: without token {anonymous.status}, with the push account's token {signed.status}"
    if 200 <= signed.status < 300:
        yield LIVE.says(
            Status.OK,
            said + "; this proves invoker and audience, not that Google's agent may mint",
            leg=leg,
            rests_on=("LiveHealth",),
        )
    elif signed.status in (401, 403):
        yield LIVE.says(Status.FAULT, said, leg=leg, bears=bears, rests_on=("LiveHealth",))
    else:
        yield LIVE.says(
            Status.UNKNOWN, said + "; from this network that settles nothing", leg=leg, rests_on=("LiveHealth",)
        )
