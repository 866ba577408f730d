"""Is the push account there, and may Google's agent mint tokens for it?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from diagnostics.evidence.model import (
    AncestorPolicies,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    Leg,
    ProjectInfo,
    ProjectPolicy,
    PushAccount,
    PushAccountPolicy,
    PushCounts,
    RequestLog,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.readings.admission import Way
from diagnostics.readings.grants import MINT, Grant, at_home, hidden, holds, taken
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.passage import About, Passage, passage
from diagnostics.shell.commands import command
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Kind, Telling
from diagnostics.steps.push_auth.judged import TOKEN_LIFE, Wrong, cannot_tell, judged, lacks_the_right, member_of
from diagnostics.steps.tells import Mended

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
            yield cannot_tell(case, subjects.account(settings.push_account), question, hidden(project))
        return
    agent = member_of(project.pubsub_agent)
    answer = holds(agent, MINT, account_policy, project_policy, above, roles=roles, deny=deny, now=now)
    yield from _minting(case, settings, project, answer)


def _account(case: Passage, settings: SubscriptionSettings, account: PushAccount) -> Iterator[Finding]:
    about = About(frozenset({f"serviceAccounts/{settings.push_account}"}))
    yield from judged(
        case,
        Wrong(
            ACCOUNT,
            f"push account {account.email} is {'disabled' if account.exists else 'gone'}",
            ("PushAccount",),
            about,
            subjects.account(account.email),
            (Way.FORBIDDEN, Way.UNAUTHORIZED, Way.UNLOGGED),
            keeps=TOKEN_LIFE,
            unsent=True,
            since=case.changed(about, ("",)),
        ),
    )


def _minting(case: Passage, settings: SubscriptionSettings, project: ProjectInfo, answer: Grant) -> Iterator[Finding]:
    agent, account = project.pubsub_agent, settings.push_account
    if answer.unknown and not case.vouched:
        says = f"whether Google's Pub/Sub agent may mint tokens for {account} could not be told"
        yield cannot_tell(case, subjects.account(account), says, answer)
    if not answer.missing:
        return
    about = About(frozenset({f"serviceAccounts/{account}", f"projects/{project.project}"}), frozenset({"SetIamPolicy"}))
    yield from judged(
        case,
        Wrong(
            MINTING,
            _cannot_mint(agent, account, answer),
            ("DenyPolicies",) if answer.denial else ("PushAccountPolicy", "ProjectPolicy"),
            about,
            subjects.account(account),
            _without_token(case),
            keeps=TOKEN_LIFE,
            unsent=True,
            since=answer.denial.since if answer.denial else taken(member_of(agent), MINT, case.made(about)),
            mend=""
            if answer.denial
            else command(
                "gcloud iam service-accounts add-iam-policy-binding {account} --project={project} --member={member} "
                "--role={role}",
                account=account,
                project=project.project,
                member=member_of(agent),
                role=MINT.role,
            ),
            tells=answer.settled_by,
        ),
    )


def _without_token(case: Passage) -> tuple[Way, ...]:
    """The ways in which pushes are turned away for want of a token: a caller that Google says has no permission came with one."""
    forbidden = case.door.turned.get(Way.FORBIDDEN)
    return (Way.UNLOGGED,) if forbidden and lacks_the_right(forbidden) else (Way.FORBIDDEN, Way.UNLOGGED)


def _cannot_mint(agent: str, account: str, answer: Grant) -> str:
    if answer.denial:
        return answer.denial.says
    return f"{agent} has neither {MINT.role} on {account} nor roles/pubsub.serviceAgent on the project ({answer.why})"
