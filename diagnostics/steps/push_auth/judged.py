"""Is what is amiss in the configuration a fault, by how pushes fare?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    LiveCall,
    ServiceConfig,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.readings.admission import Turned, Way
from diagnostics.readings.grants import Grant, Held
from diagnostics.readings.passage import About, Passage
from diagnostics.steps.finding import Bears, Finding, Status, Subject, Telling
from diagnostics.steps.routed.push_endpoint import elsewhere
from diagnostics.steps.tells import Hidden, Mended
from diagnostics.steps.words import clock, short

UNSEEN = Telling("push_auth.unseen", Stage.DELIVERED, "sign-in could not be checked", tells=Hidden)
TOKEN_LIFE = timedelta(hours=1)
"""Pub/Sub may use a token for so long: until then pushes get in with what was right when it was minted."""


@dataclass(frozen=True)
class Wrong:
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
    ended: datetime | None = None
    """When it became so by itself, with no change: pushes that got in before that tell nothing of it."""
    mend: str = ""
    tells: str = ""
    """The command that tells whether it is so."""


def judged(case: Passage, wrong: Wrong) -> Iterator[Finding]:
    """A fault, unless pushes get in all the same."""
    proven = case.door.proven
    outdated = proven is not None and wrong.ended is not None and proven <= wrong.ended + wrong.keeps
    hidden = isinstance(case.changes, Unseen)
    since = wrong.since or (proven if hidden else None)
    never = wrong.unsent and (case.nothing_sent or (since is not None and case.ceased(since)))
    stops = case.stops(*wrong.seen_as) or never
    since_then = hidden and stops  # it may have become so since the last push that got in
    if case.refuted(wrong.about, wrong.keeps) and not (outdated or since_then):
        if not case.vouched and proven is not None:
            says = f"{wrong.says}; yet a push got in at {clock(proven, case.now)}, and no change since is known"
            unsettled = Grant(Held.UNKNOWN, settled_by=wrong.tells, what=wrong.rests_on[0])
            yield cannot_tell(case, wrong.subject, says, unsettled)
        return
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


def cannot_tell(case: Passage, about: Subject | None, sentence: str, answer: Grant) -> Finding:
    why = f": {answer.why}" if answer.why else ""
    return UNSEEN.says(
        Status.UNKNOWN,
        sentence + why,
        leg=case.leg,
        subject=about,
        rests_on=(answer.what,) if answer.what else (),
        tells=Hidden(permission=answer.permission, mend=answer.settled_by),
    )


def pushed_here(subscription: SubscriptionConfig | Unseen, service: ServiceConfig | Unseen) -> bool:
    """Whether the subscription pushes, and to this service, as far as that is known."""
    if isinstance(subscription, Unseen):
        return True
    settings = subscription.settings
    if settings is None or not settings.push_endpoint:
        return False
    return isinstance(service, Unseen) or bool(service.settings and not elsewhere(settings, service.settings))


def lacks_the_right(forbidden: Turned | LiveCall) -> bool:
    """Whether Google says that the caller lacks the right. In its log the other sentence that it has is also said where there is no token;
    to the caller it says only this one, for 401, too."""
    return "does not have permission" in forbidden.text


def pushing(settings: SubscriptionSettings) -> About:
    return About(frozenset({f"subscriptions/{short(settings.name)}"}))


def serving(target: ServiceSettings) -> About:
    return About(frozenset({f"services/{target.name}"}))


def member_of(account: str) -> str:
    return f"serviceAccount:{account}"
