"""What the request topic itself shows: does it exist, does Pub/Sub take what is published, does anything arrive on it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from diagnostics.evidence.model import (
    AncestorPolicies,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    Leg,
    ProjectPolicy,
    PublishCounts,
    QuotaExceeded,
    Revisions,
    ServiceConfig,
    Stage,
    TopicConfig,
    TopicPolicy,
    Unseen,
    total,
)
from diagnostics.readings.answers import RECENT
from diagnostics.readings.arrived import astray
from diagnostics.readings.denials import Denial, sure_denial
from diagnostics.readings.grants import IN_FORCE, PUBLISH, given, holds, revoked
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.refusals import PUT_OFF, given_up, lost, overtaken
from diagnostics.steps import rights, subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Subject, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, count, short


class Refused(Tells, frozen=True, kw_only=True):
    """Publish requests that were answered with one code since the batch began; without a batch, in the last five minutes."""

    refused: float
    recent: float
    """Of those in the last five minutes."""
    code: str
    """google.rpc.Code, as the counter has it."""


class Quota(Tells, frozen=True, kw_only=True):
    metric: str
    """quota_metric, "?" where it is not labelled."""


class Elsewhere(Tells, frozen=True, kw_only=True):
    sent: int
    """Items that the coordinator says it published."""


class Back(Tells, frozen=True, kw_only=True):
    back: str
    """When the coordinator was given a role to publish, in words."""


REFUSED = Telling("published.refused", Stage.PUBLISHED, "Pub/Sub refuses publish requests", Kind.EFFECT, tells=Refused)
DEFERRED = Telling(
    "published.deferred", Stage.PUBLISHED, "Pub/Sub puts publish requests off", Kind.EFFECT, tells=Refused
)
QUOTA = Telling("published.quota", Stage.PUBLISHED, "a Pub/Sub quota was exceeded", Kind.MECHANISM, tells=Quota)
TAKEN = Code(
    "published.right_taken", Stage.PUBLISHED, "the coordinator's right to publish was taken away", Kind.MECHANISM
)
LACKING = Code("published.right_lacking", Stage.PUBLISHED, "the coordinator has no right to publish", Kind.MECHANISM)
DENIED = Code(
    "published.denied", Stage.PUBLISHED, "a deny policy keeps the coordinator from publishing", Kind.MECHANISM
)
HELD = Code("published.right_held", Stage.PUBLISHED, "the coordinator had the role to publish all along")
BACK = Telling("published.right_back", Stage.PUBLISHED, "the coordinator may publish again", tells=Back)
MISSING = Code("published.topic_missing", Stage.PUBLISHED, "the request topic does not exist", Kind.MECHANISM)
ELSEWHERE = Telling(
    "published.elsewhere",
    Stage.PUBLISHED,
    "what the coordinator published did not arrive on the topic",
    Kind.EFFECT,
    tells=Elsewhere,
)
QUIET = Code("published.quiet", Stage.PUBLISHED, "nothing was published lately")

_DENIED = "permission_denied"
_HOUR = timedelta(hours=1)
"""What the command that looks at publishing alone calls lately."""


def topic(
    ledger: Ledger,
    now: datetime,
    config: Annotated[TopicConfig | Unseen, Leg.REQUEST],
    counts: Annotated[PublishCounts | Unseen, Leg.REQUEST],
    quota: QuotaExceeded | Unseen,
) -> Iterator[Finding]:
    """Reads the topic, its publish counters and the quota metric. Counters are the whole topic's: others publish there, too."""
    since = ledger.started - timedelta(minutes=1) if ledger.started else None
    failed = ledger.attempt.failed_to_publish if ledger.attempt else 0
    missing = max(ledger.gap(Stage.PUBLISHED)[0], failed) if ledger.counts else 0
    if not isinstance(config, Unseen) and config.settings is None:
        yield MISSING.says(
            Status.FAULT,
            f"topic {short(config.name)} does not exist",
            leg=Leg.REQUEST,
            bears=Bears.SLOWS if given_up(ledger) else _bears(missing),
            held=0 if given_up(ledger) else missing,
            subject=subjects.topic(config.name),
            rests_on=("TopicConfig",),
        )
    answered = [] if isinstance(counts, Unseen) else _refused(counts, since)
    share = _shares(ledger, answered, missing, counted=not isinstance(counts, Unseen) and counts.source.complete)
    about = None if isinstance(config, Unseen) else subjects.topic(config.name)
    if not isinstance(counts, Unseen):
        yield from (_refusal(one, share, now, about) for one in answered)
        yield from _elsewhere(ledger, counts, about)
        yield from _quiet(ledger, counts, now, about)
    if not isinstance(quota, Unseen):
        where = None if isinstance(config, Unseen) else subjects.project_of(config.name)
        yield from _quota(quota, since or now - _HOUR, now, share, where)


