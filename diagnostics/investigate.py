"""Evidence in, diagnosis out: run a command's steps, decide, and put it together. Pure; a replayed bundle gives the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diagnostics.causes import say
from diagnostics.causes.accepted import sift
from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.diagnosis import Batch, Call, Diagnosis, Header, Window
from diagnostics.causes.model import Cause
from diagnostics.causes.standing import EXITS, finishes_alone, forecast, lost_once, state_of, status_of, stopped_at
from diagnostics.causes.verdict import decide
from diagnostics.evidence.ask import Ask
from diagnostics.evidence.model import (
    STAGES,
    AckCounts,
    BatchMarks,
    BatchStatus,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    PublishCounts,
    PushCounts,
    RequestLog,
    StartCalls,
)
from diagnostics.ledger import Ledger, build
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.steps import run
from diagnostics.steps.changes import audit, changes
from diagnostics.steps.cold_start import cold_start
from diagnostics.steps.created import created
from diagnostics.steps.dead_letter import dead_letter
from diagnostics.steps.delivered import delivered
from diagnostics.steps.processed import processed
from diagnostics.steps.progress import progress
from diagnostics.steps.published import published
from diagnostics.steps.push_auth import push_auth
from diagnostics.steps.recorded import recorded
from diagnostics.steps.requested import requested
from diagnostics.steps.returned import returned
from diagnostics.steps.routed import routed
from diagnostics.steps.topic import topic

COMMANDS: dict[str, tuple[run.Step, ...]] = {
    "batch": (
        requested,
        created,
        published,
        topic,
        routed,
        delivered,
        push_auth,
        cold_start,
        dead_letter,
        processed,
        returned,
        recorded,
        progress,
        changes,
        audit,
    ),
    "published": (requested, published, topic),
    "delivery": (routed, delivered, dead_letter),
    "push-auth": (push_auth,),
    "cold-start": (cold_start,),
    "worker": (processed,),
    "changes": (changes, audit),
}
"""What each command looks at: a command is a list of steps."""

LEDGER_READS: set[type[Evidence]] = {
    BatchMarks,
    ItemMarks,
    StartCalls,
    BatchStatus,
    PublishCounts,
    PushCounts,
    AckCounts,
    RequestLog,
}
"""What the ledger is built from."""


def kinds_for(command: str) -> set[type[Evidence]]:
    """The evidence that a command's steps and the ledger read."""
    return run.kinds(COMMANDS[command]) | LEDGER_READS


@dataclass(frozen=True)
class Case:
    """What one run asked and saw: all that a diagnosis depends on."""

    command: str
    evidence: EvidenceSet
    profile: PipelineProfile
    ask: Ask
    header: Header
    calls: Sequence[Call] = ()
    legs: Sequence[Leg] | None = None
    """Look at these only; None: at all that the pipeline has."""


def investigate(case: Case, catalogue: Sequence[Cause] = CATALOGUE) -> Diagnosis:
    """The diagnosis of a case."""
    command, evidence, profile, ask, header = case.command, case.evidence, case.profile, case.ask, case.header
    legs, now = case.legs, evidence.now
    present = [leg for leg in Leg if profile.leg(leg) is not None and (legs is None or leg in legs)]
    ledger = build(evidence, profile, ask.batch, ask.expect)
    said = run.run(COMMANDS[command], evidence, ledger, profile, present)
    rows = lost_once(said.rows)
    whole = command == "batch"
    over = ledger.known_batch is False or (bool(ledger.closed) and not ledger.hollow)
    known = catalogue if ledger.known_batch is not False else ()
    verdict = decide(known, said.findings, present, over)
    state = state_of(ledger, said.findings, verdict)
    sifted = sift(profile.accepted, said.findings, verdict, now)
    findings, verdict = sifted.findings, sifted.verdict
    status = status_of(command, state, ledger, sifted.counted, verdict)
    here, here_leg = stopped_at(rows, state, verdict) if whole else (None, None)
    expected = forecast(state, said.findings, ledger, now)
    teller = say.Teller(profile, evidence, ledger, header, now)
    named = tuple(teller.named(x) for x in verdict.live)
    unknown = teller.missing(said.findings, state, verdict)
    return Diagnosis(
        status=status,
        exit_code=EXITS[status],
        headline=teller.headline(command, status, state, verdict, findings, expected),
        pipeline=header,
        batch=_batch(ledger) if whole else None,
        state=state,
        finishes_alone=finishes_alone(state, verdict, ledger) if whole else None,
        forecast=expected,
        window=Window(since=evidence.since, until=ask.end(now)),
        as_of=now,
        ladder=tuple(sorted(rows, key=lambda r: STAGES.index(r.stage))) if whole else (),
        here=here,
        here_leg=here_leg,
        causes=named,
        ruled_out=teller.ruled_out(findings, verdict),
        unknown=unknown,
        findings=findings,
        unexplained=verdict.unexplained if whole else (),
        items=teller.items(),
        unnamed=teller.unnamed(),
        recovery=teller.recovery(verdict, rows),
        next=teller.next(state, verdict, unknown),
        calls=tuple(case.calls),
        sources=teller.sources(),
        suppressed=sifted.suppressed,
    )


def _batch(ledger: Ledger) -> Batch | None:
    attempt = ledger.attempt
    if attempt is None:
        return None
    good = ledger.last_good
    return Batch(
        id=ledger.batch,
        started=ledger.started,
        expected=ledger.expected,
        done=ledger.done,
        closed=ledger.closed,
        last_progress=ledger.last_progress,
        last_good=good.batch if good else "",
        last_good_at=good.started if good else None,
    )
