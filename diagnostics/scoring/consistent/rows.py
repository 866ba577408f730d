"""The ladder: each row adds up, the one marked HERE lacks items, items and recovery are its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from diagnostics.conclude.diagnosis import Recovery, State
from diagnostics.evidence.model import STAGES, Leg, Stage
from diagnostics.readings.ledger.ledger import COUNTED
from diagnostics.report import ladder
from diagnostics.scoring.consistent.answer import Answer, named, stays
from diagnostics.steps import dead_letter
from diagnostics.steps.finding import Bears, Kind, Row, Status, Where

AWAY = (Where.DROPPED, Where.GATED)
"""Places that nothing comes back from by itself, and that nothing else is done about."""


def here(answer: Answer) -> Iterator[str]:
    """It is a row that lacks items, or the stage of what holds the batch."""
    said = answer.said
    if not said.ladder or said.pipeline.command != "batch":
        return
    marked = ladder.stopped(said)
    if any((ladder.HERE in page) is not bool(marked) for page in answer.pages):
        yield "HERE is not printed as it was concluded"
    if said.here is None:
        if said.state is State.STALLED and any(_lacks(row) for row in answer.rows):
            yield "the batch is stalled, a row lacks items, and none is HERE"
        return
    if said.state in (State.DONE, State.RUNNING) and not answer.blocking and not said.unexplained:
        yield f"HERE is {said.here}, and the batch is {said.state} with nothing that holds it"
    if marked is None:
        yield f"HERE is {said.here}, and no row of the ladder is"
    elif not _lacks(marked) and (marked.stage, marked.leg) not in _holding(answer):
        yield f"HERE is {named(marked)}, which lacks nothing"


def _lacks(row: Row) -> bool:
    """Whether items stay behind at it, or may."""
    if row.not_reached:
        return False
    none = row.stage is Stage.CREATED and row.seen_max == 0
    fewer = row.expected is not None and (row.seen_max is None or (row.seen_min or 0) < row.expected)
    return bool(stays(row)) or row.reached is False or none or (fewer and row.seen_min is not None)


def _holding(answer: Answer) -> set[tuple[Stage, Leg | None]]:
    """Where what holds the batch is."""
    said = answer.said
    causes = {(c.stage, c.leg) for c in answer.blocking}
    findings = [f for c in answer.blocking for f in answer.of(c)] + list(said.unexplained)
    held = {(f.stage, f.leg) for f in findings if f.bears is Bears.HOLDS}
    return {(stage, leg) for stage, one in causes | held for leg in {one, None if one else Leg.REQUEST}}


def adds_up(answer: Answer) -> Iterator[str]:
    """What a row lacks is what it says stayed behind, together with what its route lost on the way to it."""
    for row in answer.rows:
        behind, low, high = stays(row) + _on_the_way(answer, row), row.seen_min, row.seen_max
        if row.status is Status.OK and stays(row):
            yield f"{named(row)}: ok, and {stays(row)} stayed behind"
        if row.expected is None or low is None or high is None or row.reached is not None:
            continue
        came = min(row.expected, _came(answer, row))
        if behind > max(row.expected - low, 0):
            yield f"{named(row)}: {behind} stayed behind, and {low} of {row.expected} came"
        elif behind < came - high:
            yield f"{named(row)}: {came - high} are missing, and it is said of {behind} where they are"


def _on_the_way(answer: Answer, row: Row) -> int:
    """Items that the route to this row holds or lost."""
    if row.stage not in (Stage.DELIVERED, Stage.RETURNED):
        return 0
    return sum(stays(r) for r in answer.rows if r.stage is Stage.ROUTED and r.leg is row.leg)


def _came(answer: Answer, row: Row) -> int:
    """Items that came to this row at least: what passed the one before."""
    before = [r for r in answer.rows if r.stage in COUNTED[: COUNTED.index(row.stage)]] if row.stage in COUNTED else []
    counted = [r for r in before if r.leg is not Leg.COMPLETION or r.stage is Stage.RETURNED]
    last = max(counted, key=lambda r: STAGES.index(r.stage), default=None)
    return row.expected or 0 if last is None else last.seen_min or 0


def descends(answer: Answer) -> Iterator[str]:
    """No stage has more items than came to it."""
    ours = [r for r in answer.rows if r.stage in COUNTED and r.seen_min is not None and r.basis == "items"]
    ordered = sorted(
        (r for r in ours if r.leg is not Leg.COMPLETION or r.stage is Stage.RETURNED),
        key=lambda r: STAGES.index(r.stage),
    )
    for above, below in pairwise(ordered):
        surplus = sum(r.where.get(Where.SURPLUS, 0) for r in answer.rows)
        if above.seen_max is not None and (below.seen_min or 0) > above.seen_max + surplus:
            yield f"{below.seen_min} {below.stage}, and {above.seen_max} {above.stage}"


def held(answer: Answer) -> Iterator[str]:
    """Nothing holds more items than are not done. Before they are published, a batch may yet lower what it expects."""
    batch = answer.said.batch
    if not answer.of_batch or batch is None or batch.expected is None:
        return
    left = batch.expected - (batch.done or 0)
    for finding in answer.wrong:
        lowered = finding.stage in (*STAGES[: STAGES.index(Stage.ROUTED)], Stage.CLOSED) and not batch.expected
        if finding.bears is Bears.HOLDS and finding.held > left and not lowered:
            yield f"{finding.code} holds {finding.held}, and {left} are not done"


def items(answer: Answer) -> Iterator[str]:
    """No more items are named than the ladder counts."""
    for row in answer.rows:
        if row.stage not in COUNTED or row.seen_max is None or (row.leg is Leg.COMPLETION and row.stage in COUNTED[:3]):
            continue
        came = sum(1 for i in answer.said.items if STAGES.index(i.stage) >= STAGES.index(row.stage))
        if came > row.seen_max:
            yield f"{came} items are named that came to {named(row)}, the ladder counts {row.seen_max}"


def recovery(answer: Answer) -> Iterator[str]:
    """What has to be sent again is what the ladder says will not come."""
    said = answer.said
    if not answer.of_batch or said.recovery == Recovery():
        nameless = any(f.status is Status.FAULT and f.bears is Bears.HOLDS and not f.until for f in said.unexplained)
        if (answer.blocking or nameless) and (lost := sum(answer.places[w] for w in (*AWAY, Where.DEAD_LETTERED))):
            yield f"{lost} will not come by themselves, and nothing is said to be sent again"
        return
    dead, again = answer.places[Where.DEAD_LETTERED], said.recovery.resubmit_count
    lost, left = sum(answer.places[w] for w in AWAY), said.batch.expected if said.batch else None
    unkept = dead - said.recovery.replay_dead_letters
    if unkept and not (unkept > 0 and any(f.code == dead_letter.NO_READER.name and f.abnormal for f in said.findings)):
        yield f"{said.recovery.replay_dead_letters} dead letters are to be replayed, {dead} lie there"
    elif unkept:
        lost += unkept  # no subscription keeps them
    if again < lost or (left is not None and again > left):
        yield f"{again} are to be sent again, {lost} are lost or gated"
    if len(said.recovery.resubmit) > again:
        yield f"{len(said.recovery.resubmit)} are named to be sent again, {again} counted"


def over(answer: Answer) -> Iterator[str]:
    """A finding that is over holds nothing and is no fault; none ends before it begins, or begins after now."""
    now = answer.said.as_of
    for f in answer.said.findings:
        if f.until and f.since and f.until < f.since:
            yield f"{f.code} ends before it begins"
        if f.since and f.since > now:
            yield f"{f.code} begins after now"
        if f.until and f.kind is not Kind.NOTE and (f.status is Status.FAULT or f.bears is Bears.HOLDS):
            yield f"{f.code} is over, and {f.status} that {f.bears}"
