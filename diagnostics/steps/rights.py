"""The right to publish, as both legs' steps ask after it: where its changes are told, and whether it was there all along."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from diagnostics.evidence.model import Change, ChangeLog, Leg, ProjectPolicy, Revisions, TopicPolicy, Unseen
from diagnostics.readings.grants import PUBLISH, held_all_along, ran_as
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Status
from diagnostics.steps.words import short


def of_topic(topic: str, log: ChangeLog) -> list[Change]:
    """Changes of who may do what with the topic, on itself or its project. `topic`: its full name."""
    about = {f"topics/{short(topic)}", f"projects/{topic.split('/')[1]}"}
    return [c for c in log.changes if c.ok and c.resource in about]


def held(
    code: Code,
    leg: Leg,
    account: str,
    topic: str,
    policies: tuple[TopicPolicy | Unseen, ProjectPolicy | Unseen],
    revisions: Revisions | Unseen,
    log: ChangeLog,
    since: datetime | None,
    refused: datetime | None,
) -> Iterator[Finding]:
    """That the account was refused at `refused` though it held the role, and was given none since the batch began, at `since`. Not where
    a revision of the publisher ran as another account, or nobody sees: it may have been that one which was refused."""
    if refused is None or since is None or ran_as(revisions) != {account}:
        return
    member, changes = f"serviceAccount:{account}", of_topic(topic, log)
    if held_all_along(member, PUBLISH, *policies, log=log, changes=changes, since=since, refused=refused):
        yield code.says(
            Status.OK,
            f"{account} holds a role to publish, and the audit log has none given to it since the batch began: what refused it is "
            "something else, or was (a deny policy, VPC Service Controls)",
            leg=leg,
            subject=subjects.account(account),
            rests_on=("TopicPolicy", "ProjectPolicy", "ChangeLog", "Revisions"),
        )
