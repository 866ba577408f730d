"""How the batch stands: its state, whether it finishes alone, where it stopped, and what of the unseen matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from diagnostics.causes.model import Role
from diagnostics.causes.verdict import Verdict
from diagnostics.conclude.diagnosis import Exit, State
from diagnostics.evidence.model import STAGES, Leg, Stage
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import closed, created, progress, published, recorded, requested
from diagnostics.steps.delivered import push_answers, what_waits
from diagnostics.steps.finding import AnyCode, Bears, Finding, Kind, Row, Status, Where
from diagnostics.steps.processed import error_answers, failing_items
from diagnostics.steps.returned import refused
from diagnostics.steps.routed.vanished import VANISHED

EXITS = {
    Status.OK: Exit.OK,
    Status.IDLE: Exit.OK,
    Status.ADVICE: Exit.OK,
    Status.WARNING: Exit.WARNING,
    Status.UNKNOWN: Exit.UNKNOWN,
    Status.FAULT: Exit.FAULT,
}

_NO_BATCH = (
    created.MISSING,
    created.STALE_OPEN,
    requested.SIGN_IN,
    requested.FAILED,
    requested.REFUSED,
    requested.NOT_READY,
)


_DOUBTS = (requested.LATER, published.IN_PROGRESS, push_answers.UNTOLD, refused.ERRORS, closed.OPEN, closed.CLOSED)
"""What, unknown, leaves it open whether all is well, however well the batch that is seen gets on."""


def doubts(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What leaves it open whether all is well, by name: a later start attempt, whether the rest is being
    published, how pushes were answered, whose completions were refused, what the batch waits for, whether it did its work."""
    names = {code.name for code in _DOUBTS}
    return tuple(f for f in findings if f.code in names and f.status is Status.UNKNOWN)


def state_of(ledger: Ledger, findings: Sequence[Finding], verdict: Verdict) -> State:
    if ledger.known_batch is False or not ledger.told or ledger.attempt is None:
        return State.UNKNOWN
    if ledger.as_asked:
        return State.STALLED if verdict.held or has(findings, progress.STALLED) else State.UNKNOWN
    if ledger.hollow:
        return State.FAILED
    if ledger.closed or has(findings, published.EMPTY, statuses=(Status.OK,)):
        return State.UNKNOWN if doubts(findings) else State.DONE
    if not ledger.batch or ledger.made_none:
        if has(findings, created.LOADING, statuses=(Status.OK,)):
            return State.RUNNING
        return State.FAILED if has(findings, *_NO_BATCH) else State.UNKNOWN
    moving = has(findings, progress.PROGRESSING, statuses=(Status.OK,))
    if has(findings, progress.STALLED) or (verdict.held and (not moving or creeping_s(findings) is not None)):
        return State.STALLED
    if moving or has(findings, progress.TOO_EARLY, statuses=(Status.OK,)):
        return State.RUNNING
    return State.UNKNOWN


def creeping_s(findings: Sequence[Finding]) -> float | None:
    """Seconds from one item to the next where items get done so rarely that this is no running batch once something holds it; None:
    they do not, or oftener."""
    return next((told.every_s for told in progress.PROGRESSING.told(findings) if told.creeps), None)


def status_of(command: str, state: State, ledger: Ledger, findings: Sequence[Finding], verdict: Verdict) -> Status:
    """The status of the whole answer; fault outranks unknown, unknown outranks warning."""
    if ledger.known_batch is False or not findings:
        return Status.UNKNOWN
    if command != "batch":
        return worst(f.status for f in findings)
    if has(findings, created.ACTIVE_OTHER, statuses=(Status.OK,)) and state is State.FAILED:
        return Status.OK
    if state is State.FAILED and _may_be_right(findings, verdict):
        return Status.UNKNOWN
    if verdict.held or state in (State.STALLED, State.FAILED):
        return Status.FAULT
    mild = _slower(verdict)
    holding = (f for f in findings if f.status is Status.FAULT and f.bears is Bears.HOLDS and f not in mild)
    if state is not State.DONE and any(holding):
        return Status.FAULT
    if state is State.UNKNOWN:
        now = [f for f in findings if f.status is Status.FAULT and f.until is None and f not in mild]
        return Status.FAULT if now else Status.UNKNOWN
    if doubts(findings):
        return Status.UNKNOWN
    return Status.WARNING if any(f.abnormal for f in findings) else Status.OK


