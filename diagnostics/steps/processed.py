"""What does the receiving code answer: who fails again and again, does it start at all, what does it give up?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from diagnostics.evidence.model import (
    ItemMarks,
    Leg,
    LogRow,
    PlatformLines,
    PushCounts,
    RequestLog,
    ServiceConfig,
    Stage,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger, Repeat
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.words import RECENT, at_least, between, by_class, clock, count, names, owed, through

REPEATS = Code("processed.repeats", Stage.PROCESSED, "the same items fail again and again", Kind.EFFECT)
ALL_FAIL = Code("processed.all_fail", Stage.PROCESSED, "everything that reaches the receiver fails", Kind.EFFECT)
UNREADABLE = Code(
    "processed.unreadable",
    Stage.PROCESSED,
    "messages that the receiver cannot read come back again and again",
    Kind.EFFECT,
)
CRASHING = Code("processed.crashing", Stage.PROCESSED, "containers exit or cannot start", Kind.EFFECT)
ERRORS = Code("processed.errors", Stage.PROCESSED, "the receiver answers with errors", Kind.EFFECT)
SKIPPED = Code("processed.skipped", Stage.PROCESSED, "the worker gave items up and acked them", Kind.EFFECT)
FRUITLESS = Code(
    "processed.fruitless", Stage.PROCESSED, "most of what the worker finished brought nothing", Kind.EFFECT
)
STORM_SMALL = Code("processed.storm_small", Stage.PROCESSED, "failing messages are too few to hold anything back")
FINE = Code("processed.fine", Stage.PROCESSED, "the receiver answers without errors")
UNSEEN = Code("processed.unseen", Stage.PROCESSED, "what the receiver answers could not be seen")

_CRASH = (
    "Container called exit(",
    "Container terminated on signal",
    "STARTUP",
    "could not start successfully",
    "failed to boot",
)
_MEMORY = "Memory limit of"


def processed(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    log: RequestLog | Unseen,
    lines: PlatformLines | Unseen,
    marks: ItemMarks | Unseen,
    pushes: PushCounts | Unseen,
    service: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
) -> Iterator[Finding | Row]:
    """Reads the request log (entries with an instance are the application's own answers), its marker lines, and Cloud Run's."""
    recent = {} if isinstance(pushes, Unseen) else by_class(pushes.series, pushes.source.as_of - RECENT)
    acking = bool(recent.get("ack"))
    if leg is Leg.REQUEST:
        yield _row(ledger, now)
        yield from _repeats(ledger, profile, now, marks, service, recent)
        yield from _all_fail(ledger, profile, acking)
        yield from _skipped(ledger, profile, marks)
        yield from _fruitless(ledger, profile, marks)
    if isinstance(log, Unseen) and isinstance(lines, Unseen):
        yield UNSEEN.says(Status.UNKNOWN, f"request log and container log could not be seen: {log.says}", leg=leg)
        return
    least = _stopped(ledger, leg)
    yield from _crashes(leg, log, lines, now, least, acking)
    if not isinstance(log, Unseen):
        yield from _answers(leg, ledger, log, now, least, recent)


def _stopped(ledger: Ledger, leg: Leg) -> int:
    """Items that were owed to this receiver and are not known to be acked by it."""
    if not ledger.counts:
        return 0
    if leg is Leg.COMPLETION:
        return owed(ledger, leg)[0]
    return ledger.gap(Stage.DELIVERED)[0] + ledger.gap(Stage.PROCESSED)[0]


def _repeats(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    marks: ItemMarks | Unseen,
    service: ServiceConfig | Unseen,
    recent: dict[str, float],
) -> Iterator[Finding]:
    """Failures that come back. Of what is dead-lettered, or what nothing pushes any more, that is past."""
    if isinstance(marks, Unseen):
        return
    told = _Told(profile, now, marks.source.complete)
    nacks = sum(v for k, v in recent.items() if k != "ack")
    ours = [r for r in ledger.repeats if r.ours]
    foreign = [r for r in ledger.repeats if not r.ours]
    dead = [r for r in ours if r.dead_lettered]
    if dead:
        yield told.past(dead, "of this batch; they went to the dead-letter topic")
    theirs = "of no item of this batch" if ledger.told else "of which batch, nothing tells"
    for group, whose in (([r for r in ours if not r.dead_lettered], "of this batch"), (foreign, theirs)):
        if sum(r.failures for r in group) < _AGAIN:
            continue
        newest = max(r.last for r in group)
        if not nacks and now - newest > ledger.dead(Leg.REQUEST).pause:
            yield told.past(group, f"{whose}; nothing pushes them any more")
        elif group is not foreign:
            yield told.now(group, Bears.HOLDS, len(group), whose)
        else:
            waiting = owed(ledger, Leg.REQUEST)[0]
            holds = waiting > 0 and nacks > recent.get("ack", 0)
            yield told.now(group, Bears.HOLDS if holds else Bears.APART, waiting if holds else 0, whose)
            if ledger.told and not holds:
                yield _too_few(recent, service)


_AGAIN = 3
"""Fewer failures than this of all items together are a retry, and no coming back again and again."""


class _Told(NamedTuple):
    """How repeated failures are told: over the very span in which they were, and as a bound where not all lines were read."""

    profile: PipelineProfile
    at: datetime
    whole: bool

    def now(self, found: list[Repeat], bears: Bears, held: int, whose: str) -> Finding:
        status = Status.FAULT if bears is Bears.HOLDS else Status.WARNING
        return self._finding(found, status, bears, held, None, whose)

    def past(self, found: list[Repeat], whose: str) -> Finding:
        return self._finding(found, Status.OK, Bears.APART, 0, max(r.last for r in found), whose)

    def _finding(
        self, found: list[Repeat], status: Status, bears: Bears, held: int, until: datetime | None, whose: str
    ) -> Finding:
        failures = sum(r.failures for r in found)
        first, last = min(r.first for r in found), max(r.last for r in found)
        minutes = max((last - first).total_seconds() / 60, 1)
        rate = f", {failures / minutes:.1f} a minute" if until is None and last - first >= RECENT else ""
        many = count(len(found), self.profile.item)
        return REPEATS.says(
            status,
            f"the same {many} failed {at_least(self.whole, f'{failures} times')} {between(first, last, self.at)}"
            f"{rate}{_reasons(r.reason for r in found)}: {names(r.name for r in found)}; {whose}",
            leg=Leg.REQUEST,
            bears=bears,
            held=held,
            since=first if self.whole else None,  # of more lines than were read, the oldest read is no beginning
            until=until,
            rests_on=("ItemMarks",),
            numbers={"items": len(found), "failures": failures, "per_min": failures / minutes},
        )


def _reasons(reasons: Iterable[str]) -> str:
    """The reasons given, most frequent first; with a count where there are several."""
    told = Counter(r for r in reasons if r)
    return f" ({', '.join(f'{n} {reason}' for reason, n in told.most_common(3))})" if told else ""


def _all_fail(ledger: Ledger, profile: PipelineProfile, acking: bool) -> Iterator[Finding]:
    """No item of the batch ever succeeded and nothing else does now: then the messages are not what is wrong."""
    tried = [x for x in ledger.lives if x.stage is Stage.DELIVERED]
    failed = [x for x in tried if x.failures]
    if acking or len(failed) < 2 or not ledger.counts or ledger.counts[Stage.PROCESSED].exact != 0:
        return
    reasons = Counter(x.reason for x in failed if x.reason)
    why = f": {reasons.most_common(1)[0][0]}" if reasons else ""
    yield ALL_FAIL.says(
        Status.FAULT,
        f"each {profile.item} that reached the worker failed, {len(failed)} of {len(tried)}, and nothing else is acked{why}",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        held=len(failed),
        since=min((x.first for x in failed if x.first), default=None),
        rests_on=("ItemMarks", "PushCounts"),
        numbers={"failed": len(failed), "tried": len(tried)},
    )


def _too_few(recent: dict[str, float], service: ServiceConfig | Unseen) -> Finding:
    nacks = sum(v for k, v in recent.items() if k != "ack") / (RECENT.total_seconds() / 60)
    slots = None
    if not isinstance(service, Unseen) and service.settings:
        template = service.settings.template
        slots = template.max_instances * template.concurrency
    return STORM_SMALL.says(
        Status.OK,
        f"{nacks:.1f} failing pushes a minute"
        + (f" against {slots} worker slots" if slots else "")
        + " hold nothing of this batch",
        leg=Leg.REQUEST,
        numbers={"per_min": nacks} | ({"slots": slots} if slots else {}),
    )


def _skipped(ledger: Ledger, profile: PipelineProfile, marks: ItemMarks | Unseen) -> Iterator[Finding]:
    """Items that the worker gave up: some are business, but they are no work done, and without a completion they never come back."""
    skipped = [x for x in ledger.lives if x.skipped and not x.done]
    if not skipped or isinstance(marks, Unseen):
        return
    open_ones = [x for x in skipped if x.stage is Stage.PROCESSED] if not ledger.closed else []
    finished = max(ledger.counts[Stage.PROCESSED].least, len(skipped))
    most = 2 * len(skipped) > finished
    reasons = Counter(x.reason for x in skipped if x.reason)
    whole = marks.source.complete
    yield SKIPPED.says(
        Status.WARNING if open_ones or most else Status.OK,
        f"the worker gave up {at_least(whole, _of(len(skipped), finished, profile.item))} and acked them"
        + _reasons(x.reason for x in skipped)
        + ("; no work was done at all" if len(skipped) == finished else "")
        + (f"; {len(open_ones)} of them never came back" if open_ones and len(open_ones) < len(skipped) else ""),
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if open_ones or most else Bears.APART,
        held=len(open_ones),
        since=min((x.ended for x in skipped if x.ended), default=None) if whole else None,
        rests_on=("ItemMarks",),
        numbers={"skipped": len(skipped), "open": len(open_ones), "finished": finished},
        words={"reason": reasons.most_common(1)[0][0] if reasons else ""},
    )


def _fruitless(ledger: Ledger, profile: PipelineProfile, marks: ItemMarks | Unseen) -> Iterator[Finding]:
    """Finished items whose own lines say that nothing came of them."""
    counted = [x for x in ledger.lives if x.done and x.brought is not None]
    empty = [x for x in counted if not x.brought]
    if 2 * len(empty) <= len(counted) or isinstance(marks, Unseen):
        return
    yield FRUITLESS.says(
        Status.WARNING,
        f"{at_least(marks.source.complete, _of(len(empty), len(counted), profile.item))} finished with no result",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS,
        since=min((x.ended for x in empty if x.ended), default=None) if marks.source.complete else None,
        rests_on=("ItemMarks",),
        numbers={"empty": len(empty), "finished": len(counted)},
    )


def _of(number: int, of: int, item: str) -> str:
    """all 12 orders, 3 of 12 orders."""
    return f"all {count(of, item)}" if number == of and of > 1 else f"{number} of {count(of, item)}"


def _crashes(
    leg: Leg, log: RequestLog | Unseen, lines: PlatformLines | Unseen, now: datetime, least: int, acking: bool
) -> Iterator[Finding]:
    crashed = [] if isinstance(lines, Unseen) else [x for x in lines.lines if _crash(x.text)]
    refused = [] if isinstance(log, Unseen) else [r for r in log.refused if "could not start successfully" in r.text]
    if not crashed and not refused:
        return
    newest = max([x.at for x in crashed] + [r.at for r in refused])
    first = min([x.at for x in crashed] + [r.at for r in refused])
    cut = not isinstance(lines, Unseen) and not lines.source.complete
    fresh = now - newest < timedelta(minutes=20) and not acking
    told = (
        []
        if isinstance(lines, Unseen)
        else [x for x in lines.lines if x.log in ("stderr", "stdout") and x.severity == "ERROR"]
    )
    why = next((x.text for x in reversed(told) if x.at >= first - timedelta(minutes=1)), "")
    revisions = names({x.revision for x in crashed if x.revision})
    memory = next((x.text for x in reversed(crashed) if _MEMORY in x.text), "")
    died = len({x.instance or x.at for x in crashed})  # one death may leave several lines
    how = "were killed for memory" if memory else "exited or failed to start"
    why = why or memory
    yield CRASHING.says(
        Status.FAULT if fresh else Status.WARNING,
        f"containers{f' of {revisions}' if revisions else ''} {how} {count(died or len(refused), 'time')}"
        + (f", the last at {clock(newest, now)}" if not fresh else "")
        + (f": {why[:120]}" if why else ""),
        leg=leg,
        bears=(Bears.HOLDS if least else Bears.APART) if fresh else Bears.SLOWS,
        held=least if fresh else 0,
        since=None if cut else first,  # of more lines than were read, the oldest read is no beginning
        rests_on=("PlatformLines", "RequestLog"),
        numbers={"exits": died, "refused": len(refused)},
        words={"why": why, "how": "are killed for memory" if memory else "exit or never start"},
    )


def _crash(text: str) -> bool:
    if "STARTUP" in text:
        return "fail" in text
    return any(part in text for part in _CRASH) or _MEMORY in text


def _answers(
    leg: Leg, ledger: Ledger, log: RequestLog, now: datetime, least: int, recent: dict[str, float]
) -> Iterator[Finding]:
    since = ledger.started or now - timedelta(hours=1)
    own = [r for r in log.refused if r.instance and r.path.split("?")[0] == log.push_path and r.at >= since]
    if not own:
        yield _fine(leg, log, since, now, recent)
    client = [r for r in own if 400 <= r.status < 500 and r.status not in (401, 403, 404, 405, 429)]
    if len(client) > 1:
        holds = bool(least) and sum(v for k, v in recent.items() if k != "ack") > recent.get("ack", 0)
        minutes = max((client[-1].at - client[0].at).total_seconds() / 60, 1)
        yield UNREADABLE.says(
            Status.FAULT if holds else Status.WARNING,
            f"{len(client)} pushes answered {_codes(client)} by the application itself, {len(client) / minutes:.1f} a minute",
            leg=leg,
            bears=Bears.HOLDS if holds else Bears.APART,
            held=least if holds else 0,
            since=client[0].at,
            rests_on=("RequestLog",),
            numbers={"answers": len(client), "per_min": len(client) / minutes},
        )
    server = [r for r in own if r.status >= 500 or r.status in (401, 403, 404, 405)]
    fresh = [r for r in server if r.at > now - RECENT]
    if server:
        share = len(fresh) / max(len(fresh) + recent.get("ack", 0), 1)
        broken = bool(fresh) and not recent.get("ack") and not through(ledger, leg)
        yield ERRORS.says(
            (Status.FAULT if broken else Status.WARNING) if fresh else Status.OK,
            f"{len(server)} pushes answered {_codes(server)} by the application itself"
            + (f", {share:.0%} of the last 5 min" if fresh else f", none since {clock(server[-1].at, now)}"),
            leg=leg,
            bears=(Bears.HOLDS if least else Bears.APART) if broken else Bears.SLOWS if least else Bears.APART,
            held=least if broken else 0,
            since=server[0].at,
            rests_on=("RequestLog",),
            numbers={"answers": len(server), "recent": len(fresh), "share": share},
        )


def _fine(leg: Leg, log: RequestLog, since: datetime, now: datetime, recent: dict[str, float]) -> Finding:
    """No error of the application is in the log. That is well if pushes are in it, and tells nothing if it leaves them out."""
    answered = [r for r in log.fine if r.instance and r.path.split("?")[0] == log.push_path and r.at >= since]
    begin = clock(since, now)
    if answered:
        says = f"{count(len(answered), 'push')} since {begin} in the log, all answered without an error"
        return FINE.says(Status.OK, says, leg=leg, rests_on=("RequestLog",))
    if recent.get("ack"):
        says = f"pushes are acked, and none since {begin} is in the request log: it does not hold them all"
        return FINE.says(Status.UNKNOWN, says, leg=leg, rests_on=("RequestLog",))
    return FINE.says(Status.IDLE, f"no push since {begin} is in the request log", leg=leg, rests_on=("RequestLog",))


def _codes(rows: list[LogRow]) -> str:
    return ", ".join(f"{status} ({n})" for status, n in Counter(r.status for r in rows).most_common(3))


def _row(ledger: Ledger, now: datetime) -> Row:
    here = ledger.counts.get(Stage.PROCESSED)
    before = ledger.before(Stage.PROCESSED) if ledger.counts else None
    if here is None or before is None or before.most == 0:
        return Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, not_reached=True)
    least, _ = ledger.gap(Stage.PROCESSED)
    return Row(
        stage=Stage.PROCESSED,
        leg=Leg.REQUEST,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=_where(ledger, now, least),
        basis=here.basis,
        status=Status.WARNING if least else (Status.OK if here.most is not None else Status.UNKNOWN),
        source=here.source,
    )


def _where(ledger: Ledger, now: datetime, lacks: int) -> dict[str, int]:
    """Where items are that reached the worker and were not acked: by their own lines, bounded by what can still wait."""
    dead = ledger.dead_at(Stage.PROCESSED)
    pause = ledger.dead(Leg.REQUEST).pause
    open_ones = [x for x in ledger.lives if x.stage is Stage.DELIVERED and not x.dead_lettered]
    lately = [x for x in open_ones if x.last is not None and now - x.last <= pause]
    failing = sum(1 for x in lately if x.failures)
    silent = len(open_ones) - len(lately)
    rest = lacks - dead - len(lately)
    return places(
        lacks,
        {Where.DEAD_LETTERED: dead, Where.RETRYING: failing, Where.IN_FLIGHT: len(lately) - failing},
        {Where.WAITING: max(min(silent, may_wait(ledger, Leg.REQUEST, now, lacks) - len(lately), rest), 0)},
    )
