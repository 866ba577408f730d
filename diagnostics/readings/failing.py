"""Which items fail, and what that says: a few that fail whatever else happens, or everything since a moment.

Two things look alike where only the oldest few messages come round. They are told apart by what others do:
* an item fails *again and again* if others that were taken up after it got through, and it failed once more after that, and more often
  than the share of tries that fail would make likely; so do the few that fail for the same reason as those, if nobody overcame it;
* the receiver is *broken since T* if, from T on, every item that came round failed, two or more of them were first tried then, and
  nothing else was acked. Of other batches' items it takes more, and that nothing at all got through;
  one of this batch among them is enough where all meet a rate or a quota, which no message is to blame for.
Neither is said where the evidence for it was not seen. A third kind is no fault of an item's own: where a share of all tries fails, some
items are *unlucky* a few times in a row.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from diagnostics.evidence.model import ItemMarks, Leg, Mark, Means, PushCounts, Stage, Unseen
from diagnostics.readings.answers import tally
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.ledger.lives import attribute
from diagnostics.readings.pace import LEAST_ATTEMPTS
from diagnostics.readings.reasons import denied, left_behind, limited

_GOOD = (Means.DONE_ITEM, Means.SKIPPED_ITEM)
"""Lines after which the message is acked."""
_CHANCE = 0.01
"""Less than one item in a hundred batches: that is not put down to chance."""
_RARE = 0.001
"""That everything fails is asked at each look, and a wrong yes stops work that gets on: one look in a thousand."""
_ROW = 0.0001
"""As many failures in a row where others got through before: a batch of which a share fails has many moments at which to look, and in one
of them it has a bad run."""
_BAD = 0.1
"""Share of messages that are bad where nothing tells: more than a good pipeline has."""
_ENOUGH = 10
"""Items that got through: of fewer, no share is told."""
_MANY = 3
"""So many that meet a rate or a quota, one of the batch among them, met that of all, and no limit of somebody's own."""
_FEW = 6
"""So many that were all tried of late and all fail: no few that happen to meet something."""
_SAMPLE = timedelta(minutes=1)
"""The length of a sample of the counters: an ack in the sample that holds T may be older than T."""


@dataclass(frozen=True)
class Item:
    """An item that has failed and has not got through since."""

    name: str
    ours: bool
    failures: int
    tried: datetime
    """When it was taken up for the first of these failures, as far as a line tells."""
    first: datetime
    last: datetime
    reason: str
    others: int
    """Items that were taken up after it and got through before its last failure."""
    through: int = 0
    """Items that got through on the revision on which it fails."""
    times: tuple[datetime, ...] = ()
    """When it failed."""
    steady: bool = False
    """Whether each failure gives the same reason."""
    stranded: bool = False
    """Whether a try before the first failure never came to an end that a line tells."""


@dataclass(frozen=True)
class Broken:
    """Everything that the receiver took fails."""

    since: datetime
    last: datetime
    items: tuple[Item, ...]
    """What was tried since then, and failed."""
    before: int
    """Items that had got through before."""
    here: int = 0
    """Of those, items of this batch that got through on the revision on which all fail now."""
    instances: int = 0
    """Containers in which they fail since then."""


@dataclass(frozen=True)
class Failing:
    """What the item lines tell of failures."""

    repeats: tuple[Item, ...] = ()
    """Items that fail again and again while others get through."""
    broken: Broken | None = None
    items: tuple[Item, ...] = ()
    """All items that have failed and not got through since."""
    whole: bool = True
    """Whether the lines were read whole. If not, every count is a least one and the first line is no beginning."""
    failed: tuple[tuple[bool, datetime], ...] = ()
    """Each failure that a line tells of: whether of this batch, and when."""
    unlucky: tuple[Item, ...] = ()
    """Items of the batch that failed no oftener than chance makes likely, by the share of its tries that fail."""
    overcome: Mapping[str, datetime] = field(default_factory=dict)
    """Reasons for which items failed that got through later, and when the last one did."""
    share: float = 0.0
    """Of the tries of items of the batch that got through, the share that failed, 0 to 1."""

    def lately(self, ours: bool, since: datetime) -> int:
        """Failures since then, of items of this batch or of others."""
        return sum(1 for own, at in self.failed if own is ours and at > since)


@dataclass(frozen=True)
class _Try:
    """One try of an item, as its lines tell it."""

    name: str
    ours: bool
    good: bool
    taken: datetime
    at: datetime
    reason: str
    revision: str = ""
    instance: str = ""
    stranded: bool = False
    """Whether it was taken up before, and no line tells an end of that."""
    fruitless: bool = False
    """Whether nothing came of it: then it does not show that the work can be done."""
    many: int = 1
    """So many items have a try that is told alike."""

    @property
    def proves(self) -> bool:
        """Whether it shows that the work can be done."""
        return self.good and not self.fruitless

    @property
    def who(self) -> _Who:
        return self.name, self.ours


