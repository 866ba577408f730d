"""Which items fail: a few whatever others do, or everything since a moment?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypedDict

from diagnostics.evidence.model import Leg, ServiceConfig, Stage, Unseen
from diagnostics.readings.answers import RECENT
from diagnostics.readings.failing import Broken, Failing, Item
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.reasons import denied, left_behind, limited
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.processed.seen import Seen
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, between, clock, count, names


class Repeated(Tells, frozen=True, kw_only=True):
    """Items that failed more than once."""

    items: int
    failures: int
    """Of all of them together."""
    others: int | None = None
    """Other items that got through since each of them came round, at least."""
    through: int | None = None
    """Other items that got through on the revision on which these fail, at least."""
    beside: int | None = None
    """Items of the batch that have not got through either, and do not fail so."""
    recent: int | None = None
    """Failures in the last five minutes."""
    foreign: int = 0
    """1: they are of none of this batch, and keep it away."""
    over: int = 0
    """1: they come round no more."""
    steady: int = 0
    """Items that give one and the same reason at each try, some of them, or others, three times or more."""
    leftovers: int = 0
    """Of those, items of which a first try never came to its end, and whose reason is about what such a try leaves behind."""
    reason: str | None = None
    """That reason."""
    early: int = 0
    """1: all that fail of the batch are at their first tries."""


_NEARLY_ALL = 0.8
"""Of items that fail again and again: fewer with one reason, and they are of several kinds."""


def no_one_reason(told: Repeated) -> float:
    """Over 0: they still come round, and give no reason, or several."""
    return 0 if told.over or told.steady >= _NEARLY_ALL * told.items else 1


def one_reason(told: Repeated) -> float:
    """Over 0: they still come round, and nearly all give one reason, the same each time, that is about no leftovers of a first try."""
    return 0 if told.over or no_one_reason(told) or trips_over_itself(told) else 1


def trips_over_itself(told: Repeated) -> float:
    """Over 0: they still come round, and most meet what a first try of theirs left behind."""
    return 0 if told.over or no_one_reason(told) else max(2 * told.leftovers - told.items, 0)


def early(findings: Iterable[Finding]) -> bool:
    """Whether items of the batch fail that are at their first tries: whether these get through nothing tells."""
    findings = list(findings)
    repeated = any(told.early for code in (REPEATS, FAIL) for told in code.told(findings))
    return repeated or any(told.early for told in ALL_FAIL.told(findings))


def lasts(number: Callable[[Repeated], float]) -> Callable[[Repeated], float]:
    """The number, of what is past its first tries."""
    return lambda told: 0 if told.early else number(told)


def rare(told: Repeated) -> float | None:
    """How many items got through for each that fails, where these are all that is left; None where it is not."""
    return told.through / told.items if told.through is not None and told.beside == 0 else None


class AllFail(Tells, frozen=True, kw_only=True):
    """Items that came round since the receiver broke, and those that got through before."""

    failed: int
    tried: int
    before: int
    denied: int = 0
    """Of those that failed, items whose reason is that a right is lacking."""
    limited: int = 0
    """Items whose reason is a rate or a quota."""
    here: int = 0
    """Items of the batch that got through before on the very revision on which all fail now."""
    instances: int = 0
    """Containers in which they fail: in one alone, it may be that one."""
    reason: str = ""
    """The most frequent one; empty: their lines tell none."""
    picked_from: int = 0
    """Items of the batch of which a gate let only the lesser part through: what is left is no fair sample. 0: it did not."""
    early: int = 0
    """1: all that fail of the batch are at their first tries."""


def no_sample(told: AllFail) -> int:
    """Over 0: what fails does not tell of what is to come: it was picked, or is at its first tries."""
    return told.picked_from + told.early


def lacks_a_right(told: AllFail) -> float:
    """Over 0: most fail for want of a right."""
    return 2 * told.denied - told.failed


def is_limited(told: AllFail) -> float:
    """Over 0: most fail over a rate or a quota."""
    return 2 * told.limited - told.failed


def worked_here(told: AllFail) -> float:
    """Over 0: nothing says that it is a right or a quota, and items of the batch got through on this very revision."""
    return told.here if max(lacks_a_right(told), is_limited(told)) <= 0 else 0


def unclear(told: AllFail) -> float:
    """Over 0: none of these."""
    return 1 if max(lacks_a_right(told), is_limited(told), worked_here(told)) <= 0 else 0


class TooFew(Tells, frozen=True, kw_only=True):
    per_min: float
    """Failures a minute in the last five minutes."""
    slots: int | None = None
    """Requests that the service can take at once."""


REPEATS = Telling(
    "processed.repeats", Stage.PROCESSED, "the same items fail again and again", Kind.EFFECT, tells=Repeated
)
FAIL = Telling(
    "processed.fail",
    Stage.PROCESSED,
    "items fail, and nothing tells whether others would",
    Kind.EFFECT,
    tells=Repeated,
)
ALL_FAIL = Telling(
    "processed.all_fail", Stage.PROCESSED, "everything that reaches the receiver fails", Kind.EFFECT, tells=AllFail
)
UNLUCKY = Telling(
    "processed.unlucky",
    Stage.PROCESSED,
    "a share of all tries fails, and what failed gets through later",
    Kind.EFFECT,
    tells=Repeated,
)
STORM_SMALL = Telling(
    "processed.storm_small", Stage.PROCESSED, "failing messages are too few to hold anything back", tells=TooFew
)
_EARLY = "; these are their first tries"
_AGAIN = 3
"""Fewer failures than this of all items together are a retry, and no coming back again and again."""


def of_items(seen: Seen, found: Failing, service: ServiceConfig | Unseen) -> Iterator[Finding]:
    """What the item lines tell: a few that fail whatever others do, everything since a moment, or what nothing tells apart."""
    dead = {x.name for x in seen.ledger.lives if x.dead_lettered}
    broken = {(i.name, i.ours) for i in found.broken.items} if found.broken else set()
    repeats = {(i.name, i.ours) for i in found.repeats}
    come = _come_round(seen, [i for i in found.items if not (i.ours and i.name in dead)])
    for ours in (True, False):
        again = [i for i in found.items if i.ours is ours and i.failures > 1]
        lettered = [i for i in again if ours and i.name in dead]
        rest = [i for i in again if not (ours and i.name in dead)]
        past = [i for i in rest if (i.name, ours) not in come]
        still = [i for i in rest if (i.name, ours) in come]
        yield from _past_items(seen, found, lettered, "they went to the dead-letter topic")
        yield from _past_items(seen, found, past, "nothing pushes them any more")
        for alike in _by_reason([i for i in still if (i.name, ours) in repeats], ours):
            yield from _repeating(seen, found, alike, service)
        if ours:
            unlucky = {i.name for i in found.unlucky}
            rest = [i for i in still if (i.name, ours) not in repeats | broken]
            yield from _chance(seen, found, [i for i in rest if i.name in unlucky])
            known = sum(1 for i in still if (i.name, ours) in repeats)
            yield from _unsure(seen, found, [i for i in rest if i.name not in unlucky], known)
    if found.broken is not None:
        yield _all_fail(seen, found.broken)


_A_FEW_KINDS = 3


def _by_reason(items: Sequence[Item], ours: bool) -> list[Sequence[Item]]:
    """Items of the batch by the reason that they give each time, where there are a few such reasons and nearly all have one; else all
    together. Several of one reason are a kind: one item alone may word it in a way of its own."""
    steady = Counter(i.reason for i in items if i.steady and i.failures >= _AGAIN)
    kinds = [reason for reason, number in steady.most_common(_A_FEW_KINDS) if number > 1]
    if not ours or len(kinds) < 2 or sum(steady[reason] for reason in kinds) < _NEARLY_ALL * len(items):
        return [items]
    others = kinds[1:]
    return [
        [i for i in items if i.reason not in others],
        *([i for i in items if i.reason == reason] for reason in others),
    ]


def _come_round(seen: Seen, items: Sequence[Item]) -> set[tuple[str, bool]]:
    """Items that are still pushed: that were within the longest pause, and of the others as many, the newest first, as messages wait
    that nothing else accounts for. While many fail, Pub/Sub pushes few, and one may rest for longer than that."""
    newest = sorted(items, key=lambda i: i.last, reverse=True)
    still = sum(1 for i in newest if seen.now - i.last <= seen.pause)
    waits = seen.ledger.dead(Leg.REQUEST).could_wait or 0
    others = max(seen.least - sum(i.ours for i in newest), 0)
    return {(i.name, i.ours) for i in newest[: max(still, waits - others)]}


def _repeating(seen: Seen, found: Failing, items: Sequence[Item], service: ServiceConfig | Unseen) -> Iterator[Finding]:
    """Items that come round and fail. Those of the batch are held; others keep away what does not come round
    while they fail more often than pushes get through."""
    if sum(i.failures for i in items) < _AGAIN:
        return
    ours = items[0].ours
    fail_now = found.lately(ours, seen.now - RECENT)
    kept_away = seen.kept_away
    early = ours and seen.early
    holds = (
        ours or (kept_away > 0 and fail_now > seen.recent.acks and 2 * fail_now >= seen.recent.nacks)
    ) and not early
    held = (len(items) if ours else kept_away) if holds else 0
    yield REPEATS.says(
        Status.FAULT if holds else Status.WARNING,
        f"{_repeats_told(seen, found, items)}; others get through" + (_EARLY if early else ""),
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if early else Bears.HOLDS if holds else Bears.APART,
        held=held,
        since=min(i.first for i in items) if found.whole and ours else None,  # others may have failed before the window
        rests_on=("ItemMarks",),
        subject=seen.service,
        tells=Repeated(
            items=len(items),
            failures=sum(i.failures for i in items),
            others=min(i.others for i in items),
            recent=fail_now,
            foreign=int(not ours),
            early=int(early),
            **_reasoned(items, found),
        ),
    )
    if seen.ledger.told and not (holds or early):
        yield _too_few(seen, fail_now, service)


class _Reasoned(TypedDict):
    steady: int
    leftovers: int
    reason: str | None


def _reasoned(items: Sequence[Item], found: Failing) -> _Reasoned:
    """Of how many of them the reason is the same at each try, of how many it is about what a first try left behind, and which it is.
    What others failed of until they were dead-lettered does not pass, however few tries these have had."""
    lasting = {i.reason for i in found.items if i.steady and i.failures >= _AGAIN}
    reason = next(
        (r for r, _ in Counter(i.reason for i in items if i.steady and i.reason in lasting).most_common(1)), None
    )
    alike = [i for i in items if i.steady and i.reason == reason]
    return {
        "steady": len(alike),
        "leftovers": sum(i.stranded and left_behind(i.reason) for i in alike),
        "reason": reason[:120] if reason else None,
    }


def _repeats_told(seen: Seen, found: Failing, items: Sequence[Item]) -> str:
    """How often, over the very span in which it was, and why; a bound where not all lines were read."""
    first, last = min(i.first for i in items), max(i.last for i in items)
    failed = sum(i.failures for i in items)
    return (
        f"the same {count(len(items), seen.profile.item).removeprefix('1 ')} failed {at_least(found.whole, count(failed, 'time'))} "
        f"{between(first, last, seen.now)}{reasons_told(i.reason for i in items)}: {names(i.name for i in items)}; "
        + _whose(seen, items[0].ours)
    )


def _whose(seen: Seen, ours: bool) -> str:
    if ours:
        return "of this batch"
    return "none of this batch" if seen.ledger.told else "nothing tells of which batch"


def reasons_told(reasons: Iterable[str]) -> str:
    """The reasons given, most frequent first; with a count where there are several."""
    told = Counter(r for r in reasons if r)
    if told.total() == 1:
        return f" ({next(iter(told))})"
    return f" ({', '.join(f'{n} {reason}' for reason, n in told.most_common(3))})" if told else ""


def _past_items(seen: Seen, found: Failing, items: Sequence[Item], ended: str) -> Iterator[Finding]:
    """They failed again and again, and come round no more."""
    if sum(i.failures for i in items) < _AGAIN:
        return
    yield REPEATS.says(
        Status.OK,
        f"{_repeats_told(seen, found, items)}; {ended}",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if items[0].ours else Bears.APART,
        since=min(i.first for i in items) if found.whole and items[0].ours else None,
        until=max(i.last for i in items),
        rests_on=("ItemMarks",),
        subject=seen.service,
        tells=Repeated(items=len(items), failures=sum(i.failures for i in items), recent=0, over=1),
    )


def _unsure(seen: Seen, found: Failing, items: Sequence[Item], repeats: int) -> Iterator[Finding]:
    """Items of the batch that come round and fail, and nothing that was tried since they were tells whether others would. `repeats`: how
    many others fail again and again though others get through."""
    if sum(i.failures for i in items) < _AGAIN:
        return
    passed = all(i.reason and found.overcome.get(i.reason, i.first) > i.last for i in items)
    mild = seen.early or passed
    rest = (
        "; others that had failed so got through since"
        if passed
        else "; nothing tells whether others would get through"
    )
    yield FAIL.says(
        Status.WARNING if mild else Status.FAULT,
        _repeats_told(seen, found, items) + rest + (_EARLY if seen.early else ""),
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if mild else Bears.HOLDS,
        held=0 if mild else len(items),
        since=min(i.first for i in items) if found.whole else None,
        rests_on=("ItemMarks",),
        subject=seen.service,
        tells=Repeated(
            items=len(items),
            failures=sum(i.failures for i in items),
            through=min(i.through for i in items),
            beside=max(seen.least - len(items) - repeats, 0),
            early=int(seen.early),
            **_reasoned(items, found),
        ),
    )


def _chance(seen: Seen, found: Failing, items: Sequence[Item]) -> Iterator[Finding]:
    """Items of the batch that failed no oftener than the share of tries that fail makes likely: they come again as the others did."""
    if sum(i.failures for i in items) < _AGAIN:
        return
    yield UNLUCKY.says(
        Status.WARNING,
        f"{_repeats_told(seen, found, items)}; of the tries of those that got through {found.share:.0%} failed as well",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS,
        since=min(i.first for i in items) if found.whole else None,
        rests_on=("ItemMarks",),
        subject=seen.service,
        tells=Repeated(items=len(items), failures=sum(i.failures for i in items)),
    )


def _all_fail(seen: Seen, broken: Broken) -> Finding:
    """Everything that came round since a moment failed: then the messages are not what is wrong."""
    item = seen.profile.item
    over = seen.now - broken.last > seen.pause
    early = seen.early and not over
    tried = count(len(broken.items), item)
    before = f"; {broken.before} had got through before" if broken.before else ""
    return ALL_FAIL.says(
        Status.OK if over else Status.WARNING if early else Status.FAULT,
        f"since {clock(broken.since, seen.now)} all {tried} that were tried failed, "
        f"and nothing was acked{reasons_told(i.reason for i in broken.items)}{before}"
        + (
            f"; the last failed at {clock(broken.last, seen.now)} and none came since"
            if over
            else _EARLY
            if early
            else ""
        ),
        leg=Leg.REQUEST,
        bears=Bears.APART if not seen.least else Bears.SLOWS if over or early else Bears.HOLDS,
        held=0 if over or early else seen.least,
        since=broken.since,
        until=broken.last if over else None,
        rests_on=("ItemMarks", "PushCounts"),
        subject=seen.service,
        tells=AllFail(
            failed=len(broken.items),
            tried=len(broken.items),
            before=broken.before,
            denied=sum(denied(i.reason) for i in broken.items),
            limited=sum(limited(i.reason) for i in broken.items),
            here=broken.here,
            instances=broken.instances,
            reason=next((r for r, _ in Counter(i.reason for i in broken.items if i.reason).most_common(1)), "")[:120],
            picked_from=_picked_from(seen.ledger),
            early=int(early),
        ),
    )


def _picked_from(ledger: Ledger) -> int:
    """How many items a gate had before it, if it kept most of them back."""
    gated, passed = ledger.gated or 0, ledger.counts[Stage.PUBLISHED].most
    return gated + passed if passed is not None and gated > passed else 0


def _too_few(seen: Seen, fail_now: int, service: ServiceConfig | Unseen) -> Finding:
    per_min = fail_now / (RECENT.total_seconds() / 60)
    slots = None
    if not isinstance(service, Unseen) and service.settings:
        template = service.settings.template
        slots = template.max_instances * template.concurrency
    return STORM_SMALL.says(
        Status.OK,
        f"{per_min:.1f} failures of such messages a minute"
        + (f" against {slots} worker slots" if slots else "")
        + " hold nothing of this batch",
        leg=Leg.REQUEST,
        subject=seen.service,
        tells=TooFew(per_min=per_min, slots=slots or None),
    )