def _slower(verdict: Verdict) -> list[Finding]:
    """Failing pushes beside others that get through, and what waits behind them, where the cause of it is no fault by itself: whether
    half of them fail or more, what is sent again gets there."""
    mild = [x for x in verdict.live if x.share.own and all(f.status is not Status.FAULT for f in x.share.own)]
    follows = [f for x in mild for f in x.share.follows]
    early = [f for x in mild if first_tries(x.share.own) for f in x.share.follows]
    failing = early + [f for f in follows if (told := push_answers.FAILING.of(f)) and told.acks]
    return failing + [f for f in follows if (held := what_waits.HELD_BACK.of(f)) and held.acks_per_min]


def _may_be_right(findings: Sequence[Finding], verdict: Verdict) -> bool:
    """Whether nothing is wrong but that a start was refused for the sake of another batch of which it could not be seen whether it gets
    further: if it does, the refusal is right."""
    unseen = has(findings, created.STALE_OPEN, statuses=(Status.UNKNOWN,))
    return unseen and not verdict.blocking and all(f.code == requested.REFUSED.name for f in verdict.nameless)


def worst(statuses: Iterable[Status]) -> Status:
    order = [Status.FAULT, Status.UNKNOWN, Status.WARNING, Status.IDLE]
    found = set(statuses)
    return next((s for s in order if s in found), Status.OK)


def first_tries(findings: Sequence[Finding]) -> bool:
    """Whether items fail, or completions fail to be recorded, that are at their first tries: whether they get through nothing tells."""
    return failing_items.early(findings) or any(told.early for told in recorded.RECORD_ERRORS.told(findings))


def reasons(nameless: Iterable[Finding]) -> list[Finding]:
    """Without what happened to messages where how something is set up is the reason for that: they are one trouble."""
    found = list(nameless)
    settings = [f for f in found if f.kind is Kind.MECHANISM]
    return [f for f in found if f.kind is not Kind.EFFECT or not any(_is_reason(s, f) for s in settings)]


def _is_reason(setting: Finding, effect: Finding) -> bool:
    """Whether the setting is why messages met that: one that holds them, of everything at its stage, another of what its own step found."""
    if setting.leg is not effect.leg:
        return False
    if setting.bears is Bears.HOLDS:
        return setting.stage is effect.stage
    return setting.code.partition(".")[0] == effect.code.partition(".")[0]


def stopped_at(
    rows: Sequence[Row], state: State, verdict: Verdict, forgiven: int = 0
) -> tuple[Stage | None, Leg | None]:
    """The first row at which what holds the batch keeps items back, or that lacks more than the `forgiven` items without which the
    batch closes, failing that any that lacks some; nowhere while all is well."""
    if state not in (State.STALLED, State.FAILED) and not verdict.held:
        return None, None
    ordered = [row for row in in_order(rows) if not row.not_reached]
    held = _holding(verdict, forgiven)
    made = [f for f in held if f.kind is not Kind.CONSEQUENCE]
    own = _own(made) if made else held
    for row in ordered:
        if (_lacks(row) or row.status is Status.FAULT) and any(_at(row, f) for f in own):
            return row.stage, row.leg
        if _lacks(row) and (row.reached is False or sum(row.where.values()) > forgiven):
            if _gets_past(row, verdict) and any(_lacks(r) and any(_at(r, f) for f in own) for r in ordered):
                continue
            here = _waits_behind(row, ordered, [*held, *verdict.unexplained]) or row
            return here.stage, here.leg
    if few := next((row for row in ordered if _lacks(row)), None):
        return few.stage, few.leg
    if held:
        first = min(held, key=lambda f: _passed(f.stage, f.leg))
        return first.stage, first.leg
    faulty = next((r for r in ordered if r.status is Status.FAULT), None)
    last = faulty or next((r for r in ordered if state is State.STALLED and _may_lack(r)), None)
    return (last.stage, last.leg) if last else (None, None)