_Who = tuple[str, bool]
"""An item by its name, and whether it is of this batch."""


def failing(ledger: Ledger, marks: ItemMarks | Unseen, pushes: PushCounts | Unseen) -> Failing:
    """What fails."""
    if isinstance(marks, Unseen) or not ledger.counts:
        return Failing()
    mine, others = attribute(marks.marks, ledger.attempt)
    tries = sorted((*_tries(mine, True), *_tries(others, False)), key=lambda t: t.at)
    items = _open(tries)
    broken = _broken(ledger, marks, pushes, tries, items)
    repeats = _again(tries, items)
    repeats += _alike(repeats, tries, items)
    if broken is not None:  # what it does to an item is not the item's fault
        repeats = [i for i in repeats if sum(1 for at in i.times if at < broken.since) > 1]
    failed = tuple((t.ours, t.at) for t in tries if not t.good)
    share, unlucky = (0.0, ()) if broken else _unlucky(tries, items)
    return Failing(
        tuple(repeats), broken, tuple(items), marks.source.complete, failed, unlucky, _overcome(tries), share
    )


def _overcome(tries: Sequence[_Try]) -> dict[str, datetime]:
    """When an item that had failed for a reason last got through, by that reason."""
    failed: dict[_Who, set[str]] = {}
    through: dict[str, datetime] = {}
    for one in tries:
        if not one.good:
            failed.setdefault(one.who, set()).add(one.reason)
        elif one.proves:
            through |= dict.fromkeys(failed.get(one.who, ()), one.at)
    return through


def at_first_tries(found: Failing, ledger: Ledger, since: datetime) -> bool:
    """Whether all items of the batch that fail were taken up after `since` and failed fewer times than any policy gives up after, and
    nothing got as far for longer than that: of such nothing says that the next try fails, too.

    Not where they fail of what others were given up for; nor where so many meet it that no chance brings them together, and nothing
    got through: that is no first try of a few.
    """
    dead = {x.name for x in ledger.lives if x.dead_lettered}
    told = ledger.attempt is not None and bool(ledger.lives)
    mine = [i for i in found.items if (i.ours or not told) and i.name not in dead]
    lasting = {
        i.reason for i in found.items if i.reason and (i.failures >= LEAST_ATTEMPTS or (i.ours and i.name in dead))
    }
    if not mine or (told and ledger.last_progress is not None and ledger.last_progress < since):
        return False
    if found.broken is not None and (len(found.broken.items) >= _FEW or all(denied(i.reason) for i in mine)):
        return False
    return all(i.failures < LEAST_ATTEMPTS and i.tried > since and i.reason not in lasting for i in mine)


def _tries(marks: Iterable[Mark], ours: bool) -> Iterable[_Try]:
    """Each failure and each success, with the start that precedes it. Where lines tell of starts, what ended without one began before
    all that was read."""
    marks = list(marks)
    oldest = next((marks[0].at for m in marks if m.means is Means.STARTED_ITEM), None)
    taken: dict[tuple[str, str], datetime] = {}
    begun: dict[str, list[datetime]] = {}
    for mark in marks:
        if not mark.item:
            continue
        key = (mark.item, mark.instance)
        if mark.means is Means.STARTED_ITEM:
            taken[key] = mark.at
            begun.setdefault(mark.item, []).append(mark.at)
        elif mark.means is Means.FAILED_ITEM or mark.means in _GOOD:
            good, reason = mark.means in _GOOD, mark.words.get("reason", "")
            begin = taken.pop(key, oldest or mark.at if good else mark.at)
            tries = begun.pop(mark.item, [])
            stranded = len(tries) > 1
            if stranded and not good and left_behind(reason):  # what fails it is of the first of these tries
                begin = tries[0]
            yield _Try(
                mark.item,
                ours,
                good,
                begin,
                mark.at,
                reason,
                mark.revision,
                mark.instance,
                stranded,
                _fruitless(mark),
                mark.many,
            )


def _fruitless(mark: Mark) -> bool:
    """Whether it brought nothing, or was given up before the work."""
    nothing = max(mark.numbers.values(), default=1) == 0
    return mark.means is Means.SKIPPED_ITEM or (mark.means is Means.DONE_ITEM and nothing)


def _open(tries: Sequence[_Try]) -> list[Item]:
    """Items whose last try failed, with the failures since they last got through."""
    runs: dict[tuple[str, bool], list[_Try]] = {}
    for one in tries:
        key = (one.name, one.ours)
        if one.good:
            runs.pop(key, None)
        else:
            runs.setdefault(key, []).append(one)
    all_ = list(runs.values())
    good = [t for t in tries if t.proves]
    by_build: dict[str, list[_Try]] = {}
    for one in good:
        by_build.setdefault(one.revision, []).append(one)
    through = {build: _items(these) for build, these in by_build.items()}
    others = _others(good, all_)
    return [_item(run, others[n], through.get(run[-1].revision, 0)) for n, run in enumerate(all_)]


