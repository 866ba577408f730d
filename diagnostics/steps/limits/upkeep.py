"""Is what waits kept long enough, and will the subscriptions still be there tomorrow? Configuration alone."""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import (
    DELETED_TOPIC,
    BatchMarks,
    DeadLetterTopic,
    Leg,
    ProjectSubscriptions,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Status, Telling
from diagnostics.steps.limits import update
from diagnostics.steps.run import not_checked
from diagnostics.steps.tells import Hidden, Mended, Tells
from diagnostics.steps.words import count, names, short, span


class Retention(Mended, frozen=True, kw_only=True):
    retention_s: float
    """Seconds that a message is kept."""
    longest_s: float | None = None
    """Seconds that a batch may take or took, where that is longer."""


class Expires(Mended, frozen=True, kw_only=True):
    expiration_s: float
    """Seconds without anything happening after which it is deleted."""


class Orphans(Tells, frozen=True, kw_only=True):
    orphans: int
    """Subscriptions."""


RETENTION = Telling("limits.retention", Stage.DELIVERED, "messages are not kept long", tells=Retention)
EXPIRES = Telling("limits.expires", Stage.ROUTED, "the subscription expires when nothing happens", tells=Expires)
DEAD_LETTERS_EXPIRE = Telling(
    "limits.dead_letters_expire", Stage.DELIVERED, "the reader of dead letters expires", tells=Mended
)
ORPHANS = Telling("limits.orphans", Stage.ROUTED, "subscriptions are left whose topic was deleted", tells=Orphans)

_DEFAULT_RETENTION_S = 604800.0
"""Google keeps unacknowledged messages 7 days unless told otherwise (google.pubsub.v1.Subscription)."""


def upkeep(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    subscription: SubscriptionConfig,
    dead: DeadLetterTopic | Unseen,
    project: ProjectSubscriptions | Unseen,
    batches: BatchMarks | Unseen,
) -> Iterator[Finding]:
    """Compares retention with the longest batch that is known, and looks for what will expire."""
    del batches  # read for the ledger: how long batches took
    settings = subscription.settings
    if settings is None:
        return
    yield from _retention(leg, ledger, profile, settings)
    if settings.expiration_s is not None:
        yield EXPIRES.says(
            Status.ADVICE,
            f"{short(settings.name)} is deleted once nothing has happened on it for {span(settings.expiration_s)}",
            leg=leg,
            rests_on=("SubscriptionConfig",),
            subject=subjects.subscription(settings.name),
            tells=Expires(expiration_s=settings.expiration_s, mend=update(settings.name, "--expiration-period=never")),
        )
    if isinstance(dead, Unseen) or isinstance(project, Unseen):
        return
    readers = [s for s in project.subscriptions if s.name in dead.subscriptions]
    if readers and all(s.expiration_s is not None for s in readers):
        first = max(readers, key=lambda s: s.expiration_s or 0)
        yield DEAD_LETTERS_EXPIRE.says(
            Status.ADVICE,
            f"{short(first.name)}, which keeps the dead letters of {short(settings.name)}, is deleted with them once nobody has "
            f"read it for {span(first.expiration_s or 0)}",
            leg=leg,
            rests_on=("DeadLetterTopic", "ProjectSubscriptions"),
            subject=subjects.subscription(first.name),
            tells=Mended(mend=update(first.name, "--expiration-period=never")),
        )


def orphans(project: ProjectSubscriptions) -> Iterator[Finding]:
    """Subscriptions of the whole project that can never get a message again."""
    found = [short(s.name) for s in project.subscriptions if s.topic == DELETED_TOPIC]
    if found:
        yield ORPHANS.says(
            Status.ADVICE,
            f"{count(len(found), 'subscription')} of the project had a topic that was deleted, and can never get a message "
            f"again: {names(found)}",
            rests_on=("ProjectSubscriptions",),
            tells=Orphans(orphans=len(found)),
        )
    if not project.source.complete:
        yield not_checked(orphans).says(
            Status.UNKNOWN,
            f"only {count(len(project.subscriptions), 'subscription')} of the project could be read: {project.source.note}",
            rests_on=("ProjectSubscriptions",),
            tells=Hidden(),
        )


def _retention(leg: Leg, ledger: Ledger, profile: PipelineProfile, settings: SubscriptionSettings) -> Iterator[Finding]:
    kept = settings.retention_s
    longest, whose = _longest(ledger, profile)
    mend = update(settings.name, "--message-retention-duration=7d")
    if kept < longest:
        yield RETENTION.says(
            Status.WARNING,
            f"{short(settings.name)} keeps a message {span(kept)} and {whose} {span(longest)}: what waits that long is lost",
            leg=leg,
            rests_on=("SubscriptionConfig", "BatchMarks"),
            subject=subjects.subscription(settings.name),
            tells=Retention(retention_s=kept, longest_s=longest, mend=mend),
        )
    elif kept < _DEFAULT_RETENTION_S:
        yield RETENTION.says(
            Status.ADVICE,
            f"{short(settings.name)} keeps a message {span(kept)}, less than Google's default of "
            f"{span(_DEFAULT_RETENTION_S)}: what an outage holds back longer is lost",
            leg=leg,
            rests_on=("SubscriptionConfig",),
            subject=subjects.subscription(settings.name),
            tells=Retention(retention_s=kept, mend=mend),
        )


def _longest(ledger: Ledger, profile: PipelineProfile) -> tuple[float, str]:
    """Seconds that a batch may take, or has taken in the look-back; 0: nothing tells."""
    took = [(a.closed.at - a.started).total_seconds() for a in ledger.attempts if a.finished and a.closed and a.seen]
    seen = (max(took, default=0.0), "the longest batch took")
    allowed = (profile.closing.after_s or 0.0 if profile.closing else 0.0, "a batch may take")
    return max(seen, allowed)
