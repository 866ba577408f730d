"""Did the worker publish a completion for each item it finished, to a topic that leads back to the coordinator?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import (
    ItemMarks,
    Leg,
    Mark,
    Means,
    PublishCounts,
    PushCounts,
    Stage,
    TopicConfig,
    Unseen,
    total,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import RECENT, by_class, first_of
from diagnostics.readings.ledger import Ledger, Life, named
from diagnostics.readings.reasons import denied, limited
from diagnostics.readings.unreported import silent
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.returned.asks import what_refused
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, between, clock, count, names, short


class Unpublished(Tells, frozen=True, kw_only=True):
    """Completions that could not be published."""

    errors: int
    """Completions, not lines: one is tried again and again."""
    topic: str
    """As the worker's line names it; empty: it does not."""
    reason: str
    denied: int = 0
    """Of those the ones that were refused for want of a right."""
    counted: float = 0
    """Publish requests that the pipeline's own topic counts as refused for that."""
    otherwise: int = 0
    """Of those the ones that failed for another reason than a right or a topic that is missing, or a quota."""
    rejected: float = 0
    """Publish requests that the pipeline's own topic counts as refused for another reason."""


class Topic(Tells, frozen=True, kw_only=True):
    topic: str
    """That completions go to; empty: no line names it."""
    own: int = 0
    """1: it is the pipeline's own."""
    other: int = 0
    """1: it is not; neither: nothing tells."""


class TopicBack(Tells, frozen=True, kw_only=True):
    gone: str
    """When a completion was last refused because the topic did not exist, in words."""


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


RETURNED = Code("returned.all", Stage.RETURNED, "finished items came back to the coordinator")
ERRORS = Telling(
    "returned.errors", Stage.RETURNED, "the worker cannot publish completions", Kind.EFFECT, tells=Unpublished
)
TOPIC_MISSING = Telling(
    "returned.topic_missing",
    Stage.RETURNED,
    "completions are published to a topic that does not exist",
    Kind.MECHANISM,
    tells=Topic,
)
TOPIC_BACK = Telling(
    "returned.topic_back", Stage.RETURNED, "the completion topic exists again", Kind.NOTE, tells=TopicBack
)
NONE_PUBLISHED = Telling(
    "returned.none_published", Stage.RETURNED, "work is acked and no completion is published", Kind.EFFECT, tells=Acks
)
NOT_CONFIGURED = Code("returned.not_configured", Stage.RETURNED, "the profile names no completion leg")
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


def returned(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    marks: ItemMarks | Unseen,
    topic: Annotated[TopicConfig | Unseen, Leg.COMPLETION],
    sent: Annotated[PublishCounts | Unseen, Leg.COMPLETION],
    work: Annotated[PushCounts | Unseen, Leg.REQUEST],
    back: Annotated[PushCounts | Unseen, Leg.COMPLETION],
) -> Iterator[Finding | Row]:
    """Reads the worker's own errors, the completion topic and its counter; pushes to the coordinator are `delivered`'s."""
    least, _ = ledger.gap(Stage.RETURNED) if ledger.counts else (0, None)
    if profile.completion is None:
        yield NOT_CONFIGURED.says(
            Status.UNKNOWN if ledger.batch and not ledger.done else Status.OK,
            "the profile names no completion subscription, so the way back is not looked at",
            leg=Leg.COMPLETION,
        )
    found = list(_found(ledger, marks, topic, sent, work, back, profile, now, least))
    yield from found
    here = ledger.counts.get(Stage.RETURNED)
    before = ledger.before(Stage.RETURNED) if ledger.counts else None
    if here is None or before is None or before.most == 0:
        yield Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, not_reached=True)
        return
    if not found and here.least and not least:
        yield RETURNED.says(
            Status.OK,
            f"{count(here.least, 'completion')} came back",
            leg=Leg.COMPLETION,
            subject=subjects.batch(ledger.batch),
        )
    where = _where(ledger, found, least, back, now)
    held = any(f.status is Status.FAULT and f.held for f in found)
    yield Row(
        stage=Stage.RETURNED,
        leg=Leg.COMPLETION,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=where,
        basis=here.basis,
        status=Status.FAULT if held else Status.WARNING if least else Status.OK if here.known else Status.UNKNOWN,
        source=here.source,
    )


