"""Work that was acked and of which no completion was ever published, whether the worker says so or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from diagnostics.evidence.model import (
    ItemMarks,
    Leg,
    Mark,
    PublishCounts,
    PushCounts,
    Stage,
    TopicConfig,
    Unseen,
    total,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import by_class, first_of
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.readings.unreported import silent
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import count, names


class Acks(Tells, frozen=True, kw_only=True):
    acks: float
    """Pushes of work that were acked since the batch began."""


class NeverPublished(Tells, frozen=True, kw_only=True):
    """Items of the batch that were acked without a completion."""

    missing: int
    skipped: int
    """Of those the ones that the worker says it gave up."""
    unskipped: int
    reason: str | None = None
    """Why most were given up."""


NONE_PUBLISHED = Telling(
    "returned.none_published", Stage.RETURNED, "work is acked and no completion is published", Kind.EFFECT, tells=Acks
)
MISSING = Telling(
    "returned.missing",
    Stage.RETURNED,
    "items are acked and no completion is published for them",
    Kind.EFFECT,
    tells=NeverPublished,
)
SILENT = Telling(
    "returned.silent",
    Stage.RETURNED,
    "items are acked without a completion, and without the line that others have",
    Kind.EFFECT,
    tells=NeverPublished,
)


_SETTLED = timedelta(minutes=3)
"""After so long a completion that was published would have come back, or be counted as waiting."""


def was_never_sent(
    ledger: Ledger,
    profile: PipelineProfile,
    topic: TopicConfig | Unseen,
    sent: PublishCounts,
    work: PushCounts,
    back: PushCounts | Unseen,
    least: int,
    errors: list[Mark],
    marks: ItemMarks | Unseen,
) -> Iterator[Finding]:
    """Work that was acked and of which the topic has nothing, or less than it should. `errors`: the worker's own lines that say why."""
    begin = ledger.started
    if begin is None:
        return
    since = begin - timedelta(minutes=1)
    until = sent.source.as_of - timedelta(minutes=1)
    acks = by_class(work.series, since, until).get("ack", 0)
    published = round(total(sent.messages, since))
    told = None if isinstance(marks, Unseen) else silent(ledger, sent, marks, errors, least)
    never = list(_missing(told.open_ones, told.never, profile, len(errors))) if told else []
    if not never:
        yield from _skipped_alone(ledger, sent, back, least, errors, profile)
    given_up = bool(told) and all(f.code == MISSING.name and not f.numbers["unskipped"] for f in never)
    if published or errors or given_up:
        yield from never
    if not published and not given_up and acks and sent.source.as_of - begin > timedelta(minutes=3):
        may_be_ours = not ledger.counts or ledger.counts[Stage.PROCESSED].most != 0
        yield NONE_PUBLISHED.says(
            Status.FAULT,
            f"{count(acks, 'push')} of work acked, and no message came to the completion topic",
            leg=Leg.COMPLETION,
            bears=Bears.HOLDS if least or (ledger.done == 0 and may_be_ours) else Bears.APART,
            held=least,
            since=first_of(work.series, since, response_class="ack"),
            rests_on=("PublishCounts", "PushCounts"),
            subject=None if isinstance(topic, Unseen) else subjects.topic(topic.name),
            tells=Acks(acks=acks),
        )


def _skipped_alone(
    ledger: Ledger,
    sent: PublishCounts,
    taken: PushCounts | Unseen,
    least: int,
    errors: list[Mark],
    profile: PipelineProfile,
) -> Iterator[Finding]:
    """Items that the worker gave up are all that is missing, or all of which it does not say that it could not report them. Where the way
    back is open and nothing waits on it, or nothing was published at all, they were never reported, however often others were."""
    open_ones = [x for x in ledger.lives if (x.done or x.skipped) and x.stage is Stage.PROCESSED]
    quiet = [x for x in open_ones if x.skipped and not x.done and not x.completion_failed]
    ended = [x.ended for x in quiet if x.ended]
    if not ended or sent.source.as_of < max(ended) + _SETTLED:
        return
    failed = len(open_ones) - len(quiet)
    unnamed = sum(1 for x in open_ones if x not in quiet and not x.completion_failed)
    if unnamed != sum(1 for m in errors if not m.item):
        return  # a line that names no item may be of any; where there is one for each of the others, it adds up
    passed = (Stage.RETURNED, Stage.RECORDED)
    came = any(x.got_further and x.got_further > min(ended) for x in ledger.lives if x.stage in passed)
    back = ledger.dead(Leg.COMPLETION)
    published = total(sent.messages, ledger.started - timedelta(minutes=1)) if ledger.started else 0
    none_sent = ledger.started and not published
    acked = published if isinstance(taken, Unseen) else total(taken.series, ledger.started, response_class="ack")
    if not least or (came and published > acked):
        return  # what was published and is neither acked nor waits was taken away: that may be theirs
    if (failed and none_sent) or (came and back.could_wait == 0 and not back.most):
        yield from _missing(quiet, min(len(quiet), least), profile)


def _missing(open_ones: Sequence[Life], never: int, profile: PipelineProfile, failed: int = 0) -> Iterator[Finding]:
    """So many of these were acked and never reported: those that the worker says it gave up, and those of which it says nothing. `failed`:
    lines about others that it could not report."""
    given_up = [x for x in open_ones if x.skipped]
    if skipped := min(len(given_up), never):
        why = Counter(x.reason for x in given_up if x.reason)
        reasons = f" ({', '.join(f'{n} {reason}' for reason, n in why.most_common(3))})" if why else ""
        told = NeverPublished(
            missing=skipped, skipped=skipped, unskipped=0, reason=why.most_common(1)[0][0] if why else None
        )
        yield _never(MISSING, given_up, f", given up by the worker{reasons}", profile, told)
    if rest := never - skipped:
        quiet = [x for x in open_ones if not x.skipped]
        told = NeverPublished(missing=rest, skipped=0, unskipped=rest)
        yield _never(
            SILENT if failed else MISSING,
            quiet,
            ", and no line of an error, such as others have" if failed else "",
            profile,
            told,
        )


def _never(
    code: Telling[NeverPublished], items: Sequence[Life], how: str, profile: PipelineProfile, told: NeverPublished
) -> Finding:
    return code.says(
        Status.FAULT,
        f"{count(told.missing, profile.item)} acked and no completion published for {'it' if told.missing == 1 else 'them'}{how}: "
        + (f"{'one' if told.missing == 1 else told.missing} of " if told.missing < len(items) else "")
        + names(x.name for x in items),
        leg=Leg.COMPLETION,
        bears=Bears.HOLDS,
        held=told.missing,
        since=min((x.ended for x in items if x.ended), default=None),
        rests_on=("ItemMarks", "PublishCounts"),
        subject=subjects.receiving(profile, Leg.REQUEST),
        tells=told,
    )
