"""May the worker publish completions? Where it was refused for want of the right: who takes it, and whether it is back. Where no
completion was published yet: what would refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from diagnostics.evidence.model import (
    AncestorPolicies,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    ItemMarks,
    Leg,
    Means,
    ProjectPolicy,
    PublishCounts,
    Revisions,
    ServiceConfig,
    Stage,
    TopicConfig,
    TopicPolicy,
    Unseen,
    total,
)
from diagnostics.readings.denials import sure_denial
from diagnostics.readings.grants import IN_FORCE, PUBLISH, Grant, given, holds, revoked
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.reasons import denied
from diagnostics.readings.topics import topic_set_at
from diagnostics.steps import rights, subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status, Telling
from diagnostics.steps.returned import asks
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, short


class Back(Tells, frozen=True, kw_only=True):
    back: str
    """When the worker was given a role to publish completions, in words."""


TAKEN = Code("returned.right_taken", Stage.RETURNED, "the worker's right to publish was taken from it", Kind.MECHANISM)
DENIED = Code("returned.denied", Stage.RETURNED, "a deny policy keeps the worker from publishing", Kind.MECHANISM)
LACKING = Code("returned.right_lacking", Stage.RETURNED, "the worker has no right to publish", Kind.MECHANISM)
HELD = Code("returned.right_held", Stage.RETURNED, "the worker had the role to publish all along")
BACK = Telling("returned.right_back", Stage.RETURNED, "the worker may publish completions again", tells=Back)


def may_report(
    ledger: Ledger,
    now: datetime,
    marks: ItemMarks | Unseen,
    topic: Annotated[TopicConfig | Unseen, Leg.COMPLETION],
    policy: Annotated[TopicPolicy | Unseen, Leg.COMPLETION],
    worker: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
    project_policy: ProjectPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen,
    deny: DenyPolicies | Unseen,
    changes: ChangeLog | Unseen,
    counts: Annotated[PublishCounts | Unseen, Leg.COMPLETION],
    revisions: Annotated[Revisions | Unseen, Leg.REQUEST],
) -> Iterator[Finding]:
    """Reads the policies, and the audit log for a role to publish that was given back since the batch was refused for want of it. Where
    nothing of the batch has come to be published yet, what lacks waits for the first completion: a deny policy takes the right, a role was
    taken, or none was ever given."""
    if isinstance(topic, Unseen) or isinstance(worker, Unseen) or worker.settings is None:
        return
    account = worker.settings.template.account
    if not account:
        return
    refused = _last_refused(ledger, marks)
    denies = sure_denial(account, PUBLISH.name, topic.name, deny, now)
    if denies and (refused or (denies.since and _untried(ledger, denies.since, counts))):
        yield DENIED.says(
            Status.WARNING,
            denies.says,
            leg=Leg.COMPLETION,
            subject=subjects.account(account),
            since=denies.since,
            rests_on=("DenyPolicies",) if refused else ("DenyPolicies", "PublishCounts"),
        )
        return
    member = f"serviceAccount:{account}"
    if refused is None:
        set_at = None if isinstance(changes, Unseen) else topic_set_at(topic.name, changes)
        ended = ledger.counts[Stage.PROCESSED].least if ledger.counts else 0
        if set_at and not ended and not _failed(ledger, marks) and _untried(ledger, set_at, counts):
            yield from asks.what_would_refuse(topic, worker.settings.region, set_at, now)
        granted = holds(member, PUBLISH, policy, project_policy, above, roles=roles, now=now)
        yield from _waits(ledger, now, topic.name, account, granted, changes, counts)
        return
    if isinstance(changes, Unseen):
        return
    if denies is None and not isinstance(deny, Unseen):
        policies, since = (policy, project_policy), ledger.started
        yield from rights.held(HELD, Leg.COMPLETION, account, topic.name, policies, revisions, changes, since, refused)
    made = rights.of_topic(topic.name, changes)
    back = given(member, PUBLISH, made) if revoked(member, PUBLISH, made) is None else None
    if back and ledger.started and ledger.started < back >= refused - IN_FORCE:
        yield BACK.says(
            Status.OK,
            f"{account} was given a role to publish at {clock(back, now)}, and no completion was refused for lack of it since",
            leg=Leg.COMPLETION,
            subject=subjects.account(account),
            since=back,
            rests_on=("ChangeLog", "ItemMarks"),
            tells=Back(back=clock(back, now)),
        )


def _failed(ledger: Ledger, marks: ItemMarks | Unseen) -> bool:
    """Whether a completion failed to be published since the batch began, or nobody sees."""
    if isinstance(marks, Unseen):
        return True
    errors = (m for m in marks.marks if m.means is Means.COMPLETION_ERROR)
    return any(not ledger.started or m.at >= ledger.started for m in errors)


def _waits(
    ledger: Ledger,
    now: datetime,
    topic: str,
    account: str,
    granted: Grant,
    changes: ChangeLog | Unseen,
    counts: PublishCounts | Unseen,
) -> Iterator[Finding]:
    """A role that was taken and not given back, or that nobody ever gave, waits for the first completion of an open batch; unless another
    role carries the right."""
    if granted.granted:
        return
    at = (
        None
        if isinstance(changes, Unseen)
        else revoked(f"serviceAccount:{account}", PUBLISH, rights.of_topic(topic, changes))
    )
    if at and _untried(ledger, at, counts):
        yield TAKEN.says(
            Status.WARNING,
            f"a role to publish to {short(topic)} was taken from {account} at {clock(at, now)} and not given back; no completion was "
            "published since",
            leg=Leg.COMPLETION,
            subject=subjects.account(account),
            since=at,
            rests_on=("ChangeLog", "ItemMarks", "PublishCounts"),
        )
    elif at is None and granted.missing and _first(ledger, counts):
        yield LACKING.says(
            Status.WARNING,
            f"{account} has no {PUBLISH.role} on {short(topic)} or on the project ({granted.why}), and nothing was published there yet",
            leg=Leg.COMPLETION,
            subject=subjects.account(account),
            rests_on=("TopicPolicy", "ProjectPolicy", "PublishCounts"),
        )


def _first(ledger: Ledger, counts: PublishCounts | Unseen) -> bool:
    """Whether an open batch is the first of which a completion would be published, as far as is seen."""
    if ledger.attempt is None or ledger.attempt.closed or ledger.last_good or isinstance(counts, Unseen):
        return False
    back = any(x.stage in (Stage.RETURNED, Stage.RECORDED) and x.last for x in ledger.lives)
    return not back and counts.source.complete and not total(counts.messages)


def _untried(ledger: Ledger, at: datetime, counts: PublishCounts | Unseen) -> bool:
    """Whether an open batch has yet to meet what was so made at that time: nothing was published since, and no batch was done."""
    attempt, good, since = ledger.attempt, ledger.last_good, at + IN_FORCE
    if attempt is None or not ledger.started or attempt.closed or (good and good.started > at):
        return False
    back = any(x.stage in (Stage.RETURNED, Stage.RECORDED) and x.last and x.last > since for x in ledger.lives)
    return not back and (isinstance(counts, Unseen) or not total(counts.messages, since))


def _last_refused(ledger: Ledger, marks: ItemMarks | Unseen) -> datetime | None:
    """When the worker was last refused for want of the right since the batch began."""
    if isinstance(marks, Unseen):
        return None
    of_completions = (m for m in marks.marks if m.means is Means.COMPLETION_ERROR and denied(m.words.get("reason", "")))
    return max((m.at for m in of_completions if not ledger.started or m.at >= ledger.started), default=None)