def _where(
    ledger: Ledger, found: list[Finding], lacks: int, back: PushCounts | Unseen, now: datetime
) -> dict[str, int]:
    """Where finished items are that have not come back: given up and never reported, never published, or on their way.
    Counters are the whole subscription's: they bound it."""
    open_ones = [x for x in ledger.lives if x.stage is Stage.PROCESSED]
    faults = [f for f in found if f.status is Status.FAULT]
    apart = sum(f.held for f in faults if f.code in _APART)
    never = max((apart, *(f.held for f in faults)))
    skipped = min(sum(1 for x in open_ones if x.skipped and not x.done), never)
    again = [x for x in open_ones if ledger.comes_again(x)]
    dead = ledger.dead_at(Stage.RETURNED) + sum(1 for x in again if x.dead_lettered)
    retried = (
        [] if isinstance(back, Unseen) else [k for k in by_class(back.series, back.source.as_of - RECENT) if k != "ack"]
    )
    pause = ledger.dead(Leg.REQUEST).pause
    coming = sum(1 for x in again if not x.dead_lettered and x.last is not None and now - x.last <= pause)
    lost = max(never - skipped - len(again), 0)
    on_the_way = may_wait(ledger, Leg.COMPLETION, now, max(lacks - skipped - dead - coming - lost, 0))
    return places(
        lacks,
        {Where.SKIPPED: skipped, Where.DEAD_LETTERED: dead, Where.RETRYING: coming, Where.DROPPED: lost},
        {Where.RETRYING if retried else Where.IN_FLIGHT: on_the_way},
    )


_APART = frozenset({ERRORS.name, MISSING.name, SILENT.name})
"""What is said of these is said of different items each."""


def _found(
    ledger: Ledger,
    marks: ItemMarks | Unseen,
    topic: TopicConfig | Unseen,
    sent: PublishCounts | Unseen,
    work: PushCounts | Unseen,
    back: PushCounts | Unseen,
    profile: PipelineProfile,
    now: datetime,
    least: int,
) -> Iterator[Finding]:
    told_by = [] if isinstance(marks, Unseen) else named(marks.marks)
    errors = [m for m in told_by if m.means is Means.COMPLETION_ERROR]
    ours = [m for m in errors if ledger.started is None or m.at >= ledger.started]
    if ours:
        whole = not isinstance(marks, Unseen) and marks.source.complete
        refused = _refused(sent, ledger.started or ours[0].at)
        for alike in _by_kind(ours, refused):
            held = _unpublished(ledger, alike, least)
            yield from _errors(ledger, alike, whole, held, topic, profile, now)
            if alike.kind == _OTHERWISE:
                yield from what_refused(alike.marks, held, topic, now)
    if not isinstance(topic, Unseen) and topic.settings is None:
        told = [m for m in ours if _not_found(m)]
        met = [m for m in told if _own(m, topic, profile) is not False]
        meets = bool(met) or not told  # a worker that names another topic has not met this one
        yield TOPIC_MISSING.says(
            Status.FAULT,
            f"completion topic {short(topic.name)} does not exist",
            leg=Leg.COMPLETION,
            bears=Bears.HOLDS if least and meets else Bears.APART,
            held=least if meets else 0,
            since=met[0].at if met else None,
            rests_on=("TopicConfig",),
            subject=subjects.topic(topic.name),
            tells=Topic(topic=short(topic.name), own=1),
        )
    if not isinstance(sent, Unseen) and not isinstance(work, Unseen):
        yield from _unsent(ledger, profile, topic, sent, work, back, least, ours, marks)