def _items(tries: Iterable[_Try]) -> int:
    """How many items these are tries of."""
    return sum({t.who: t.many for t in tries}.values())


def _all(tries: Iterable[_Try]) -> int:
    """How many tries these are."""
    return sum(t.many for t in tries)


def _item(run: Sequence[_Try], others: int, through: int) -> Item:
    first, last = run[0], run[-1]
    times = tuple(t.at for t in run)
    steady = bool(last.reason) and {t.reason for t in run} == {last.reason}
    return Item(
        name=first.name,
        ours=first.ours,
        failures=len(run),
        tried=first.taken,
        first=first.at,
        last=last.at,
        reason=last.reason,
        others=others,
        through=through,
        times=times,
        steady=steady,
        stranded=first.stranded,
    )


def _others(good: Sequence[_Try], runs: Sequence[Sequence[_Try]]) -> list[int]:
    """For each run of failures, how many other items were taken up after it and got through before its last failure.

    `good` in the order in which they got through. The runs are gone through in the order in which they end, and for each item that has
    got through by then the latest moment is kept at which it was taken up.
    """
    moments = sorted({t.taken for t in good})
    later = _Later(len(moments))
    latest: dict[_Who, datetime] = {}
    by_name: dict[str, datetime] = {}
    found, got = [0] * len(runs), 0
    for number in sorted(range(len(runs)), key=lambda n: runs[n][-1].at):
        first, last = runs[number][0], runs[number][-1]
        while got < len(good) and good[got].at < last.at:
            one = good[got]
            latest[one.who] = max(one.taken, latest.get(one.who, one.taken))
            before = by_name.get(one.name)
            if before is None or one.taken > before:
                by_name[one.name] = one.taken
                later.add(bisect_left(moments, one.taken), one.many)
                if before is not None:
                    later.add(bisect_left(moments, before), -one.many)
            got += 1
        found[number] = later.from_(bisect_right(moments, first.taken))
        if (
            first.name in by_name and by_name[first.name] > first.taken
        ):  # the same name: another item of another batch, or it itself
            namesake = latest.get((first.name, not first.ours))
            found[number] -= namesake is None or namesake <= first.taken
    return found


