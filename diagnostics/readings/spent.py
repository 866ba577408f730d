"""Why messages of the batch used up their delivery attempts: they are bad themselves, or what they met was bad for all.

The dead letters look the same. What others did meanwhile tells them apart:
* a message is bad *itself* if others got through while it failed, and failed too seldom for chance to have failed it each time; one
  that the program did, be it too late for an ack or without a way to report it, is not; nor one of whose failures no line tells, as where
  a container dies with all that it had taken;
* it was *an outage* if nothing at all got through from the first of its failures to the last, while three items or more failed, whether
  some of these got through afterwards or not: that so few bad ones were all tried after the last good one would be chance. And what was
  turned away before it reached a program was read by none.
What was at work already when an outage began may still end well: so only that got through meanwhile which was taken up after the first
failure; unless as many as failed were taken up side by side with them and ended well, as where all comes at once. Of what has no lines of
its own, neither is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from diagnostics.evidence.model import By, ItemMarks, Leg, Mark, Means, RequestLog, Stage, Unseen
from diagnostics.readings.answers import answers
from diagnostics.readings.ledger import Ledger, Life

_FAILS = {Leg.REQUEST: Means.FAILED_ITEM, Leg.COMPLETION: Means.RECORD_ERROR}
_TAKEN = {Leg.REQUEST: Means.STARTED_ITEM, Leg.COMPLETION: Means.RETURNED_ITEM}
_GOOD = {Leg.REQUEST: (Means.DONE_ITEM, Means.SKIPPED_ITEM), Leg.COMPLETION: (Means.RECORDED_ITEM,)}
_CHANCE = 0.01
"""Less than one item in a hundred batches: that is not put down to chance."""
_MANY = 3
"""So many that fail with nothing in between are no few bad ones that came last."""


@dataclass(frozen=True)
class Spent:
    """Items of the batch that were dead-lettered on a leg, by why, as far as that can be told."""

    items: int
    theirs: int
    """Of those the ones that are bad themselves."""
    outage: int
    """Those that met what nothing got through."""
    door: int
    """Those that no program ever took."""
    through: int
    """Others that got through between the first failure and the last."""
    since: datetime | None
    last: datetime | None


def spent(ledger: Ledger, leg: Leg, marks: ItemMarks | Unseen, log: RequestLog | Unseen) -> Spent | None:
    """None where no item of the batch is known to be dead-lettered on this leg."""
    went = ledger.dead(leg)
    if not went.ours or isinstance(marks, Unseen):
        return None
    dead = {x.name for x in ledger.lives if x.dead_lettered and _on(x, leg)}
    tries = _tries(marks.marks, leg, dead, ledger.started)
    good = _passes(marks.marks, leg, dead)
    bad = [m for m in marks.marks if m.means is _FAILS[leg] and m.item not in dead]
    well = {m.item for m in marks.marks if m.means in _GOOD[leg]}
    begun = _side_by_side(_begun(marks.marks, leg, tries), tries, good)
    passed = {name: _meanwhile(good, begun.get(name, times[0]), times[0], times[-1]) for name, times in tries.items()}
    reasons = _reasons(marks.marks, leg, tries)
    passes_off = _overcome(bad, well, len(dead))
    theirs = _with_their_reason(
        {
            name
            for name, times in tries.items()
            if name not in well
            and name in reasons
            and not (reasons.get(name) and reasons[name] <= passes_off)
            and _itself(times, passed[name], bad, len(dead))
        },
        reasons,
        well,
    )
    alike = [name for name in tries if not passed[name] and name not in theirs]
    begin = min((tries[name][0] for name in alike), default=None)
    end = max((tries[name][-1] for name in alike), default=None)
    all_alike = begin and end and not _meanwhile(good, begin, begin, end) and _many(alike, bad, begin, end)
    times = [at for found in tries.values() for at in found]
    first, last = min(times, default=None), max(times, default=None)
    return Spent(
        items=went.ours,
        theirs=len(theirs),
        outage=len(alike) if all_alike else 0,
        door=_turned_away(ledger, leg, log),
        through=_items(_meanwhile(good, min(begun.values(), default=first), first, last)) if first and last else 0,
        since=first,
        last=last,
    )


def _overcome(bad: Sequence[Mark], well: set[str], dead: int) -> set[str]:
    """Reasons that as many others gave as were dead-lettered, and that got through after all: no reason of an item's own."""
    gave = defaultdict[str, set[str]](set)
    for mark in bad:
        if mark.item in well and mark.words.get("reason"):
            gave[mark.words["reason"]].add(mark.item)
    return {reason for reason, items in gave.items() if len(items) >= dead}


def _reasons(marks: Sequence[Mark], leg: Leg, tries: Mapping[str, object]) -> Mapping[str, set[str]]:
    """Why each of these failed, as often as a line tells."""
    found = defaultdict[str, set[str]](set)
    for mark in marks:
        if mark.means is _FAILS[leg] and mark.item in tries:
            found[mark.item].add(mark.words.get("reason", ""))
    return found