@dataclass(frozen=True)
class _Alike:
    """Lines about completions that could not be published for one kind of reason."""

    kind: str
    marks: list[Mark]
    newest: dict[str, Mark]
    """The newest line of whatever kind about each item that lines name."""
    refused: float
    """Requests that the topic itself counts as refused for want of a right."""
    rejected: float
    """Requests that it counts as refused for neither that nor a topic that is missing."""

    @property
    def open_ones(self) -> set[str]:
        """Items whose newest line is of this kind."""
        return {m.item for m in self.marks if m.item and self.newest[m.item] is m}


def _by_kind(ours: Sequence[Mark], refused: Mapping[str, float]) -> list[_Alike]:
    """By what Pub/Sub said, in order of time: each has its own numbers, and its own begin and end."""
    kinds: dict[str, list[Mark]] = {}
    for mark in ours:
        kinds.setdefault(_kind(mark), []).append(mark)
    newest = {m.item: m for m in ours if m.item}
    return [
        _Alike(
            kind,
            marks,
            newest,
            refused[_DENIED] if kind == _DENIED or _DENIED not in kinds else 0,
            refused[_OTHERWISE] if kind == _OTHERWISE else 0,
        )
        for kind, marks in kinds.items()
    ]


_DENIED, _GONE, _LIMITED, _OTHERWISE = "denied", "gone", "limited", ""


def _kind(mark: Mark) -> str:
    reason = _reason(mark)
    return _DENIED if denied(reason) else _LIMITED if limited(reason) else _GONE if _not_found(mark) else _OTHERWISE


def _errors(
    ledger: Ledger,
    alike: _Alike,
    whole: bool,
    held: int,
    topic: TopicConfig | Unseen,
    profile: PipelineProfile,
    now: datetime,
) -> Iterator[Finding]:
    """The worker's own lines about completions that it could not publish, and the topic that they name, if there is none."""
    ours = alike.marks
    topic_named = next((m.words["topic"] for m in reversed(ours) if m.words.get("topic")), "")
    many = _completions(ours)
    bears = Bears.HOLDS if held else Bears.APART
    yield ERRORS.says(
        Status.FAULT if held else Status.OK,
        f"{at_least(whole, count(many, 'completion'))} could not be published {between(ours[0].at, ours[-1].at, now)}"
        + (f": {_reason(ours[-1])}" if _reason(ours[-1]) else ""),
        leg=Leg.COMPLETION,
        bears=bears,
        held=held,
        since=ours[0].at if whole else None,
        until=None if held else ours[-1].at,
        rests_on=("ItemMarks",),
        subject=subjects.topic(topic_named) or subjects.receiving(profile, Leg.REQUEST),
        tells=Unpublished(
            errors=many,
            topic=topic_named,
            reason=_reason(ours[-1]),
            denied=_completions([m for m in ours if denied(_reason(m))]),
            counted=alike.refused,
            otherwise=_completions([m for m in ours if _reason(m)]) if alike.kind == _OTHERWISE else 0,
            rejected=alike.rejected,
        ),
    )
    yield from _no_topic(ledger, [m for m in ours if _not_found(m)], held, topic, profile, now)


_KINDS = {"permission_denied": _DENIED, "not_found": _GONE, "resource_exhausted": _LIMITED}


def _refused(sent: PublishCounts | Unseen, since: datetime) -> dict[str, float]:
    """Requests that the topic refused, by the kind of reason."""
    found = dict.fromkeys((_DENIED, _GONE, _LIMITED, _OTHERWISE), 0.0)
    for one in () if isinstance(sent, Unseen) else sent.requests:
        if one.labels.get("response_class") != "success":
            code = one.labels.get("response_code", "")
            found[_KINDS.get(code, _OTHERWISE)] += one.total(since - timedelta(minutes=1))
    return found