def may_publish(
    ledger: Ledger,
    now: datetime,
    config: Annotated[TopicConfig | Unseen, Leg.REQUEST],
    counts: Annotated[PublishCounts | Unseen, Leg.REQUEST],
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    policy: Annotated[TopicPolicy | Unseen, Leg.REQUEST],
    project: ProjectPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen,
    deny: DenyPolicies | Unseen,
    changes: ChangeLog | Unseen,
    revisions: Annotated[Revisions | Unseen, Leg.COMPLETION],
) -> Iterator[Finding]:
    """Reads which deny policy refuses what is published, or would; whether the policies give the right at all; and the audit log for a
    right that was taken from the coordinator, which nobody may have noticed yet: a topic that took a message since, and another grant,
    show that it publishes all the same. And for one that was given back since the batch was refused for want of it."""
    if isinstance(config, Unseen) or isinstance(coordinator, Unseen):
        return
    if coordinator.settings is None or not coordinator.settings.template.account:
        return
    account = coordinator.settings.template.account
    member = f"serviceAccount:{account}"
    refused = _last_denied(ledger, counts)
    denies = sure_denial(account, PUBLISH.name, config.name, deny, now)
    yield from _denied(ledger, account, denies, counts, refused)
    granted = holds(member, PUBLISH, policy, project, above, roles=roles, now=now)
    if granted.missing and refused is None and _first(ledger, counts):
        yield LACKING.says(
            Status.WARNING,
            f"{account} has no {PUBLISH.role} on {short(config.name)} or on the project ({granted.why}), and nothing was published there "
            "yet",
            leg=Leg.REQUEST,
            subject=subjects.account(account),
            rests_on=("TopicPolicy", "ProjectPolicy", "PublishCounts"),
        )
        return
    if isinstance(changes, Unseen):
        return
    if denies is None and not isinstance(deny, Unseen):
        policies, since = (policy, project), ledger.started
        yield from rights.held(HELD, Leg.REQUEST, account, config.name, policies, revisions, changes, since, refused)
    made = rights.of_topic(config.name, changes)
    at, back = revoked(member, PUBLISH, made), given(member, PUBLISH, made)
    if back and at is None and refused and ledger.started and ledger.started < back >= refused - IN_FORCE:
        yield BACK.says(
            Status.OK,
            f"{account} was given a role to publish at {clock(back, now)}, and nothing of this batch was refused for lack of it since",
            leg=Leg.REQUEST,
            subject=subjects.account(account),
            since=back,
            rests_on=("ChangeLog", "BatchMarks", "PublishCounts"),
            tells=Back(back=clock(back, now)),
        )
    if at is None or granted.granted:
        return
    if isinstance(counts, Unseen) or total(counts.messages, at + timedelta(minutes=1)):
        return
    met = 0 if given_up(ledger) else _denied_here(ledger, counts)
    yield TAKEN.says(
        Status.WARNING,
        f"{account} lost a role to publish to {short(config.name)} at {clock(at, now)}, and the topic has taken nothing since",
        leg=Leg.REQUEST,
        bears=_bears(met),
        held=met,
        subject=subjects.account(account),
        since=at,
        rests_on=("ChangeLog", "PublishCounts", "ProjectPolicy"),
    )