def _may_lack(row: Row) -> bool:
    """Whether no more is known than that fewer passed it than should: there the trail is lost."""
    return row.expected is not None and row.seen_min is not None and row.seen_min < row.expected


def _lacks(row: Row) -> bool:
    """Whether items stay behind at it."""
    if row.where and row.status in (Status.FAULT, Status.WARNING):
        return True
    return row.reached is False and row.stage is not Stage.CLOSED


def _gets_past(row: Row, verdict: Verdict) -> bool:
    """Whether what keeps items at this row only slows them: they come by themselves, and a cause that is named lets others past."""
    slows = [f for x in verdict.live if x.role is Role.WORSENS for f in x.share.own if f.abnormal and f.until is None]
    return set(row.where) <= _COMING and any(_at(row, f) for f in slows)


def _holding(verdict: Verdict, forgiven: int) -> list[Finding]:
    """What holds the batch now; without what holds no more than is forgiven, where something holds more."""
    found = [f for x in verdict.blocking for f in x.share.own if f.abnormal and f.bears is Bears.HOLDS]
    found += verdict.nameless
    found = [f for f in found if f.until is None] or found
    return [f for f in found if not 0 < f.held <= forgiven] or found


def _at(row: Row, finding: Finding) -> bool:
    """Whether what the finding holds stays behind at this row. What a push of the completion leg meets keeps it from its return."""
    back = finding.leg is Leg.COMPLETION and finding.stage is Stage.DELIVERED
    stage = Stage.RETURNED if back else _has_them(finding)
    return row.stage is stage and (row.leg is finding.leg or None in (row.leg, finding.leg))


_COMING = frozenset({Where.WAITING, Where.IN_FLIGHT, Where.RETRYING})
"""Places that an item leaves by itself as soon as nothing is in its way."""
_TAKEN_UP = {Stage.DELIVERED: Stage.PROCESSED, Stage.RETURNED: Stage.RECORDED}
"""What comes by a push: where the receiver fails on what it took up, what comes behind it waits."""


def _waits_behind(row: Row, rows: Iterable[Row], holding: Sequence[Finding]) -> Row | None:
    """The next row at which items stay, if what the receiver does with a push, on whichever leg that shows, is what is in the way of all
    that has yet to come to it: how many those are depends on the size of the batch."""
    taken_up = _TAKEN_UP.get(row.stage)
    if taken_up is None or not set(row.where) <= _COMING:
        return None
    here = _passed(row.stage, row.leg)
    later = (r for r in rows if _passed(r.stage, r.leg) > here and r.stage is not Stage.CLOSED)
    work = next((r for r in later if not r.not_reached and r.where), None)
    at = [
        _passed(_has_them(f), f.leg) for f in _own(holding) if f.kind is not Kind.CONSEQUENCE and f.bears is Bears.HOLDS
    ]
    if work is None or not at or min(at) <= here or _passed(work.stage, work.leg) not in at:
        return None
    unclear = any(f.kind is Kind.CONSEQUENCE and f.leg is row.leg and f.bears is Bears.HOLDS for f in holding)
    return None if unclear and work.stage is not taken_up else work


def _own(holding: Sequence[Finding]) -> list[Finding]:
    """Without what is about others' items, which the receiver takes up instead of those of the batch: these stay where they wait."""
    others = [f for f in holding if (told := failing_items.REPEATS.of(f)) and told.foreign]
    answers = (error_answers.ERRORS.name, error_answers.UNREADABLE.name) if others else ()
    return [f for f in holding if f not in others and f.code not in answers]