def _no_topic(
    ledger: Ledger,
    missing: list[Mark],
    held: int,
    topic: TopicConfig | Unseen,
    profile: PipelineProfile,
    now: datetime,
) -> Iterator[Finding]:
    """The topics that the worker was told do not exist: the pipeline's own, another one, or one that no line names. That the pipeline's
    own is gone, the topic itself tells, where it was seen. Once work that ended later came back, the name is right again."""
    for own in (True, False, None):
        told = [m for m in missing if _own(m, topic, profile) is own]
        if not told:
            continue
        named, exists = told[-1].words.get("topic", ""), not isinstance(topic, Unseen) and topic.settings is not None
        if own and exists:
            yield TOPIC_BACK.says(
                Status.OK,
                f"topic {short(named)} exists again; the last completion that it was not there for was lost at {clock(told[-1].at, now)}",
                leg=Leg.COMPLETION,
                rests_on=("ItemMarks", "TopicConfig"),
                subject=subjects.topic(named),
                tells=TopicBack(gone=clock(told[-1].at, now)),
            )
        elif own and not isinstance(topic, Unseen):
            continue
        yield TOPIC_MISSING.says(
            Status.FAULT,
            f"the worker publishes completions to {f'topic {short(named)}, which' if named else 'a topic that'} "
            + ("did not exist" if own and exists else "does not exist")
            + ("" if named else ", and its lines do not say which")
            + (f"; the pipeline's is {short(topic.name)}" if not own and not isinstance(topic, Unseen) else ""),
            leg=Leg.COMPLETION,
            bears=Bears.HOLDS if held else Bears.APART,
            held=held,
            since=told[0].at,
            until=told[-1].at if not held and _came_back(ledger, told[-1].at) else None,
            rests_on=("ItemMarks", "TopicConfig"),
            subject=subjects.topic(named),
            tells=Topic(topic=short(named), own=int(own is True), other=int(own is False)),
        )


def _came_back(ledger: Ledger, after: datetime) -> bool:
    passed = (Stage.RETURNED, Stage.RECORDED)
    return any(x.ended and x.ended > after for x in ledger.lives if x.stage in passed)


def _unsent(
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
            f"{count(acks, 'push')} of work acked and no message on the completion topic",
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


def unnamed(told: Topic) -> int:
    """1: nothing tells whether the topic that does not exist is the pipeline's own."""
    return int(not told.own and not told.other)


_SETTLED = timedelta(minutes=3)
"""After so long a completion that was published would have come back, or be counted as waiting."""


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
        f"{count(told.missing, profile.item)} acked and no completion published for them{how}: {names(x.name for x in items)}",
        leg=Leg.COMPLETION,
        bears=Bears.HOLDS,
        held=told.missing,
        since=min((x.ended for x in items if x.ended), default=None),
        rests_on=("ItemMarks", "PublishCounts"),
        subject=subjects.receiving(profile, Leg.REQUEST),
        tells=told,
    )


def _unpublished(ledger: Ledger, alike: _Alike, least: int) -> int:
    """How many of the items that have not come back are those whose completion could not be published so."""
    open_ones = {x.name for x in ledger.lives if x.completion_failed and x.stage is Stage.PROCESSED} & alike.open_ones
    nameless = sum(1 for m in alike.marks if not m.item)
    return min(least, len(open_ones) + nameless)


def _completions(errors: Sequence[Mark]) -> int:
    """Completions that these lines are about: one is tried again and again."""
    return len({m.item for m in errors if m.item}) + sum(1 for m in errors if not m.item)


def _reason(mark: Mark) -> str:
    return mark.words.get("reason", "")


def _own(mark: Mark, topic: TopicConfig | Unseen, profile: PipelineProfile) -> bool | None:
    """Whether the topic that the line names is the pipeline's own; None: it names none, or nothing tells which that is."""
    named, own = mark.words.get("topic", ""), profile.completion.topic if profile.completion else ""
    known = own if isinstance(topic, Unseen) else topic.name
    if not named and not isinstance(topic, Unseen) and topic.settings is None:
        return True
    if not named or not known:
        return None
    both_full = "/" in named and "/" in known
    return named == known if both_full else short(named) == short(known)


def _not_found(mark: Mark) -> bool:
    """Pub/Sub's own words for a topic that does not exist."""
    text = " ".join(mark.words.values()).lower()
    return "not found" in text or "404" in text or "not_found" in text