def _denied(
    ledger: Ledger, account: str, denies: Denial | None, counts: PublishCounts | Unseen, refused: datetime | None
) -> Iterator[Finding]:
    """What surely takes the right to publish: refusals for want of it were seen, or nothing was published since it was made."""
    if denies and (refused or (denies.since and _untried(ledger, denies.since + IN_FORCE, counts))):
        yield DENIED.says(
            Status.WARNING,
            denies.says,
            leg=Leg.REQUEST,
            subject=subjects.account(account),
            since=denies.since,
            rests_on=("DenyPolicies",) if refused else ("DenyPolicies", "PublishCounts"),
        )


def _untried(ledger: Ledger, since: datetime, counts: PublishCounts | Unseen) -> bool:
    """Whether nothing was published since, as far as is seen: by the counter, which is minutes late, by lines of this batch, or by a
    batch that was done."""
    good, here = ledger.last_good, ledger.counts.get(Stage.PUBLISHED)
    if isinstance(counts, Unseen) or total(counts.messages, since) or (good and good.started > since):
        return False
    return not (ledger.started and ledger.started > since and here and here.least)


def _first(ledger: Ledger, counts: PublishCounts | Unseen) -> bool:
    """Whether nothing was published yet, as far as is seen: by this batch, or by any before it. The counter is minutes late."""
    here = ledger.counts.get(Stage.PUBLISHED)
    if ledger.last_good or (here and here.least) or isinstance(counts, Unseen):
        return False
    return counts.source.complete and not total(counts.messages)


def _denied_here(ledger: Ledger, counts: PublishCounts) -> int:
    """Items of the batch that this topic refused for want of a right, whatever took it."""
    if not any(one.code == _DENIED for one in _refused(counts, ledger.started)):
        return 0
    return sum(each.items for each in lost(ledger.attempt) if each.code == _DENIED)


def _last_denied(ledger: Ledger, counts: PublishCounts | Unseen) -> datetime | None:
    """When something was last refused for want of a right since the batch began, as far as lines and counters tell."""
    counted = [] if isinstance(counts, Unseen) else _refused(counts, ledger.started)
    times = [m.at for each in lost(ledger.attempt) if each.code == _DENIED for m in each.marks]
    return max([*times, *(one.until for one in counted if one.code == _DENIED and one.until)], default=None)


@dataclass(frozen=True)
class _Refused:
    """Publish requests that were answered with one code."""

    code: str
    count: float
    recent: float
    since: datetime | None
    until: datetime | None

    @property
    def put_off(self) -> bool:
        return self.code in PUT_OFF


def _refused(counts: PublishCounts, since: datetime | None) -> list[_Refused]:
    """Refused requests by code, since the batch began; without a batch, those of now."""
    recently = counts.source.as_of - RECENT
    found = []
    for one in counts.requests:
        points = [p for p in one.within(since or recently) if p.value > 0]
        if one.labels.get("response_class") in ("", "success") or not points:
            continue
        code = one.labels.get("response_code", "?")
        number = sum(p.value for p in points)
        found.append(_Refused(code, number, one.total(recently), points[0].start, points[-1].end))
    return found


def refused_since(counts: PublishCounts, since: datetime | None) -> frozenset[str]:
    """Codes of the requests that were refused for good since a moment; without one, of now."""
    found = _refused(counts, since - timedelta(minutes=1) if since else None)
    return frozenset(one.code for one in found if not one.put_off)


class _Shares(NamedTuple):
    """Items of the batch that were not published, by why not."""

    by_code: dict[str, int]
    put_off: int
    """Of those that were tried again until the client gave up."""
    moot: bool = False
    """What was put off would have been refused for good all the same."""
    given_up: bool = False
    """The batch was lowered to what was published, and waits for none of them."""

    def holds(self, items: int, put_off: bool) -> tuple[Bears, int]:
        """What it means for the batch that so many were refused, and how many of those it waits for."""
        past = self.given_up or (put_off and self.moot)
        return (Bears.SLOWS if items or put_off else Bears.APART, 0) if past else (_bears(items), items)