class _Later:
    """Counts by place in an order, and how many there are from a place on, both in few steps (a Fenwick tree, from the end)."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._sums = [0] * (places + 1)

    def add(self, place: int, many: int) -> None:
        at = self._places - place
        while at <= self._places:
            self._sums[at] += many
            at += at & -at

    def from_(self, place: int) -> int:
        at, found = self._places - place, 0
        while at > 0:
            found += self._sums[at]
            at -= at & -at
        return found


def _again(tries: Sequence[_Try], items: Sequence[Item]) -> list[Item]:
    """Which fail again and again though others get through, and more often than chance would have it."""
    still = {(i.name, i.ours) for i in items}
    closed = [t for t in tries if t.who not in still]
    share = _all(t for t in closed if not t.good) / max(_all(closed), 1)
    tried = _items(tries)
    return [i for i in items if i.failures > 1 and i.others and tried * share**i.failures < _CHANCE]


def _unlucky(tries: Sequence[_Try], items: Sequence[Item]) -> tuple[float, tuple[Item, ...]]:
    """The share of tries that fail, by items of the batch that got through, and the items that fail no oftener than it makes likely; none
    where too few got through to tell, or where so many failed since the last one did that it is no chance."""
    ours = [t for t in tries if t.ours]
    through = {t.name for t in ours if t.proves}
    closed = [t for t in ours if t.name in through]
    if _items(t for t in ours if t.proves) < _ENOUGH:
        return 0.0, ()
    share = _all(t for t in closed if not t.good) / _all(closed)
    if not _by_chance(ours):
        return share, ()
    tried = _items(ours)
    return share, tuple(i for i in items if i.ours and tried * share**i.failures >= _CHANCE)


def _alike(proven: Sequence[Item], tries: Sequence[_Try], items: Sequence[Item]) -> list[Item]:
    """Fewer items that fail for the very reason of the proven ones, though none was tried since to tell whether others get through:
    a reason that no item ever overcame."""
    known = {(i.name, i.ours) for i in items}
    overcome = {t.reason for t in tries if not t.good and t.who not in known}
    reasons = {i.reason for i in proven if i.reason} - overcome
    named = {(i.name, i.ours) for i in proven}
    again = [i for i in items if i.reason in reasons and i.failures > 1]
    all_ = Counter(i.reason for i in again)
    rest = [i for i in again if (i.name, i.ours) not in named]
    more = Counter(i.reason for i in rest)
    return sorted((i for i in rest if 2 * more[i.reason] < all_[i.reason]), key=lambda i: i.reason)


def _broken(
    ledger: Ledger,
    marks: ItemMarks,
    pushes: PushCounts | Unseen,
    tries: Sequence[_Try],
    items: Sequence[Item],
) -> Broken | None:
    """Everything fails since the first failure after the last success, if nothing speaks against it. That others failed before, too, does
    not where all give a rate or a quota as their reason: no message is to blame for that."""
    good = [t for t in tries if t.proves]
    newest = max((t.taken for t in good), default=None)
    if not marks.source.complete and (newest is not None or not _never(ledger, pushes)):
        return (
            None  # what was not read may be a success in between, or the first tries of items that have failed for days
        )
    fresh = [i for i in items if newest is None or i.tried > newest]
    ours = [i for i in fresh if i.ours]
    if len(ours) > 1:
        fresh = ours
    elif not (ours and len(fresh) >= _MANY and all(limited(i.reason) for i in fresh)):
        # Others may have failed before any line here; then they came again within a pause. Not so those with as many tries as any has.
        dead = ledger.dead(Leg.REQUEST)
        whole = [i for i in fresh if i.failures == dead.attempts]
        begun = {i.name for i in whole} if len(whole) <= 2 * dead.messages else set[str]()
        fresh = [i for i in fresh if i.ours or i.tried > marks.since + dead.pause or i.name in begun]
        if good or _BAD ** len(fresh) >= _RARE:
            return None
    since = min(i.first for i in fresh)
    if (
        _by_chance(tries)
        or (_as_before(tries, items, fresh) and not all(limited(i.reason) for i in items))
        or not _nothing_acked(pushes, since, marks.source.complete)
    ):
        return None
    tried = tuple(i for i in items if i.last >= since)
    before = _items(good)
    instances = {t.instance for t in tries if not t.good and t.at >= since and t.instance}
    return Broken(since, max(i.last for i in tried), tried, before, _here(tries, since), len(instances))


def _here(tries: Sequence[_Try], since: datetime) -> int:
    """Items of this batch that got through on the one revision on which all fail since then."""
    revisions = {t.revision for t in tries if not t.good and t.at >= since}
    if len(revisions) != 1 or "" in revisions:
        return 0
    return _items(t for t in tries if t.proves and t.ours and t.revision in revisions)


def _never(ledger: Ledger, pushes: PushCounts | Unseen) -> bool:
    """Whether nothing of the batch got through and nothing at all was acked since it began."""
    if isinstance(pushes, Unseen) or not pushes.source.complete or ledger.started is None:
        return False
    return ledger.counts[Stage.PROCESSED].least == 0 and not tally(pushes, ledger.started).acks


def _by_chance(tries: Sequence[_Try]) -> bool:
    """Whether as many failures in a row as there were since something last got through, of whatever items, are to be expected where so few
    tries got through until then."""
    good = [t for t in tries if t.good]
    if not good:
        return False
    before = _all(t for t in tries if t.at <= good[-1].at)
    return (1 - _all(good) / before) ** (_all(tries) - before) >= _ROW


def _as_before(tries: Sequence[_Try], items: Sequence[Item], fresh: Sequence[Item]) -> bool:
    """Whether the items that were tried last are such as many of those before them, which fail though others got through: however often
    each is tried again, it is one item."""
    last = {(i.name, i.ours) for i in fresh}
    before = {t.who for t in tries} - last
    failing = {(i.name, i.ours) for i in items} - last
    if before and not any(t.proves for t in tries):  # which share of those before was bad nothing tells
        return _BAD ** len(fresh) >= _RARE
    # A reason that more others gave while items got through, and that none overcame, is one of their own.
    own = Counter(i.reason for i in items if (i.name, i.ours) not in last and i.others and i.reason)
    overcome, now = _overcome(tries), Counter(i.reason for i in fresh)
    if all(reason and reason not in overcome and own[reason] > many for reason, many in now.items()):
        return True
    tried = _items(t for t in tries if t.who in before)
    return bool(before) and (len(failing & before) / tried) ** len(fresh) >= _CHANCE


def _nothing_acked(pushes: PushCounts | Unseen, since: datetime, whole: bool) -> bool:
    """Whether the counters show that nothing was acked since; where they were not seen, the lines have to have been read whole."""
    if isinstance(pushes, Unseen) or not pushes.source.complete or pushes.source.as_of <= since + _SAMPLE:
        return whole and (isinstance(pushes, Unseen) or not tally(pushes, since + _SAMPLE).acks)
    return not tally(pushes, since + _SAMPLE).acks
