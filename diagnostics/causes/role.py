"""What a cause does to this batch, and how sure that is: by arithmetic on its own findings, never on what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from diagnostics.causes.attribute import Share
from diagnostics.causes.consequences import CLASSES, classes_of
from diagnostics.causes.model import Confidence, Role
from diagnostics.evidence.model import STAGES, Stage
from diagnostics.readings.stakes import Stakes
from diagnostics.readings.wholeness import Wholeness
from diagnostics.steps import cold_start
from diagnostics.steps.delivered import given_up, push_answers, what_waits
from diagnostics.steps.finding import Bears, Finding, Kind, Status
from diagnostics.steps.push_auth import entrance, invoker, may_mint, tokens
from diagnostics.steps.routed import push_endpoint


def roles(shares: Sequence[Share], stakes: Stakes) -> list[Role]:
    """The role of each. Where none holds more than the closing rule forgives, but all together do, they block together. What is only
    set up wrong, behind something that holds every item that it would hold, waits for its turn."""
    found = [_role(share, stakes) for share in shares]
    first = {n: _standing(share) for n, share in enumerate(shares) if found[n] is Role.BLOCKS}
    found = [
        Role.LATENT if n in first and any(_shields(one, first[n]) for m, one in first.items() if m != n) else role
        for n, role in enumerate(found)
    ]
    holding = [s for s in shares if _holds(s) and not s.match.cause.never_blocks and not s.match.cause.benign]
    together = sum({id(f): f.held for s in holding for f in _now(s)}.values())
    if Role.BLOCKS not in found and together > stakes.forgiven and stakes.seen and not stakes.over:
        return [Role.BLOCKS if s in holding else role for s, role in zip(shares, found, strict=True)]
    return found


def held(share: Share) -> int:
    """Items of the batch that it holds now, at least: by what it does itself, and only where that counts none by what the batch lacks for
    whatever reason."""
    now = _now(share)
    direct = [f.held for f in now if f.kind is not Kind.CONSEQUENCE and f.held]
    return max(direct or [f.held for f in now], default=0)


def _role(share: Share, stakes: Stakes) -> Role:
    cause = share.match.cause
    if cause.benign:
        return Role.BENIGN
    if (stakes.over and not cause.outlasts) or not stakes.seen:
        return Role.LATENT
    number = held(share)
    if _holds(share) and not cause.never_blocks and (number == 0 or number > stakes.forgiven):
        return Role.BLOCKS  # it holds some, and none is counted: nothing says that they are few
    met = any(
        f.bears in (Bears.HOLDS, Bears.SLOWS) and f.status is not Status.OK and f.until is None for f in share.own
    )
    return Role.WORSENS if met else Role.LATENT


def acts(share: Share) -> bool:
    """Whether messages meet it now: by its own effects, or by what is seen of pushes and only such a mechanism brings about."""
    own, after = (tuple(f for f in of if f.abnormal and f.until is None) for of in (share.own, share.follows))
    classes = frozenset[str]().union(*(CLASSES.get(f.code, frozenset()) for f in own))
    failing = any(f.code == push_answers.FAILING.name and classes & classes_of(f) for f in after)
    silent = any(f.code == what_waits.NO_PUSHES.name for f in after) and any(f.status is Status.FAULT for f in own)
    return _effect(share) or failing or silent


def _effect(share: Share) -> bool:
    """Whether what messages meet now is seen, and is its own doing."""
    return any(_acts_now(f) for f in share.own)


def _acts_now(finding: Finding) -> bool:
    return finding.kind is Kind.EFFECT and finding.status is Status.FAULT and finding.until is None


def _meets(other: Share, first: Share) -> bool:
    """Whether messages meet the other one, seen by an effect that the first could not have."""
    return any(_acts_now(f) and not first.match.claims(f) for f in other.own)


class _Standing(NamedTuple):
    """What is asked of one that blocks, beside each other."""

    share: Share
    held: int
    gave_up: bool
    """Some of what it holds now was dead-lettered."""
    place: int | None
    """On the way of a push."""
    effect: bool


def _standing(share: Share) -> _Standing:
    gave_up = any(f.code == given_up.DEAD_LETTERED.name for f in _now(share))
    return _Standing(share, held(share), gave_up, _place(share), _effect(share))


def _shields(first: _Standing, other: _Standing) -> bool:
    """Whether all that the other would hold does not get as far: it is held further up, or meets this one at the same place.

    What is set up wrong on the way of a push claims all that its leg owes; elsewhere each counts items of its own.
    """
    one, two = first.share.match, other.share.match
    if one.leg != two.leg or not first.held >= other.held > 0:
        return False
    if other.gave_up:
        return False  # these have got as far, and lie elsewhere
    before, after = first.place, other.place
    if before is not None and after is not None and before != after:
        return before < after and (one.settled or first.effect) and not _meets(other.share, first.share)
    if two.cause.stage is not Stage.DELIVERED or other.effect:
        return False
    here, there = STAGES.index(one.cause.stage), STAGES.index(two.cause.stage)
    door, behind = one.cause.family == "auth", two.cause.family == "capacity"
    alike = one.cause.family == two.cause.family  # two locks of one door: each push meets both, and one of them is said
    return here < there or (here == there and one.settled and not alike and (first.effect or (door and behind)))


ON_THE_WAY = (
    frozenset({may_mint.ACCOUNT.name, may_mint.MINTING.name}),
    frozenset({push_endpoint.ENDPOINT.name}),
    frozenset({push_endpoint.SERVICE_GONE.name}),
    frozenset({entrance.INGRESS.name, entrance.DEFAULT_URL.name}),
    frozenset({entrance.IAP.name}),
    frozenset({tokens.NO_TOKEN.name, tokens.AUDIENCE.name, invoker.INVOKER.name, invoker.DENIED.name}),
    frozenset({cold_start.SWITCHED_OFF.name}),
)
"""What a push meets one after the other: no token, no push; then its address, the service itself, the way in, the proxy,
sign-in, and a container."""


def _place(share: Share) -> int | None:
    """Where on the way of a push it stands; None: elsewhere, or nowhere in particular."""
    codes = {f.code for f in share.own if f.abnormal}
    return next((n for n, place in enumerate(ON_THE_WAY) if place & codes), None)


def _now(share: Share) -> list[Finding]:
    """Its own findings that hold items now."""
    return [f for f in share.own if f.abnormal and f.until is None and f.bears is Bears.HOLDS]


def _holds(share: Share) -> bool:
    return bool(_now(share))


def confidence(
    share: Share, role: Role, unexplained: Iterable[Finding], whole: Wholeness, latest: bool = True
) -> Confidence:
    """Confirmed: what settles it was seen, and all that could overturn it was seen whole and did not.

    `latest`: no start attempt after the one that was seen can have been hidden. Else what is benign for this one, or touches none of
    its items, is not sure to be the answer.
    """
    match = share.match
    if not match.settled:
        alike = share.rivals or whole.missing(match.cause.told_apart_by, match.leg)
        return Confidence.POSSIBLE if alike else Confidence.PROBABLE
    if whole.missing(match.cause.overturned_by, match.leg):
        return Confidence.PROBABLE
    loose = list(unexplained)
    if role is Role.BLOCKS and any(_disturbs(f, share) for f in loose):
        return Confidence.PROBABLE
    if role is Role.LATENT and any(_is_before(f, share) for f in loose):
        return Confidence.PROBABLE
    if role in (Role.BLOCKS, Role.LATENT) and any(_is_beside(f, share) for f in loose):
        return Confidence.PROBABLE
    if role in (Role.BENIGN, Role.LATENT) and not latest:
        return Confidence.PROBABLE
    return Confidence.CONFIRMED


def _disturbs(finding: Finding, share: Share) -> bool:
    """An unexplained fault that holds items at or upstream of this cause's stage, on its leg, keeps it from being confirmed."""
    return finding.bears is Bears.HOLDS and _upstream(finding, share)


def _is_before(finding: Finding, share: Share) -> bool:
    """Of a batch of which nothing is seen to be held: an unexplained fault at or upstream of what messages meet by this cause."""
    met = any(f.abnormal and f.kind is Kind.EFFECT for f in share.own)
    return met and finding.status is Status.FAULT and finding.until is None and _upstream(finding, share)


def _upstream(finding: Finding, share: Share) -> bool:
    before = STAGES.index(finding.stage) <= STAGES.index(share.match.cause.stage)
    return before and finding.leg in (share.match.leg, None) and finding.kind is not Kind.CONSEQUENCE


def _is_beside(finding: Finding, share: Share) -> bool:
    """Pushes of its leg fail in ways that it can have brought about in part only, and nothing accounts for the others: those may be what
    every message meets first."""
    failing = finding.code == push_answers.FAILING.name and finding.leg is share.match.leg
    return failing and finding.until is None and any(f.code == finding.code for f in share.follows)
