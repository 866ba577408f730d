"""Whoever describes a pipeline by two subscription names says no more than the full profile does: what breaks that, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Exit, Named, State
from diagnostics.pipeline.load import profile_of
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.steps import limits
from diagnostics.steps.finding import Status
from diagnostics.steps.limits import addressing, upkeep

STATED = frozenset(
    code.name
    for code in (
        addressing.PUSH_PATH,
        addressing.TOPIC_ENV,
        limits.ITEM_OVER_SERVER,
        limits.SERVER_OVER_RUN,
        limits.RUN_OVER_DEADLINE,
        upkeep.RETENTION,
    )
)
"""What `lint` holds against the word of the profile: paths, names, limits, how long batches take. No word, nothing to hold against."""

OF_OTHERS = frozenset({"foreign-refusals"})
"""Benign causes that speak of no message: how far back they are looked for follows the batch's start, which two names do not tell."""

_ORDER = (Role.BENIGN, Role.LATENT, Role.WORSENS, Role.BLOCKS)


def smallest_of(profile: PipelineProfile) -> PipelineProfile:
    """The same pipeline by the names of its subscriptions alone."""
    back = profile.completion.subscription if profile.completion else ""
    return profile_of(profile.request.subscription, project=profile.project, completion=back)


def says_more(full: Diagnosis, smallest: Diagnosis) -> tuple[str, ...]:
    """What the answer with the smallest profile says that the full profile's does not bear out."""
    return (*_causes(full, smallest), *_status(full, smallest), *_batch(full, smallest), *_cleared(full, smallest))


def _causes(full: Diagnosis, smallest: Diagnosis) -> Iterator[str]:
    for cause in smallest.causes:
        known = next((c for c in full.causes if _same(c, cause)), None)
        told = f"{known.role.value} ({known.confidence.value})" if known else "not named"
        said = f"cause {_name(cause)}: {cause.role.value} ({cause.confidence.value}), with the full profile {told}"
        if cause.code in OF_OTHERS and not any(r.code == cause.code for r in full.ruled_out):
            continue
        confirmed = cause.confidence is Confidence.CONFIRMED
        if confirmed and (known is None or known.confidence is not Confidence.CONFIRMED):
            refuted = next((r.because for r in full.ruled_out if r.code == cause.code), "")
            yield said + (f", for {refuted}" if refuted else "")
        elif cause.role in (Role.BLOCKS, Role.WORSENS) and (known is None or _graver(cause.role, known.role)):
            yield said


def _status(full: Diagnosis, smallest: Diagnosis) -> Iterator[str]:
    wrong = [f for f in full.findings if f.status in (Status.WARNING, Status.FAULT, Status.UNKNOWN)]
    stated = bool(wrong) and all(f.code in STATED for f in wrong) and full.pipeline.command == "lint"
    if smallest.exit_code == Exit.OK and full.exit_code != Exit.OK and not stated:
        yield f"status {smallest.status.value}: an all-clear, with the full profile {full.status.value}"
    if smallest.exit_code == Exit.WARNING and full.exit_code == Exit.FAULT:
        yield f"status {smallest.status.value}: no doubt and no fault, with the full profile {full.status.value}"
    live = any(f.status is Status.FAULT and f.until is None for f in smallest.findings)
    if smallest.status is Status.FAULT and not live:
        yield "status fault: nothing that was found is a fault now"


def _batch(full: Diagnosis, smallest: Diagnosis) -> Iterator[str]:
    if smallest.state is not State.UNKNOWN and smallest.state is not full.state:
        yield f"state {smallest.state.value}, with the full profile {full.state.value}"
    if smallest.finishes_alone is not None and smallest.finishes_alone is not full.finishes_alone:
        yield f"finishes_alone {smallest.finishes_alone}, with the full profile {full.finishes_alone}"
    if smallest.state is State.UNKNOWN and smallest.batch and smallest.batch.done == 0:
        yield "done 0: what was not seen is not none"


def _cleared(full: Diagnosis, smallest: Diagnosis) -> Iterator[str]:
    known = {(r.code, r.leg) for r in full.ruled_out}
    yield from (
        f"not it: {r.code}{f'@{r.leg.value}' if r.leg else ''}, which the full profile does not clear"
        for r in smallest.ruled_out
        if (r.code, r.leg) not in known
    )


def _same(one: Named, other: Named) -> bool:
    return one.code == other.code and (one.leg is other.leg or None in (one.leg, other.leg))


def _graver(role: Role, than: Role) -> bool:
    return _ORDER.index(role) > _ORDER.index(than)


def _name(cause: Named) -> str:
    return f"{cause.code}@{cause.leg.value}" if cause.leg else cause.code
