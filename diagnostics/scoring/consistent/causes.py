"""What is said of causes: role and confidence fit the state, onset fits the effects, nothing found is hidden or cleared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Exit, Named, RuledOut, State
from diagnostics.conclude.standing import EXITS
from diagnostics.evidence.model import STAGES, Leg, Stage
from diagnostics.scoring.consistent.answer import Answer
from diagnostics.steps.finding import Finding, Kind, Status

SLACK = timedelta(minutes=2)
"""Onsets come from samples a minute apart, and from logs that carry the begin or the end of a request."""

_STEPS = {
    "publishing": ("published", "topic"),
    "routing": ("routed", "topic"),
    "delivery": ("delivered",),
    "sign-in": ("push_auth",),
    "cold start": ("cold_start",),
    "the failing messages": ("processed",),
}
"""A part of the pipeline that is cleared, and the steps that look at it."""
_FAMILIES = {
    "publishing": ("publish",),
    "routing": ("routing", "subscription"),
    "sign-in": ("auth",),
    "cold start": ("capacity",),
    "the failing messages": ("worker",),
}
"""The same, and the causes that lie in it."""


def roles(answer: Answer) -> Iterator[str]:
    """Nothing blocks what is done, and an answer is never well while something blocks."""
    said = answer.said
    if said.exit_code != EXITS.get(said.status, Exit.UNKNOWN):
        yield f"status {said.status} and exit code {said.exit_code}"
    for cause in answer.blocking:
        if said.state is State.DONE:
            yield f"{cause.code} blocks a batch that is done"
        if answer.of_batch and said.status is not Status.FAULT:
            yield f"{cause.code} blocks, and the answer is {said.status}"
    if answer.of_batch and said.state is State.DONE and said.status is Status.FAULT:
        yield "the batch is done, and the answer is a fault"
    named = [(c.code, c.leg) for c in said.causes]
    yield from (f"{code} is named twice" for code, leg in dict.fromkeys(named) if named.count((code, leg)) > 1)


def headline(answer: Answer) -> Iterator[str]:
    """It names what blocks first, no more surely than the list, and is not undetermined where something is confirmed."""
    said = answer.said
    if not answer.of_batch:
        return
    top = answer.blocking[0] if answer.blocking else None
    if top and "cause undetermined" in said.headline:
        yield f"the headline is undetermined, and {top.code} blocks"
    if top and not top.one_of and not _says(answer, top):
        yield f"the headline does not say what blocks: {top.code} ({top.confidence})"
    if not top and "(confirmed)" in said.headline and not _of_the_subscription(answer):
        yield "the headline is sure of a cause, and none blocks"


def _says(answer: Answer, cause: Named) -> bool:
    """Whether the headline names the cause, by its clause or by the one reason that says what is set up wrong, as sure as the list is
    of it."""
    wrong = {f.says for f in answer.of(cause) if f.kind is Kind.MECHANISM and f.abnormal} & set(cause.because)
    ways = (cause.says, *(reason.rstrip(".") for reason in wrong if len(wrong) == 1))
    return any(f"{way} ({cause.confidence})" in answer.said.headline for way in ways)


def _of_the_subscription(answer: Answer) -> bool:
    """Of a batch that cannot be seen it says what is wrong with the subscription, as sure as the list is."""
    said = answer.said
    sure = any(_says(answer, c) for c in said.causes if c.confidence is Confidence.CONFIRMED)
    return sure and said.state is State.UNKNOWN and " cannot be seen: " in said.headline


def left_open(answer: Answer) -> Iterator[str]:
    """Of a batch that gets on or is done the headline says what could not be told, where that makes the answer unknown."""
    said = answer.said
    if answer.of_batch and said.status is Status.UNKNOWN and said.state in (State.RUNNING, State.DONE):
        doubts = [*(f.says for f in said.findings if f.status is Status.UNKNOWN), *said.unsure]
        if not any(says in said.headline for says in doubts):
            yield f"the answer is unknown, and the headline does not say what of the batch is open: {said.headline}"


def confidence(answer: Answer) -> Iterator[str]:
    for cause in answer.said.causes:
        if cause.one_of and cause.confidence is Confidence.CONFIRMED:
            yield f"{cause.code} is confirmed, and one of {', '.join(cause.one_of)}"
        yield from (
            f"{cause.code} is one of {other}, which is not named" for other in cause.one_of if not _names(answer, other)
        )


def _names(answer: Answer, code: str) -> bool:
    return any(c.code == code for c in answer.said.causes)


def onset(answer: Answer) -> Iterator[str]:
    """Not after now, not after its own effects, and not the batch's start where the start call has nothing to do with it. A batch that is
    not asked for begins with what is first heard of its items."""
    said = answer.said
    for cause in said.causes:
        if cause.since is None:
            continue
        if cause.since > said.as_of:
            yield f"{cause.code} begins after now"
        for effect in (f for f in answer.of(cause) if f.kind is Kind.EFFECT and f.since and f.abnormal):
            if effect.since and effect.since < cause.since - SLACK:
                yield f"{cause.code} begins at {cause.since:%H:%M}, after its effect {effect.code} at {effect.since:%H:%M}"
        late = STAGES.index(cause.stage) > STAGES.index(Stage.PUBLISHED)
        called = any(row.stage is Stage.REQUESTED for row in said.ladder)
        if late and called and said.batch and cause.since == said.batch.started:
            yield f"{cause.code} begins with the batch, and is of stage {cause.stage}"


def ended(answer: Answer) -> Iterator[str]:
    """A cause whose findings are all over is said to be over, and blocks nothing."""
    for cause in answer.said.causes:
        own = [f for f in answer.of(cause) if f.abnormal] or list(answer.of(cause))
        over = bool(own) and all(f.until for f in own)
        if over is not bool(cause.until):
            yield f"{cause.code} is {'over' if over else 'not over'}, and said to {'be over' if cause.until else 'last'}"
        if cause.until and cause.role in (Role.BLOCKS, Role.WORSENS):
            yield f"{cause.code} is over and {cause.role}"


def hidden(answer: Answer) -> Iterator[str]:
    """What was found stands with a cause or is unexplained, never both; and it is printed."""
    said = answer.said
    left = {(f.code, f.leg, f.says) for f in said.unexplained}
    for finding in answer.wrong if said.pipeline.command == "batch" else ():
        whose = [c for c in said.causes if finding.says in (*c.because, *c.hence)]
        alone = (finding.code, finding.leg, finding.says) in left
        follows = finding.kind is Kind.CONSEQUENCE and any(f.kind is not Kind.CONSEQUENCE for f in said.unexplained)
        if not whose and not alone and not follows:
            yield f"{finding.code} was found, and neither explained nor unexplained: {finding.says}"
        if alone and any(finding.leg in (c.leg, None) for c in whose):
            yield f"{finding.code} is unexplained and explained by {whose[0].code}"
        if not _printed(answer, finding):
            yield f"{finding.code} was found and is not printed: {finding.says}"


def _printed(answer: Answer, finding: Finding) -> bool:
    """A consequence may stand by its title, with what it follows from."""
    begin = finding.says[:SHOWN].rsplit(" ", 1)[0] if len(finding.says) > SHOWN else finding.says
    return answer.printed(begin) or (finding.kind is Kind.CONSEQUENCE and answer.printed(finding.title))


SHOWN = 90
"""So much of a sentence must be printed."""


def cleared(answer: Answer) -> Iterator[str]:
    """Nothing is cleared that something found accuses, and no cause is both named and ruled out."""
    said = answer.said
    for out in said.ruled_out:
        if any(c.code == out.code and (out.leg is None or c.leg in (out.leg, None)) for c in said.causes):
            yield f"{out.code} is named and ruled out"
        for accuser in _accusers(answer, out):
            yield f"{out.code}{f' ({out.leg})' if out.leg else ''} is cleared, and {accuser} was found"


def _accusers(answer: Answer, out: RuledOut) -> Iterator[str]:
    for finding in answer.wrong:
        if (
            finding.code.partition(".")[0] in _STEPS.get(out.code, ())
            and _same(finding.leg, out.leg)
            and not finding.until
        ):
            yield finding.code
    for cause in answer.said.causes:
        family = cause.runbook.split("/")[1] if cause.runbook.count("/") > 1 else ""
        if (
            family in _FAMILIES.get(out.code, ())
            and _same(cause.leg, out.leg)
            and cause.role is not Role.BENIGN
            and not cause.until
        ):
            yield cause.code


def _same(one: Leg | None, other: Leg | None) -> bool:
    return one is other or None in (one, other)
