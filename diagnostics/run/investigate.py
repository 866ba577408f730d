"""Evidence in, diagnosis out: run a command's steps, decide, and put it together. Pure; a replayed bundle gives the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import Cause
from diagnostics.causes.verdict import decide
from diagnostics.conclude import levels as health
from diagnostics.conclude import say
from diagnostics.conclude.accepted import sift
from diagnostics.conclude.clauses import Clauses
from diagnostics.conclude.cleared import ruled_out
from diagnostics.conclude.diagnosis import Batch, Call, DayOfResults, Diagnosis, Header, Window
from diagnostics.conclude.gauges import gauges
from diagnostics.conclude.headline import Headline
from diagnostics.conclude.models import models_of
from diagnostics.conclude.offers import Offers
from diagnostics.conclude.outlook import Terms, agreed, outlook
from diagnostics.conclude.standing import (
    EXITS,
    lost_once,
    state_of,
    status_of,
    stopped_at,
    taken_away,
)
from diagnostics.conclude.suspects import suspects
from diagnostics.evidence.model import (
    STAGES,
    AckCounts,
    Backlog,
    BatchMarks,
    BatchStatus,
    DeadLetterCounts,
    DownstreamRows,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    Probed,
    PublishCounts,
    PushCounts,
    RequestLog,
    ResultRows,
    StartCalls,
    SubscriptionConfig,
    seen,
)
from diagnostics.evidence.younger import younger
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.readings.arrived import came_alone
from diagnostics.readings.believable import believable
from diagnostics.readings.ledger import Ledger, build
from diagnostics.readings.stakes import stakes_of
from diagnostics.readings.wholeness import wholeness
from diagnostics.steps import run
from diagnostics.steps.changes import audit, changes
from diagnostics.steps.changes.builds import builds, served
from diagnostics.steps.closed import closed
from diagnostics.steps.cold_start import cold_start
from diagnostics.steps.created import created
from diagnostics.steps.dead_letter import attempts, dead_letter
from diagnostics.steps.delivered import delivered
from diagnostics.steps.limits import limits, retrying
from diagnostics.steps.limits.addressing import addressing, route, sign_in, topic_in_force, topic_names
from diagnostics.steps.limits.addressing import dead_letter as dead_letter_setup
from diagnostics.steps.limits.capacity import capacity
from diagnostics.steps.limits.upkeep import orphans, upkeep
from diagnostics.steps.model_drift import model_drift
from diagnostics.steps.model_new import model_new
from diagnostics.steps.outcome import outcome
from diagnostics.steps.outcome.claims import claim_to_check
from diagnostics.steps.outcome.lately import lately
from diagnostics.steps.outcome.of_batch import of_batch
from diagnostics.steps.peeked import peeked
from diagnostics.steps.processed import processed
from diagnostics.steps.progress import progress
from diagnostics.steps.published import published
from diagnostics.steps.published.topic import may_publish, topic
from diagnostics.steps.published.why import why
from diagnostics.steps.push_auth import push_auth
from diagnostics.steps.push_auth.may_call import may_call
from diagnostics.steps.push_auth.may_mint import may_mint
from diagnostics.steps.recorded import recorded
from diagnostics.steps.requested import requested
from diagnostics.steps.returned import returned
from diagnostics.steps.returned.right import may_report
from diagnostics.steps.routed import routed
from diagnostics.steps.serving import serving
from diagnostics.steps.since_deploy import settled, since_deploy
from diagnostics.steps.traffic import traffic

COMMANDS: dict[str, tuple[run.Step, ...]] = {
    "batch": (
        requested,
        created,
        published,
        topic,
        may_publish,
        why,
        topic_in_force,
        routed,
        delivered,
        peeked,
        push_auth,
        may_call,
        may_mint,
        cold_start,
        dead_letter,
        attempts,
        processed,
        returned,
        may_report,
        recorded,
        closed,
        of_batch,
        progress,
        changes,
        builds,
        served,
        audit,
    ),
    "published": (requested, published, topic, why),
    "delivery": (routed, delivered, dead_letter, attempts),
    "push-auth": (push_auth, may_call, may_mint),
    "cold-start": (cold_start,),
    "worker": (processed,),
    "changes": (changes, builds, served, audit),
    "lint": (
        route,
        addressing,
        topic_names,
        sign_in,
        limits,
        retrying,
        dead_letter_setup,
        upkeep,
        capacity,
        orphans,
    ),
}
"""What each command looks at: a command is a list of steps."""

COMMANDS["health"] = (
    serving,
    builds,
    model_drift,
    *(step for step in COMMANDS["lint"] if step not in (sign_in, capacity)),
    topic,
    push_auth,
    may_call,
    may_mint,
    changes,
    settled,
    since_deploy,
    traffic,
    delivered,
    cold_start,
    processed,
    lately,
)
"""The configuration as `lint` looks at it, and beyond: what it leaves to traffic, sign-in and capacity, is seen at work here."""

COMMANDS["watch"] = (requested, created, progress)

COMMANDS["outcome"] = (outcome,)

COMMANDS["model drift"] = (model_drift,)

COMMANDS["model check-new"] = (model_new,)

ACROSS_DEPLOY = (settled, since_deploy)
"""Steps that look at both sides of a deploy; all others then see only traffic that is younger."""

LEDGER_READS: set[type[Evidence]] = {
    BatchMarks,
    ItemMarks,
    StartCalls,
    BatchStatus,
    PublishCounts,
    PushCounts,
    AckCounts,
    RequestLog,
    Backlog,
    DeadLetterCounts,
    SubscriptionConfig,
}
"""What the ledger is built from."""

WITHOUT_BATCH = frozenset({"lint", "health", "model drift", "model check-new"})
"""Commands that ask about no batch: of what the ledger is built from, they read what their steps name."""

OF_LINES = frozenset({"watch", "outcome"})
"""Commands whose ledger is built from lines and batch state alone."""

WATCHED: set[type[Evidence]] = {BatchMarks, ItemMarks, StartCalls, BatchStatus}
"""What that is: `watch` looks again and again, and log reads are scarce; `outcome` asks what came of it, not how it went."""


HANDED_IN: set[type[Evidence]] = {Probed}
"""What steps read and nobody fetches, for it needs consent."""

LATER: dict[str, set[type[Evidence]]] = {"batch": {ResultRows, DownstreamRows}}
"""What a command reads once the rest is seen, and then only where that says that it can tell anything."""


def kinds_for(command: str) -> set[type[Evidence]]:
    """The evidence that a command's steps and the ledger read."""
    reads = set() if command in WITHOUT_BATCH else WATCHED if command in OF_LINES else LEDGER_READS
    return run.kinds(COMMANDS[command]) - HANDED_IN - LATER.get(command, set()) | reads


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
    redacts: Sequence[str] = field(default=(), compare=False)
    """The profile's own patterns, which do not go with a run: what else goes with it is redacted by them, too."""


