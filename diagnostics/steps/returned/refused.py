"""Completions that could not be published, by the worker's own lines: why, to which topic, and which items lack them for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import ItemMarks, Leg, Mark, Means, PublishCounts, Stage, TopicConfig, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger, named
from diagnostics.readings.reasons import denied, limited
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.returned.asks import what_refused
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, between, clock, count, short


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
    limited: int = 0
    """Of those the ones that were refused for want of quota."""
    put_off: float = 0
    """Publish requests that the pipeline's own topic counts as refused for that."""


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


def lines(ledger: Ledger, marks: ItemMarks | Unseen) -> list[Mark]:
    """The worker's own lines about completions of this batch that it could not publish, in order of time."""
    told_by = [] if isinstance(marks, Unseen) else named(marks.marks)
    errors = [m for m in told_by if m.means is Means.COMPLETION_ERROR]
    return [m for m in errors if ledger.started is None or m.at >= ledger.started]


def could_not_be_published(
    ledger: Ledger,
    ours: Sequence[Mark],
    marks: ItemMarks | Unseen,
    topic: TopicConfig | Unseen,
    sent: PublishCounts | Unseen,
    profile: PipelineProfile,
    now: datetime,
    lacks: tuple[int, int | None],
) -> Iterator[Finding]:
    """What these lines say of a batch that lacks so many completions, at least and at most, and a topic that is not there whatever they
    say."""
    least, most = lacks
    if ours:
        whole = not isinstance(marks, Unseen) and marks.source.complete
        refused = _refused(sent, ledger.started or ours[0].at)
        for alike in _by_kind(ours, refused):
            held = _unpublished(ledger, alike, least)
            yield from _errors(ledger, alike, whole, held, most != 0 or not ledger.lives, topic, profile, now)
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


def unnamed(told: Topic) -> int:
    """1: nothing tells whether the topic that does not exist is the pipeline's own."""
    return int(not told.own and not told.other)


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
    put_off: float
    """Requests that it counts as refused for want of quota."""

    @property
    def open_ones(self) -> set[str]:
        """Items whose newest line is of this kind."""
        return {m.item for m in self.marks if m.item and self.newest[m.item] is m}

    def may_be_of(self, ledger: Ledger) -> bool:
        """Whether some may be of the batch, though its own account lacks them: items that it never heard of, or that no line names."""
        return any(not m.item for m in self.marks) or bool(self.open_ones - {x.name for x in ledger.lives})


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
            refused[_LIMITED] if kind == _LIMITED else 0,
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
    lacking: bool,
    topic: TopicConfig | Unseen,
    profile: PipelineProfile,
    now: datetime,
) -> Iterator[Finding]:
    """The worker's own lines about completions that it could not publish, and the topic that they name, if there is none. Where no item
    is known to lack its completion for that, and some of the batch may lack theirs, it is open whether they are these."""
    ours = alike.marks
    topic_named = next((m.words["topic"] for m in reversed(ours) if m.words.get("topic")), "")
    many = _completions(ours)
    bears = Bears.HOLDS if held else Bears.APART
    unsure = not held and lacking and alike.may_be_of(ledger) and not _came_back(ledger, ours[-1].at)
    yield ERRORS.says(
        Status.FAULT if held else Status.UNKNOWN if unsure else Status.OK,
        f"{at_least(whole, count(many, 'completion'))} could not be published {between(ours[0].at, ours[-1].at, now)}"
        + (f": {_reason(ours[-1])}" if _reason(ours[-1]) else "")
        + ("; nothing tells whether items of this batch lack them" if unsure else ""),
        leg=Leg.COMPLETION,
        bears=bears,
        held=held,
        since=ours[0].at if whole else None,
        until=None if held or unsure else ours[-1].at,
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
            limited=many if alike.kind == _LIMITED else 0,
            put_off=alike.put_off,
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