def _shares(ledger: Ledger, answered: list[_Refused], missing: int, counted: bool) -> _Shares:
    """What the coordinator's lines say of each code. Where they say nothing, and all refusals are of one code, it is that one's doing."""
    told = lost(ledger.attempt)
    by_code = {each.code: each.items for each in told}
    codes = {one.code for one in answered}
    if not any(each.code for each in told):
        by_code = {next(iter(codes)): missing} if len(codes) == 1 else {}
    final = [c for c in (*by_code, *codes) if c and c not in PUT_OFF]
    put_off = sum(n for code, n in by_code.items() if code in PUT_OFF)
    if counted and not codes and not told:
        return _Shares(by_code, 0, overtaken(ledger), given_up(ledger))  # nothing was refused at all
    return _Shares(by_code, put_off or (0 if final else missing), overtaken(ledger), given_up(ledger))


def _refusal(one: _Refused, share: _Shares, now: datetime, about: Subject | None) -> Finding:
    met = share.put_off if one.put_off else share.by_code.get(one.code, 0)
    bears, held = share.holds(met, one.put_off)
    live = bool(one.recent) or (met > 0 and not share.given_up)
    return (DEFERRED if one.put_off else REFUSED).says(
        Status.FAULT if live else Status.OK,
        f"{count(one.count, 'publish request')} refused with {one.code}"
        + ("" if one.recent or not one.until else f", none since {clock(one.until, now)}"),
        leg=Leg.REQUEST,
        bears=bears,
        held=held,
        since=one.since,
        until=None if live else one.until,
        rests_on=("PublishCounts",),
        subject=about,
        tells=Refused(refused=one.count, recent=one.recent, code=one.code),
    )


_LATE = timedelta(minutes=15)
"""A metric that is older than this tells nothing of now: most are some minutes late (metrics list: "not visible for up to")."""


def _quota(
    quota: QuotaExceeded, since: datetime, now: datetime, share: _Shares, about: Subject | None
) -> Iterator[Finding]:
    """A quota that was exceeded holds what was put off for want of it, and nothing that was refused for another reason. Once the batch
    is lowered to what got through, it is past, and what it cost stays told."""
    for one in quota.series:
        points = [p for p in one.within(since) if p.value > 0]
        if not points:
            continue
        metric = one.labels.get("quota_metric", "?")
        bears, held = share.holds(share.put_off, True)
        newest = quota.source.as_of > now - _LATE and points[-1].end > quota.source.as_of - RECENT
        live = newest or (share.put_off > 0 and not share.given_up)
        yield QUOTA.says(
            Status.FAULT if live else Status.WARNING if share.put_off else Status.OK,
            f"quota {metric} was exceeded from {clock(points[0].start, now)} to {clock(points[-1].end, now)}",
            leg=Leg.REQUEST,
            bears=bears,
            held=held,
            since=points[0].start,
            until=None if live else points[-1].end,
            rests_on=("QuotaExceeded",),
            subject=about,
            tells=Quota(metric=metric),
        )


def _elsewhere(ledger: Ledger, counts: PublishCounts, about: Subject | None) -> Iterator[Finding]:
    """What the coordinator says that it published, and its topic never had, went to another topic; never more than probably."""
    missing, told = astray(ledger, counts), ledger.attempt.published if ledger.attempt else None
    if not missing or told is None:
        return
    sent = ledger.counts[Stage.PUBLISHED].least
    yield ELSEWHERE.says(
        Status.FAULT,
        f"the coordinator says that it published {sent}; the topic's own counter shows none of them",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        held=missing,
        since=told.at,
        rests_on=("BatchMarks", "PublishCounts"),
        subject=about,
        tells=Elsewhere(sent=sent),
    )


def _quiet(ledger: Ledger, counts: PublishCounts, now: datetime, about: Subject | None) -> Iterator[Finding]:
    """Not an all-clear: whether something should have been published, the topic cannot tell."""
    if total(counts.messages, counts.source.as_of - _HOUR):
        return
    latest = ledger.attempts[-1] if ledger.attempts else None
    yield QUIET.says(
        Status.IDLE,
        f"nothing was published in the hour before {clock(counts.source.as_of, now)}"
        + (f"; the latest start call is of {clock(latest.started, now)}" if latest else "; no start call is known"),
        leg=Leg.REQUEST,
        subject=about,
        rests_on=("PublishCounts",),
    )


def _bears(held: int) -> Bears:
    return Bears.HOLDS if held else Bears.APART