def worth_reading(case: Case) -> set[type[Evidence]]:
    """What is worth a second pass: results, of a batch that is closed and says what it did for which date."""
    later = LATER.get(case.command, set())
    if not later or case.profile.results is None:
        return set()
    evidence = believable(case.evidence)
    ledger = build(evidence, case.profile, case.ask.batch, case.ask.expect, case.ask.since)
    return later if claim_to_check(ledger, evidence.get(ItemMarks), evidence.now) else set()


def investigate(case: Case, catalogue: Sequence[Cause] = CATALOGUE) -> Diagnosis:
    """The diagnosis of a case."""
    case = replace(case, evidence=believable(case.evidence))
    command, evidence, profile, ask, header = case.command, case.evidence, case.profile, case.ask, case.header
    legs, now = case.legs, evidence.now
    present = [leg for leg in Leg if profile.leg(leg) is not None and (legs is None or leg in legs)]
    ledger = (
        Ledger() if command in ("health", "model drift") else build(evidence, profile, ask.batch, ask.expect, ask.since)
    )
    said = _said(case, ledger, present)
    rows = taken_away(lost_once(said.rows), said.findings)
    whole = command in ("batch", "watch")
    known = catalogue if ledger.known_batch is not False else ()
    seen_whole = wholeness(evidence)
    at_stake = stakes_of(ledger, profile)
    verdict = decide(known, said.findings, present, at_stake, seen_whole)
    state = state_of(ledger, said.findings, verdict)
    clauses = Clauses(profile, evidence)
    sifted = sift(profile.accepted, said.findings, verdict, now, clauses.of)
    findings, verdict = sifted.findings, sifted.verdict
    status = status_of(command, state, ledger, sifted.counted, verdict)
    levels = health.levels(sifted.counted, ask.require) if command == "health" else ()
    status = health.status_of_levels(levels) if levels else status
    here, here_leg = stopped_at(rows, state, verdict, at_stake.forgiven) if whole else (None, None)
    terms = Terms(
        at_stake.forgiven,
        profile.closing,
        lines=not seen_whole.missing((ItemMarks,), Leg.REQUEST),
        came=came_alone(ledger, Leg.REQUEST, evidence.get(PublishCounts, Leg.REQUEST)),
    )
    ahead = outlook(state, verdict, ledger, findings, now, terms)
    status = agreed(status, state, ahead) if whole else status
    teller = say.Teller(profile, evidence, ledger, header, now, clauses)
    cleared = ruled_out(ledger, findings, verdict, seen_whole)
    offers = Offers(command, profile, evidence, ledger, said.findings, [r.because for r in cleared])
    named = tuple(teller.named(x, offers.of(x), verdict.live) for x in verdict.live)
    unknown = teller.missing(said.findings, state, verdict, ahead)
    return Diagnosis(
        status=status,
        exit_code=EXITS[status],
        headline=health.headline(levels, status)
        if levels
        else Headline(profile, evidence, ledger, now, clauses).says(command, status, state, verdict, findings, ahead),
        pipeline=header,
        batch=_batch(ledger) if whole else None,
        state=state,
        finishes_alone=ahead.alone if whole else None,
        unsure=tuple(one.says for one in ahead.unsure) if whole else (),
        forecast=ahead.forecast,
        window=Window(since=evidence.since, until=ask.end(now)),
        as_of=now,
        ladder=tuple(sorted(rows, key=lambda r: STAGES.index(r.stage))) if whole else (),
        here=here,
        here_leg=here_leg,
        causes=named,
        ruled_out=cleared,
        unknown=unknown,
        findings=findings,
        unexplained=verdict.unexplained if whole else (),
        items=teller.items(rows),
        unnamed=teller.unnamed(),
        recovery=teller.recovery(verdict, rows),
        next=offers.next(state, verdict, unknown, (here, here_leg)) + (health.advice(findings) if levels else ()),
        calls=tuple(case.calls),
        sources=teller.sources(),
        suppressed=sifted.suppressed,
        suspects=suspects(evidence, profile, ledger, verdict),
        results=_results(evidence) if command == "outcome" else (),
        levels=levels,
        subscriptions=gauges(profile, evidence),
        models=models_of(evidence) if command == "model drift" else (),
    )