def _has_them(finding: Finding) -> Stage:
    """Where the items are that it holds: what the coordinator fails on came back to it, and of pushes that ran into the deadline nothing
    but a slow start says that no code had them."""
    if finding.code == push_answers.DEADLINE.name or finding.stage is Stage.PROCESSED:
        return Stage.RECORDED if finding.leg is Leg.COMPLETION else Stage.PROCESSED
    return finding.stage


def in_order(rows: Iterable[Row]) -> list[Row]:
    """In the order in which an item passes."""
    return sorted(rows, key=lambda row: _passed(row.stage, row.leg))


def _passed(stage: Stage, leg: Leg | None) -> tuple[int, int]:
    """What the completion leg did comes after the worker's work, before its return."""
    back = leg is Leg.COMPLETION and STAGES.index(stage) < STAGES.index(Stage.RETURNED)
    return (STAGES.index(Stage.RETURNED if back else stage), STAGES.index(stage))


def lost_once(rows: Sequence[Row]) -> tuple[Row, ...]:
    """What a wrong route lost or holds stands there, and not at the next row again."""
    told = {r.leg: r.where for r in rows if r.stage is Stage.ROUTED}
    return tuple(_without(r, told.get(r.leg, {})) if r.stage in (Stage.DELIVERED, Stage.RETURNED) else r for r in rows)


def taken_away(rows: Sequence[Row], findings: Iterable[Finding]) -> tuple[Row, ...]:
    """What vanished from the request subscription and had come to the worker before is lost, too: it comes to it no more."""
    vanished = (f.held for f in findings if f.code in VANISHED and f.leg is Leg.REQUEST and f.status is Status.FAULT)
    gone = max(vanished, default=0)
    told = sum(
        r.where.get(Where.DROPPED, 0)
        for r in rows
        if r.stage in (Stage.ROUTED, Stage.DELIVERED) and r.leg is Leg.REQUEST
    )
    return tuple(_lost(r, gone - told) if r.stage is Stage.PROCESSED else r for r in rows)


def _lost(row: Row, number: int) -> Row:
    """The same with so many, of those of which nothing told where they are, lost."""
    number = min(number, row.where.get(Where.UNATTRIBUTED, 0))
    if number <= 0:
        return row
    where = {**row.where, Where.UNATTRIBUTED: row.where[Where.UNATTRIBUTED] - number}
    where[Where.DROPPED] = where.get(Where.DROPPED, 0) + number
    return msgspec.structs.replace(row, where={place: many for place, many in where.items() if many})


_UNSURE = (Where.WAITING, Where.IN_FLIGHT, Where.UNATTRIBUTED, Where.UNKNOWN)
"""Places that are taken for granted, or stand for not knowing."""


def _without(row: Row, told: Mapping[str, int]) -> Row:
    """The same place first, then those that are unsure, as many as the route's row told."""
    where = {place: max(number - told.get(place, 0), 0) for place, number in row.where.items()}
    rest = sum(told.values()) - (sum(row.where.values()) - sum(where.values()))
    for place in _UNSURE:
        gone = min(rest, where.get(place, 0))
        rest -= gone
        where |= {place: where[place] - gone} if gone else {}
    return msgspec.structs.replace(row, where={place: number for place, number in where.items() if number})


def moot(finding_stage: Stage, ledger: Ledger, state: State) -> bool:
    """Whether something positive proves the stage, so that a gap in what was seen does not matter."""
    if state is State.DONE:
        return True
    order = list(ledger.counts)
    if finding_stage not in order:
        return state is State.RUNNING
    here = ledger.counts[finding_stage]
    return here.least > 0 and ledger.gap(finding_stage) == (0, 0)


def has(
    findings: Sequence[Finding], *codes: AnyCode, statuses: tuple[Status, ...] = (Status.FAULT, Status.UNKNOWN)
) -> bool:
    """Whether one of these codes was found, of one of these statuses."""
    names = {c.name for c in codes}
    return any(f.code in names and f.status in statuses for f in findings)
