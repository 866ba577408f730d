"""May the worker publish completions? Asked where it was refused for want of the right: who takes it, and whether it is back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import (
    ChangeLog,
    DenyPolicies,
    ItemMarks,
    Leg,
    Means,
    ServiceConfig,
    Stage,
    TopicConfig,
    Unseen,
)
from diagnostics.readings.denials import denial
from diagnostics.readings.grants import PUBLISH, given, revoked
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.reasons import denied
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, short


class Back(Tells, frozen=True, kw_only=True):
    back: str
    """When the worker was given a role to publish completions, in words."""


DENIED = Code("returned.denied", Stage.RETURNED, "a deny policy keeps the worker from publishing", Kind.MECHANISM)
BACK = Telling("returned.right_back", Stage.RETURNED, "the worker may publish completions again", tells=Back)

_IN_FORCE = timedelta(minutes=7)
"""So long a change of IAM may take until it is in force (IAM: access change propagation)."""


def may_report(
    ledger: Ledger,
    now: datetime,
    marks: ItemMarks | Unseen,
    topic: Annotated[TopicConfig | Unseen, Leg.COMPLETION],
    worker: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
    deny: DenyPolicies | Unseen,
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """Reads the deny policies, and the audit log for a role to publish that was given back since the batch was refused for want of it."""
    refused = _last_refused(ledger, marks)
    if refused is None or isinstance(topic, Unseen) or isinstance(worker, Unseen) or worker.settings is None:
        return
    account, project = worker.settings.template.account, topic.name.split("/")[1]
    if not account:
        return
    if not isinstance(deny, Unseen) and project in (deny.project.split("/")[1], deny.within[0].split("/")[1]):
        found = denial(account, PUBLISH.name, deny, now)
        if found and found.certain:
            yield DENIED.says(
                Status.WARNING,
                found.says,
                leg=Leg.COMPLETION,
                subject=subjects.account(account),
                since=found.since,
                rests_on=("DenyPolicies",),
            )
            return
    if isinstance(changes, Unseen):
        return
    about = {f"topics/{short(topic.name)}", f"projects/{project}"}
    member, made = f"serviceAccount:{account}", [c for c in changes.changes if c.ok and c.resource in about]
    back = given(member, PUBLISH, made) if revoked(member, PUBLISH, made) is None else None
    if back and ledger.started and ledger.started < back >= refused - _IN_FORCE:
        yield BACK.says(
            Status.OK,
            f"{account} was given a role to publish at {clock(back, now)}, and no completion was refused for want of it since",
            leg=Leg.COMPLETION,
            subject=subjects.account(account),
            since=back,
            rests_on=("ChangeLog", "ItemMarks"),
            tells=Back(back=clock(back, now)),
        )


def _last_refused(ledger: Ledger, marks: ItemMarks | Unseen) -> datetime | None:
    """When the worker was last refused for want of the right since the batch began."""
    if isinstance(marks, Unseen):
        return None
    of_completions = (m for m in marks.marks if m.means is Means.COMPLETION_ERROR and denied(m.words.get("reason", "")))
    return max((m.at for m in of_completions if not ledger.started or m.at >= ledger.started), default=None)