def _with_their_reason(bad: set[str], reasons: Mapping[str, set[str]], well: set[str]) -> set[str]:
    """Those that are bad themselves, and all that gave no other reason than one of these gave each time; whatever failed, where none of
    them gave one: then nothing tells another kind from theirs."""
    if not bad:
        return bad
    own = [reasons.get(name, set()) for name in bad]
    known = set[str]().union(*(why for why in own if len(why) == 1 and "" not in why))
    untold = not known and any(not why - {""} for why in own)
    return bad | {name for name, why in reasons.items() if (untold or why <= known) and name not in well}


def _many(alike: Sequence[str], bad: Sequence[Mark], begin: datetime, end: datetime) -> bool:
    """Whether as many failed meanwhile, those included that got through later, as no few bad ones do that came last."""
    return len(alike) + len({m.item for m in bad if begin < m.at < end}) >= _MANY


def _on(life: Life, leg: Leg) -> bool:
    here = life.stage is Stage.DELIVERED or life.nacked_completion
    return here if leg is Leg.REQUEST else not here


def _tries(
    marks: Sequence[Mark], leg: Leg, dead: set[str], started: datetime | None
) -> Mapping[str, tuple[datetime, ...]]:
    """When each of these items failed; where no line tells of a failure, as of a container that dies, when it was taken up. Two times at
    least: one tells of no time in between."""
    failed, taken = defaultdict[str, list[datetime]](list), defaultdict[str, list[datetime]](list)
    for mark in marks:
        if mark.item in dead and (started is None or mark.at >= started):
            if mark.means is _FAILS[leg]:
                failed[mark.item].append(mark.at)
            elif mark.means is _TAKEN[leg]:
                taken[mark.item].append(mark.at)
    known = {name: tuple(sorted(failed.get(name) or taken.get(name, []))) for name in dead}
    return {name: times for name, times in known.items() if len(times) > 1}


@dataclass(frozen=True)
class _Pass:
    """A try that ended well."""

    item: str
    taken: datetime
    """When it was taken up; where no line tells, when it ended."""
    ended: datetime
    many: int
    """So many items have one that is told alike."""


def _items(passes: Iterable[_Pass]) -> int:
    """How many items these are of."""
    return sum({p.item: p.many for p in passes}.values())


def _passes(marks: Sequence[Mark], leg: Leg, dead: set[str]) -> list[_Pass]:
    """Tries of other items that ended well, each with the last line before its end that tells of its begin."""
    taken: dict[str, datetime] = {}
    passes: list[_Pass] = []
    for mark in sorted(marks, key=lambda m: m.at):
        if mark.item in dead:
            continue
        if mark.means is _TAKEN[leg]:
            taken[mark.item] = mark.at
        elif mark.means in _GOOD[leg]:
            passes.append(_Pass(mark.item, taken.get(mark.item, mark.at), mark.at, mark.many))
    return passes


def _begun(marks: Sequence[Mark], leg: Leg, tries: Mapping[str, Sequence[datetime]]) -> dict[str, datetime]:
    """When each of these was taken up for the first of its failures, where a line tells."""
    found: dict[str, datetime] = {}
    for mark in sorted(marks, key=lambda m: m.at):
        if mark.means is _TAKEN[leg] and mark.item in tries and mark.at <= tries[mark.item][0]:
            found[mark.item] = mark.at
    return found


def _side_by_side(
    begun: Mapping[str, datetime], tries: Mapping[str, Sequence[datetime]], good: Sequence[_Pass]
) -> Mapping[str, datetime]:
    """When these were taken up, if at least as many as failed were taken up after the first of them, and ended well after it had failed;
    else nothing: only what was taken up after a failure tells of it."""
    if not begun or len(tries) < _MANY:
        return {}
    first, end = min(times[0] for times in tries.values()), max(times[-1] for times in tries.values())
    beside = _items(_meanwhile(good, min(begun.values()), first, end))
    return begun if beside >= len(tries) else {}


def _meanwhile(passes: Sequence[_Pass], taken: datetime, begin: datetime, end: datetime) -> list[_Pass]:
    """What was taken up after one moment and ended well between two others."""
    return [p for p in passes if taken < p.taken and begin < p.ended < end]


def _itself(times: Sequence[datetime], passed: Sequence[_Pass], bad: Sequence[Mark], dead: int) -> bool:
    """Whether others got through while it failed, and too few of them failed for chance to have failed it each time."""
    failed = [m for m in bad if times[0] < m.at < times[-1]]
    if not passed:
        return False
    share = len(failed) / (len(failed) + sum(p.many for p in passed))
    names = {p.item: p.many for p in passed} | {m.item: m.many for m in failed}
    tried = sum(names.values()) + dead
    return tried * share ** len(times) < _CHANCE


def _turned_away(ledger: Ledger, leg: Leg, log: RequestLog | Unseen) -> int:
    """Items that were dead-lettered before any program took them: so few reached one, and most answers came from none."""
    stage = Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED
    least, went = ledger.dead_at(stage), ledger.dead(leg)
    if not least or ledger.started is None or isinstance(log, Unseen):
        return 0
    rows = [r for r in answers(log, ledger.started).rows if went.last is None or r.at <= went.last]
    by_program = sum(1 for r in rows if r.by is By.APPLICATION)
    if ledger.bad_messages or not log.source.complete or 2 * by_program >= len(rows):
        return 0  # of what it cannot read a program names no item
    return least