def _said(case: Case, ledger: Ledger, legs: Sequence[Leg]) -> run.Outcome:
    """What the command's steps say; after a deploy, of traffic that is younger than it."""
    steps, evidence = COMMANDS[case.command], case.evidence
    if case.ask.deploy is None or case.ask.deploy.at is None:
        return run.run(steps, evidence, ledger, case.profile, legs, case.ask)
    across = run.run([s for s in steps if s in ACROSS_DEPLOY], evidence, ledger, case.profile, legs, case.ask)
    young = younger(evidence, case.ask.deploy.at)
    rest = run.run([s for s in steps if s not in ACROSS_DEPLOY], young, ledger, case.profile, legs, case.ask)
    return run.Outcome(across.findings + rest.findings, across.rows + rest.rows)


def _results(evidence: EvidenceSet) -> tuple[DayOfResults, ...]:
    """The results table as a table, with the dates that have no row."""
    found = seen(evidence.get(ResultRows))
    if found is None:
        return ()
    return tuple(
        DayOfResults(
            day=day,
            rows=(of := found.of(day)).rows,
            active=of.active,
            versions=tuple(dict.fromkeys(m.version for m in of.made if m.version)),
            files=tuple(dict.fromkeys(m.file for m in of.made if m.file)),
        )
        for day in found.dates
    )


def _batch(ledger: Ledger) -> Batch | None:
    if ledger.attempt is None and not ledger.asked:
        return None
    good = ledger.last_good
    return Batch(
        id=ledger.batch,
        started=ledger.started,
        expected=ledger.expected,
        done=ledger.done if ledger.done or ledger.done_most == 0 else None,
        closed=ledger.closed,
        last_progress=ledger.last_progress,
        last_good=good.batch if good else "",
        last_good_at=good.started if good else None,
    )
